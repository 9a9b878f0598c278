"""What is done with a result: tables, the nearest point, what binds. No model, no JAX."""
