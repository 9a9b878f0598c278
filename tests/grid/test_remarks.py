"""What no machine would be is evaluated, and said: on the screen, in JSON and in a result."""

import pytest

import jaxlimits as jl
from jaxlimits.points.named_point import point_scenario, remarks_on_point
from tests.command_line import run

CATALOG = jl.load_catalog()
MOVES = {"collective_algorithm": "best"}


def remarks(**settings):
    scenario = point_scenario("llama3-8b", "h100", settings, catalog=CATALOG)
    return remarks_on_point(scenario, settings, catalog=CATALOG)


@pytest.mark.parametrize(
    ("settings", "says", "where"),
    [
        ({"pp_size": 33}, "more pipeline stages than layers", "pp_size = 33, num_layers = 32"),
        ({"tp_size": 4097}, "more tensor-parallel chips than columns", "hidden_size = 4096"),
        (
            {"tp_size": 16, **MOVES},
            "topology = 'switched' times it as if one switch joined all chips",
            "tp_size = 16, scale_up_size = 8; for links between domains choose topology = 'rail'",
        ),
        (
            {"tp_size": 16, **MOVES, "topology": "rail"},
            "over links that nobody states, at the default scale_out_bw",
            "tp_size = 16, scale_up_size = 8; state scale_out_bw, or name an interconnect",
        ),
    ],
)
def test_what_no_machine_would_be_is_said_with_its_values(settings, says, where):
    told = [remark for remark in remarks(**settings) if says in remark]
    assert len(told) == 1
    assert f", as at {where}" in told[0] or where in told[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"pp_size": 32, "tp_size": 8, **MOVES},
        {"tp_size": 16, "collective_algorithm": "constant"},
        {"tp_size": 16, **MOVES, "topology": "rail", "scale_out_bw": "50 GB/s"},
        {"tp_size": 16, **MOVES, "topology": "rail", "interconnect": "nvlink4-ndr"},
        {"tp_size": 16, **MOVES, "scale_up_size": 72},
    ],
)
def test_machines_that_can_be_are_not_remarked_on(settings):
    assert remarks(**settings) == []


def test_commands_and_results_say_the_same(tmp_path):
    says = "there are more pipeline stages than layers"
    where = "as at pp_size = 64, num_layers = 32"
    point = ("--llm", "llama3-8b", "--chip", "h100")
    assert f"note: {says}" in run("point", *point, "--pp-size", "64").out
    told = run("point", *point, "--pp-size", "64", "--json").json["remarks"]
    assert where in told[0]
    solved = run("solve", *point, "--for", "pp_size", "--target", "stps >= 1000", "--among", "1,64")
    assert f"note: {says}" in solved.out
    path, out = tmp_path / "stages.toml", tmp_path / "stages.nc"
    path.write_text(
        'outputs = ["stps"]\n[base]\nllm = "llama3-8b"\nchip = "h100"\n[axes]\npp_size = [1, 64]\n'
    )
    done = run("sweep", path, "-o", out)
    assert f"note: {says}" in done.out
    with jl.open(out) as dataset:
        assert where in dataset.attrs["remarks"]
    assert where in run("sweep", path, "-o", out, "--force", "--json").json["remarks"][0]
    assert where in run("best", path, "--maximise", "stps", "--json").json["remarks"][0]
    assert "remarks" not in jl.sweep("smoke").attrs
