"""Grid files: what to sweep, read and checked on the host."""
