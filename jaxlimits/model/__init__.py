"""The limit model: pure JAX, one point in, one record out."""
