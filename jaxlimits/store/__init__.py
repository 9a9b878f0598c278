"""Results as labelled NetCDF files."""
