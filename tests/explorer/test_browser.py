"""The explorer end to end, in a browser."""

import logging
import threading
import urllib.request
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlparse

import pytest
from selenium.webdriver.common.keys import Keys

import jaxlimits as jl
from jaxlimits.errors import InputError
from jaxlimits.explorer import server as serving
from jaxlimits.explorer.app import _solver
from jaxlimits.explorer.session import Session
from jaxlimits.explorer.start import start
from jaxlimits.explorer.texts import shown
from tests.explorer.conftest import Running
from tests.helpers import slow_but

_HANDLE = "return arguments[0].shadowRoot.querySelector('.noUi-handle')"


def slide(page, field, key):
    """Press a key on the handle of a field's slider."""
    slider = page.wait(lambda page: page.all(f".field-{field}"))[0]
    handle = page.wait(lambda page: page.driver.execute_script(_HANDLE, slider))
    handle.send_keys(key)


def speeds(**settings):
    at = {"tp_size": 8, "batch_size": 8, **settings}
    return [shown("utps", jl.evaluate("llama3-405b", chip, **at).utps) for chip in ("h200", "b200")]


@pytest.fixture
def page(browser, running):
    browser.problems()
    browser.requests()
    yield browser.open(running.url).loaded()
    assert browser.problems() == []


def test_it_loads_and_its_numbers_are_the_model_s(page):
    assert page.metric() == speeds()
    assert page.metric("stps")[0] == shown(
        "stps", jl.evaluate("llama3-405b", "h200", tp_size=8, batch_size=8).stps
    )
    page.wait(lambda page: "memory bandwidth" in "".join(page.text(".nearest")))


def test_nothing_is_fetched_from_elsewhere(page, running):
    asked = [url for url in page.requests() if not url.startswith(("data:", "blob:"))]
    assert asked
    host = urlparse(running.url).netloc
    assert {urlparse(url).netloc for url in asked} == {host}


def test_a_slider_moves_the_numbers_and_the_link_restores_them(page, running):
    page.press("button.card-header", text="Chip")
    slide(page, "mem_bw", Keys.END)
    moved = page.wait(lambda page: page.metric()[0] != speeds()[0] and page.metric())
    query = page.wait(lambda page: parse_qs(urlparse(page.driver.current_url).query))
    assert query["b.chip"] == ["b200"]
    bandwidth = query["mem_bw"][0]
    expected = jl.evaluate("llama3-405b", "h200", tp_size=8, batch_size=8, mem_bw=bandwidth)
    assert moved == [shown("utps", expected.utps), speeds()[1]]
    link = page.driver.current_url
    page.open("about:blank")
    page.open(link).loaded()
    assert page.metric() == moved


def test_the_ends_of_a_slider_are_words_or_numbers(page):
    page.press("button.card-header", text="Deployment")
    slide(page, "batch_size", Keys.END)
    page.wait(lambda page: any("does not fit" in words for words in page.text(".limit")))
    assert page.metric()[0] == "–"
    slide(page, "batch_size", Keys.HOME)
    page.wait(lambda page: page.metric()[0] == speeds(batch_size=1)[0])


def test_what_cannot_be_is_said(browser, running):
    browser.open(f"{running.url}?llm=llama3-405b&chip=h200&mem_bw=fast").loaded()
    assert "no number" in "".join(browser.text(".problem"))
    browser.open(f"{running.url}?llm=llama3-405b&chip=h200&ep_size=7")
    browser.wait(lambda page: "ep_size must divide" in "".join(page.text(".problem")))
    assert browser.problems() == []


_NAMELESS = """
const found = []
const text = (node) => [node.textContent, ...[...node.querySelectorAll("*")].map((each) =>
  each.shadowRoot ? text(each.shadowRoot) : "")].join("")
const walk = (root) => { for (const each of root.querySelectorAll("*")) {
  if (each.matches("input, select, textarea, button, [role=slider]")) {
    const label = each.labels?.[0]?.textContent || each.getAttribute("aria-label")
    const words = label || (each.matches("button") && text(each))
    if (!words?.trim() && each.checkVisibility()) found.push(each.outerHTML)
  }
  if (each.shadowRoot) walk(each.shadowRoot)
} }
walk(document)
return found
"""


def test_every_control_has_a_name_and_the_page_its_landmarks(page):
    page.press("button.card-header", text="Deployment")
    page.press("button.card-header", text="Axes")
    page.wait(lambda page: page.all(".field-batch_size"))
    page.wait(lambda page: page.driver.execute_script(_NAMELESS) == [])
    assert page.text("h1") == ["jaxlimits explorer"]
    assert [len(page.all(landmark)) for landmark in ("header", "aside[aria-label]", "main")] == [
        1, 1, 1,
    ]  # fmt: skip


