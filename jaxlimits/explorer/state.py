"""What an explorer shows, as text: all that a link or a grid file needs to bring it back.

Values stand as users write them, so that the state, the link, the grid file and the numbers are the
same to the last digit. No widget and no browser here.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from jaxlimits import schema, units
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.axes import check_name, read_value
from jaxlimits.grid.requirements import METRICS, read_target

Spacing = Literal["geometric", "linear"]
Side = Literal["a", "b"]
Switch = Literal["off", "on"]

SPACINGS: tuple[Spacing, ...] = ("geometric", "linear")
SWITCHED: tuple[Switch, ...] = ("off", "on")
WHERE = "explore"
"""What errors name as their place."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One axis of the map.

    Parameters
    ----------
    name
        A numeric field.
    first, last
        Its ends, as text with a unit.
    spacing
        ``geometric`` or ``linear``.
    """

    name: str
    first: str
    last: str
    spacing: Spacing = "geometric"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What is shown.

    Parameters
    ----------
    settings
        Machine A and all else: names, switches and fields that are set, as text.
    other
        What machine B has in place of A's hardware, ``chip`` among it; empty without a machine B.
    x, y
        Axes of the map.
    metric
        What the map shows.
    aim
        Metric that has a target: ``utps``.
    target
        The target, as text: ``"2000 token/s"``.
    iso_lines
        Whether the map has iso-lines: ``on`` or ``off``.
    """

    settings: Mapping[str, str]
    other: Mapping[str, str]
    x: Span
    y: Span
    metric: str
    aim: str
    target: str
    iso_lines: Switch = "off"

    @property
    def is_compared(self) -> bool:
        """Whether there is a machine B."""
        return bool(self.other)

    def of(self, side: Side) -> dict[str, str]:
        """Return all that is set for one machine: B shares all of A's but the hardware."""
        if side == "a":
            return dict(self.settings)
        shared = {n: text for n, text in self.settings.items() if not is_hardware(n)}
        return {**shared, **self.other}

    def setting(self, side: Side, name: str, text: str | None) -> "State":
        """Return the state with a value set for one machine, or for both where they share it.

        Without a text the value is left to the entry of the catalog, or to its default.
        """
        own = "other" if side == "b" and is_hardware(name) else "settings"
        kept = {n: old for n, old in getattr(self, own).items() if n != name}
        if name in _MACHINES:  # another chip comes with its own numbers
            kept = {n: old for n, old in kept.items() if not _is_of_the_chip(n)}
        changed = kept if text is None else {**kept, name: text}
        return dataclasses.replace(self, **{own: changed})


def is_hardware(name: str) -> bool:
    """Whether a name is the machine's own: its chip, how chips are joined, their numbers."""
    return name in _MACHINES or _is_of_the_chip(name)


_MACHINES = ("chip", *(kind for kind, of in schema.OVERLAID_RECORDS.items() if of == "chip"))
"""Names that stand for numbers of a chip."""


def _is_of_the_chip(name: str) -> bool:
    return name in schema.field_names("chip").values()


def check_state(state: State) -> None:
    """Raise on the first name or value that cannot be.

    Raises
    ------
    InputError
        With its place, the value and the remedy.
    """
    _check_settings(state.settings, prefix="")
    _check_settings(state.other, prefix="b.")
    _check_machines(state)
    for key, span in (("x", state.x), ("y", state.y)):
        _check_span(span, key=key)
    if state.x.name == state.y.name:
        problem, remedy = "both axes of the map are", "choose another field for one of them"
        raise InputError(problem, where=WHERE, key="y", value=state.y.name, remedy=remedy)
    for key, metric in (("metric", state.metric), ("aim", state.aim)):
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS, where=WHERE, key=key)
    if state.iso_lines not in SWITCHED:
        raise unknown_name("choice", state.iso_lines, SWITCHED, where=WHERE, key="iso_lines")
    parsed_target(state)


def _check_settings(settings: Mapping[str, str], *, prefix: str) -> None:
    for name, text in settings.items():
        check_name(name, where=WHERE, key=f"{prefix}{name}")
        parsed(name, text, key=f"{prefix}{name}")


def _check_machines(state: State) -> None:
    for name in schema.REQUIRED:
        if name not in state.of("a"):
            remedy = f"choose a {name} from the catalog"
            raise InputError(f"no {name} is given", where=WHERE, remedy=remedy)
    if not state.other:
        return
    if "chip" not in state.other:
        raise InputError("machine B has no chip", where=WHERE, remedy="state b.chip, as b200")
    for span in (state.x, state.y):
        if span.name in state.other and not is_hardware(span.name):
            problem, remedy = "machine B shares the axes of the map", f"leave out b.{span.name}"
            raise InputError(problem, where=WHERE, key=f"b.{span.name}", remedy=remedy)


def _check_span(span: Span, *, key: str) -> None:
    if span.name not in schema.FIELDS:
        raise unknown_name("field", span.name, schema.FIELDS, where=WHERE, key=key)
    if span.spacing not in SPACINGS:
        raise unknown_name("spacing", span.spacing, SPACINGS, where=WHERE, key=key)
    first, last = ends(span, key=key)
    if not first < last:
        shown = f"{span.first} to {span.last}"
        remedy = "write the lower end first, and two that differ"
        raise InputError(f"is not a span, {shown}", where=WHERE, key=key, remedy=remedy)
    if span.spacing == "geometric" and first <= 0.0:
        remedy = "start above 0, or choose linear spacing"
        raise InputError(
            "a geometric span must lie above 0", where=WHERE, key=key, value=span.first,
            remedy=remedy,
        )  # fmt: skip


def ends(span: Span, *, key: str = "") -> tuple[float, float]:
    """Return the ends of a span in SI units."""
    first, last = (
        parsed(span.name, text, key=key or span.name) for text in (span.first, span.last)
    )
    return float(first), float(last)


def parsed(name: str, text: str, *, key: str) -> float | str:
    """Return the value that a text means for a name: a number in SI units, a choice, a name."""
    return read_value(name, _raw(name, text), where=WHERE, key=key)


def parsed_target(state: State) -> float:
    """Return the target in SI units."""
    return read_target(state.aim, state.target, where=WHERE, key="target")


def _raw(name: str, text: str) -> str:
    """The text itself; an empty one is said to be missing rather than malformed."""
    if text.strip():
        return text.strip()
    raise InputError("has no value", where=WHERE, key=name, remedy="write one")


def as_text(value: float, unit: str) -> str:
    """Return a number as people write it, with as many digits as it takes to read it back."""
    for digits in range(3, 18):
        text = units.show(value, unit, digits=digits)
        if units.parse(text, unit) == value:
            return text
    return f"{value!r} {unit}"
