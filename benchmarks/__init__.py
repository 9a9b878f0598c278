"""Speed and memory beside baselines, all in one run: start with ``python -m benchmarks --help``."""