@pytest.fixture
def emulated(page):
    """The page, and how to have the browser be a phone, dark or a printer."""
    command = page.driver.execute_cdp_cmd

    def emulate(media="", scheme="light", width=1400):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        command("Emulation.setEmulatedMedia", {"media": media, "features": [feature]})
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 700}
        command("Emulation.setDeviceMetricsOverride", size)
        return page

    yield emulate
    command("Emulation.setEmulatedMedia", {"media": "", "features": []})
    command("Emulation.clearDeviceMetricsOverride", {})


def place(page, selector):
    return page.driver.execute_script(
        "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector
    )


def test_a_phone_shows_one_column_below_the_bar(emulated):
    page = emulated(width=390)
    assert page.driver.execute_script("return document.documentElement.scrollWidth") == 390
    assert place(page, "#sidebar")["top"] >= place(page, "#main")["bottom"]
    page.driver.execute_script("window.scrollTo(0, 900)")
    page.wait(lambda page: place(page, "#main")["top"] < 0)
    bar = place(page, "#header")
    assert bar["top"] == 0
    assert bar["bottom"] < 200


_COLOURS = """
const figures = [...Bokeh.documents[0]._all_models.values()].filter((m) => m.type === "Figure")
return [getComputedStyle(document.body).backgroundColor, ...figures.map((f) => f.border_fill_color)]
"""


def test_a_dark_page_has_dark_figures_and_a_print_has_the_results_alone(emulated):
    def colours(page):
        return {*page.driver.execute_script(_COLOURS)}

    emulated(scheme="dark").wait(lambda page: colours(page) == {"rgb(21, 23, 27)", "#15171b"})
    emulated().wait(lambda page: colours(page) == {"rgb(255, 255, 255)", "#ffffff"})
    page = emulated(media="print", scheme="dark")
    assert place(page, "#sidebar")["height"] == 0
    main = page.driver.find_element("id", "main")
    assert main.value_of_css_property("overflow-y") == "visible"
    assert colours(page) >= {"rgb(255, 255, 255)"}


def inner(page, selector, kind="input"):
    """What a widget has inside."""
    find = "return arguments[0].shadowRoot.querySelector(arguments[1])"
    return page.driver.execute_script(find, page.all(selector)[0], kind)


def test_a_field_is_found_by_its_meaning_and_laid_along_an_axis_by_its_name(page):
    inner(page, ".find").send_keys("price of elec", Keys.ENTER)
    page.wait(lambda page: page.all(".field-electricity_price"))
    page.press("button.card-header", text="Axes")
    axis = page.wait(lambda page: inner(page, ".axis-x"))
    assert axis.get_attribute("value") == "mem_bw – memory bandwidth"
    axis.clear()
    axis.send_keys("batch_si", Keys.ENTER)
    page.wait(lambda page: "x=batch_size" in page.driver.current_url)


def test_the_bar_shows_and_sets_what_is_deployed(page):
    def box(name, kind="input"):
        return inner(page, f".bar-{name}", kind)

    shown_at = {name: box(name).get_attribute("value") for name in ("tp_size", "seq_len")}
    assert shown_at == {"tp_size": "8", "seq_len": "4,096"}
    assert box("weight_bits", "select").get_attribute("value") == "as stated"
    box("batch_size").send_keys(Keys.BACKSPACE, "16", Keys.ENTER)
    page.wait(lambda page: page.metric()[0] == speeds(batch_size=16)[0])
    box("weight_bits", "select").send_keys("4")
    page.wait(lambda page: page.metric()[0] == speeds(batch_size=16, weight_bits=4)[0])
    assert "weight_bits=4" in page.driver.current_url


def test_the_network_tells_of_an_operator_that_is_chosen_and_keeps_it(page):
    page.press("button.card-header", text="Operators")
    ffn = page.wait(lambda page: page.all('[data-operator="ffn"]'))[0]
    ffn.send_keys(Keys.ENTER)
    shown_details = "[data-of]:not([hidden])"
    before = page.wait(lambda page: page.text(shown_details))
    assert before[0].startswith("ffn: memory takes longer")
    inner(page, ".bar-batch_size").send_keys(Keys.BACKSPACE, "512", Keys.ENTER)
    page.wait(lambda page: page.text(shown_details)[0].startswith("ffn: compute takes longer"))
    (chosen,) = page.all('[aria-expanded="true"][data-operator]')
    assert chosen.get_attribute("data-operator") == "ffn"


