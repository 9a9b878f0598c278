"""The text of a loop: a nest over the outer axes of a chunk, and in it a row at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jax.extend.core import Var

from jaxlimits.engine.by_row import ByRow
from jaxlimits.engine.counted import USABLE
from jaxlimits.engine.loop.expressions import atom, dtype_of, expression
from jaxlimits.engine.loop.split import Split

_TILE = 512
"""Points that are computed at once: their metrics stay in the nearest cache."""

_FEW = 4
"""Arrays of lanes that the loop over points may change: of many the compiler makes no vectors."""


class Walk(NamedTuple):
    """In which order a loop takes the points of a chunk.

    Parameters
    ----------
    block
        Shape of the chunk.
    outer
        Axes of the loops, from the outside in.
    inner
        Axes of a row.
    """

    block: tuple[int, ...]
    outer: tuple[int, ...]
    inner: tuple[int, ...]

    def size(self, axes: Iterable[int]) -> int:
        """Return the number of points along some axes."""
        return int(np.prod([self.block[axis] for axis in axes], dtype=np.int64))

    def strides(self, axes: Sequence[int], each: int = 1) -> dict[int, int]:
        """Return how far neighbours lie apart in an array of axes with so many entries each."""
        return {axis: each * self.size(axes[n + 1 :]) for n, axis in enumerate(axes)}

    def places(self, axes: Sequence[int], strides: Mapping[int, int]) -> np.ndarray:
        """Return the places of all points along some axes, from the strides of any."""
        sizes = [self.block[axis] for axis in axes]
        along = zip(axes, np.indices(sizes), strict=True)
        terms = (strides.get(axis, 0) * places for axis, places in along)
        return sum(terms, start=np.zeros(sizes, np.int64)).ravel()


class Group(NamedTuple):
    """Reductions in a loop that do the same to different metrics, or outputs that it keeps whole.

    Parameters
    ----------
    names, of
        Which they are, and the metric of each.
    over
        Axes that they reduce; none of outputs.
    by_row
        What they do to a row; each has arrays of its own, one behind the other.
    whole
        Whether they are outputs, which have values as well where points do not count.
    """

    names: tuple[str, ...]
    of: tuple[str, ...]
    over: tuple[int, ...]
    by_row: ByRow
    whole: bool = False


class _Handed(NamedTuple):
    """Lines of a group, for a tile: before its points are computed, for each of them, and after."""

    before: list[str]
    points: list[str]
    after: list[str]


class _Writer:
    """What the lines of a loop refer to.

    None of them bears a length of an axis, so that grids of one form share the loop.
    """

    def __init__(self, walk: Walk, wide: Walk):
        self.walk = walk
        self.wide = wide
        self.names: dict[Var, str] = {}
        self.numbers: list[int] = []
        self.shifts: dict[int, dict[int, int]] = {}
        self.tiles: dict[str, int] = {}

    def number(self, value: int) -> str:
        """Return a number by its place among those that the loop is given."""
        self.numbers.append(value)
        return f"w[{len(self.numbers) - 1}]"

    def place(self, strides: Mapping[int, int]) -> str:
        """Return the place of a row, from the strides of axes; inner ones do not matter."""
        outer = {axis: stride for axis, stride in strides.items() if axis in self.walk.outer}
        return " + ".join(f"a{axis} * {self.number(n)}" for axis, n in outer.items()) or "0"

    def tile(self, dtype: np.dtype) -> str:
        """Return a row of scratch memory, to be indexed."""
        self.tiles[dtype.name] = self.tiles.get(dtype.name, 0) + 1
        return f"x_{dtype.name}[{self.tiles[dtype.name] - 1}, i]"

    def given(self, parts: Split) -> tuple[list[str], list[str], dict[str, str]]:
        """Return the lines that read what XLA computed, once a row and once a tile.

        Beside them where that is, which differs along a row.
        """
        once, copied, read = [], [], {}
        for number, (kind, held) in enumerate(given_by_type(parts).items()):
            end, lanes, shifts = 0, [], {}
            for n in held:
                outer = sorted(parts.along[n].difference(self.walk.inner))
                differs = not parts.along[n].isdisjoint(self.walk.inner)
                each = self.walk.size(self.walk.inner) if differs else 1
                strides = self.wide.strides(outer, each)
                self.names[parts.given[n]] = f"g{n}"
                if differs:
                    read[f"g{n}"] = self.tile(kind)
                    shifts[len(lanes)] = strides
                    lanes += [end, *(strides.get(axis, 0) for axis in self.walk.outer)]
                else:
                    self.shifts[len(self.numbers)] = strides
                    once.append(f"g{n} = c[{number}][{self.number(end)} + {self.place(strides)}]")
                end += self.wide.size(outer) * each
            if lanes:
                first, step = self.numbers_of(lanes), 1 + len(self.walk.outer)
                self.shifts |= {first + n: strides for n, strides in shifts.items()}
                terms = (f" + a{axis} * w[q + {m}]" for m, axis in enumerate(self.walk.outer, 1))
                # Of arrays that might overlap with a tile the compiler would make no vectors.
                copied += [
                    f"for j in range({len(lanes) // step}):",
                    f"    q = {first} + j * {step}",
                    f"    p = t + w[q]{''.join(terms)}",
                    f"    d = c[{number}][p : p + k]",
                    "    for i in range(k):",
                    f"        x_{kind}[j, i] = d[i]",
                ]
        return once, copied, read

    def step(self, n: int, one: Group, tiles: Mapping[str, str]) -> _Handed:
        """Return the lines that hand rows to the reductions of a group."""
        walk, lanes = self.walk, one.by_row.lanes
        kept_inside = [axis for axis in walk.inner if axis not in one.over]
        kept = [axis for axis in walk.outer if axis not in one.over]
        size = walk.size(walk.inner if lanes else kept_inside)
        first = self.place(walk.strides(kept, size))
        part = "p + t : p + t + k" if lanes else f"p : p + {self.number(size)}"
        memory = tiles[one.of[0]].split("[")[0]
        rows = [int(tiles[name].split("[")[1].split(",")[0]) for name in one.of]
        at = self.numbers_of(rows)
        states = "".join(f", s[{n}][{m}][j, {part}]" for m in range(len(one.by_row.state)))
        each = [f"p = {first}", f"for j in range({len(one.of)}):"]
        if one.by_row.one_by_one:
            arrays = [f"l{m}" for m in range(len(one.by_row.state))]
            each += [
                f"    d = {memory}[w[{at} + j], :k]",
                f"    {', '.join(arrays)} = {states.removeprefix(', ')}",
                "    for i in range(k):",
                f"        {_taken_in(n, 'd[i]', arrays)}",
            ]
            return _Handed([], [], each)
        row = f"row = Row({self.place(walk.strides(one.over))}, {_row_of(n)}"
        each.append(f"    step{n}({memory}[w[{at} + j], :k], row{states})")
        return _Handed([], [], [row, *each])

    def at_once(self, n: int, one: Group, values: Mapping[str, str]) -> _Handed:
        """Return the lines that hand each point to few reductions, whose lanes they change.

        What is computed is kept nowhere for them, not even in the nearest cache.
        """
        walk = self.walk
        kept = [axis for axis in walk.outer if axis not in one.over]
        before = [f"p = t + {self.place(walk.strides(kept, walk.size(walk.inner)))}"]
        points = []
        for m, name in enumerate(one.of):
            arrays = [f"l{n}_{m}_{q}" for q in range(len(one.by_row.state))]
            before += [f"{array} = s[{n}][{q}][{m}, p : p + k]" for q, array in enumerate(arrays)]
            points.append(_taken_in(n, values[name], arrays))
        return _Handed(before, points, [])

    def whole(
        self, n: int, one: Group, results: Mapping[str, str], read: Mapping[str, str]
    ) -> _Handed:
        """Return the lines that write each output into its memory, and that round it there."""
        walk = self.walk
        first = self.place(walk.strides(walk.outer, walk.size(walk.inner)))
        rows = [f"o{n}_{m}" for m in range(len(one.of))]
        before = [f"p = t + {first}"]
        before += [f"{row} = s[{n}][0][{m}, p : p + k]" for m, row in enumerate(rows)]
        points = []
        for row, name in zip(rows, one.of, strict=True):
            value = results[name]
            if value.startswith("v"):
                points.append(f"{row}[i] = {value}")
            else:  # in a loop of its own: of too many arrays the compiler makes no vectors
                before += ["for i in range(k):", f"    {row}[i] = {read.get(value, value)}"]
        rounded = [f"row = Row(0, {_row_of(n)}", *(f"step{n}({row}, row, {row})" for row in rows)]
        return _Handed(before, points, rounded if one.by_row.settings else [])

    def numbers_of(self, values: Sequence[int]) -> int:
        """Return the place of the first of some numbers."""
        self.numbers += values
        return len(self.numbers) - len(values)


def given_by_type(parts: Split) -> dict[np.dtype, list[int]]:
    """Return which of what XLA computes has each type: it is given as one array."""
    held: dict[np.dtype, list[int]] = {}
    for n, one in enumerate(parts.given):
        held.setdefault(dtype_of(one), []).append(n)
    return held


class Text(NamedTuple):
    """A loop.

    It takes the points on each axis and in a row, numbers, what XLA computed, and for each group
    what :class:`Row` holds and the arrays of its state.

    Parameters
    ----------
    lines
        Its text.
    numbers
        Those that it takes where what XLA computed begins with the chunk.
    shifts
        What to add to each of them for every point, along each axis, that the chunk lies behind.
    """

    lines: str
    numbers: np.ndarray
    shifts: np.ndarray


def write_loop(parts: Split, walk: Walk, wide: Walk, groups: Sequence[Group]) -> Text:
    """Write the loop of a program.

    Parameters
    ----------
    parts
        The program.
    walk, wide
        How points are taken of a chunk, and how chunks lie together for which XLA computes at once.
    groups
        What is kept.

    Raises
    ------
    NotImplementedError
        An operation that it cannot have; the message names it.
    """
    writer = _Writer(walk, wide)
    once, copied, read = writer.given(parts)
    points = [f"{name} = {tile}" for name, tile in read.items()]
    alike = parts.alike(walk.inner)
    for n, operation in enumerate(parts.rest):
        made = operation.outvars[0]
        name, lines = (f"h{n}", once) if made in alike else (f"v{n}", points)
        lines.append(f"{name} = {expression(operation, writer.names)}")
        writer.names[made] = name
    results = {name: atom(one, writer.names) for name, one in parts.results.items()}
    types = {name: dtype_of(one) for name, one in parts.results.items()}
    usable = results[USABLE]
    # Rows of which no point counts are passed over, unless something is kept or counted there.
    counted = {name: types[name] for one in groups if not one.whole for name in one.of}
    along_a_row = usable in read or usable[0] == "v"
    passes = not along_a_row and not any(one.whole for one in groups)
    passes &= all(kind.kind == "f" for kind in counted.values())
    values = {
        name: results[name]
        if passes or kind.kind != "f"
        else f"where({usable}, {results[name]}, F(nan))"
        for name, kind in counted.items()
    }
    at_once, numbered = _at_once(groups), list(enumerate(groups))
    tiles = {
        name: writer.tile(kind if kind.kind == "f" else np.dtype(np.int8))
        for name, kind in counted.items()
        if any(name in one.of and not one.whole and n not in at_once for n, one in numbered)
    }
    points += [f"{tile} = {values[name]}" for name, tile in tiles.items()]
    handed = [
        writer.whole(n, one, results, read)
        if one.whole
        else writer.at_once(n, one, values)
        if n in at_once
        else writer.step(n, one, tiles)
        for n, one in numbered
    ]
    copied += [line for one in handed for line in one.before]
    points += [line for one in handed for line in one.points]
    each = ["for i in range(k):", *_in(points)] if points else []
    after = [line for one in handed for line in one.after]
    tile = [f"k = min({_TILE}, m - t)", *copied, *each, *after]
    row = [f"for t in range(0, m, {_TILE}):", *_in(tile)]
    row = [*once, f"if {usable}:", *_in(row)] if passes else [*once, *row]
    for axis in reversed(walk.outer):
        row = [f"for a{axis} in range(n[{axis}]):", *_in(row)]
    scratch = [
        f"x_{name} = np.empty(({number}, {_TILE}), np.{name})"
        for name, number in writer.tiles.items()
    ]
    lines = ["def loop(n, m, w, c, r, s):", *_in([*scratch, *row]), ""]
    numbers = np.array([*writer.numbers, 0])
    shifts = np.zeros((len(numbers), len(walk.block)), np.int64)
    for n, strides in writer.shifts.items():
        for axis, stride in strides.items():
            shifts[n, axis] = stride
    return Text("\n".join(lines), numbers, shifts)


def _at_once(groups: Sequence[Group]) -> set[int]:
    """Return which groups take each point as it is computed: those that can, if they are few."""
    found = {n for n, one in enumerate(groups) if one.by_row.one_by_one}
    changed = sum(len(groups[n].of) * len(groups[n].by_row.state) for n in found)
    return found if changed <= _FEW else set()


def _row_of(n: int) -> str:
    """Return what else a group's row holds, to the end of the call."""
    return f"r[{n}][0][t : t + k], r[{n}][1][t : t + k], r[{n}][2])"


def _taken_in(n: int, value: str, arrays: Sequence[str]) -> str:
    """Return the line in which a value changes those of its lane."""
    lane = ", ".join(f"{array}[i]" for array in arrays)
    return f"{lane} = step{n}({value}, {lane})"


def _in(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
