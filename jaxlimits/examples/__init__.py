"""Examples that run: each takes results of shipped grids and shows what to do with them."""
