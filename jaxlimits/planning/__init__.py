"""Planning: the fewest chips that serve a workload within its targets, and why no fewer do."""
