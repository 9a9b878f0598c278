"""What is done with a result: tables, figures, questions. Datasets in, no model and no jax."""
