"""One tab: widgets wired to a session, figures that follow it."""

import functools
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import panel as pn
from bokeh.events import Tap
from tornado.ioloop import IOLoop

from jaxlimits import schema
from jaxlimits.explorer import texts
from jaxlimits.explorer.controls import RecordCard
from jaxlimits.explorer.downloads import download_buttons
from jaxlimits.explorer.field_search import FieldSearch
from jaxlimits.explorer.map_controls import MapControls
from jaxlimits.explorer.menus import CARD, CHOICE
from jaxlimits.explorer.network import graph
from jaxlimits.explorer.plan_tab import PlanTab
from jaxlimits.explorer.session import Session, Shown
from jaxlimits.explorer.start import Start
from jaxlimits.explorer.state import Side
from jaxlimits.explorer.top_bar import TopBar
from jaxlimits.explorer.views import bar_names, machine_names, maps_data, shares_of
from jaxlimits.web.backend import bokeh_models
from jaxlimits.web.bars import Breakdown
from jaxlimits.web.browser_map import HeatMap

LOOK = (Path(__file__).with_name("look.css")).read_text(encoding="utf-8")

_FIGURE_COLOURS = (Path(__file__).with_name("figure_colours.js")).read_text(encoding="utf-8")

_SIDE_BY_SIDE = (
    ":host { flex: 1 1 min(440px, 100%) !important; width: auto !important; min-width: 0; }"
)
"""Two maps in a row where the page is wide enough for both."""

_WITHOUT_RIM = ":host { clip-path: inset(2px); overflow: clip; }"
"""A canvas keeps half of its first paint, which is white, in its outermost pixels; and a title that
is longer than a phone is wide must not widen the page."""

_HINT = (
    '<p class="quiet">The circle is the point that the numbers are about: click on a map to move '
    "it. "
    "The address of this page brings all of it back.</p>"
)

PLAN = "#plan"
"""What the address ends in where the tab of a plan is open."""

_COMPUTING = '<p class="quiet" role="status">Computing. The first answer takes some seconds.</p>'

_GATHER = 5
"""Milliseconds in which moves are gathered before the map follows."""

_log = logging.getLogger("jaxlimits.explorer")

_solver = ThreadPoolExecutor(1, thread_name_prefix="needs")
"""Finds what is needed beside the moves, for all tabs one after another: its first answer takes
seconds to compile."""


