"""From numbers to what the figures take: titles, ticks, names, the parts of a step."""

import math
from collections.abc import Mapping

import numpy as np

from jaxlimits import schema, units
from jaxlimits.explorer.points import EXCLUDED, SIZE, Map, Point
from jaxlimits.explorer.state import Side, Span, State, ends
from jaxlimits.model.metrics import Limit, Metrics
from jaxlimits.plot.scales import spans_decades
from jaxlimits.plot.style import typeset
from jaxlimits.results.reason_codes import WORDS, Reason
from jaxlimits.web.bars import PARTS
from jaxlimits.web.browser_map import MapAxis, MapData
from jaxlimits.web.map_cover import Name, cover_of, names_of
from jaxlimits.web.map_lines import IsoLines, lines_of
from jaxlimits.web.ticks import even_ticks, value_ticks

_FULL, _EXCLUDED = WORDS[Reason.DOES_NOT_FIT], WORDS[Reason.CANNOT_BE]
_NOT_ASKED = (Reason.NO_REQUEST, Reason.NOT_STATED)
_WORDS = [
    *(WORDS[Reason.NOT_COMPUTED], "memory", "compute", "sync", _FULL, _EXCLUDED),
    *(WORDS[reason] for reason in _NOT_ASKED),
]
"""What the codes of a map say, from -1 on."""

_BINDS = {
    int(Limit.MEMORY): "memory binds",
    int(Limit.COMPUTE): "compute binds",
    int(Limit.SYNC): "sync binds",
}


def maps_data(
    state: State, maps: Mapping[Side, Map], points: Mapping[Side, Point]
) -> dict[Side, MapData]:
    """Return what the maps of all machines show, in one scale of colours."""
    info = schema.OUTPUTS[state.metric]
    together = np.concatenate([each.values.ravel() for each in maps.values()])
    finite = together[np.isfinite(together)]
    log = spans_decades(finite)
    ticks = value_ticks(finite, log=log, unit=info.unit, display=info.display)
    scale = float(units.convert(1.0, info.unit, info.display))
    low, high = _colour_ends(finite * scale)
    x, y = (_axis(span) for span in (state.x, state.y))
    names = {side: _names(found) for side, found in maps.items()}
    look = {"low": low, "high": high, "log": log}
    return {
        side: MapData(
            title=_title(state, side),
            metric=state.metric,
            unit=typeset(info.display),
            values=found.values * np.float32(scale),
            codes=_told(found),
            cover=cover_of(found.codes, found.reasons),
            words=_WORDS,
            names=names[side],
            x=x,
            y=y,
            **look,
            ticks=ticks,
            place=_place(state, points[side]),
            lines=lines_of(found.values * scale, **look, names=names[side])
            if state.iso_lines == "on"
            else IsoLines(),
        )
        for side, found in maps.items()
    }


def _told(found: Map) -> np.ndarray:
    """What binds, or why there is no value: places in the words under the pointer, less one."""
    codes = found.codes
    for code, reason in enumerate(_NOT_ASKED, start=EXCLUDED + 1):
        codes = np.where(found.reasons == reason, np.int8(code), codes)
    return codes


def _names(found: Map) -> list[Name]:
    """What binds where there is a value, and why there is none elsewhere."""
    has_value = found.reasons == Reason.FITS
    told = {code: words for code, words in WORDS.items() if code != Reason.FITS}
    return [
        *names_of(np.where(has_value, found.codes, Limit.NOT_COMPUTED), _BINDS),
        *names_of(found.reasons, told),
    ]


def _colour_ends(finite: np.ndarray) -> tuple[float, float]:
    if not finite.size:
        return 1.0, 10.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low, low + (abs(low) or 1.0) * 1e-3)


def _title(state: State, side: Side) -> str:
    settings = state.of(side)
    letter = f"{side.upper()}: " if state.is_compared else ""
    display = schema.OUTPUTS[state.metric].display
    unit = "" if display == "1" else f" [{typeset(display)}]"
    return f"{letter}{settings['llm']} on {settings['chip']}\n{state.metric}{unit}"


def machine_names(state: State) -> dict[Side, str]:
    """Return how each machine is called: ``A: h200``."""
    if not state.is_compared:
        return {"a": state.of("a")["chip"]}
    return {side: f"{side.upper()}: {state.of(side)['chip']}" for side in ("a", "b")}


def bar_names(state: State, points: Mapping[Side, Point]) -> list[str]:
    """Return what stands beside the bars: why there is none, where there is none."""
    return [
        name
        if _has_time(points[side].metrics)
        else f"{name}\n{_without_time(points[side].metrics)}"
        for side, name in machine_names(state).items()
    ]


def _has_time(metrics: Metrics | None) -> bool:
    return metrics is not None and math.isfinite(metrics.t_step)


def _without_time(metrics: Metrics | None) -> str:
    if metrics is None:
        return _EXCLUDED
    return "has no end" if metrics.feasible else _FULL


def _axis(span: Span) -> MapAxis:
    info = schema.FIELDS[span.name]
    first, last = ends(span)
    geometric = span.spacing == "geometric"
    spaced = (np.geomspace if geometric else np.linspace)(first, last, SIZE)
    shown = units.convert(np.rint(spaced) if info.whole else spaced, info.unit, info.display)
    return MapAxis(
        title=f"{info.meaning} ({span.name})",
        shown=shown,
        unit=typeset(info.display),
        ticks=even_ticks(
            first, last, geometric=geometric, length=SIZE, unit=info.unit, display=info.display
        ),
    )


def _place(state: State, point: Point) -> tuple[float, float] | None:
    """Where a machine's point lies on the map, in cells."""
    found = [_along(span, point.values.get(span.name, math.nan)) for span in (state.x, state.y)]
    inside = all(-0.5 <= place <= SIZE - 0.5 for place in found)
    return (found[0], found[1]) if inside else None


def _along(span: Span, value: float) -> float:
    first, last = ends(span)
    if span.spacing == "linear":
        return (value - first) / (last - first) * (SIZE - 1)
    if not value > 0.0:
        return math.nan
    return math.log(value / first) / math.log(last / first) * (SIZE - 1)


def value_at(span: Span, place: float) -> float:
    """Return the value of a field at a place of its axis: what :func:`_along` undoes."""
    first, last = ends(span)
    share = min(max(place / (SIZE - 1), 0.0), 1.0)
    value = first + share * (last - first)
    if span.spacing == "geometric":
        value = first * (last / first) ** share
    return float(np.rint(value)) if schema.FIELDS[span.name].whole else value


def shares_of(points: Mapping[Side, Point]) -> dict[str, list[float]]:
    """Return the parts of each machine's step [ms]; nothing where there is no time."""
    rows = [_parts(point.metrics) for point in points.values()]
    return {key: [row[key] for row in rows] for key in PARTS}


def _parts(metrics: Metrics | None) -> dict[str, float]:
    if metrics is None or not _has_time(metrics):
        return dict.fromkeys(PARTS, 0.0)
    m = metrics
    parts = (m.t_mem, m.t_step - m.t_sync - m.t_mem, m.t_sync_latency, m.t_sync_payload)
    return {key: 1e3 * max(float(t), 0.0) for key, t in zip(PARTS, parts, strict=True)}
