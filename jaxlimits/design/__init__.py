"""What measurements and gradients say of a design."""
