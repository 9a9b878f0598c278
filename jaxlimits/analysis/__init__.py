"""What is done with a result: tables, later plots. Datasets in, no model and no jax."""
