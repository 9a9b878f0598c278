"""What a plan says, in words and rows: for a terminal and for a page alike."""

from collections.abc import Iterator

from jaxlimits import schema
from jaxlimits.planning.choice import Choice, Group
from jaxlimits.planning.plan import Plan
from jaxlimits.planning.targets import FITS
from jaxlimits.units import show

COLUMNS = (
    *("chips", "kind", "groups", "chip", "layout"),
    *("batch", "request/s", "tpot", "ttft", "binds"),
)
"""Heads of the rows of :func:`rows_of`."""


def rows_of(choice: Choice) -> Iterator[tuple[str, ...]]:
    """Return a row for each kind of group of a choice, in the order of :data:`COLUMNS`."""
    kind = "one" if choice.kind == "aggregated" else "apart"
    for place, group in enumerate(choice.groups):
        first = place == 0
        yield (
            f"{choice.num_chips:,}" if first else "",
            kind if first else "",
            f"{group.count:,}",
            group.chip,
            group.layout.name,
            f"{group.batch_size:.0f}" if group.role != "prefill" else "–",
            f"{group.count * group.rate:.4g}",
            show(choice.tpot, "s/token") if group.role != "prefill" else "–",
            show(choice.ttft, "s") if first else "–",
            f"{group.limit} ({group.role})",
        )


def tried(found: Plan) -> str:
    """Say what was tried, and what some of it may do."""
    layouts = f"{found.layouts:,} layouts of {', '.join(found.machines_of)}"
    if not found.layouts_apart:
        return f"{layouts} were tried at every batch that fits"
    return (
        f"{layouts} were tried at every batch that fits: {found.layouts_apart:,} of them have chips"
        " for feed-forward parts alone; these decode, and machines without such chips prefill"
    )


def answer(found: Plan) -> tuple[str, ...]:
    """Say what the least choice takes, then what every schedule needs and what binds.

    Parameters
    ----------
    found
        A plan with choices.
    """
    best, unit = found.choices[0], schema.output(found.minimised).unit
    needed, least = show(best.cost, unit), show(found.least, unit)
    lead = f"least {found.minimised}: {needed}; every schedule needs at least {least}"
    return (lead, _binds(found), *_apart(best), *_beside(found))


def _apart(choice: Choice) -> Iterator[str]:
    """How the chips divide of groups with some for feed-forward parts alone."""
    for group in choice.groups:
        layout = group.layout
        if layout.ffn_chips:
            ffn = layout.pp_size * layout.ffn_chips
            flying = layout.pp_size * layout.ffn_micro_batches
            yield (
                f"{layout.name}: {layout.num_chips - ffn} chips for attention, {ffn} for"
                f" feed-forward parts; {flying} micro-batches of {group.batch_size:.0f} in flight"
                " on each replica"
            )


def _binds(found: Plan) -> str:
    if found.binds == "capacity":
        quick = f"{found.bound.value:.3g} chips' worth of time would do"
        return f"binds: capacity: {quick}, and no group of fewer chips holds the model"
    return f"binds: {found.binds}; with groups in fractions {found.bound.value:.4g}"


def _beside(found: Plan) -> Iterator[str]:
    """Budgets that are exceeded, and what an engine would need."""
    for target in found.exceeded:
        unit = schema.output(target.metric).unit
        total = show(found.choices[0].totals[target.metric], unit)
        yield f"over budget: {target.words} against {total}"
    if found.predicted is not None:
        cost = show(found.predicted.cost, schema.output(found.minimised).unit)
        yield (
            f"an engine needs {cost} by the calibration's decode steps, prefill at the limit: "
            f"{_built(found.predicted)}"
        )


def _built(choice: Choice) -> str:
    return ", ".join(f"{g.count} × {g.chip} {g.layout.name} ({g.role})" for g in choice.groups)


def margins(found: Plan) -> Iterator[str]:
    """Say how much room there is, and what each target costs.

    Parameters
    ----------
    found
        A plan with choices.
    """
    best = found.choices[0]
    load = found.workload.rate / best.rate
    yield f"loaded to {load:.0%}; {_next(best.groups)}"
    for target in found.targets:
        price = found.prices.get(target.metric)
        if price is None:
            continue
        step, words = (1e-3, "1 ms/token") if target.metric == "tpot" else (0.1, "100 ms")
        yield (
            f"{words} more of {target.metric} takes {abs(price) * step:.3g} off the bound's"
            f" {found.bound.value:.4g}"
        )


def _next(groups: tuple[Group, ...]) -> str:
    """What one more group would change."""
    tightest = min(groups, key=lambda group: group.count * group.rate)
    more = (tightest.count + 1) * tightest.rate
    rest = [group.count * group.rate for group in groups if group is not tightest]
    carried = min([more, *rest])
    chips = tightest.layout.num_chips
    word = "chip" if chips == 1 else "chips"
    return f"one more group of {chips} {word} carries {carried:.4g} request/s"


def misses(found: Plan) -> Iterator[str]:
    """Say of a plan without choices how near machines come to each target."""
    for miss in found.misses:
        nearest = show(miss.value, schema.output(miss.target.metric).unit)
        yield (
            f"{miss.target.words}: the nearest is {miss.chip} {miss.layout.name} with {nearest};"
            f" {miss.limit} binds, {miss.factor:.3g}× better is needed"
        )
        if miss.target.metric == FITS.metric:
            yield "no group holds the model with one request: allow groups of more chips"
