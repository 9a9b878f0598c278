"""The first ten minutes on an accelerator: one command, one process a hang can cost."""
