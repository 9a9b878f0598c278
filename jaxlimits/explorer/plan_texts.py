"""What the plan tab says of an answer, as HTML of its own; names are escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from jaxlimits.explorer.plan_question import Answered
from jaxlimits.planning import in_words
from jaxlimits.planning.choice import Choice
from jaxlimits.planning.engine_flags import engine_flags
from jaxlimits.planning.plan import Plan

_WORDS = ("kind", "chip", "layout", "binds")
"""Columns of words; the others are numbers."""


def problem(words: str) -> str:
    """Return what is wrong with a field, to stand beside it."""
    return f'<p class="problem" role="alert">{escape(words)}</p>' if words else ""


def answered(found: Answered) -> str:
    """Return the answer: what it takes, the choices, the frontier, what engines are told."""
    plan = found.plan
    if plan is None:
        return ""
    tried = f"{plan.layouts:,} layouts of {', '.join(plan.machines_of)}"
    targets = "; ".join(target.words for target in plan.targets) or "none but the rate"
    asked = (
        f'<p class="quiet">{escape(plan.llm)}: {escape(plan.workload.words)}. '
        f"Targets: {escape(targets)}. "
        f"{escape(tried)} were tried at every batch that fits.</p>"
    )
    if not plan.choices:
        said = _listed(in_words.misses(plan))
        return f"<h2>No layout reaches the targets</h2>{asked}<ul>{said}</ul>"
    lead, *rest = in_words.answer(plan)
    return (
        f"<h2>Machines that serve it</h2>{asked}"
        f'<p class="nearest">{escape(_sentence(lead))}</p>'
        f"<ul>{_listed([*rest, *in_words.margins(plan)])}</ul>"
        f"{_choices(plan.choices)}{_figure(found.figure, plan)}{_engines(plan.choices[0])}"
    )


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"<li>{escape(_sentence(line))}</li>" for line in lines)


def _sentence(line: str) -> str:
    return line[:1].upper() + line[1:]


def _choices(choices: Sequence[Choice]) -> str:
    """The choices as a table, the least first."""
    heads = "".join(
        f'<th scope="col" class="{_class_of(head)}">{escape(head)}</th>'
        for head in in_words.COLUMNS
    )
    rows = "".join(
        f'<tr class="{"chosen" if number == 0 else "runner-up"}">{_cells(row)}</tr>'
        for number, choice in enumerate(choices)
        for row in in_words.rows_of(choice)
    )
    return (
        '<div class="scrolled" tabindex="0" role="region" aria-label="Choices">'
        '<table class="numbers choices"><caption>The least, and the runners-up</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cells(row: Sequence[str]) -> str:
    return "".join(
        f'<td class="{_class_of(head)}">{escape(cell)}</td>'
        for head, cell in zip(in_words.COLUMNS, row, strict=True)
    )


def _class_of(head: str) -> str:
    return "word" if head in _WORDS else "number"


def _figure(svg: str, plan: Plan) -> str:
    """The frontier, with what it shows in words."""
    least = f"{plan.choices[0].cost:,.4g}"
    told = (
        f"Least {plan.minimised} over the target of the time of a token: {least} at the targets, "
        f"at least {plan.least:,.4g} for every schedule."
    )
    return (
        f'<figure class="drawn" role="img" aria-label="{escape(told)}">{svg}</figure>'
        f'<p class="quiet">No schedule lies in the shaded part. {escape(told)}</p>'
    )


def _engines(choice: Choice) -> str:
    """Options of engines that give the least choice."""
    groups = "".join(
        f"<h3>{group.count} × {escape(group.chip)} {escape(group.layout.name)} ({group.role})</h3>"
        "<dl>"
        + "".join(
            f"<dt>{escape(engine)}</dt><dd><code>{escape(flags)}</code></dd>"
            for engine, flags in engine_flags(group.layout, group.batch_size).items()
        )
        + "</dl>"
        for group in choice.groups
    )
    return f'<section class="engines"><h2>As engines are told it</h2>{groups}</section>'
