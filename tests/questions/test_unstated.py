"""A metric that says nothing for lack of a setting is refused alike, whoever asks for it."""

import pytest

import jaxlimits as jl
from jaxlimits.codesign.problem import build_problem
from jaxlimits.codesign.problem_file import read_problem
from jaxlimits.errors import InputError
from jaxlimits.grid.file import read_grid
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.uncertainties.uncertain import load_uncertain

CASES = [
    ("ttft", "1 s", "needs a request; state input_len = 4096"),
    ("dollars_per_request", "1 USD", "needs a request"),
    ("calibrated_utps", "10 token/s", "needs a calibration; state calibration ="),
]
BASE = '[base]\nllm = "llama3-8b"\nchip = "h100"\n'
STATED = BASE + 'input_len = 1024\ncalibration = "vllm"\n'


def grid(tmp_path, text):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    file = read_grid(path)
    return build_spec(file, grid_catalog(file))


def problem(tmp_path, text):
    path = tmp_path / "problem.toml"
    path.write_text(text)
    return build_problem(read_problem(path, {}))


def uncertain(tmp_path, text):
    path = tmp_path / "uncertain.toml"
    path.write_text(text)
    return load_uncertain(path)


VARIED = '[vary]\nmem_bw = { from = "1 TB/s", to = "8 TB/s" }\n'
AXIS = "[axes]\nbatch_size = [1, 2]\n"
ASKED = [
    (grid, "outputs = ['{}']\n", AXIS),
    (grid, "outputs = ['{}_elasticity_mem_bw']\n", AXIS),
    (grid, "elasticities = {{ of = ['{}'], by = ['mem_bw'] }}\n", AXIS),
    (grid, "", AXIS + "[require.needed]\nfor = 'mem_bw'\nof = '{}'\nat_least = '<value>'\n"),
    (problem, "", VARIED + "[objective]\nminimise = '{}'\n"),
    (
        problem,
        "",
        VARIED + "[objective]\nminimise = 'power'\n[[budget]]\nof = '{}'\nat_most = '<value>'\n",
    ),
    (uncertain, "outputs = ['{}']\n", "[uncertain]\nmem_bw_scale = { uniform = [0.8, 1.0] }\n"),
]


@pytest.mark.parametrize(("metric", "value", "needs"), CASES)
@pytest.mark.parametrize(("asks", "head", "rest"), ASKED)
def test_it_is_refused_with_what_it_needs(tmp_path, asks, head, rest, metric, value, needs):
    asked = rest.replace("{}", metric).replace("<value>", value)
    with pytest.raises(InputError, match=needs):
        asks(tmp_path, head.format(metric) + BASE + asked)


@pytest.mark.parametrize(("metric", "value", "needs"), CASES)
def test_a_target_on_it_is_refused_too(metric, value, needs):
    with pytest.raises(InputError, match=needs):
        jl.solve("llama3-8b", "h100", solve_for="mem_bw", target=f"{metric} <= {value}")


def test_what_is_stated_solved_for_or_uncertain_is_enough(tmp_path):
    grid(tmp_path, "outputs = ['ttft', 'calibrated_utps']\n" + STATED + AXIS)
    problem(tmp_path, STATED + VARIED + "[objective]\nminimise = 'ttft'\n")
    lengths = "[uncertain]\ninput_len = { uniform = [512, 1024] }\n"
    assert uncertain(tmp_path, "outputs = ['ttft']\n" + BASE + lengths).outputs == ("ttft",)
    found = jl.solve("llama3-8b", "h100", solve_for="input_len", target="ttft <= 100 ms")
    assert found.is_met
    assert found.metrics.ttft == pytest.approx(0.1, rel=1e-2)
