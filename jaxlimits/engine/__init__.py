"""The engine: the only place that maps the model over axes and compiles it."""
