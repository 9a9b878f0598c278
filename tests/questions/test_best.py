"""The best points under targets: of a grid, of a result, and of brute force on the result."""

import itertools
import json

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.errors import InputError
from jaxlimits.questions.labelled_points import list_points
from tests.command_line import run

GRID = """
[base]
chip = "h200"
seq_len = 4096
[axes]
llm = ["llama3-8b", "llama3-70b", "llama3-405b"]
tp_size = [1, 2, 4, 8]
batch_size = { pow2 = [1, 256] }
mem_bw_scale = [0.5, 1, 2]
"""
AXES = ("llm", "tp_size", "batch_size", "mem_bw_scale")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A grid, and its result with every metric."""
    folder = tmp_path_factory.mktemp("best")
    (folder / "grid.toml").write_text(GRID)
    jl.sweep(folder / "grid.toml", folder / "out.nc")
    return folder


@pytest.fixture(params=["grid.toml", "out.nc"])
def source(made, request):
    return made / request.param


def listed(made):
    with jl.open(made / "out.nc") as dataset:
        frame = dataset.to_dataframe().reset_index()
    return frame[frame.feasible == 1]


def where(row):
    return tuple(row[axis] for axis in AXES)


@pytest.mark.parametrize(
    ("metric", "maximise", "target"),
    [("stps", True, 80.0), ("stps_per_watt", True, 200.0), ("power", False, 150.0)],
)
def test_the_best_are_those_of_brute_force(source, made, metric, maximise, target):
    side = {"maximise": metric} if maximise else {"minimise": metric}
    question = jl.ask(**side, where=[f"utps >= {target}"], count=6, also=["limit"])
    rows = list_points(jl.best(source, question))
    frame = listed(made)
    wanted = frame[frame.utps >= target].sort_values(metric, ascending=not maximise)[:6]
    np.testing.assert_allclose([row[metric] for row in rows], wanted[metric], rtol=1e-6)
    for row in rows:
        point = frame.set_index(list(AXES)).loc[where(row)]
        assert row["utps"] == pytest.approx(point.utps, rel=1e-6)
        assert row["utps"] >= target
        assert jl.Limit[row["limit"].upper()] == point.limit


def test_two_targets_are_both_kept(source, made):
    question = jl.ask(maximise="stps", where=["utps >= 100", "power <= 4 kW"])
    (row,) = list_points(jl.best(source, question))
    frame = listed(made)
    wanted = frame[(frame.utps >= 100.0) & (frame.power <= 4e3)].stps.max()
    assert row["stps"] == pytest.approx(wanted, rel=1e-6)
    assert row["power"] <= 4e3


def test_what_does_not_fit_is_never_the_best(source):
    question = jl.ask(minimise="bytes_per_chip", where=["capacity_utilisation >= 0.9"], count=99)
    rows = list_points(jl.best(source, question))
    assert rows
    assert all(row["capacity_utilisation"] <= 1.0 for row in rows)


def test_the_frontier_is_that_of_brute_force_near_the_target(source, made):
    question = jl.ask(maximise="stps", where=["utps >= 100"])
    rows = list_points(jl.frontier_near(source, question, factor=1.5))
    frame = listed(made)
    near = frame[(frame.utps >= 100 / 1.5) & (frame.utps <= 150)][["utps", "stps"]].to_numpy()
    best = [p for p in near if not ((near >= p).all(axis=1) & (near > p).any(axis=1)).any()]
    expected = np.unique(np.array(best), axis=0)
    np.testing.assert_allclose([[r["utps"], r["stps"]] for r in rows], expected, rtol=1e-6)


def test_a_frontier_may_minimise_both(source, made):
    question = jl.ask(minimise="power", where=["tpot <= 10 ms/token"])
    rows = list_points(jl.frontier_near(source, question))
    frame = listed(made)
    near = frame[(frame.tpot >= 0.005) & (frame.tpot <= 0.02)]
    assert rows[0]["tpot"] == pytest.approx(near.tpot.min(), rel=1e-6)
    assert rows[-1]["power"] == pytest.approx(near.power.min(), rel=1e-6)


def test_none_is_an_answer(source):
    question = jl.ask(maximise="stps", where="utps >= 1e9", also="limit")
    for found in (jl.best(source, question), jl.frontier_near(source, question)):
        assert found.sizes["point"] == 0
        assert set(found.data_vars) == {"stps", "utps", "limit"}
        assert set(AXES) <= set(found.coords)
        assert found.utps.attrs["si_unit"] == "token/s"
        assert list_points(found) == []


def test_a_grid_and_its_result_answer_alike(made):
    question = jl.ask(minimise="power", where=["utps >= 100"], count=3, also="limit")
    by_grid, by_result = (jl.best(made / name, question) for name in ("grid.toml", "out.nc"))
    for name in ("limit", *AXES):
        np.testing.assert_array_equal(by_grid[name], by_result[name])
    for name in ("power", "utps"):
        np.testing.assert_allclose(by_grid[name], by_result[name], rtol=1e-6)
    for name in ("power", "utps", *AXES):
        assert by_grid[name].attrs == by_result[name].attrs
    assert by_grid.attrs["content_hash"] == by_result.attrs["content_hash"]


def test_where_and_targets_are_two_names_of_one_thing():
    target = "utps >= 300"
    asked = [jl.ask(maximise="stps", **{name: target}) for name in ("where", "targets")]
    assert asked[0] == asked[1] == jl.ask(maximise="stps", where=[target])
    assert asked[0].targets[0].limit == 300.0


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({}, "neither of maximise and minimise is given"),
        ({"maximise": "stps", "minimise": "power"}, "both of maximise and minimise"),
        ({"maximise": "stsp"}, "unknown metric 'stsp'; did you mean stps"),
        ({"maximise": "limit"}, "'limit' is a category and cannot be ranked"),
        (
            {"maximise": "stps", "where": ["utps >= 300", "utps <= 100"]},
            "no point has utps >= 300 token/s and utps <= 100 token/s",
        ),
        (
            {"maximise": "stps", "where": "utps >= 3", "targets": "utps >= 3"},
            "two names of one thing; give where alone",
        ),
        ({"maximise": "stps", "count": 0}, "must be at least 1"),
        ({"maximise": "stps", "where": ["fast"]}, "is not a target"),
    ],
)
def test_a_question_that_cannot_be_is_refused(question, message):
    with pytest.raises(InputError, match=message):
        jl.ask(**question)


def test_a_frontier_needs_a_target_and_room(source):
    with pytest.raises(InputError, match="a frontier needs a target"):
        jl.frontier_near(source, jl.ask(maximise="stps"))
    question = jl.ask(maximise="stps", where=["utps >= 100"])
    with pytest.raises(InputError, match=r"factor = 1\.0: must exceed 1"):
        jl.frontier_near(source, question, factor=1.0)


def test_a_result_must_hold_what_is_asked(made, tmp_path):
    path = tmp_path / "few.nc"
    jl.sweep(made / "grid.toml", path, overrides={"seq_len": 8192})
    with jl.open(path) as dataset:
        few = dataset[["utps"]].load()
    few.to_netcdf(tmp_path / "utps.nc")
    with pytest.raises(InputError, match="has no power, stps; sweep the grid again"):
        jl.best(tmp_path / "utps.nc", jl.ask(maximise="stps", where=["power <= 4 kW"]))
    with pytest.raises(InputError, match="a result cannot be set otherwise"):
        jl.best(path, jl.ask(maximise="stps"), overrides={"seq_len": "1"})


def test_the_command_prints_points_and_json(made):
    command = ("best", made / "grid.toml", "--where", "utps >= 100", "--maximise", "stps")
    table = run(*command, "--top", "2", "--set", "seq_len=1024")
    assert table.code == 0
    header, *rows = table.out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in (header, *rows)] == ["llm", "llama3-8b", "llama3-8b"]
    facts = json.loads(run(*command, "--json").out)
    assert facts["bits"] in table.out
    (point,) = facts["points"]
    assert point["llm"] == "llama3-8b"
    nothing = run("best", made / "out.nc", "--where", "utps >= 1e9", "--maximise", "stps")
    assert (nothing.code, nothing.out) == (1, "no point keeps every target\n")
    front = run(*command, "--frontier", "--near", "1.2")
    assert front.code == 0


@pytest.mark.parametrize(
    ("metric", "needs"), [("calibrated_utps", "a calibration"), ("request_rate", "a request")]
)
def test_a_metric_that_says_nothing_is_refused_with_what_it_needs(made, metric, needs):
    with pytest.raises(InputError, match=f"{metric}': needs {needs}"):
        jl.best(made / "grid.toml", jl.ask(maximise=metric))


PARTS = {
    "base": {"weight_bits": 8, "kv_bits": 8},
    "outputs": ["utps", "stps", "feasible"],
    "axes": {
        "chip": ["h100", "h200"],
        "llm": ["llama3-8b", "llama3-70b"],
        "tp_size": [2, 4, 8, 16],
        "batch_size": [1, 8, 64],
    },
}


@pytest.fixture(scope="module")
def parted():
    return jl.sweep(PARTS)


@pytest.mark.parametrize("per", [(), ("chip",), ("llm", "chip")])
@pytest.mark.parametrize(
    "where", [(), ("tp_size <= 8",), ("tp_size = 4, 16", "llm = llama3-70b"), ("utps >= 30",)]
)
def test_parts_of_a_grid_are_those_of_its_result_and_of_a_search(parted, per, where):
    question = jl.ask(maximise="stps", where=where, count=2, per=per)
    swept, asked = jl.best(parted, question), jl.best(PARTS, question)
    expected = []
    kept = parted
    if "tp_size <= 8" in where:
        kept = kept.sel(tp_size=[2, 4, 8])
    if "llm = llama3-70b" in where:
        kept = kept.sel(tp_size=[4, 16], llm=["llama3-70b"])
    kept = kept.where(kept.utps >= 30) if "utps >= 30" in where else kept
    groups = itertools.product(*(kept[name].values for name in per))
    for group in groups:
        part = kept.sel(dict(zip(per, ([value] for value in group), strict=True)))
        values = np.sort(part.stps.values.ravel())[::-1]
        expected += values[~np.isnan(values)][:2].tolist()
    for found in (swept, asked):
        assert found.stps.values.tolist() == pytest.approx(expected, rel=1e-6)
    assert swept.tp_size.values.tolist() == asked.tp_size.values.tolist()


def test_the_frontier_can_be_that_of_each_chip(parted):
    question = jl.ask(maximise="stps", where=("utps >= 30", "batch_size >= 8"), per="chip")
    whole = jl.frontier_near(parted, question, factor=3.0)
    assert set(whole.chip.values.tolist()) == {"h100", "h200"}
    assert whole.batch_size.min() >= 8
    asked = jl.frontier_near(PARTS, question, factor=3.0)
    assert asked.stps.values.tolist() == pytest.approx(whole.stps.values.tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"where": "tp_size <= 1"}, "no value of tp_size keeps"),
        ({"where": "pp_size <= 1"}, "pp_size"),
        ({"where": "chip <= h100"}, "names have no order"),
        ({"where": "chip = h300"}, "no value of chip keeps"),
        ({"per": "pp_size"}, "pp_size"),
        ({"where": "utsp >= 5"}, "utsp"),
    ],
)
def test_what_is_no_part_is_named_with_what_there_is(parted, asked, says):
    for source in (parted, PARTS):
        with pytest.raises(jl.InputError, match=says):
            jl.best(source, jl.ask(maximise="stps", **asked))


def test_the_command_shows_the_best_of_each_context():
    done = run(
        "best", "smoke", "--maximise", "stps", "--per", "seq_len", "--where", "batch_size <= 64"
    )
    assert done.code == 0
    rows = run(
        *("best", "smoke", "--maximise", "stps", "--per", "seq_len"),
        *("--where", "batch_size <= 64", "--json"),
    ).json["points"]
    assert len({row["seq_len"] for row in rows}) == len(rows) > 1
    assert all(row["batch_size"] <= 64 for row in rows)
