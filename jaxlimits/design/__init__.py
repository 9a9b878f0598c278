"""Design: what gradients are for, from requirements to calibration."""
