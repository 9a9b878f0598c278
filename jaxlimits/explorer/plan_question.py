"""The question of the plan tab: a workload and targets as text, and what serves them.

Nothing of Panel: what is written is checked field by field, so that each error stands beside the
field that it is about.
"""

import dataclasses
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxlimits.errors import InputError, placed
from jaxlimits.explorer.state import Side, State
from jaxlimits.grid.axes import read_value
from jaxlimits.grid.requirements import read_target
from jaxlimits.planning.plan import MINIMISED, Plan
from jaxlimits.planning.plan import plan as find_plan
from jaxlimits.planning.workload import Workload, read_rate

WHERE = "plan"
"""What errors name as their place."""

_SIZE = (4.9, 4.8)
"""Of the figure [inch]: its legend stands below, so that it can be read on a phone."""

_TARGETS = ("ttft", "tpot")
_MOST = 512
"""Chips of a group, at most: of more, the search would take minutes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked, as it is written in the form.

    Parameters
    ----------
    llm, chips
        The model, and the chips of which machines may be built, by their names.
    rate
        Requests that come: ``10 request/s``.
    input_len, output_len
        Tokens of a prompt and of an answer.
    ttft, tpot
        Targets of the time to the first token and of the time of a token; empty without one.
    minimise
        What to have least of, as ``num_chips``.
    most
        Chips of one group at most.
    weight_bits
        Bits of weights; empty where the model states them.
    """

    llm: str
    chips: tuple[str, ...]
    rate: str = "10 request/s"
    input_len: str = "2000"
    output_len: str = "200"
    ttft: str = "1 s"
    tpot: str = "20 ms/token"
    minimise: str = MINIMISED[0]
    most: str = "8"
    weight_bits: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What a question gives.

    Parameters
    ----------
    problems
        Why there is no answer, by the field that it is about; those of no field by ``""``.
    plan
        The answer, unless there are problems.
    figure
        The frontier over the target of the time of a token, as SVG; empty where nothing serves.
    """

    problems: Mapping[str, str] = dataclasses.field(default_factory=dict)
    plan: Plan | None = None
    figure: str = ""


def asked_of(state: State) -> Asked:
    """Return the question with which the tab begins: model, machines and bits of the others."""
    settings = state.settings
    sides: tuple[Side, ...] = ("a", "b") if state.is_compared else ("a",)
    chips = dict.fromkeys(state.of(side)["chip"] for side in sides)
    lengths = {
        name: settings[name] for name in ("input_len", "output_len") if _is_length(name, settings)
    }
    bits = settings.get("weight_bits", "")
    return Asked(llm=settings["llm"], chips=tuple(chips), weight_bits=bits, **lengths)


def _is_length(name: str, settings: Mapping[str, str]) -> bool:
    return name in settings and read_value(name, settings[name], where=WHERE, key=name) != 0.0


def problems_of(asked: Asked) -> dict[str, str]:
    """Return what cannot be read, in words, by the field in which it is written."""
    reading: dict[str, Callable[[], object]] = {
        "chips": lambda: _chips(asked),
        "rate": lambda: read_rate(asked.rate),
        **{name: lambda name=name: _length(asked, name) for name in ("input_len", "output_len")},
        **{name: lambda name=name: _target(asked, name) for name in _TARGETS},
        "most": lambda: _most(asked),
    }
    found = {}
    for field, read in reading.items():
        try:
            read()
        except InputError as error:
            found[field] = str(error)
    return found


def _chips(asked: Asked) -> tuple[str, ...]:
    if not asked.chips:
        raise InputError("names no chip", key="chips", remedy="choose one or more")
    return asked.chips


def _length(asked: Asked, name: str) -> float:
    value = float(read_value(name, getattr(asked, name), where="", key=name))
    if value < 1.0:
        raise InputError("must be at least 1 token", key=name, remedy="write one, as 2000")
    return value


def _target(asked: Asked, name: str) -> tuple[str, ...]:
    text = getattr(asked, name).strip()
    if not text:
        return ()
    if read_target(name, text, where="", key=name) <= 0.0:
        raise InputError("must be above 0", key=name, value=text, remedy="or leave it empty")
    return (f"{name} <= {text}",)


def _most(asked: Asked) -> int:
    text = asked.most.replace(",", "").strip()
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        remedy = f"write a whole number from 1 to {_MOST}"
        raise InputError("is not a number of chips", key="most", value=asked.most, remedy=remedy)
    return int(text)


def answer(asked: Asked, files: tuple[Path, ...] = ()) -> Answered:
    """Plan, and draw the frontier; what cannot be is words, not an exception.

    Parameters
    ----------
    asked
        The question.
    files
        Catalog files beside the shipped ones, from which the planner reads entries.
    """
    if problems := problems_of(asked):
        return Answered(problems=problems)
    bits: dict[str, Any] = {"weight_bits": asked.weight_bits} if asked.weight_bits else {}
    lengths = (_length(asked, "input_len"), _length(asked, "output_len"))
    try:
        with placed(WHERE):
            found = find_plan(
                asked.llm,
                _chips(asked),
                Workload.of_lengths([lengths], rate=read_rate(asked.rate)),
                targets=[each for name in _TARGETS for each in _target(asked, name)],
                minimise=asked.minimise,
                most=_most(asked),
                frontier=True,
                catalog=files,
                **bits,
            )
    except InputError as error:
        field = {"chip": "chips", "only": "most"}.get(error.key, error.key)
        known = field if field in {each.name for each in dataclasses.fields(Asked)} else ""
        return Answered(problems={known: str(error)})
    return Answered(plan=found, figure=_drawn(found))


def _drawn(found: Plan) -> str:
    """The frontier as SVG, without the header of a file of its own."""
    from jaxlimits import plot  # noqa: PLC0415  (imports matplotlib)

    if not found.choices:
        return ""
    chips = " or ".join(found.machines_of)
    figure = plot.fleet(
        found.dataset, title=f"{found.llm} on {chips}, by the time of a token", size=_SIZE
    )
    file = io.BytesIO()
    figure.savefig(file, format="svg")
    svg = file.getvalue().decode()
    return svg[svg.index("<svg") :]
