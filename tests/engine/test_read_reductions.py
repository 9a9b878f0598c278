"""``[reduce.NAME]`` tables: what is refused, and in which words."""

import pytest

import jaxlimits as jl
from jaxlimits.engine.bins import LogBins
from jaxlimits.engine.read_reductions import read_reductions
from jaxlimits.engine.reductions import REDUCTIONS
from jaxlimits.errors import InputError
from jaxlimits.run.pipeline import load_grid
from tests.command_line import run

BASE = '[base]\nllm = "llama3-8b"\nchip = "h100"\ntp_size = 8\n'
AXES = """
seq_len = ["4 Ki", "8 Ki"]
batch_size = { values = [1, 8, 32], with = { sync_latency = ["1 us", "2 us", "3 us"] } }
"""


@pytest.fixture
def reductions_of(tmp_path):
    """Load a grid of this text; return its reductions."""

    def read(text):
        path = tmp_path / "grid.toml"
        path.write_text(text, encoding="utf-8")
        return read_reductions(load_grid(path))

    return read


@pytest.fixture
def reduce(reductions_of):
    """Load a grid with this reduction; return the reduction."""

    def reduced(body, name="found"):
        (reduction,) = reductions_of(f"{BASE}[axes]{AXES}\n[reduce.{name}]\n{body}\n")
        return reduction

    return reduced


@pytest.fixture
def refused(reduce):
    def message(body, name="found"):
        with pytest.raises(InputError) as caught:
            reduce(body, name)
        return str(caught.value)

    return message


@pytest.mark.parametrize(
    ("body", "key", "says"),
    [
        ("op='median'\nof='utps'", "op = 'median'", ["unknown", "mean, ", "quantiles"]),
        ("op=['max']\nof='utps'", "op = ['max']", ["string"]),
        ("of='utps'", "op", ["required"]),
        ("op='max'", "of", ["required"]),
        ("op='max'\nof='utsp'", "", ["unknown metric 'utsp'", "did you mean utps"]),
        ("op='max'\nof='mem_bw'", "", ["unknown metric 'mem_bw'", "known: "]),
        (
            "op='argmax'\nof='utps'\nalso=['limits']",
            "",
            ["unknown metric", "did you mean limit or next_limit?"],
        ),
        ("op='max'\nof='utps'\nover=['batchsize']", "over", ["'batchsize'", "batch_size"]),
        ("op='max'\nof='utps'\nover=['mem_bw']", "over", ["unknown axis", "batch_size, seq_len"]),
        ("op='max'\nof='utps'\nover=[]", "over = []", ["at least one axis"]),
        ("op='max'\nof='utps'\nover='seq_len'", "over = 'seq_len'", ["list"]),
        ("op='max'\nof='utps'\nk=3", "", ["max takes no 'k'", "takes of, op, over"]),
        ("op='mean'\nof='utps'\nalso=['stps']", "", ["mean takes no 'also'"]),
        ("op='quantiles'\nof='utps'\nbins=9", "", ["takes no 'bins'", "at, of, op, over"]),
        ("op='max'\nof='utps'\nfrist=3", "frist", ["unknown key", "did you mean first?"]),
        ("op='max'\nof=['utps', 'stps']", "of = ['utps', 'stps']", ["max takes one metric"]),
        ("op='max'\nof=[]", "of = []", ["one metric"]),
        ("op='max'\nof='limit'", "of = 'limit'", ["no order", "op = 'count'"]),
        ("op='count'\nof='utps'", "of = 'utps'", ["only codes", "limit, feasible"]),
        ("op='count'\nof=['limit', 'feasible']", "of = ", ["count takes one metric"]),
        ("op='top'\nof='utps'\nk=0", "k = 0", ["1"]),
        ("op='top'\nof='utps'\nk=5000", "k = 5000", ["4096"]),
        ("op='top'\nof='utps'\nk=true", "k = True", ["integer"]),
        ("op='top'\nof='utps'\nover=['seq_len']", "over", ["whole grid", "leave over out"]),
        ("op='quantiles'\nof='utps'\nat=[0.5, 1.5]", "at = 1.5", ["[0, 1]"]),
        ("op='quantiles'\nof='utps'\nat=[-0.01]", "at = -0.01", ["[0, 1]"]),
        ("op='quantiles'\nof='utps'\nat=[nan]", "at = nan", ["[0, 1]"]),
        ("op='quantiles'\nof='utps'\nat=0.5", "at = 0.5", ["list"]),
        ("op='quantiles'\nof='utps'\nat=[]", "at = []", ["at least one", "at = [0.05, 0.5, 0.95]"]),
    ],
)
def test_a_reduction_that_cannot_be_is_refused(refused, body, key, says):
    assert_names(refused(body), key, says)


