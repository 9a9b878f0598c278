"""The page as people use it: in a browser, from files, without a network."""

import json
import re
from urllib.parse import parse_qs, urlparse

import pytest
from selenium.webdriver.common.keys import Keys

import jaxlimits as jl
from tests.catalog.releases import RELEASES
from tests.command_line import run

MOST_BYTES = 1_500_000

QWEN = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "head_dim": 128,
    "hidden_size": 5120,
    "intermediate_size": 25600,
    "num_attention_heads": 64,
    "num_hidden_layers": 64,
    "num_key_value_heads": 8,
    "sliding_window": None,
    "torch_dtype": "bfloat16",
    "use_sliding_window": False,
    "vocab_size": 151936,
}
OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"
CHIP = """\
# A chip of my own
[chips.mine]
title = "My chip"
peak_flops = "2 PFLOP/s"
peak_vector_flops = "70 TFLOP/s"
mem_bw = "4 TB/s"  # HBM
mem_capacity = "96 GB"
link_bw = "0.45 TB/s"
"""


@pytest.fixture
def page(browser, folder):
    browser.problems()
    browser.requests()
    # Another address than before is a page opened anew, not a jump within it.
    browser.open("about:blank").open((folder / "index.html").as_uri())
    yield browser
    assert browser.problems() == []


@pytest.fixture(scope="module")
def opened(browser, folder):
    """The page, opened once for tests that leave it as it was."""
    return browser.open("about:blank").open((folder / "index.html").as_uri())


def said(page, name):
    return page.driver.execute_script(
        "return document.getElementById(arguments[0]).textContent", name
    )


def metrics(page):
    return page.driver.execute_script("return jaxlimits.page.found.metrics")


def at(page):
    """The fields of the point, in SI units."""
    return page.driver.execute_script("return jaxlimits.page.fields")


def field(page, name, text):
    """Write into the input of a field, as a person does."""
    box = page.driver.find_element("id", f"field-{name}")
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(text or Keys.DELETE, Keys.TAB)
    return box


def choose(page, name, text):
    box = page.driver.find_element("id", name)
    box.click()
    box.send_keys(text, Keys.TAB)


def drop(page, name, text):
    """Drop a file on the page."""
    page.driver.execute_script(
        """const moved = new DataTransfer();
        moved.items.add(new File([arguments[1]], arguments[0]));
        const how = {dataTransfer: moved, bubbles: true, cancelable: true};
        document.dispatchEvent(new DragEvent("drop", how));""",
        name,
        text,
    )
    return page.wait(lambda page: said(page, "file-said"), seconds=5.0)


def at_first(**settings):
    point = {"tp_size": 8, "batch_size": 16, "seq_len": 8192, **settings}
    return jl.evaluate("llama3-70b", "h100", x64=True, **point)


def test_it_opens_with_an_answer_a_map_and_its_sources(page):
    expected = at_first()
    assert metrics(page)["utps"] == pytest.approx(expected.utps, rel=1e-12)
    assert said(page, "binding").startswith("memory binds; once that is")
    assert f"{expected.utps:.1f} token/s" in said(page, "tiles")
    page.wait(lambda page: said(page, "map-said").startswith("The cross: batch size 16"))
    assert "Sources of h100: NVIDIA H100 datasheet" in said(page, "sources")
    assert jl.__version__ in said(page, "version")


def test_no_request_leaves_the_folder(page, folder):
    page.wait(lambda page: said(page, "map-said"))
    asked = {url for url in page.requests() if not url.startswith(("data:", "about:"))}
    inside = {path.as_uri() for path in folder.iterdir()}
    assert len(asked) > 10
    assert {url.partition("#")[0] for url in asked} <= inside


def test_no_file_names_an_address_to_load(folder):
    shipped = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    for name, text in shipped.items():
        assert not re.search(r"(?:src|href)=\"(?!data:)[^\"]*//", text), name
        assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", text), (
            name
        )
        if name != "data.js":  # sources of numbers are addresses that people read
            assert "http:" not in text, name
            assert "https:" not in text, name
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', shipped["index.html"])
    assert policy
    assert policy[1].startswith("default-src 'none'")


def test_a_script_of_another_place_would_be_refused(page):
    """The page's own policy, whatever stands in its files."""
    page.driver.execute_async_script(
        """const done = arguments[0], image = new Image();
        image.onerror = image.onload = () => setTimeout(done, 100);
        image.src = "file:///elsewhere.png";"""
    )
    problems = page.problems()
    assert any("Content Security Policy" in problem for problem in problems)


