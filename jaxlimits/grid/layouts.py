"""Layouts: how the chips of a system are divided, as one name, and every valid one of a model.

A layout names sizes as engines write them: ``tp8``, ``tp4 pp2``, ``tp1 ep16 dp16``, ``tp16 cp2``; a
size that it does not name is 1. ``tp1 ep8 dp4 ffn8`` has eight chips for feed-forward parts alone;
there are none where it does not name them. ``tp1 ep8 dp4 ffn8 mb3`` says too that each replica has
three micro-batches in flight there; where no layout does, the field of that name does. As an axis
it is one dimension along which all vary, so that combinations that cannot be are not points of the
grid.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.grid.constraints import CONSTRAINTS, Arrays, Constraint

_MICRO_BATCHES = "ffn_micro_batches"
_WORDS = {
    "mb" if name == _MICRO_BATCHES else name.partition("_")[0]: name for name in schema.LAYOUT_SIZES
}
_SIZE = re.compile(rf"({'|'.join(_WORDS)})([1-9][0-9]*)")
_SEPARATORS = re.compile(r"[\s,.·x_-]+")


class Layout(NamedTuple):
    """Sizes of a system: each replica has ``tp_size * pp_size`` chips, and there are ``dp_size``.

    Parameters
    ----------
    tp_size, pp_size, ep_size, dp_size, cp_size, ffn_chips
        As the fields of a deployment.
    ffn_micro_batches
        As that field; 0 where the layout does not say.
    """

    tp_size: int = 1
    pp_size: int = 1
    ep_size: int = 1
    dp_size: int = 1
    cp_size: int = 1
    ffn_chips: int = 0
    ffn_micro_batches: int = 0

    @property
    def name(self) -> str:
        """The layout as one name, sizes left out that are as if nobody named them, but TP's."""
        sizes = {word: getattr(self, name) for word, name in _WORDS.items()}
        plain = {word: self._field_defaults[name] for word, name in _WORDS.items()}
        named = (f"{word}{size}" for word, size in sizes.items() if size != plain[word])
        return " ".join([f"tp{self.tp_size}", *(name for name in named if name[:2] != "tp")])

    @property
    def num_chips(self) -> int:
        """Chips of the system."""
        return self.pp_size * (self.tp_size * self.dp_size + self.ffn_chips)

    @property
    def sizes(self) -> dict[str, float]:
        """The fields that it states."""
        stated = self._asdict()
        if not self.ffn_micro_batches:
            del stated[_MICRO_BATCHES]
        return {name: float(size) for name, size in stated.items()}


