"""Uncertain inputs: bands, Sobol indices and elementary effects of a result."""