def test_the_folder_is_small(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES


def test_what_is_typed_counts_at_once_and_the_link_restores_it(page):
    field(page, "tp_size", "4")
    choose(page, "llm", "Llama3 8B")
    choose(page, "chip", "H200-SXM")
    field(page, "batch_size", "32")
    found = metrics(page)
    settings = {"tp_size": 4, "batch_size": 32, "seq_len": 8192}
    expected = jl.evaluate("llama3-8b", "h200", x64=True, **settings)
    assert found["bytes_per_chip"] == pytest.approx(expected.bytes_per_chip, rel=1e-12)
    link = page.driver.current_url
    asked = {name: value for name, (value,) in parse_qs(urlparse(link).fragment).items()}
    assert (asked["llm"], asked["chip"]) == ("llama3-8b", "h200")
    assert {name: float(asked[name]) for name in settings} == settings
    page.open("about:blank").open(link)
    assert metrics(page) == found
    assert page.driver.find_element("id", "field-batch_size").get_property("value") == "32"


def test_values_take_units_and_a_wrong_one_is_named_beside_its_field(page):
    page.driver.execute_script("document.querySelector('#further details').open = true")
    page.wait(lambda page: page.driver.find_elements("id", "field-mem_bw"))
    field(page, "mem_bw", "4800 GB/s")
    assert at(page)["mem_bw"] == 4.8e12
    box = page.driver.find_element("id", "field-mem_bw")
    assert box.get_property("value") == "4.8"
    for text, words in {
        "fast": "mem_bw = fast: no number; write it as 18 TB/s",
        "4 GB": "mem_bw = 4 GB: GB is not a unit of this field; write it as 18 TB/s",
        "0": "mem_bw = 0: must be a number, above 0",
        "-3": "mem_bw = -3: must be a number, above 0",
    }.items():
        field(page, "mem_bw", text)
        assert said(page, "wrong-mem_bw") == words
        assert box.get_attribute("aria-invalid") == "true"
        assert at(page)["mem_bw"] == 4.8e12
    field(page, "mem_bw", "")
    assert at(page)["mem_bw"] == 3.35e12
    field(page, "batch_size", "2.5")
    assert "must be a whole number" in said(page, "wrong-batch_size")
    choose(page, "chip", "h1000")
    assert said(page, "chip-wrong") == "unknown chip 'h1000'"


def test_what_does_not_fit_or_cannot_be_is_said_with_its_reason(page):
    field(page, "tp_size", "1")
    assert said(page, "binding").startswith("does not fit: it needs 2.03× the usable memory")
    assert "does not fit" in said(page, "tiles")
    field(page, "tp_size", "3")
    field(page, "ep_size", "2")
    assert said(page, "binding") == "This point cannot be."
    problem = "ep_size must divide tp_size * dp_size; choose another ep_size"
    assert problem in said(page, "problems")
    field(page, "ep_size", "1")
    assert said(page, "problems") == ""
    field(page, "tp_size", "16")
    choose(page, "chip", "trainium2")
    assert "power or price not stated" in said(page, "metrics")
    assert "no request stated" in said(page, "metrics")


def test_a_request_has_metrics_of_its_own(page):
    field(page, "input_len", "4 Ki")
    field(page, "output_len", "256")
    assert (at(page)["input_len"], at(page)["output_len"]) == (4096, 256)
    assert 0.0 < metrics(page)["ttft"] < metrics(page)["request_latency"]
    assert "time to the first token" in said(page, "tiles")
    assert not page.driver.find_element("id", "field-seq_len").is_enabled()
    page.wait(lambda page: "prompt 4,096 token" in said(page, "map-said"))


def test_a_wrong_link_says_what_is_wrong_and_shows_the_rest(page, folder):
    link = "#llm=gpt-9&chip=h200&tp_size=0&speed=3&mem_bw=fast&batch_size=4"
    link += "&map.metric=joy&map.x_from=-1"
    page.open("about:blank").open(f"{(folder / 'index.html').as_uri()}{link}")
    problems = page.text("#problems p")
    assert problems == [
        "the link: unknown llm 'gpt-9'",
        "the link: tp_size = 0: must be a whole number, at least 1 and at most 65536",
        "the link: unknown name 'speed'",
        "the link: mem_bw = fast: must be a number, above 0",
        "the link: unknown metric of the map 'joy'",
        "the link: map.x_from = -1: must be a number above 0",
    ]
    assert page.driver.execute_script("return jaxlimits.page.state.set") == {"batch_size": 4}
    assert page.driver.execute_script("return jaxlimits.page.state.chip") == "h200"


def test_a_dropped_config_and_chip_are_the_package_s_own_and_travel_in_the_link(page, tmp_path):
    assert drop(page, "config.json", json.dumps(QWEN)) == "The page uses the model of config.json."
    page.driver.execute_script("document.getElementById('file-said').textContent = ''")
    assert drop(page, "mine.toml", CHIP) == "The page uses the chip of mine.toml."
    (tmp_path / "config.json").write_text(json.dumps(QWEN), encoding="utf-8")
    (tmp_path / "mine.toml").write_text(CHIP, encoding="utf-8")
    catalog = jl.load_catalog(tmp_path / "mine.toml")
    settings = {"tp_size": 8, "batch_size": 16, "seq_len": 8192}
    model = str(tmp_path / "config.json")
    expected = jl.evaluate(model, "mine", x64=True, catalog=catalog, **settings)
    found = metrics(page)
    for name in ("utps", "stps", "weight_bytes", "kv_bytes", "t_compute", "t_sync", "limit_factor"):
        assert found[name] == pytest.approx(getattr(expected, name), rel=1e-12), name
    assert expected.power != expected.power  # the chip states none
    assert found["power"] is None
    link = page.driver.current_url
    page.open("about:blank").open(link)
    assert metrics(page) == found
    assert page.driver.find_element("id", "chip").get_property("value") == "mine"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("config.json", "{", "config.json: is not JSON"),
        ("config.json", "[1]", "config.json: must be a table"),
        ("config.json", '{"a": 1}', "config.json: is neither a model nor a chip"),
        ("config.json", '{"model_type": "qwen3"}', "config.json: num_hidden_layers: is missing"),
        ("config.json", '{"model_type": "gpt-9"}', 'model_type = "gpt-9": is a family whose'),
        ("chip.json", '{"mem_bw": 4}', 'mem_bw = 4: a bare number; write it with its unit, as "18'),
        ("chip.json", '{"mem_bw": "4 TB/s"}', "chip.json: lacks peak_flops"),
        ("chip.json", '{"mem_bw": "4 TB/s", "wheels": 4}', "unknown field 'wheels' of a chip"),
        ("chip.json", '{"mem_bw": [4]}', "mem_bw = [4]: is not a number"),
        ("chip.toml", "mem_bw = 3", "chip.toml: line 1: the page reads a line [chips.NAME]"),
        ("chip.toml", "", "chip.toml: has 0 entries; the page reads a file of one"),
        ("chip.toml", '[chips.a]\nlike = "h100"', 'like = "h100": the page reads an entry that'),
        ("chip.toml", '[chips.a]\nmem_bw = "4"', "mem_bw = 4: a bare number"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_remedy(opened, name, text, words):
    before = metrics(opened)
    opened.driver.execute_script("document.getElementById('file-said').textContent = ''")
    assert words in drop(opened, name, text)
    assert metrics(opened) == before


def test_a_quantised_model_is_left_to_the_command_that_reads_it(opened):
    config = {**QWEN, "quantization_config": {"quant_method": "fp8"}}
    opened.driver.execute_script("document.getElementById('file-said').textContent = ''")
    words = drop(opened, "config.json", json.dumps(config))
    assert "quantization_config: the page reads no quantised model" in words
    assert "run `jaxlimits catalog llms config.json --json > model.json`" in words


def test_what_the_catalog_command_prints_can_be_dropped(page, tmp_path):
    """So does a quantised model get to the page."""
    scheme = {"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e4m3"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**QWEN, "quantization_config": scheme}), encoding="utf-8")
    words = drop(page, "model.json", run("catalog", "llms", path, "--json").out)
    assert words == "The page uses the model of model.json."
    expected = by_package(json.loads(path.read_text(encoding="utf-8")), tmp_path)
    assert expected["ffn_bits"] < 16.0 == expected["head_bits"]
    assert {name: at(page)[name] for name in expected} == expected
    page.driver.execute_script("document.getElementById('file-said').textContent = ''")
    drop(page, "chip.json", run("catalog", "chips", "b200", "--json").out)
    known = jl.load_catalog().values("chip", "b200")
    for name in ("peak_flops", "mem_bw", "link_bw", "sync_latency", "base_power", "chip_price"):
        assert at(page)[name] == pytest.approx(known[name], rel=1e-15), name