@pytest.mark.parametrize(
    ("body", "key", "says"),
    [
        ("of='utps'", "of = ['utps']", ["two or three metrics"]),
        ("of=['utps', 'stps', 'power', 't_step']", "of = ", ["two or three metrics"]),
        ("of=['utps', 'utps']", "of = ", ["two or three metrics"]),
        ("of=['utps', 'limit']", "of = 'limit'", ["no order"]),
        ("of=['utps', 'spts']", "", ["unknown metric 'spts'", "stps"]),
        ("of=['utps', 'stps']\nminimise=['power']", "", ["power", "does not reduce"]),
        ("of=['utps', 'stps']\nminimise=['pwer']", "", ["unknown metric 'pwer'", "power"]),
        ("of=['utps', 'stps']\nover=['seq_len']", "over", ["whole grid", "leave over out"]),
    ],
)
def test_a_frontier_that_cannot_be_is_refused(refused, body, key, says):
    assert_names(refused(f"op='frontier'\n{body}"), key, says)


@pytest.mark.parametrize(
    ("body", "key", "says"),
    [
        ("last='3 token/s'", "", ["needs first", "token/s'"]),
        ("first='3 token/s'", "", ["needs last", "token/s'"]),
        ("first=3\nlast='9 token/s'", "first = 3", ["bare number", "unit", "token/s'"]),
        ("first='3'\nlast='9 token/s'", "first", ["bare number", "unit"]),
        ("first='3 us'\nlast='9 token/s'", "first", ["'3 us'", "token rate"]),
        ("first='3 token/s'\nlast='1 ms'", "last", ["'1 ms'", "token rate"]),
        ("first=true\nlast='9 token/s'", "first = True", ["not a number"]),
        ("first='nan token/s'\nlast='9 token/s'", "first", ["finite"]),
        ("first='9 token/s'\nlast='3 token/s'", "", ["first must lie above 0 and below last"]),
        ("first='3 token/s'\nlast='3 token/s'", "", ["first must lie above 0 and below last"]),
        ("first='0 token/s'\nlast='3 token/s'", "", ["first must lie above 0 and below last"]),
        ("first='1 token/s'\nlast='3 token/s'\nbins=0", "bins = 0", ["1"]),
        ("first='1 token/s'\nlast='3 token/s'\nbins=2.5", "bins = 2.5", ["integer"]),
    ],
)
def test_a_histogram_that_cannot_be_is_refused(refused, body, key, says):
    assert_names(refused(f"op='histogram'\nof='utps'\n{body}"), key, says)


@pytest.mark.parametrize(
    ("body", "key", "says"),
    [
        ("over=['seq_len']", "", ["needs target", "token/s'"]),
        ("over=['seq_len']\ntarget=3", "target = 3", ["bare number", "unit", "token/s'"]),
        ("over=['seq_len']\ntarget='3 us'", "target", ["'3 us'", "token rate"]),
        ("target='3 token/s'", "", ["needs over", "over = ["]),
        ("over=[]\ntarget='3 token/s'", "over = []", ["exactly one axis"]),
        (
            "over=['seq_len', 'batch_size']\ntarget='3 token/s'",
            "over = ['seq_len', 'batch_size']",
            ["exactly one axis"],
        ),
        (
            "over=['seq_len']\ntarget='3 token/s'\nreach='over'",
            "reach = 'over'",
            ["'above' or 'below'"],
        ),
    ],
)
def test_a_crossing_that_cannot_be_is_refused(refused, body, key, says):
    assert_names(refused(f"op='crossing'\nof='utps'\n{body}"), key, says)


def assert_names(message, key, says):
    """Whether a message begins with the file and the key, and says these words."""
    place, _, after = message.partition(": reduce.found")
    assert place.endswith("grid.toml")
    assert after.startswith(f".{key}" if key else (":", ".")), message
    for text in says:
        assert text in after


