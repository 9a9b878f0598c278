"""``jaxlimits optimise``: tables, JSON, files, exit codes and bad input."""

import pytest

import jaxlimits as jl
from tests.command_line import run

GOOD = """
[base]
llm = "llama3-70b"
chip = "xpu-hbm4"
tp_size = 8
[vary]
mem_bw = { from = "1 TB/s", to = "40 TB/s" }
batch_size = [1, 8]
[price.die_area.terms]
mem_bw = { add = "20 mm^2", at = "1 TB/s" }
[objective]
maximise = "utps"
[[budget]]
of = "die_area"
at_most = "400 mm^2"
"""


@pytest.fixture(autouse=True)
def good(folder):
    (folder / "good.toml").write_text(GOOD)


def test_a_design_is_a_table_a_file_and_json():
    done = run("optimise", "good.toml", "-o", "best.nc")
    assert done.code == 0, done.err
    for text in ("mem_bw", "20 TB/s", "die_area_at_most", "100.0% of 400 mm²", "wrote best.nc"):
        assert text in done.out
    with jl.open("best.nc") as stored:
        assert float(stored.mem_bw) == pytest.approx(20e12, rel=1e-5)
    (design,) = run("optimise", "good.toml", "--json").json["designs"]
    assert design["mem_bw"] == pytest.approx(20e12, rel=1e-5)
    assert design["status"] == "optimal"
    assert design["mem_bw_bound"] == "inside"
    assert design["unmet"] == []


def test_options_state_a_problem_without_a_file():
    done = run(
        *("optimise", "--set", "llm=llama3-70b", "--set", "chip=xpu-hbm4", "--set", "tp_size=8"),
        *("--vary", "mem_bw=1 TB/s..40 TB/s", "--vary", "batch_size=1,8"),
        *("--maximise", "utps", "--at-most", "power=12 kW,14 kW", "--json"),
    )
    assert done.code == 0, done.err
    designs = done.json["designs"]
    assert [design["power_at_most"] for design in designs] == [12e3, 14e3]
    for design in designs:
        assert design["power"] == pytest.approx(design["power_at_most"], rel=1e-4)
        assert design["batch_size"] == 1.0


def test_what_cannot_be_met_is_named_with_exit_code_1():
    done = run("optimise", "good.toml", "--at-least", "utps=1500 token/s")
    assert done.code == 1
    assert "die_area_at_most, utps_at_least cannot be met together" in done.out
    done = run("optimise", "good.toml", "--at-most", "die_area=1 mm^2,400 mm^2")
    assert done.code == 0
    assert "die_area_at_most cannot be met" in done.out