class App:
    """The page of one tab.

    Parameters
    ----------
    begun
        What the explorer starts with.
    query
        Of the tab's address.
    """

    def __init__(self, begun: Start, query: str):
        self.session = Session(begun, query)
        self.side: Side = "a"
        self._waiting = False
        self._asked = 0
        self._closed = False
        self.document: Any = pn.state.curdoc
        self.document.on_session_destroyed(self._close)
        self._loop = IOLoop.current()
        self.location: Any = pn.state.location
        html = {"stylesheets": [LOOK], "sizing_mode": "stretch_width", "margin": (4, 10)}
        self.notes = pn.pane.HTML("", **html)
        self.tiles = pn.pane.HTML("", **html)
        self.gaps = pn.pane.HTML("", **{**html, "margin": (0, 14)})
        self.needs = pn.pane.HTML("", **html)
        self.table = pn.pane.HTML("", **html)
        self.network = pn.pane.HTML("", **html)
        self.operators = _card("Operators of a step", self.network)
        self.operators.param.watch(self._ask_network, "collapsed")
        shown = self.session.shown()
        self._make_figures(shown)
        self.bar = TopBar(self.session, self._changed)
        self.map_controls = MapControls(self.session, self._changed)
        self.cards = [
            RecordCard(record, begun.catalog, self._set, self._show_cards)
            for record in schema.RECORDS
        ]
        self.plan = PlanTab(self.session, begun.files, self._deliver, LOOK)
        if self.location is not None:
            pn.state.onload(self._watch_tabs)
        self.search = FieldSearch(begun.catalog, self._set, self._show_cards)
        self.controls = [self.search.controls, *(card.controls for card in self.cards)]
        self.edited = pn.widgets.RadioButtonGroup(
            label="Machine whose fields are set", options={"Machine A": "a", "Machine B": "b"},
            value="a", width=300, margin=(4, 10), stylesheets=[CHOICE],
        )  # fmt: skip
        self.edited.param.watch(self._edit, "value")
        self._show(shown)

    def _make_figures(self, shown: Shown) -> None:
        """Both maps, of which the second may be hidden, and the bars."""
        data = maps_data(shown.state, shown.maps, shown.points)
        self.maps: dict[Side, HeatMap] = {
            "a": HeatMap(data["a"]),
            "b": HeatMap(data.get("b", data["a"])),
        }
        for side, figure in self.maps.items():
            figure.figure.on_event(Tap, functools.partial(self._tapped, side))
        self.bars = Breakdown(bar_names(shown.state, shown.points), shares_of(shown.points))
        self.panes = {
            side: pn.pane.Bokeh(
                figure.figure,
                sizing_mode="stretch_width",
                margin=(4, 10),
                stylesheets=[_SIDE_BY_SIDE, _WITHOUT_RIM],
            )
            for side, figure in self.maps.items()
        }

        self.both = pn.FlexBox(*self.panes.values(), sizing_mode="stretch_width")

    def page(self, template: Any) -> Any:
        """Lay everything out."""
        self._follow_the_page_s_colours()
        template.header.append(self.bar.view)
        template.show_plan(self.plan.view)
        template.sidebar.extend(
            [
                _heading("The map"),
                self.map_controls.metric,
                self.map_controls.lines,
                self.map_controls.card,
                self.map_controls.target,
                _heading("Every field of"),
                self.edited,
                self.search.view,
                *(card.view for card in self.cards),
                *download_buttons(self.session, self._say),
                self.map_controls.reset,
            ]
        )
        template.main.extend(
            [
                self.notes,
                self.tiles,
                self.both,
                self.gaps,
                pn.pane.HTML(_HINT, stylesheets=[LOOK], margin=(0, 14)),
                pn.pane.Bokeh(
                    self.bars.figure,
                    sizing_mode="stretch_width",
                    margin=(4, 10),
                    stylesheets=[_WITHOUT_RIM],
                ),
                self.needs,
                self.operators,
                _card("All numbers", self.table),
            ]
        )
        return template

    def _follow_the_page_s_colours(self) -> None:
        """Have the figures drawn in dark where the page is dark, on white where it is printed."""
        figures = [each.figure for each in (*self.maps.values(), self.bars)]
        code = bokeh_models().CustomJS(args={"figures": figures}, code=_FIGURE_COLOURS)
        self.document.js_on_event("document_ready", code)

    def _set(self, name: str, text: str | None) -> None:
        self.session.set(self.side, name, text)
        self._changed()

    def _watch_tabs(self) -> None:
        """Follow the tab that the address names, once the page can take what it does not have."""
        self.location.param.watch(self._open_tab, "hash")
        self._open_tab()

    def _open_tab(self, _: Any = None) -> None:
        if self.location.hash == PLAN:
            self.plan.open()

    def _edit(self, event: Any) -> None:
        self.side = event.new
        self._show_cards()
        self._ask_network()

    def _say(self, words: str) -> None:
        self.notes.object = texts.problems((), (), words)

    def _tapped(self, side: Side, event: Any) -> None:
        self.session.tap(side, event.x, event.y)
        self._changed()

    def _changed(self) -> None:
        """Follow the state soon: moves that arrive together are answered once."""
        if self._waiting:
            return
        self._waiting = True
        self.document.add_timeout_callback(self._follow, _GATHER)

    def _follow(self) -> None:
        self._waiting = False
        if self._closed:
            return
        self._show(self.session.shown())

    def _show(self, shown: Shown) -> None:
        names = machine_names(shown.state)
        points = texts.sides(names, shown.points)
        for side, data in maps_data(shown.state, shown.maps, shown.points).items():
            self.maps[side].show(data)
        if self.panes["b"].visible != shown.state.is_compared:
            self.panes["b"].visible = shown.state.is_compared
        self.bars.show(bar_names(shown.state, shown.points), shares_of(shown.points))
        tiles = "".join(texts.headline(name, point) for name, point in points.items())
        self.tiles.object = f'<div class="machines">{tiles}</div>'
        self.gaps.object = texts.gaps(names, shown.maps)
        self.table.object = texts.metrics_table(points)
        self.notes.object = texts.problems(shown.maps.values(), (), shown.said)
        self.bar.show(shown.points["a"].values)
        self.map_controls.show()
        self._show_side()
        self._show_cards()
        if self.location is not None:
            self.location.search = f"?{self._kept_query()}"
        self._ask()

    def _kept_query(self) -> str:
        """The state's query; the token of the address stays in it."""
        from urllib.parse import urlencode  # noqa: PLC0415

        from jaxlimits.explorer.links import TOKEN  # noqa: PLC0415

        given = (pn.state.session_args or {}).get(TOKEN)
        token = f"&{urlencode({TOKEN: given[0].decode()})}" if given else ""
        return f"{self.session.query}{token}"

    def _show_side(self) -> None:
        compared = self.session.state.is_compared
        self.edited.disabled = not compared
        if not compared and self.side == "b":
            self.edited.value = "a"

    def _show_cards(self) -> None:
        if not any(each.all for each in self.controls):
            return
        settings = self.session.state.of(self.side)
        values = self.session.values(self.side)
        centres = self.session.centres(self.side)
        for each in self.controls:
            each.show(settings, values, centres)

    def _ask(self) -> None:
        """Look for what is needed beside the moves; an answer that comes too late is dropped."""
        self._asked += 1
        number = self._asked
        self._ask_network()

        def answer() -> None:
            if self._closed or number != self._asked:
                return
            needs = self.session.needs()
            self._deliver(lambda: self._answered(number, needs))

        _solver.submit(answer).add_done_callback(_raised)

    def _ask_network(self, _: Any = None) -> None:
        """Take the step apart beside the moves, where its card is open."""
        if self.operators.collapsed:
            return
        if not self.network.object:
            self.network.object = _COMPUTING
        side, state = self.side, self.session.state

        def answer() -> None:
            if self._closed or state is not self.session.state or side != self.side:
                return
            drawn = graph(self.session.network(side), machine_names(state)[side])
            self._deliver(lambda: self._show_network(drawn))

        _solver.submit(answer).add_done_callback(_raised)

    def _show_network(self, drawn: str) -> None:
        self.network.object = drawn

    def _deliver(self, act: Callable[[], None]) -> None:
        """Do something with the page from another thread, unless its tab is closed by then."""

        def hand_over() -> None:
            if not self._closed:
                self.document.add_next_tick_callback(act)

        # By the server's loop, as all that a tab does: between a look whether the tab is open
        # and what is done with its document it cannot be closed.
        self._loop.add_callback(hand_over)

    def _close(self, _: Any) -> None:
        """Forget what is under computation for a tab that is closed."""
        self._closed = True

    def _answered(self, number: int, needs: Any) -> None:
        if number != self._asked:
            return
        names = machine_names(self.session.state)
        listed = texts.needs_list({names[side]: each for side, each in needs.items()})
        self.needs.object = f"<h2>What it takes</h2><div class='two'>{listed}</div>"


def _card(title: str, content: Any) -> Any:
    """A card that is closed at first."""
    return pn.Card(
        content, title=title, collapsed=True, sizing_mode="stretch_width", margin=(4, 10),
        stylesheets=[CARD],
    )  # fmt: skip


def _heading(words: str) -> Any:
    return pn.pane.HTML(f"<h2>{words}</h2>", stylesheets=[LOOK], margin=(4, 10, 0, 10))


def _raised(answer: Future) -> None:
    """Let what went wrong beside the moves be seen on the terminal, as what goes wrong in them."""
    if (error := answer.exception()) is not None:
        _log.error("what is needed could not be found", exc_info=error)
