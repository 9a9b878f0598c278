"""Layouts: how the chips of a system are divided, as one name, and every valid one of a model.

A layout names five sizes as engines write them: ``tp8``, ``tp4 pp2``, ``tp1 ep16 dp16``,
``tp16 cp2``; a size that it does not name is 1. As an axis it is one dimension along which all
vary, so that combinations that cannot be are not points of the grid.
"""

import functools
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.grid.constraints import CONSTRAINTS

_SIZE = re.compile(r"(tp|pp|ep|dp|cp)([1-9][0-9]*)")
_SEPARATORS = re.compile(r"[\s,.·x_-]+")


class Layout(NamedTuple):
    """Sizes of a system: each replica has ``tp_size * pp_size`` chips, and there are ``dp_size``.

    Parameters
    ----------
    tp_size, pp_size, ep_size, dp_size, cp_size
        As the fields of a deployment.
    """

    tp_size: int = 1
    pp_size: int = 1
    ep_size: int = 1
    dp_size: int = 1
    cp_size: int = 1

    @property
    def name(self) -> str:
        """The layout as one name, sizes of 1 left out but TP's."""
        rest = (name.removesuffix("_size") for name in self._fields[1:])
        named = [f"{word}{size}" for word, size in zip(rest, self[1:], strict=True) if size > 1]
        return " ".join([f"tp{self.tp_size}", *named])

    @property
    def num_chips(self) -> int:
        """Chips of the system."""
        return self.tp_size * self.pp_size * self.dp_size


def read_layout(raw: object, *, where: str = "", key: str = schema.LAYOUT) -> Layout:
    """Return the layout that a name states.

    Raises
    ------
    InputError
        Something that is no such name, a size that is named twice.
    """
    parts = [part for part in _SEPARATORS.split(str(raw).strip().lower()) if part]
    found = [_SIZE.fullmatch(part) for part in parts]
    sizes = {f"{match[1]}_size": int(match[2]) for match in found if match is not None}
    if not parts or len(sizes) != len(parts):
        remedy = (
            "write sizes above 0, each once, as 'tp8', 'tp4 pp2', 'tp1 ep16 dp16' or 'tp16 cp2'"
        )
        raise InputError("is not a layout", where=where, key=key, value=raw, remedy=remedy)
    for name, size in sizes.items():
        info = schema.FIELDS[name]
        if not info.admits(float(size)):
            problem = f"has {name} = {size}, which must be {info.bounds}"
            raise InputError(
                problem, where=where, key=key, value=raw, remedy="choose a smaller one"
            )
    return Layout(**sizes)


def sizes_of(name: str, beside: Collection[str], *, where: str = "", key: str) -> dict[str, float]:
    """Return the sizes that a layout states, by field.

    Parameters
    ----------
    name
        The layout.
    beside
        Names that are set with it.

    Raises
    ------
    InputError
        One of the sizes is set beside it.
    """
    twice = next((size for size in schema.LAYOUT_SIZES if size in beside), None)
    if twice is not None:
        problem = f"states {twice}, which is set beside it"
        raise InputError(problem, where=where, key=key, value=name, remedy=f"leave out {twice}")
    return {size: float(count) for size, count in read_layout(name)._asdict().items()}


def all_layouts(
    most: int, llms: Sequence[Mapping[str, Any]], *, only: Mapping[str, Collection[float]]
) -> list[Layout]:
    """Return every layout of at most so many chips that is valid for each of some models.

    Valid is what no constraint between fields forbids; TP divides the heads, so that each chip has
    whole ones, and stages are no more than layers. Context parallelism goes as far as it saves
    copies of some model's cache: no further than TP over its KV heads, and nowhere where KV is
    ``split``. Where ``only`` names sizes of it, these are considered, whatever they save.

    Parameters
    ----------
    most
        Chips of the system.
    llms
        Values of each model's fields, and of fields and switches beside it that are stated; the
        others are at their defaults.
    only
        The sizes to consider, by field; every one where a field is not named.
    """
    shares = functools.partial(_useful_cp, kv_heads=min(map(_kv_heads, llms), default=math.inf))
    valid = [
        Layout(*layout[:-1], cp_size)
        for layout in _combinations(most, only)
        if _has_whole_parts(layout, llms)
        for cp_size in _sizes("cp_size", layout.tp_size, only, every=shares)
    ]
    if not valid:
        return []
    columns = {
        name: np.array(column, np.float64)
        for name, column in zip(schema.LAYOUT_SIZES, zip(*valid, strict=True), strict=True)
    }
    held = np.ones(len(valid), bool)
    for llm in llms:
        stated = {**schema.base_defaults(), **llm}
        known = {**{name: np.asarray(value) for name, value in stated.items()}, **columns}
        for rule in CONSTRAINTS:
            concerned = not set(schema.LAYOUT_SIZES).isdisjoint(rule.fields)
            if concerned and not rule.needs and known.keys() >= set(rule.fields):
                held &= np.broadcast_to(rule.holds(known), held.shape)
    return [layout for layout, holds in zip(valid, held.tolist(), strict=True) if holds]


def _combinations(most: int, only: Mapping[str, Collection[float]]) -> Iterator[Layout]:
    """Every layout of at most so many chips without context parallelism, EP over a stage's."""
    for tp_size in _sizes("tp_size", most, only):
        for pp_size in _sizes("pp_size", most // tp_size, only):
            for dp_size in _sizes("dp_size", most // (tp_size * pp_size), only):
                for ep_size in _sizes("ep_size", tp_size * dp_size, only):
                    if (tp_size * dp_size) % ep_size == 0:
                        yield Layout(tp_size, pp_size, ep_size, dp_size)


def _sizes(
    name: str,
    upper: int,
    only: Mapping[str, Collection[float]],
    every: Callable[[int], Iterable[int]] = lambda upper: range(1, upper + 1),
) -> Iterator[int]:
    """Sizes up to a value: those that are named, or every one."""
    chosen = only.get(name)
    each = every(upper) if chosen is None else sorted({int(size) for size in chosen})
    return (size for size in each if size <= upper)


def _kv_heads(llm: Mapping[str, Any]) -> float:
    """The fewest KV heads of any layer: chips beyond them hold copies."""
    if llm.get("kv_sharding") == "split":
        return math.inf
    own = llm.get("windowed_num_kv_heads", 0.0)
    return max(min(llm["num_kv_heads"], own or math.inf), 1.0)


def _useful_cp(tp_size: int, *, kv_heads: float) -> Iterator[int]:
    """Sizes of context parallelism that divide TP, as far as each saves copies of a cache."""
    most = max(int(tp_size / kv_heads), 1)
    return (size for size in range(1, most + 1) if tp_size % size == 0)


def _has_whole_parts(layout: Layout, llms: Sequence[Mapping[str, Any]]) -> bool:
    return all(
        llm["num_heads"] % layout.tp_size == 0.0
        and layout.pp_size <= llm["num_layers"]
        and (llm["num_moe_layers"] > 0.0 or layout.ep_size == 1)
        for llm in llms
    )
