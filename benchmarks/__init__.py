"""Speed beside baselines, all in one run: see ``benchmarks/__main__.py``."""
