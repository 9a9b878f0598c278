"""What the explorer says in words and tables, as HTML of its own; names are escaped."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from jaxlimits import schema, units
from jaxlimits.explorer.needs import Needs, sentence
from jaxlimits.explorer.points import Map, Point
from jaxlimits.explorer.state import Side
from jaxlimits.model.metrics import Limit, Metrics
from jaxlimits.results.reason_codes import HATCHED, WORDS, Reason

HEADLINES: Mapping[str, str] = {
    "utps": "speed of one user",
    "stps": "throughput of the system",
    "t_step": "time of a step",
    "capacity_utilisation": "memory filled",
    "power": "provisioned power",
    "energy_per_token": "energy per token",
    "dollars_per_token": "cost per token (illustrative)",
}
"""Metrics that stand on top, and what they are called there."""

_SHARES = ("capacity_utilisation", "bandwidth_utilisation", "flops_utilisation", "prefill_share")


def shown(name: str, value: float | int) -> str:
    """Return a metric as people read it; codes in a word."""
    if name in schema.FLAGS:
        meanings = {code: word for word, code in schema.FLAGS[name].items()}
        return meanings.get(int(value), "").replace("_", " ")
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "no end" if value > 0 else "–"
    if name in _SHARES:
        return f"{value:.1%}"
    if schema.OUTPUTS[name].unit == "USD/token":
        return f"{value * 1e6:,.4g} USD/Mtoken"
    return units.show(value, schema.OUTPUTS[name].unit, digits=4)


def headline(name: str, point: Point) -> str:
    """Return the tiles of one machine: what binds, then the numbers that matter most."""
    metrics = point.metrics
    if metrics is None:
        return f'<section class="machine"><h3>{escape(name)}</h3>{_note(point.problem)}</section>'
    tiles = "".join(
        _tile(point, metrics, *each) for each in [*HEADLINES.items(), *_predicted(point)]
    )
    return (
        f'<section class="machine"><h3>{escape(name)} <span class="limit {_limit(metrics)}">'
        f"{binding(metrics)}</span></h3>"
        f'<div class="tiles">{tiles}</div></section>'
    )


def _tile(point: Point, metrics: Metrics, metric: str, words: str) -> str:
    """A number and what it is; why there is none, unless the head says so of all of them."""
    reason = point.reasons.get(metric, Reason.FITS)
    why = "" if reason in (Reason.FITS, Reason.DOES_NOT_FIT) else f"<em>{WORDS[reason]}</em>"
    value = shown(metric, getattr(metrics, metric))
    return f'<div class="tile"><b data-metric="{metric}">{value}</b><span>{words}</span>{why}</div>'


def _predicted(point: Point) -> list[tuple[str, str]]:
    """The tile of what a calibration predicts, where one is chosen."""
    metrics = point.metrics
    if metrics is None or math.isnan(metrics.calibrated_utps):
        return []
    unit = schema.OUTPUTS["utps"].unit
    ends = (metrics.calibrated_utps_lower, metrics.calibrated_utps_upper)
    low, high = (units.show(end, unit, digits=3).removesuffix(f" {unit}") for end in ends)
    return [("calibrated_utps", f"predicted; 95 % from {low} to {high}")]


def gaps(names: Mapping[Side, str], maps: Mapping[Side, Map]) -> str:
    """Say why parts of the maps are striped or grey, machine by machine."""
    return "".join(
        f'<p class="quiet gaps"><b>{escape(names[side])}</b>: {escape("; ".join(found))}.</p>'
        for side, each in maps.items()
        if (found := _gaps_of(each))
    )


def _gaps_of(found: Map) -> list[str]:
    told = []
    for reason, words in WORDS.items():
        share = float((found.reasons == reason).mean())
        if reason == Reason.FITS or not share:
            continue
        look = "striped" if reason in HATCHED else "grey"
        why = f" ({', '.join(found.rules)})" if reason == Reason.CANNOT_BE and found.rules else ""
        told.append(f"{look} over {share:.0%} of the map, {words}{why}")
    return told


def binding(metrics: Metrics) -> str:
    """Say what binds, and what would next."""
    if not metrics.feasible:
        needed = f"needs {metrics.capacity_utilisation:.3g}× the usable memory"
        return f"{WORDS[Reason.DOES_NOT_FIT]}: {needed}"
    words = f"{_limit(metrics)} binds"
    if not math.isfinite(metrics.limit_factor):
        return words
    following = Limit(int(metrics.next_limit)).name.lower()
    better = f"once that is {metrics.limit_factor:.3g}× better"
    return f"{words}; {better}, {following} becomes the limit"


def _limit(metrics: Metrics) -> str:
    return Limit(int(metrics.limit)).name.lower()


def metrics_table(points: Mapping[str, Point]) -> str:
    """Return every metric that says something, one column for each machine."""
    found = {name: point.metrics for name, point in points.items() if point.metrics is not None}
    if not found:
        return ""
    heads = "".join(f"<th>{escape(name)}</th>" for name in found)
    ratio = "<th>B / A</th>" if len(found) == 2 else ""
    rows = "".join(
        _row(metric, [getattr(m, metric) for m in found.values()])
        for metric in schema.OUTPUTS
        if not all(math.isnan(getattr(m, metric)) for m in found.values())
    )
    return (
        f'<table class="numbers"><thead><tr><td></td>{heads}{ratio}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _row(metric: str, values: Sequence[float | int]) -> str:
    cells = "".join(f"<td>{shown(metric, value)}</td>" for value in values)
    if len(values) == 2:
        cells += f"<td>{_ratio(metric, *values)}</td>"
    meaning = escape(schema.OUTPUTS[metric].meaning)
    return f"<tr><th>{meaning} <code>{metric}</code></th>{cells}</tr>"


def _ratio(metric: str, a: float | int, b: float | int) -> str:
    if metric in schema.FLAGS or not (math.isfinite(a) and math.isfinite(b)) or a == 0.0:
        return ""
    return f"{b / a:.3g}×"


def needs_list(needs: Mapping[str, Needs]) -> str:
    """Return what each machine needs, the nearest way first and in bold."""
    return "".join(_needs(name, each) for name, each in needs.items())


def _needs(name: str, needs: Needs) -> str:
    head = f"<h3>{escape(name)}</h3>"
    if needs.problem:
        return f'<section class="needs">{head}{_note(needs.problem)}</section>'
    first, *rest = needs.ways
    lead = escape(sentence(first, needs.target)) if first.is_open else ""
    lead = lead or f"no one of these fields alone reaches {escape(needs.target)}"
    if needs.reached:
        lead = f"reaches {escape(needs.target)} as it is; at the edge: {lead}"
    others = rest if first.is_open else needs.ways
    items = "".join(f"<li>{escape(sentence(way, needs.target))}</li>" for way in others)
    return (
        f'<section class="needs">{head}<p class="nearest">{lead}</p>'
        f"<details><summary>other ways</summary><ul>{items}</ul></details></section>"
    )


def problems(maps: Iterable[Map], points: Iterable[Point], said: str) -> str:
    """Return all that cannot be, each once; nothing where all is well."""
    found = dict.fromkeys([said, *(p.problem for p in points), *(m.problem for m in maps)])
    return "".join(_note(words) for words in found if words)


def _note(words: str) -> str:
    return f'<p class="problem" role="alert">{escape(words)}</p>'


def sides(names: Mapping[Side, str], points: Mapping[Side, Point]) -> dict[str, Point]:
    """Return points by what their machines are called."""
    return {names[side]: point for side, point in points.items()}