CASES = {
    "an unknown field": ("mem_bw = {", "mem_bww = {", ["vary.mem_bww", "mem_bw"]),
    "a range of whole numbers": (
        "batch_size = [1, 8]",
        "batch_size = { from = 1, to = 8 }",
        ["vary.batch_size", "whole number", "pow2"],
    ),
    "a range of names": (
        "batch_size = [1, 8]",
        "roofline = { from = 'step', to = 'operator' }",
        ["vary.roofline", "names have no range"],
    ),
    "reversed bounds": (
        '{ from = "1 TB/s", to = "40 TB/s" }',
        '{ from = "40 TB/s", to = "1 TB/s" }',
        ["vary.mem_bw", "'40 TB/s'", "not below"],
    ),
    "a range from zero": ('from = "1 TB/s"', 'from = "0 TB/s"', ["vary.mem_bw.from", "above 0"]),
    "half a range": ('from = "1 TB/s", ', "", ["vary.mem_bw", "both from and to"]),
    "a range and values": ('from = "1 TB/s"', "values = ['2 TB/s']", ["vary.mem_bw", "both"]),
    "nothing that varies": (
        GOOD[GOOD.index("[vary]") : GOOD.index("[price")],
        "",
        ["vary", "nothing varies"],
    ),
    "a fixed field that varies": ("tp_size = 8", "batch_size = 8", ["batch_size", "twice"]),
    "no objective": ('maximise = "utps"', "", ["objective", "is missing"]),
    "two objectives": (
        'maximise = "utps"',
        'maximise = "utps"\nminimise = "power"',
        ["objective", "both"],
    ),
    "an unknown objective": ('"utps"', '"utpss"', ["objective.maximise", "'utpss'", "utps"]),
    "a code as objective": ('"utps"', '"limit"', ["objective.maximise", "'limit'"]),
    "an unknown budget": ('of = "die_area"', 'of = "die_are"', ["budget.die_are", "die_area"]),
    "a budget with a wrong unit": ('"400 mm^2"', '"400 W"', ["budget.die_area.at_most", "area"]),
    "a budget without a unit": ('"400 mm^2"', "400", ["budget.die_area.at_most", "bare"]),
    "a budget without a bound": ('at_most = "400 mm^2"', "", ["budget.die_area", "one bound"]),
    "a budget of zero": ('"400 mm^2"', '"0 mm^2"', ["budget.die_area.at_most", "above 0"]),
    "a sweep of one": ('"400 mm^2"', '["400 mm^2"]', ["budget.die_area.at_most", "two or more"]),
    "a sweep without num": (
        '"400 mm^2"',
        '{ geometric = ["1 mm^2", "2 mm^2"] }',
        ["budget.die_area.at_most", "num"],
    ),
    "the same budget twice": (
        "[[budget]]",
        '[[budget]]\nof = "die_area"\nat_most = "1 mm^2"\n[[budget]]',
        ["budget", "die_area_at_most", "twice"],
    ),
    "a price that is also set": (
        "tp_size = 8",
        'die_area = "1 mm^2"',
        ["price.die_area", "twice"],
    ),
    "a price with the unit of something else": (
        'add = "20 mm^2"',
        'add = "20 W"',
        ["price.die_area.terms.mem_bw.add", "area"],
    ),
    "a price at a wrong unit": ('at = "1 TB/s"', 'at = "1 TB"', ["terms.mem_bw.at", "TB/s"]),
    "a price of an unknown field": (
        "mem_bw = { add",
        "memory_bw = { add",
        ["price.die_area.terms.memory_bw", "mem_bw"],
    ),
    "a price without a unit": ("price.die_area", "price.board", ["price.board", "no unit"]),
    "a price of a whole number": ("price.die_area", "price.dp_size", ["price.dp_size", "whole"]),
    "a price of a metric": ("price.die_area", "price.utps", ["price.utps", "cannot be priced"]),
    "a power of zero": ('at = "1 TB/s"', 'at = "1 TB/s", power = 0.0', ["power", "not 0"]),
    "an unknown key": ("[objective]", "[objectives]", ["'objectives'", "objective"]),
    "an unknown key of a term": ("add =", "ad =", ["price.die_area.terms.mem_bw", "add"]),
    "malformed TOML": ("[vary]", "[vary", ["line"]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_input_is_refused_by_file_and_key_and_leaves_no_file(case, folder):
    old, new, says = case
    assert old in GOOD
    (folder / "bad.toml").write_text(GOOD.replace(old, new))
    done = run("optimise", "bad.toml", "-o", "out.nc")
    assert done.code == 2, done.out + done.err
    assert done.err.count("\n") == 1
    for text in ("bad.toml", *says):
        assert text in done.err
    assert not (folder / "out.nc").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], ["no problem", "speed_by_die"]),
        (["speed_by_di"], ["'speed_by_di'", "speed_by_die"]),
        (["missing.toml"], ["missing.toml", "no such file"]),
        (["good.toml", "--vary", "mem_bw"], ["--vary", "name=value"]),
        (["good.toml", "--at-most", "power=20"], ["power", "'20'", "bare"]),
        (["good.toml", "--starts", "0"], ["starts", "1"]),
    ],
)
def test_a_bad_argument_is_refused(args, says):
    done = run("optimise", *args)
    assert done.code == 2, done.out
    for text in says:
        assert text in done.err


def test_an_existing_file_is_kept(folder):
    (folder / "there.nc").write_text("mine")
    done = run("optimise", "good.toml", "-o", "there.nc")
    assert done.code == 1
    assert "--force" in done.err
    assert (folder / "there.nc").read_text() == "mine"
