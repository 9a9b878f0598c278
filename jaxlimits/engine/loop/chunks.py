"""Chunks computed by compiled loops, one on each core."""

import collections
import functools
import math
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits import schema
from jaxlimits.engine.by_row import Arrays, kept_whole
from jaxlimits.engine.kernel import Inputs, cut_axes, make_mesh, place_inputs
from jaxlimits.engine.loop.compiled import compiled
from jaxlimits.engine.loop.reciprocals import with_reciprocals
from jaxlimits.engine.loop.source import Group, Walk, given_by_type, write_loop
from jaxlimits.engine.loop.split import Split, split
from jaxlimits.engine.mappings import make_room
from jaxlimits.engine.over_axes import over_axes
from jaxlimits.engine.pages import keep_pages
from jaxlimits.engine.reduction import Reduction
from jaxlimits.engine.sensitivity import Static
from jaxlimits.engine.sweep_job import Job
from jaxlimits.grid.plan import Key, Plan
from jaxlimits.grid.rules import Rules

_ROW = 256
"""Points of a row, at least, where the axes allow it."""

_LEFT = 8
"""Points of which each lane of a reduction takes the best, at least, where the axes allow it."""


_MOST_GIVEN = 1 << 18
"""Values that XLA computes at once for several chunks, at most."""

Given = tuple[np.ndarray, ...]
"""What XLA computed, in one array of each type."""

Computed = tuple[Arrays, dict[str, Arrays]]
"""Outputs by name, and the parts of each reduction by its name."""


class Form(NamedTuple):
    """All that a loop rests on."""

    static: Static
    fields: tuple[tuple[str, int | None], ...]
    precision: str
    plan: Plan
    outputs: tuple[str, ...]
    bits: int | None
    reductions: tuple[Reduction, ...]
    rules: Rules


