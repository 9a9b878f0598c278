"""Programs of sweeps, compiled for accelerators that are not there."""
