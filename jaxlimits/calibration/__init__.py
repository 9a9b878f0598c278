"""Calibration: the overlay's constants from measured times, and how well they predict."""
