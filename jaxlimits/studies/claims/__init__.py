"""The claims of the limit study, one file each."""