def by_package(config, tmp_path):
    """What the package makes of a configuration: fields that are not a default, or an error."""
    from jaxlimits.catalog.loader import entry_values
    from jaxlimits.catalog.model_config import read_model_config

    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    try:
        return entry_values(read_model_config(path, name="own"))
    except jl.InputError as error:
        return str(error)


def test_every_published_config_is_read_as_the_package_reads_it(page, tmp_path):
    configs = {name: release.config for name, release in RELEASES.items()}
    read = page.driver.execute_script(
        """return Object.fromEntries(Object.entries(arguments[0]).map(([name, config]) => {
          try {
            const {values} = jaxlimits.config.read(config, "config.json");
            return [name, jaxlimits.point.model_values(values)];
          } catch (error) { return [name, error.message]; }
        }))""",
        configs,
    )
    agreed = 0
    for name, found in read.items():
        expected = by_package(configs[name], tmp_path)
        if isinstance(found, str):
            left_to_the_package = "jaxlimits catalog llms" in found
            assert left_to_the_package or isinstance(expected, str), (name, found)
            continue
        assert found == expected, name
        agreed += 1
    assert agreed > 0.8 * len(configs)


def test_the_map_is_the_model_and_moves_the_point(page):
    page.wait(lambda page: said(page, "map-said"))
    canvas = page.driver.find_element("id", "map")
    page.driver.execute_script("arguments[0].focus()", canvas)
    before = page.driver.execute_script("return jaxlimits.page.state.set.seq_len")
    canvas.send_keys(Keys.ARROW_UP)
    after = page.driver.execute_script("return jaxlimits.page.state.set.seq_len")
    assert after > before
    page.wait(lambda page: f"context {after:,.0f} token" in said(page, "map-said"))
    assert metrics(page)["utps"] == pytest.approx(at_first(seq_len=after).utps, rel=1e-12)
    code = """
        const at = jaxlimits.page.fields, names = ["utps", "limit", "capacity_utilisation"];
        const [x, y] = [0, 2].map(n => ({name: arguments[n], values: arguments[n + 1]}));
        const found = jaxlimits.point.map(at, x, y, names);
        return names.every(name => y.values.every((b, row) => x.values.every((a, column) => {
          const {metrics} = jaxlimits.point.evaluate({...at, [x.name]: a, [y.name]: b});
          return Object.is(metrics[name], found[name][row * x.values.length + column]);
        })))"""
    for axes in (
        ("batch_size", [1, 8, 64, 4096], "seq_len", [256, 65536]),
        ("mem_bw", [1e12, 8e12], "ep_size", [1, 2]),
        ("tp_size", [1, 2, 64], "pp_size", [1, 4]),
        ("sync_latency", [0, 1e-6], "weight_bits", [0, 4, 16]),
    ):
        assert page.driver.execute_script(code, *axes), axes


