"""Programs that tests run a few times, run by NumPy and not compiled.

A point of the model takes a second to compile and a hundredth of one to run operation by operation,
to the same bits. What is run again and again is compiled after all. ``.ci/run --slow`` compiles as
users do.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
from jax.core import Tracer

from jaxlimits.calibration import cases
from jaxlimits.engine import kernel, slopes, take_apart
from tests import quick_tracing
from tests.elementwise import run

RUNS = 4
"""Times that a program is run before it is compiled."""

_OF_POINTS = (
    (kernel, "_few_points"),
    (take_apart, "_unfused"),
    (take_apart, "_fused"),
    (slopes, "_listed_metrics"),
    (cases, "_fitting"),
    (cases, "_limits"),
    (cases, "_parts"),
)


def install() -> None:
    """Replace the compiled functions of few points."""
    for module, name in _OF_POINTS:
        setattr(module, name, ByNumpy(getattr(module, name)))


class ByNumpy:
    """A compiled function that is run by NumPy until it has been run often."""

    def __init__(self, usual: Callable[..., Any]):
        # Beneath what checks the types of its arguments.
        self.usual = inspect.unwrap(usual, stop=lambda one: hasattr(one, "trace"))
        self.runs: dict[int, tuple[Any, int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.usual, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        leaves = jax.tree.leaves(arguments)
        mesh = options.get("mesh")
        alone = mesh is None or mesh.size == 1
        if not (quick_tracing.is_on() and alone) or any(isinstance(x, Tracer) for x in leaves):
            return self.usual(*arguments, **options)
        traced = self.usual.trace(*arguments, **options)
        _, runs = self.runs.get(id(traced.jaxpr), (None, 0))
        self.runs[id(traced.jaxpr)] = traced.jaxpr, runs + 1
        if runs >= RUNS:
            return self.usual(*arguments, **options)
        found = jax.device_put(run(traced.jaxpr, leaves))
        return jax.tree.unflatten(jax.tree.structure(traced.out_info), found)
