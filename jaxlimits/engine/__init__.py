"""The engine: the only place that maps the model over axes and compiles it."""

from jaxlimits.engine.program_cache import keep_programs

keep_programs()  # here, because every program of the package is compiled after this import
