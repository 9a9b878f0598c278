"""Running one sweep: the wiring from a grid to labelled results, here or on a cluster."""