class Loop:
    """The loop of the chunks of one form."""

    def __init__(self, form: Form):
        self.form = form
        dtype = np.dtype(form.precision)
        self.walk = _walk(form.plan, form.reductions, in_order=bool(form.outputs))
        self.groups = [*_kept_whole(form, dtype), *_groups(form.reductions, dtype)]
        with jax.enable_x64(form.precision == "float64"):
            exact = {name for one in form.reductions for name in one.of}
            # What is reduced has the bits of XLA, which multiplies and adds at once where it can.
            once_a_row = () if exact else self.walk.inner
            self.parts = with_reciprocals(
                _split(form, once_a_row), inner=self.walk.inner, exact=exact
            )
        self.wide = _wide(form.plan, self.parts, self.walk.inner)
        wide = self.walk._replace(block=self.wide.block)
        self.text = write_loop(self.parts, self.walk, wide, self.groups)
        self.run = compiled(self.text.lines, [one.by_row.step for one in self.groups], dtype)
        self.rows = tuple(self._row(one) for one in self.groups)
        self.fresh = [self._fresh(one) for one in self.groups]
        self.few = jax.jit(self._few)

    def _few(self, inputs: Inputs, key: jax.Array) -> list[jax.Array]:
        """What XLA computes of a wide chunk, in one array of each type.

        In it are arrays of outer axes, by the points of a row where they differ there.
        """
        walk, plan = self.walk, self.wide
        place = key * jnp.array(plan.block, key.dtype)
        arrays = over_axes(self.parts.few, inputs.base, cut_axes(inputs, place, plan))
        laid = []
        for array, on in zip(arrays.values(), self.parts.along, strict=True):
            whole = () if on.isdisjoint(walk.inner) else walk.inner
            shape = [plan.block[n] if n in whole else size for n, size in enumerate(array.shape)]
            rest = [axis for axis in range(array.ndim) if axis not in walk.inner]
            laid.append(jnp.broadcast_to(array, shape).transpose(*rest, *walk.inner).ravel())
        return [
            jnp.concatenate([laid[n] for n in held]) for held in given_by_type(self.parts).values()
        ]

    def _row(self, one: Group) -> tuple[Any, ...]:
        """What all rows of a group share."""
        walk, inner = self.walk, self.walk.inner
        kept = walk.strides([axis for axis in inner if axis not in one.over])
        places = (walk.places(inner, strides) for strides in (walk.strides(one.over), kept))
        return *places, one.by_row.settings

    def wide_key(self, key: Key) -> Key:
        """Return in which wide chunk a chunk lies."""
        widths = zip(key, self.form.plan.block, self.wide.block, strict=True)
        return tuple(index * size // wide for index, size, wide in widths)

    def given(self, inputs: Inputs, wide_key: Key) -> Given:
        """Return what XLA computes for the chunks in a wide one."""
        with jax.enable_x64(self.form.precision == "float64"):
            return tuple(map(np.asarray, self.few(inputs, np.array(wide_key, np.int32))))

    def computed(self, given: Given, key: Key) -> Computed:
        """Return the outputs of a chunk, without padding, and what each reduction keeps of it."""
        widths = zip(key, self.form.plan.block, self.wide.block, strict=True)
        behind = np.array([index * size % wide for index, size, wide in widths], np.int64)
        numbers = self.text.numbers + self.text.shifts @ behind
        slices = self.form.plan.slices(key)
        lengths = [part.stop - part.start for part in slices]
        row = math.prod(lengths[axis] for axis in self.walk.inner)
        states = [{name: _filled(*array) for name, array in one.items()} for one in self.fresh]
        arrays = tuple(tuple(state.values()) for state in states)
        self.run(np.array(lengths), row, numbers, given, self.rows, arrays)
        outputs: Arrays = {}
        parts: dict[str, Arrays] = {}
        inside = (*map(slice, lengths), ...)  # an array, also of a single point
        for one, state in zip(self.groups, states, strict=True):
            for n, name in enumerate(one.names):
                found = {field: array[n] for field, array in state.items()}
                if one.whole:
                    outputs[name] = found["value"].reshape(self.walk.block)[inside]
                else:
                    parts[name] = self._folded(one, found)
        return outputs, parts

    def inputs(self, job: Job) -> Inputs:
        """Send the numbers to XLA that it takes: passing each takes time in every chunk."""
        mesh = make_mesh(jax.local_devices()[:1])
        names = self.parts.few.inputs
        return place_inputs(job.scenario, self.wide, precision=job.precision, mesh=mesh, only=names)

    def _fresh(self, one: Group) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        """Shape, type and start of each array of a group."""
        walk, by_row = self.walk, one.by_row
        kept = walk.size(axis for axis in (*walk.outer, *walk.inner) if axis not in one.over)
        lanes = walk.size(axis for axis in walk.inner if axis in one.over)
        each = (kept * lanes,) if by_row.lanes else (kept, by_row.width)
        shape = (len(one.names), *each)
        dtype = np.dtype(self.form.precision)
        return {n: (shape, s.dtype or dtype, s.start) for n, s in by_row.state.items()}

    def _folded(self, one: Group, state: Arrays) -> Arrays:
        """Arrange arrays as kept points, in their order, by what is left of each, and fold them."""
        walk = self.walk
        axes = [axis for axis in walk.outer if axis not in one.over]
        axes += [axis for axis in walk.inner if one.by_row.lanes or axis not in one.over]
        order = sorted(range(len(axes)), key=lambda n: (axes[n] in one.over, axes[n]))
        shape = [walk.block[axis] for axis in axes]
        points = walk.size(axis for axis in axes if axis not in one.over)
        arranged = {
            name: array.reshape(*shape, -1).transpose(*order, len(axes)).reshape(points, -1)
            for name, array in state.items()
        }
        reduced = [axis for axis in walk.inner if axis in one.over]
        return one.by_row.fold(walk.places(reduced, walk.strides(one.over)), arranged)


def _wide(plan: Plan, parts: Split, inner: Collection[int]) -> Plan:
    """Put chunks together that follow each other: to start XLA takes as long as a small chunk."""
    block = list(plan.block)
    for axis in (axis for axis in reversed(range(len(block))) if axis not in inner):
        reach = plan.counts[axis]
        while (
            reach > 1
            and _values(parts, [*block[:axis], block[axis] * reach, *block[axis + 1 :]])
            > _MOST_GIVEN
        ):
            reach = (reach + 1) // 2
        block[axis] *= reach
        if reach < plan.counts[axis]:
            break
    return Plan(shape=plan.shape, block=tuple(block))


def _values(parts: Split, block: Sequence[int]) -> int:
    return sum(_size(block, on) for on in parts.along)


def _filled(shape: tuple[int, ...], dtype: Any, start: float | int | None) -> np.ndarray:
    return np.empty(shape, dtype) if start is None else np.full(shape, start, dtype)


def _walk(plan: Plan, reductions: Sequence[Reduction], *, in_order: bool) -> Walk:
    """Choose the axes of a row: long ones, which most reductions keep, and which are not cut.

    What a reduction takes together within a row is left to its fold, so that its other axes should
    have most of its points. Where outputs are kept, points are taken ``in_order``.
    """
    block = plan.block
    long = [axis for axis, size in enumerate(block) if size > 1]
    if in_order:
        return _walk_in_order(plan, long)
    kept = {axis: sum(axis not in one.over for one in reductions) for axis in long}
    whole = [axis for axis in long if block[axis] == plan.shape[axis]]
    inner: list[int] = []
    for axis in sorted(whole or long, key=lambda axis: (kept[axis], block[axis]), reverse=True):
        tried = {*inner, axis}
        left = [_size(block, set(one.over) - tried) for one in reductions if axis in one.over]
        if all(points >= _LEFT for points in left):
            inner.append(axis)
        if _size(block, inner) >= _ROW or not whole:
            break
    inner = inner or sorted(whole or long, key=lambda axis: block[axis])[-1:]
    # Those that are kept lie outside: what is kept of a row stays in the nearest cache meanwhile.
    outer = sorted((axis for axis in long if axis not in inner), key=lambda axis: -kept[axis])
    return Walk(block, tuple(outer), tuple(sorted(inner)))


def _walk_in_order(plan: Plan, long: Sequence[int]) -> Walk:
    """Take points as they lie in memory: a row has the last axes, of which only one may be cut."""
    block, inner = plan.block, list(long[-1:])
    for axis in reversed(long[:-1]):
        cut = any(block[one] < plan.shape[one] for one in (axis, *inner))
        if cut or _size(block, inner) >= _ROW:
            break
        inner.insert(0, axis)
    return Walk(block, tuple(axis for axis in long if axis not in inner), tuple(inner))


def _kept_whole(form: Form, dtype: np.dtype) -> list[Group]:
    """Put outputs together of which all are codes, or none."""
    codes = [name for name in form.outputs if schema.is_code(name)]
    numbers = [name for name in form.outputs if name not in codes]
    return [
        Group(tuple(names), tuple(names), (), kept_whole(kind, form.bits), whole=True)
        for names, kind in ((numbers, dtype), (codes, np.dtype(np.int8)))
        if names
    ]


def _groups(reductions: Sequence[Reduction], dtype: np.dtype) -> list[Group]:
    """Put reductions together that do the same over the same axes, so that one step serves all."""
    groups: dict[Any, Group] = {}
    for reduction in reductions:
        by_row = reduction.by_row(dtype)
        if by_row is None:
            raise NotImplementedError(reduction.op)
        alone = reduction.name if by_row.settings else ""
        key = by_row.step, reduction.over, alone
        one = groups.get(key, Group((), (), reduction.over, by_row))
        groups[key] = one._replace(names=(*one.names, reduction.name), of=(*one.of, *reduction.of))
    return list(groups.values())


def _size(block: Sequence[int], axes: Iterable[int]) -> int:
    return math.prod(block[axis] for axis in axes)


def _split(form: Form, inner: Collection[int]) -> Split:
    types = {name: jax.ShapeDtypeStruct((), form.precision) for name, _ in form.fields}
    along = {name: axis for name, axis in form.fields if axis is not None}
    names = tuple(dict.fromkeys([*form.outputs, *(one.of[0] for one in form.reductions)]))
    options = {"names": names, "static": form.static, "rules": form.rules, "inner": inner}
    return split(types, along, form.plan.block, **options)


loop_of = functools.lru_cache(maxsize=64)(Loop)


def loop_at(job: Job, key: Key) -> Loop:
    """Return the loop of a chunk.

    Raises
    ------
    NotImplementedError
        An operation that a loop cannot have.
    """
    scenario = job.scenario
    static = {**scenario.fixed_static(), **scenario.choice_at(key)}
    varying = {name: axis for axis, columns in enumerate(scenario.columns) for name in columns}
    form = Form(
        static=tuple(sorted(static.items())),
        fields=tuple(sorted({**dict.fromkeys(scenario.base), **varying}.items())),
        precision=job.precision,
        plan=job.plan,
        outputs=job.outputs,
        bits=job.bits,
        reductions=job.reductions,
        rules=scenario.rules,
    )
    return loop_of(form)


def computed_by_loops(job: Job, keys: Iterable[Key]) -> Iterator[tuple[Key, Computed]]:
    """Compute chunks, one on each core, and yield them in the order of the keys."""
    keep_pages()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    loops: dict[Any, tuple[Loop, Inputs]] = {}
    at, given = None, ()
    waiting: collections.deque[tuple[Key, Future[Computed]]] = collections.deque()
    with ThreadPoolExecutor(cores) as pool:
        try:
            for key in keys:
                choice = tuple(job.scenario.choice_at(key).items())
                if choice not in loops:
                    make_room()
                    loop = loop_at(job, key)
                    loops[choice] = loop, loop.inputs(job)
                loop, inputs = loops[choice]
                wide_key = loop.wide_key(key)
                if at != (choice, wide_key):
                    at, given = (choice, wide_key), loop.given(inputs, wide_key)
                waiting.append((key, pool.submit(loop.computed, given, key)))
                if len(waiting) > (cores or 1):  # as few as keep the cores busy stay in the caches
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            pool.shutdown(cancel_futures=True)


def _first(waiting: collections.deque[tuple[Key, Future[Computed]]]) -> tuple[Key, Computed]:
    key, chunk = waiting.popleft()
    return key, chunk.result()
