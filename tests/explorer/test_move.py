"""What a move costs the server: numbers, figures, open cards and all."""

import time

from bokeh.document import Document
from panel.io.state import set_curdoc

from jaxlimits.explorer.app import App
from jaxlimits.explorer.server import Page
from jaxlimits.explorer.start import start

MOVE = 0.2
"""What a move may cost [s]."""


def test_a_move_with_open_cards_costs_little_server_time(monkeypatch):
    monkeypatch.setattr(App, "_ask", lambda _: None)  # what is needed is found beside the moves
    document = Document()
    with set_curdoc(document):
        app = App(start(), "")
        app.page(Page(title="explorer"))._init_doc(document)
        for card in app.cards[:3]:
            card.view.collapsed = False
        assert sum(len(card.controls.fields) for card in app.cards) > 70
        times = []
        for step in range(7):
            app.session.set("a", "mem_bw", f"{step + 1} TB/s")
            started = time.thread_time()
            app._follow()
            times.append(time.thread_time() - started)
        assert app.maps["a"].figure.title.text.startswith("A: llama3-405b on h200")
    assert sorted(times)[len(times) // 2] < MOVE, times