@pytest.mark.parametrize("name", ["seq_len", "sync_latency", "utps", "limit", '"a b"', '"a/b"'])
def test_a_name_that_is_taken_or_is_no_name_is_refused(refused, name):
    message = refused("op='max'\nof='utps'", name)
    plain = name.strip('"')
    assert f": reduce.{plain}: {plain!r} cannot name a variable" in message
    assert "letters and digits" in message


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (("best", "op='argmax'\nof='utps'"), ("best_seq_len", "op='max'\nof='utps'"), "seq_len"),
        (("n", "op='count'\nof='limit'"), ("n_code", "op='max'\nof='utps'"), "code"),
        (("q", "op='quantiles'\nof='utps'"), ("q_share", "op='max'\nof='utps'"), "share"),
        (("t", "op='top'\nof='utps'"), ("t_rank", "op='max'\nof='utps'"), "rank"),
        (("f", "op='frontier'\nof=['utps', 'stps']"), ("f_stps", "op='max'\nof='stps'"), "stps"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_two_reductions_that_would_write_one_variable_are_refused(
    reductions_of, first, second, name, turned
):
    tables = [f"[reduce.{table}]\n{body}\n" for table, body in (first, second)]
    with pytest.raises(InputError, match=rf"reduce\.\w+: .*{first[0]}_{name}.*choose another name"):
        reductions_of(f"{BASE}[axes]{AXES}" + "".join(tables[::-1] if turned else tables))


def test_winners_that_would_take_the_name_of_a_kept_output_are_refused(reductions_of):
    grid = f"{{}}{BASE}[axes]{AXES}[reduce.max]\nop='argmax'\nof='utps'\n"
    assert reductions_of(grid.replace("{}", ""))[0].name == "max"
    with pytest.raises(InputError, match=r"reduce\.max: .*max_batch_size.*choose another name"):
        reductions_of(grid.replace("{}", "outputs = ['max_batch_size']\n"))


def test_a_reduction_cannot_take_a_requirements_name(reductions_of):
    asked = "[require.x]\nfor = 'mem_bw'\nat_least = 3\n"
    with pytest.raises(InputError, match="would write 'x'"):
        reductions_of(f"{BASE}[axes]{AXES}{asked}[reduce.x]\nop = 'max'\nof = 'utps'\n")


def test_a_requirements_answer_can_be_reduced(reductions_of):
    asked = "[require.x]\nfor = 'mem_bw'\nat_least = 3\nkeep = false\n"
    table = "[reduce.most]\nop = 'max'\nof = 'x'\n"
    (reduction,) = reductions_of(f"{BASE}[axes]{AXES}{asked}{table}")
    assert reduction.of == ("x",)


def test_axes_are_reduced_in_the_grids_order_and_all_of_them_by_default(reduce):
    assert reduce("op='max'\nof='utps'").over == (0, 1)
    assert reduce("op='max'\nof='utps'\nover=['batch_size', 'seq_len']").over == (0, 1)
    assert reduce("op='max'\nof='utps'\nover=['batch_size']").over == (1,)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("op='top'\nof='utps'", {"k": 10}),
        ("op='quantiles'\nof='utps'", {"at": (0.05, 0.5, 0.95)}),
        ("op='quantiles'\nof='utps'\nat=[0, 1]", {"at": (0.0, 1.0)}),
        (
            "op='histogram'\nof='t_step'\nfirst='1 ms'\nlast='2 s'\nbins=4",
            {"bins": LogBins(first=1e-3, last=2.0, number=4)},
        ),
        (
            "op='crossing'\nof='t_step'\nover=['seq_len']\ntarget='10 ms'\nreach='below'",
            {"target": 0.01, "upward": False},
        ),
        (
            "op='frontier'\nof=['utps', 'power']\nminimise=['power']\nalso=['stps']",
            {"signs": (1.0, -1.0), "also": ("stps",)},
        ),
    ],
)
def test_what_a_reduction_takes_is_read_in_si_units(reduce, body, fields):
    reduction = reduce(body)
    assert {name: getattr(reduction, name) for name in fields} == fields


@pytest.mark.parametrize("op", REDUCTIONS)
def test_a_key_of_its_own_is_taken_by_a_reduction_and_refused_by_all_others(refused, op):
    kind = REDUCTIONS[op]
    of = (
        "['utps', 'stps']"
        if kind.num_metrics == (2, 3)
        else "'limit'"
        if kind.of_codes
        else "'utps'"
    )
    every = {key for other in REDUCTIONS.values() for key in other.keys.model_fields}
    for key in every - set(kind.keys.model_fields):
        assert f"{op} takes no {key!r}" in refused(f"op='{op}'\nof={of}\n{key}=1")


BAD = f"""[base]
llm = "llama3-8b"
chip = "h100"
[axes]{AXES}
[reduce.best]
op = "crossing"
of = "utps"
over = ["seq_len"]
target = 30
"""
SAID = "reduce.best.target = 30: a bare number; write it with its unit"


def test_the_command_line_says_it_in_one_line_and_writes_nothing(tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text(BAD, encoding="utf-8")
    done = run("sweep", grid, "-o", tmp_path / "out.nc")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"jaxlimits: {grid}: {SAID}")
    assert done.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


def test_a_sweep_from_python_raises_the_same(tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text(BAD, encoding="utf-8")
    with pytest.raises(jl.InputError, match=r"reduce\.best\.target = 30: a bare number"):
        jl.sweep(grid)
