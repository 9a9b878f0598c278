"""The plan tab: a workload and targets in, machines out; a press of the button computes."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import panel as pn

from jaxlimits import schema
from jaxlimits.explorer import plan_texts
from jaxlimits.explorer.menus import choose, menu
from jaxlimits.explorer.plan_question import Answered, Asked, answer
from jaxlimits.explorer.session import Session
from jaxlimits.explorer.top_bar import AS_STATED, WIDTHS
from jaxlimits.planning.plan import MINIMISED

_FORM = """
:host { display: grid !important; width: 100%; max-width: 900px; gap: 6px 14px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(250px, 100%), 1fr)); }
@media print { :host { display: none !important; } }
"""
_TALL = ":host(.cell-chips) { grid-row: span 2; }"
_BUTTON = """
.bk-btn { background: var(--accent) !important; color: var(--paper) !important; }
@media print { :host { display: none !important; } }
"""
_LIST = """
.bk-input { background: var(--paper); color: var(--ink); min-height: 0; }
select.bk-input option:checked { background: var(--accent); color: var(--paper); }
"""
_HINT = (
    '<p class="quiet on-screen">Every valid layout of the chosen chips is tried at every batch. '
    "Fields that are not here are as the catalog and the defaults have them. An empty target is "
    "none.</p>"
)
_COMPUTING = (
    '<p class="quiet" role="status">Computing. The first answer for a model takes ten seconds, '
    "and up to a minute where it has many experts.</p>"
)

_log = logging.getLogger("jaxlimits.explorer")

_planner = ThreadPoolExecutor(1, thread_name_prefix="plans")
"""Plans beside the moves, for all tabs one after another."""

Deliver = Callable[[Callable[[], None]], None]
"""Takes what is to be done with the page, from another thread."""


class PlanTab:
    """The form, and the answer below it.

    Parameters
    ----------
    session
        Whose catalog lists models and chips, and whose state the form begins with.
    files
        Catalog files beside the shipped ones.
    deliver
        Hands to the page what a computation has found.
    look
        The style sheet of what is written.
    """

    def __init__(self, session: Session, files: tuple[Path, ...], deliver: Deliver, look: str):
        self._session, self._files, self._deliver = session, files, deliver
        self._asked = 0
        self._html = {"stylesheets": [look], "sizing_mode": "stretch_width", "margin": (2, 10)}
        self.inputs: dict[str, Any] = {}
        self.notes: dict[str, Any] = {}
        self.rest = pn.pane.HTML("", **self._html)
        self.result = pn.pane.HTML("", **self._html)
        # It is there from the start: a press of one that comes later is sent with all that it is.
        self.button = pn.widgets.Button(
            label="Plan", width=160, margin=(6, 10),
            css_classes=["plan-now"], stylesheets=[_BUTTON],
        )  # fmt: skip
        self.button.on_click(self._pressed)
        self.form = pn.Row(stylesheets=[_FORM], margin=0, sizing_mode="stretch_width")
        hint = pn.pane.HTML(_HINT, **self._html)
        self.view = pn.Column(
            hint, self.form, self.button, self.rest, self.result,
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip

    def open(self) -> None:
        """Make the fields, once: a page waits for none that it does not show."""
        if self.inputs:
            return
        self.inputs = _inputs(self._session)
        self.notes = {name: pn.pane.HTML("", **self._html) for name in self.inputs}
        cells = []
        for name, each in self.inputs.items():
            each.param.update(width=None, sizing_mode="stretch_width", css_classes=[f"plan-{name}"])
            cells.append(
                pn.Column(
                    each, self.notes[name], margin=0, sizing_mode="stretch_width",
                    css_classes=[f"cell-{name}"], stylesheets=[_TALL],
                )
            )  # fmt: skip
        self.form.objects = cells

    def asked(self) -> Asked:
        """Return the question as it stands in the form."""
        found = {name: each.value for name, each in self.inputs.items()}
        bits = found["weight_bits"]
        found |= {"chips": tuple(found["chips"]), "weight_bits": "" if bits == AS_STATED else bits}
        return Asked(**found)

    def _pressed(self, _: Any) -> None:
        self.compute()

    def compute(self) -> Future:
        """Ask what the form says, beside the moves; the page shows what is found."""
        self._asked += 1
        number, asked = self._asked, self.asked()
        self.button.disabled = True
        self.rest.object, self.result.object = _COMPUTING, ""
        for note in self.notes.values():
            note.object = ""

        def work() -> None:
            found = _answer(asked, self._files)
            self._deliver(lambda: self.show(number, found))

        return _planner.submit(work)

    def show(self, number: int, found: Answered) -> None:
        """Show an answer, unless another question has been asked since."""
        if number != self._asked:
            return
        self.button.disabled = False
        for name, note in self.notes.items():
            note.object = plan_texts.problem(found.problems.get(name, ""))
        self.rest.object = plan_texts.problem(found.problems.get("", ""))
        self.result.object = plan_texts.answered(found)


def _inputs(session: Session) -> dict[str, Any]:
    """The fields of the form, with what the question begins with."""
    asked = session.plan_question()
    entries = session.catalog.entries
    text = pn.widgets.TextInput
    found = {
        "llm": menu("Model", list(entries["llms"])),
        "chips": pn.widgets.MultiSelect(
            label="Chips that may be used",
            options=list(dict.fromkeys([*asked.chips, *entries["chips"]])),
            value=list(asked.chips),
            size=7,
            stylesheets=[_LIST],
        ),
        "rate": text(label="Requests that come", value=asked.rate),
        "input_len": text(label="Input length [token]", value=asked.input_len),
        "output_len": text(label="Output length [token]", value=asked.output_len),
        "ttft": text(label="Time to first token, at most", value=asked.ttft),
        "tpot": text(label="Time per token, at most", value=asked.tpot),
        "minimise": menu("Minimise", []),
        "most": text(label="Chips of one group, at most", value=asked.most),
        "weight_bits": menu("Bits of weights", [AS_STATED, *WIDTHS]),
    }
    choose(found["llm"], asked.llm)
    choose(found["weight_bits"], asked.weight_bits or AS_STATED)
    named = {f"{name} – {schema.output(name).meaning}": name for name in MINIMISED}
    found["minimise"].param.update(options=named, value=asked.minimise)
    return found


def _answer(asked: Asked, files: tuple[Path, ...]) -> Answered:
    """The answer; what goes wrong is seen on the terminal, and said so that the form goes on."""
    try:
        return answer(asked, files)
    except Exception as error:
        _log.exception("the plan could not be computed")
        return Answered(problems={"": f"the plan could not be computed: {error}"})