def read_layout(raw: object, *, where: str = "", key: str = schema.LAYOUT) -> Layout:
    """Return the layout that a name states.

    Raises
    ------
    InputError
        Something that is no such name, a size that is named twice.
    """
    parts = [part for part in _SEPARATORS.split(str(raw).strip().lower()) if part]
    found = [_SIZE.fullmatch(part) for part in parts]
    sizes = {_WORDS[match[1]]: int(match[2]) for match in found if match is not None}
    if not parts or len(sizes) != len(parts):
        remedy = (
            "write sizes above 0, each once, as 'tp8', 'tp4 pp2', 'tp1 ep16 dp16', 'tp16 cp2'"
            " or 'tp8 ffn4'"
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
    stated = read_layout(name).sizes
    twice = next((size for size in stated if size in beside), None)
    if twice is not None:
        problem = f"states {twice}, which is set beside it"
        raise InputError(problem, where=where, key=key, value=name, remedy=f"leave out {twice}")
    return stated


def columns_of(layouts: Sequence[Layout]) -> dict[str, tuple[float, ...]]:
    """Return the fields that some of several layouts state, with the value of each layout.

    One that does not say how many micro-batches are in flight, where another does, has as many as
    by default.
    """
    default = schema.base_defaults()[_MICRO_BATCHES]
    stated = [layout.sizes for layout in layouts]
    named = {name for sizes in stated for name in sizes}
    return {
        name: tuple(sizes.get(name, default) for sizes in stated)
        for name in schema.LAYOUT_SIZES
        if name in named
    }


def _saves_copies(f: Arrays) -> Any:
    """Whether CP goes no further than TP over the fewest KV heads: chips beyond hold copies."""
    own = f["windowed_num_kv_heads"]
    shared = f["cp_size"] * f["num_kv_heads"].clip(min=1.0) <= f["tp_size"]
    shared_windowed = (own > 0.0) & (f["cp_size"] * own.clip(min=1.0) <= f["tp_size"])
    return (f["cp_size"] == 1.0) | shared | shared_windowed


WHOLE_PARTS = (
    Constraint(
        fields=("tp_size", "num_heads"),
        holds=lambda f: f["num_heads"] % f["tp_size"] == 0.0,
        says="tp_size must divide the heads, so that each chip has whole ones",
        remedy="choose another layout",
        ordered=False,
    ),
    Constraint(
        fields=("pp_size", "num_layers"),
        holds=lambda f: f["pp_size"] <= f["num_layers"],
        says="there must be no more stages than layers",
        remedy="choose another layout",
    ),
    Constraint(
        fields=("ep_size", "num_moe_layers"),
        holds=lambda f: (f["num_moe_layers"] > 0.0) | (f["ep_size"] == 1.0),
        says="a model without routed experts has none to place",
        remedy="choose a layout without ep",
    ),
)
"""What a layout that nobody wrote keeps, beside what must hold between fields."""

SAVES_COPIES = (
    Constraint(
        fields=("cp_size", "tp_size", "num_kv_heads", "windowed_num_kv_heads"),
        holds=_saves_copies,
        says="context parallelism must save copies of the cache",
        remedy="choose a smaller cp, or name its sizes in only",
        needs={"kv_sharding": "heads"},
    ),
    Constraint(
        fields=("cp_size",),
        holds=lambda f: f["cp_size"] == 1.0,
        says="a cache that is split over all chips has no copies to save",
        remedy="leave out cp, or name its sizes in only",
        needs={"kv_sharding": "split"},
    ),
)
"""What it keeps where nobody names the sizes of context parallelism."""

_CONCERNED = tuple(
    rule for rule in CONSTRAINTS if not set(schema.LAYOUT_SIZES).isdisjoint(rule.fields)
)
"""Conditions between fields that name a size of a layout."""


class Validity(NamedTuple):
    """What the layouts of an axis keep at a point to be valid there.

    Parameters
    ----------
    whole_parts, saves_copies
        Whether :data:`WHOLE_PARTS` and :data:`SAVES_COPIES` hold too, as of layouts that nobody
        wrote one by one.
    """

    whole_parts: bool = False
    saves_copies: bool = False

    @property
    def rules(self) -> tuple[Constraint, ...]:
        """The conditions, each under the settings of switches that it needs."""
        whole = WHOLE_PARTS if self.whole_parts else ()
        return (*_CONCERNED, *whole, *(SAVES_COPIES if self.saves_copies else ()))

    def holds(self, fields: Arrays, switches: Mapping[str, Any], *, sought: str = "") -> Any:
        """Where the layout of points is valid, under some settings of the switches.

        Parameters
        ----------
        fields
            Every field of the conditions: arrays of numpy, or traced ones.
        switches
            Every switch that a condition needs.
        sought
            A field whose value is not settled: conditions that name it are passed over.
        """
        held = np.True_
        for rule in self.rules:
            if sought not in rule.fields and rule.needs.items() <= switches.items():
                held = rule.holds(fields) & held
        return held


def deciding_names() -> set[str]:
    """Return the fields and switches that decide which layouts are valid, but for the sizes."""
    rules = (*_CONCERNED, *WHOLE_PARTS, *SAVES_COPIES)
    return {name for rule in rules for name in (*rule.fields, *rule.needs)} - {*schema.LAYOUT_SIZES}


def all_layouts(
    most: int, llms: Sequence[Mapping[str, Any]], *, only: Mapping[str, Collection[float]]
) -> list[Layout]:
    """Return every layout of at most so many chips that is valid for any of some models.

    Valid is what no constraint between fields forbids; TP divides the heads, so that each chip has
    whole ones, and stages are no more than layers. Context parallelism goes as far as it saves
    copies of the model's cache: no further than TP over its KV heads, and nowhere where KV is
    ``split``. Where ``only`` names sizes of it, these are considered, whatever they save. Chips for
    feed-forward parts alone are considered where ``only`` names their numbers, and beside them how
    many micro-batches are in flight where it names these.

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
    found = {layout for llm in llms for layout in _layouts_of(most, llm, only)}
    return sorted(found, key=lambda each: (*each[:2], each.dp_size, each.ep_size, *each[4:]))


def _layouts_of(
    most: int, llm: Mapping[str, Any], only: Mapping[str, Collection[float]]
) -> Iterator[Layout]:
    """Every layout that is valid for one model."""
    tried = [
        layout._replace(cp_size=cp_size)
        for layout in _combinations(most, llm, only)
        for cp_size in _sizes("cp_size", layout.tp_size, only, every=_divisors)
    ]
    if not tried:
        return
    defaults = {**schema.base_defaults(), **schema.record_defaults("chip")}
    stated = {**schema.switch_defaults(), **defaults, **llm}
    fields = {
        **{name: np.float64(value) for name, value in stated.items() if schema.is_numeric(name)},
        **{name: np.array(column) for name, column in columns_of(tried).items()},
    }
    validity = Validity(whole_parts=True, saves_copies="cp_size" not in only)
    held = np.broadcast_to(validity.holds(fields, stated), (len(tried),))
    yield from (layout for layout, holds in zip(tried, held.tolist(), strict=True) if holds)


def _combinations(
    most: int, llm: Mapping[str, Any], only: Mapping[str, Collection[float]]
) -> Iterator[Layout]:
    """Every layout of at most so many chips without context parallelism, EP over a stage's.

    What a model cannot have is left out early, where that is most of it.
    """
    for tp_size in _sizes("tp_size", most, only):
        if llm["num_heads"] % tp_size:
            continue
        for pp_size in _sizes("pp_size", most // tp_size, only):
            for dp_size in _sizes("dp_size", most // (tp_size * pp_size), only):
                own = tp_size * dp_size
                for ffn_chips in _sizes("ffn_chips", most // pp_size - own, only, every=_none):
                    holders = ffn_chips or own
                    ranks = holders if llm["num_moe_layers"] > 0.0 else 1
                    for ep_size in _sizes("ep_size", ranks, only):
                        if holders % ep_size == 0:
                            sizes = (tp_size, pp_size, ep_size, dp_size)
                            for number in _micro_batches(ffn_chips, only):
                                yield Layout(*sizes, ffn_chips=ffn_chips, ffn_micro_batches=number)


def _micro_batches(ffn_chips: int, only: Mapping[str, Collection[float]]) -> Iterator[int]:
    """Micro-batches in flight to consider: those named, where there are chips that take turns."""
    most = int(schema.FIELDS[_MICRO_BATCHES].upper)
    return _sizes(_MICRO_BATCHES, most, only if ffn_chips else {}, every=_none)


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


def _none(_: int) -> Iterable[int]:
    return (0,)


def _divisors(number: int) -> Iterator[int]:
    return (size for size in range(1, number + 1) if number % size == 0)