def test_the_map_says_why_a_metric_has_no_value_and_where_the_point_is_not(page):
    def set_map(**changes):
        page.driver.execute_script("jaxlimits.page.set_map(arguments[0])", changes)

    set_map(metric="ttft")
    page.wait(lambda page: "has no value: no request stated" in said(page, "map-said"))
    set_map(metric="stps", x="weight_bits")  # 0: as the model is released
    page.wait(lambda page: said(page, "map-said") == "The point lies outside the map.")
    set_map(x="mem_bw", x_from=5e12, x_to=9e12)
    page.wait(lambda page: said(page, "map-said") == "The point lies outside the map.")
    set_map(x_from=2e12)
    page.wait(lambda page: "memory bandwidth 3.35 TB/s" in said(page, "map-said"))
    for which in ("x", "y"):  # a menu gives its axis the usual range
        menu = page.driver.find_element("id", f"map-{which}")
        menu.find_element("css selector", "option[value=seq_len]").click()
    page.wait(lambda page: said(page, "map-said").startswith("The cross: context 8,192"))


def test_every_input_has_a_label_and_the_page_its_landmarks(page):
    page.driver.execute_script(OPEN_ALL)
    page.wait(lambda page: len(page.all("#further input")) > 50)
    nameless = page.driver.execute_script(
        """const named = each => (each.labels && each.labels.length)
          || each.getAttribute("aria-label") || each.textContent;
        return [...document.querySelectorAll("input, select, canvas, button")]
          .filter(each => !named(each)).map(each => each.outerHTML)"""
    )
    assert nameless == []
    ids = page.driver.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    for selector in ("html[lang]", "main", "header", "h1", 'meta[name="viewport"]', "a.skip"):
        assert len(page.all(selector)) == 1, selector


def test_a_link_within_the_page_leaves_the_point_as_it_is(page):
    field(page, "batch_size", "24")
    link = page.driver.current_url
    for within in page.all('a[href="#result"]'):
        page.driver.execute_script("arguments[0].click()", within)
        assert page.driver.execute_script("return document.activeElement.id") == "result"
    assert page.driver.current_url == link
    assert at(page)["batch_size"] == 24
    assert said(page, "problems") == ""
    assert said(page, "brief").endswith("memory binds")


def test_on_a_phone_it_is_one_column_that_does_not_scroll_sideways(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.driver.execute_script(OPEN_ALL)
        form, result, width = page.driver.execute_script(
            """const left = id => document.getElementById(id).getBoundingClientRect().left;
            return [left("form"), left("result"), document.documentElement.scrollWidth]"""
        )
        assert form == result
        assert width == 390
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_follows_the_dark_mode(page):
    def paper(scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        return page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")

    assert paper("light") == "rgb(255, 255, 255)"
    assert paper("dark") == "rgb(21, 23, 27)"
    paper("light")