@pytest.mark.parametrize("suffix", ["toml", "nc"])
def test_the_downloads_are_a_grid_and_a_result(page, suffix, tmp_path):
    file = page.folder / f"explored.{suffix}"
    file.unlink(missing_ok=True)
    # The first press has the file made, and then fetches it.
    page.driver.execute_script("arguments[0].click()", download(page, suffix))
    page.wait(lambda _: file.exists() and file.stat().st_size > 100)
    if suffix == "toml":
        text = file.read_text(encoding="utf-8").replace("num = 512", "num = 3")
        (tmp_path / "explored.toml").write_text(text, encoding="utf-8")
        assert dict(jl.sweep(tmp_path / "explored.toml").sizes) == {
            "chip": 2, "sync_latency": 3, "mem_bw": 3,
        }  # fmt: skip
        return
    with jl.open(file) as dataset:
        assert dict(dataset.sizes) == {"chip": 2, "sync_latency": 512, "mem_bw": 512}


def download(page, suffix):
    (widget,) = page.all(f".download-{suffix}")
    return page.driver.execute_script(
        "return arguments[0].shadowRoot.querySelector('button a')", widget
    )


@pytest.mark.parametrize("count", slow_but([2, 10], 2))
def test_tabs_at_once_and_none_is_left_when_they_are_closed(count, browser, running):
    driver = browser.driver
    first = driver.current_window_handle
    links = [
        f"{running.url}?llm=llama3-405b&chip=h200&tp_size=8&batch_size={n}"
        for n in range(1, count + 1)
    ]
    for link in links:
        driver.switch_to.new_window("tab")
        driver.get(link)
    tabs = [handle for handle in driver.window_handles if handle != first]
    assert len(tabs) == count
    for number, handle in enumerate(tabs, start=1):
        driver.switch_to.window(handle)
        browser.loaded()
        assert browser.metric()[0] == speeds(batch_size=number)[0]
        assert browser.problems() == []
        driver.close()
    driver.switch_to.window(first)
    browser.open("about:blank")
    browser.wait(lambda _: not running.sessions(), seconds=30.0)


def test_a_tab_that_is_closed_in_a_computation_leaves_no_line(page, running, caplog, monkeypatch):
    begun, end = threading.Event(), threading.Event()

    def slow(_):
        begun.set()
        end.wait(40.0)
        return {}

    monkeypatch.setattr(Session, "needs", slow)
    inner(page, ".bar-batch_size").send_keys(Keys.BACKSPACE, "4", Keys.ENTER)
    assert begun.wait(20.0)
    caplog.clear()
    page.open("about:blank")
    page.wait(lambda _: not running.sessions(), seconds=30.0)
    end.set()
    _solver.submit(int).result(20.0)  # after what it was at
    running.settle()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_second_one_on_the_same_port_says_so_and_takes_another(running):
    other = Running(begun=start(), port=running.server.port)
    try:
        assert other.server.port != running.server.port
        assert other.said == [f"port {running.server.port} is in use; took {other.server.port}"]
        assert urllib.request.urlopen(other.url).status == 200
    finally:
        other.stop()


def test_beyond_this_machine_the_address_needs_the_token():
    with pytest.raises(InputError, match="add `token=SECRET`"):
        serving.check_address("0.0.0.0", None)
    for address in ("127.0.0.1", "localhost", "::1", "127.9.9.9"):
        serving.check_address(address, None)
    guarded = Running(begun=start(), address="127.0.0.1", port=5306, token="secret")
    try:
        for query in ("", "?token=wrong"):
            for path in ("", "ws"):
                with pytest.raises(HTTPError, match="403"):
                    urllib.request.urlopen(f"{guarded.url}{path}{query}")
        assert urllib.request.urlopen(f"{guarded.url}?token=secret").status == 200
        url = serving.address_of(guarded.server, address="127.0.0.1", token="secret")
        assert url == f"{guarded.url}?token=secret"
    finally:
        guarded.stop()


def test_a_token_lets_a_page_work_and_stays_in_its_link(browser):
    guarded = Running(begun=start(), port=5406, token="secret")
    try:
        browser.open(f"{guarded.url}?token=secret").loaded()
        browser.press("button.card-header", text="Chip")
        slide(browser, "mem_bw", Keys.HOME)
        browser.wait(lambda page: "mem_bw=" in page.driver.current_url.partition("&x=")[0])
        assert "token=secret" in browser.driver.current_url
        assert browser.problems() == []
    finally:
        browser.open("about:blank")
        guarded.stop()


def test_without_a_display_no_browser_is_tried(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("webbrowser.open", lambda _: pytest.fail("opened"))
    assert not serving.open_browser("http://127.0.0.1:1/")
    monkeypatch.setenv("DISPLAY", ":0")
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url) or True))
    assert serving.open_browser("http://127.0.0.1:1/")
    assert opened == ["http://127.0.0.1:1/"]
