"""Operators of traced numbers that take the shortest way to JAX's operations, and none twice.

``jax.numpy`` traces each operator as a function of its own, which is most of what tracing the model
takes, and of the operations of a point more than half repeat an earlier one. Tests trace hundreds
of programs and run each a few times. Results have the same bits: the operations are the same, on
the same operands. ``.ci/run --slow`` traces as users do.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax._src import core

_ARITHMETIC = {"add": lax.add, "sub": lax.sub, "mul": lax.mul, "truediv": lax.div}
_COMPARISONS = {"gt": lax.gt, "lt": lax.lt, "ge": lax.ge, "le": lax.le}
_FUNCTIONS = {"maximum": lax.max, "minimum": lax.min}

_TRACES = 4
"""Within one another: of a program, its derivative, and what these map."""

_Operation = Callable[..., Any]


def install() -> None:
    """Replace the operators of JAX's tracers, and three of its functions."""
    for name, operation in {**_ARITHMETIC, **_COMPARISONS}.items():
        _replace(core.Tracer, f"__{name}__", operation)
    for name, operation in _ARITHMETIC.items():
        _replace(core.Tracer, f"__r{name}__", lambda x, y, by=operation: by(y, x), operation)
    for name, operation in _FUNCTIONS.items():
        _replace(jnp, name, operation)
    _replace_where()


@contextlib.contextmanager
def as_users_trace() -> Iterator[None]:
    """Trace by JAX's own operators for a while, and compile whatever is run."""
    before, _State.on = _State.on, False
    try:
        yield
    finally:
        _State.on = before


def is_on() -> bool:
    """Whether tests trace and run in their own way."""
    return _State.on


class _State:
    on = True
    traces: ClassVar[dict[int, tuple[Any, dict[Any, Any]]]] = {}


def _replace(place: Any, name: str, operation: _Operation, key: _Operation | None = None) -> None:
    usual = getattr(place, name)
    kind = name if key is not None else operation

    def quick(x: Any, y: Any, *rest: Any) -> Any:
        pair = _alike(x, y) if _State.on and not rest else None
        return usual(x, y, *rest) if pair is None else _once(kind, operation, *pair)

    setattr(place, name, quick)


def _replace_where() -> None:
    usual = jnp.where

    def where(condition: Any, *values: Any, **options: Any) -> Any:
        if _State.on and len(values) == 2 and not options and isinstance(condition, core.Tracer):
            pair = _alike(*values)
            if pair is not None and condition.dtype == bool and condition.shape == pair[0].shape:
                return _once(lax.select, lax.select, condition, *pair)
        return usual(condition, *values, **options)

    jnp.where = where


def _alike(x: Any, y: Any) -> tuple[Any, Any] | None:
    """Two numbers of one type and shape, a plain one made so; else None."""
    if isinstance(x, core.Tracer):
        other = _like(y, x.aval)
        return None if other is None else (x, other)
    if isinstance(y, core.Tracer):
        other = _like(x, y.aval)
        return None if other is None else (other, y)
    return None


def _like(one: Any, aval: Any) -> Any:
    if getattr(aval, "weak_type", True) or aval.dtype.kind != "f":
        return None
    if isinstance(one, core.Tracer):
        same = one.aval.dtype == aval.dtype and one.aval.shape == aval.shape
        return one if same and not one.aval.weak_type else None
    if aval.shape == () and type(one) in (int, float, aval.dtype.type):
        return aval.dtype.type(one)
    return None


def _once(kind: Any, operation: _Operation, *operands: Any) -> Any:
    """What an operation gave before in the same trace for the same operands, or gives now."""
    known = _known_of(core.trace_ctx.trace)
    key = kind, *(one.tobytes() if isinstance(one, np.generic) else id(one) for one in operands)
    if key not in known:
        known[key] = operation(*operands), operands  # which live as long as their identities count
    return known[key][0]


def _known_of(trace: Any) -> dict[Any, Any]:
    """Operations of a trace; those of the few that were entered last are kept."""
    if id(trace) not in _State.traces:
        _State.traces[id(trace)] = trace, {}
        if len(_State.traces) > _TRACES:
            del _State.traces[next(iter(_State.traces))]
    return _State.traces[id(trace)][1]
