"""Questions: which point is best, and what a target requires."""
