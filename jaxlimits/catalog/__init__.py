"""Models and chips as data, each entry with its source."""
