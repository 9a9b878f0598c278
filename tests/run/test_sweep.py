"""Sweeps: equal to their points, in any order, with one trace; and the paper's own grid."""

import collections
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxlimits as jl
from jaxlimits import schema, units
from jaxlimits.engine import kernel, sensitivity
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import run_spec
from tests.helpers import PAPER_SHARING

# What counts for one model of a grid is idle for another, at its point.
pytestmark = pytest.mark.filterwarnings("ignore::jaxlimits.IdleSettingWarning")

BASE = {"llm": "qwen3-30b", "chip": "h200", "tp_size": 4}
OUTPUTS = ("t_step", "utps", "stps", "kv_traffic", "max_batch_size", "feasible", "limit")

# The paper's figures for Llama 3 405B on the HBM3 machine, one user (arXiv:2507.14397, v1).
UTPS = {(8, 4096): 86, (8, 131072): 80, (32, 4096): 290, (32, 131072): 271}
UTPS |= {(128, 4096): 776, (128, 131072): 743}
PAPER = {
    **PAPER_SHARING,
    "accounting": "layers",
    "mla_weights": "absorbed",
    "attention_span": "full",
    "vector_work": "off",
}


def sweep_of(axes, *, outputs=OUTPUTS, precision=None, **base):
    fixed = {name: value for name, value in {**BASE, **base}.items() if name not in axes}
    text = "\n".join(
        [
            f"outputs = {list(outputs)}",
            "[base]",
            *(f"{name} = {value!r}" for name, value in fixed.items()),
            "[axes]",
            *(f"{name} = {values}" for name, values in axes.items()),
        ]
    )
    file = parse_grid(text, where="grid", stem="grid", folder=Path())
    return run_spec(build_spec(file, grid_catalog(file), precision=precision))


def point_of(**settings):
    given = {**BASE, **settings}
    return jl.evaluate(given.pop("llm"), given.pop("chip"), **given)


def assert_equal_points(swept, axes, *, one_in=1):
    """Compare every so manyth place; points of other parts are other programs."""
    for choice in list(itertools.product(*axes.values()))[::one_in]:
        named = dict(zip(axes, choice, strict=True))
        expected = point_of(**named)
        here = swept
        for name, value in named.items():
            position = list(swept[name].values).index(as_stored(name, value))
            here = here.isel({name: position})
        for output in OUTPUTS:
            pair = here[output].item(), getattr(expected, output)
            assert np.isclose(*pair, rtol=1e-6, atol=0.0, equal_nan=True), (named, output, *pair)


def as_stored(name, value):
    """A coordinate's value for the text of a grid."""
    if not schema.is_numeric(name) or not isinstance(value, str):
        return value
    return units.parse(value, schema.describe(name).unit)


def some_of(*values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


AXES = {
    "llm": some_of("llama3-8b", "deepseek-v3", "gpt-oss-20b"),
    "chip": some_of("h100", "xpu-hbm4", "kv260"),
    "tp_size": some_of(1, 8, 32),
    "batch_size": some_of(1, 7, 64, 4096),
    "seq_len": some_of(0, 1000, 131072),
    "mem_bw": some_of("1 TB/s", "5.5 TB/s"),
    "sync_latency_scale": some_of(0.25, 16),
    "kv_sharding": some_of("split", "heads"),
}


@st.composite
def grids(draw):
    names = draw(st.lists(st.sampled_from(list(AXES)), min_size=2, max_size=3, unique=True))
    return {name: draw(AXES[name]) for name in names}


@settings(max_examples=4)
@given(axes=grids())
def test_a_sweep_equals_its_points_for_any_axes_in_any_order(axes):
    swept = sweep_of(axes)
    assert list(swept.utps.dims) == list(axes)
    assert_equal_points(swept, axes)


@pytest.mark.parametrize("order", [*itertools.permutations(["llm", "tp_size", "seq_len"])][1::2])
def test_the_order_of_axes_is_the_order_of_dimensions_and_changes_no_value(order):
    axes = {"llm": ["llama3-8b", "qwen3-30b"], "tp_size": [1, 4, 16], "seq_len": [1024, 65536]}
    first = sweep_of(axes)
    other = sweep_of({name: axes[name] for name in order})
    assert other.utps.dims == order
    for output in OUTPUTS:
        turned = other[output].transpose(*axes)
        assert np.allclose(turned, first[output], rtol=1e-6, atol=0.0, equal_nan=True)


# One trace.


@pytest.fixture
def traces(monkeypatch):
    """Count how often the kernel traces the model."""
    counted = collections.Counter()
    entry = sensitivity.step_terms

    def counting(*records):
        counted["model"] += 1
        return entry(*records)

    monkeypatch.setattr(sensitivity, "step_terms", counting)
    sensitivity._traced_model.cache_clear()  # of other tests
    programs = (kernel._chunks, kernel._few_points)
    for program in programs:
        program.clear_cache()
    sensitivity._traced_model.cache_clear()
    yield counted
    for program in programs:
        program.clear_cache()


def test_a_sweep_over_any_number_of_axes_takes_one_trace(traces):
    axes = {"llm": ["llama3-8b", "deepseek-v3"], "chip": ["h100", "h200"], "tp_size": [1, 2, 3]}
    sweep_of({**axes, "mem_bw_scale": [1, 2, 4, 8], "seq_len": [1, 2]}, outputs=["utps"])
    assert traces["model"] == 1


def test_models_with_every_kind_of_heads_take_one_trace_and_equal_their_points(traces):
    axes = {"llm": ["llama3-8b", "qwen3-30b", "deepseek-v3", "gpt-oss-20b"]}
    axes |= {"windowed_num_kv_heads": [0, 4], "attention_gate_dim": [0, 128]}
    swept = sweep_of(axes)
    assert traces["model"] == 1
    assert_equal_points(swept, axes, one_in=3)


def test_models_with_and_without_compressed_layers_take_one_trace_and_equal_their_points(traces):
    axes = {"llm": ["llama3-8b", "deepseek-v3"], "shared_kv_head_dim": [16, 64]}
    axes |= {"num_compressed_layers": [0, 8], "hc_mult": [0, 4]}
    swept = sweep_of(axes)
    assert traces["model"] == 1
    assert_equal_points(swept, axes, one_in=3)


def test_a_grid_of_the_same_shape_takes_no_further_trace(traces):
    sweep_of({"batch_size": [1, 2, 3]}, outputs=["utps"])
    sweep_of({"batch_size": [4, 5, 6]}, outputs=["utps"], mem_bw="1 TB/s", llm="kimi-k2")
    assert traces["model"] == 1


def test_an_axis_over_switches_takes_one_trace_a_choice(traces):
    axes = {"accounting": ["full", "layers", "nominal"], "batch_size": [1, 2], "tp_size": [1, 2]}
    sweep_of(axes, outputs=["utps"])
    assert traces["model"] == 3


def test_points_that_use_the_same_parts_take_one_trace_between_them(traces):
    for tp_size in (1, 2, 4):
        for llm in ("llama3-8b", "llama3-70b"):
            point_of(tp_size=tp_size, llm=llm)
    assert traces["model"] == 1
    for llm in ("deepseek-v3", "kimi-k2"):  # experts are a part that dense models do not use
        point_of(llm=llm)
    assert traces["model"] == 2


# Switches, links and precision.


def test_an_axis_over_switches_equals_its_points():
    axes = {"batch_size": [1, 64], "roofline": ["step", "operator"], "vector_work": ["off", "on"]}
    assert_equal_points(sweep_of(axes), axes)


def test_an_axis_of_one_switch_keeps_its_dimension():
    swept = sweep_of({"roofline": ["operator"], "batch_size": [1, 2]})
    assert swept.utps.shape == (1, 2)


def test_numbers_linked_to_a_switch_go_with_it():
    axis = "{ values = ['full', 'layers'], with = { weight_bits = [4, 16] } }"
    swept = sweep_of({"accounting": axis, "batch_size": [1, 8]})
    assert swept.weight_bits.dims == ("accounting",)
    for accounting, weight_bits in (("full", 4), ("layers", 16)):
        for batch_size in (1, 8):
            expected = point_of(
                accounting=accounting, weight_bits=weight_bits, batch_size=batch_size
            )
            here = swept.sel(accounting=accounting, batch_size=batch_size)
            assert np.isclose(here.utps.item(), expected.utps, rtol=1e-6)


def test_what_is_linked_to_an_axis_goes_with_it():
    latencies = ["3 us", "2 us", "1 us"]
    axis = f"{{ values = [8, 2, 4], with = {{ sync_latency = {latencies} }} }}"
    swept = sweep_of({"tp_size": axis})
    assert swept.tp_size.values.tolist() == [2, 4, 8]
    for tp_size, latency in ((8, "3 us"), (2, "2 us"), (4, "1 us")):
        expected = point_of(tp_size=tp_size, sync_latency=latency)
        assert np.isclose(swept.t_step.sel(tp_size=tp_size).item(), expected.t_step, rtol=1e-6)


def test_outputs_are_float32_and_codes_int8():
    swept = sweep_of({"batch_size": [1, 2]})
    kinds = {name: swept[name].dtype for name in OUTPUTS}
    codes = dict.fromkeys(schema.FLAGS, np.int8)
    assert kinds == {name: codes.get(name, np.float32) for name in OUTPUTS}


def test_float64_on_request_computes_in_float64():
    axes = {"seq_len": [1000, 123457]}
    swept = sweep_of(axes, precision="float64")
    assert swept.utps.dtype == np.float64
    for position, seq_len in enumerate(axes["seq_len"]):
        exact = jl.evaluate("qwen3-30b", "h200", tp_size=4, seq_len=seq_len, x64=True).t_step
        here = swept.t_step.values[position]
        assert np.isclose(here, exact, rtol=1e-14, atol=0.0)
        assert here != np.float32(here)


def test_python_gives_the_same_data_as_the_file(tmp_path):
    swept = jl.sweep("smoke", tmp_path / "smoke.nc")
    with jl.open(tmp_path / "smoke.nc") as stored:
        assert stored.load().equals(swept)


# The paper's grid.


@pytest.fixture(scope="module")
def paper():
    return jl.sweep("paper")


def test_the_papers_grid_has_exactly_these_dimensions(paper):
    sizes = {"llm": 12, "chip": 5, "tp_size": 3, "seq_len": 8, "batch_size": 10}
    assert list(paper.utps.dims) == list(sizes)
    assert dict(paper.sizes) == sizes
    assert paper.seq_len.values.tolist() == [1024 * 2**n for n in range(8)]
    assert paper.batch_size.values.tolist() == [2**n for n in range(10)]


def test_the_papers_grid_has_every_metric(paper):
    assert set(paper.data_vars) == set(schema.OF_THE_LIMIT)
    assert all(paper[name].dims == paper.utps.dims for name in schema.OF_THE_LIMIT)


def test_the_papers_latency_is_linked_to_its_number_of_chips(paper):
    assert paper.sync_latency.dims == ("tp_size",)
    assert paper.sync_latency.values.tolist() == [0.2e-6, 1.5e-6, 1.5e-6]


@pytest.mark.parametrize(("tp_size", "seq_len"), UTPS)
def test_a_cell_of_the_papers_grid_equals_its_point(paper, tp_size, seq_len):
    latency = "0.2 us" if tp_size == 8 else "1.5 us"
    place = {"tp_size": tp_size, "seq_len": seq_len}
    stated = {**PAPER, "weight_bits": 8, "kv_bits": 8, "compute_bits": 8}
    point = jl.evaluate("llama3-405b", "xpu-hbm3", **place, sync_latency=latency, **stated)
    cell = paper.sel(llm="llama3-405b", chip="xpu-hbm3", batch_size=1, **place)
    for name in schema.OF_THE_LIMIT:
        assert np.isclose(cell[name].item(), getattr(point, name), rtol=1e-6), name


def test_the_papers_grid_with_nominal_weights_rounds_to_the_published_figures():
    swept = jl.sweep("paper", overrides={"accounting": "nominal"})
    cells = swept.utps.sel(llm="llama3-405b", chip="xpu-hbm3", batch_size=1)
    found = {place: round(cells.sel(tp_size=place[0], seq_len=place[1]).item()) for place in UTPS}
    assert found == UTPS


def test_sram_alone_holds_few_of_the_papers_points(paper):
    fits = (paper.feasible == 1).mean(("tp_size", "seq_len", "batch_size"))
    sram = fits.sel(chip="xpu-sram")
    assert float(sram.mean()) < 0.15
    assert float(sram.sel(llm="llama3-405b")) == 0.0
    assert float(fits.sel(chip="xpu-hbm4").mean()) > 0.5


def test_a_point_that_does_not_fit_is_data(paper):
    lost = paper.feasible == 0
    assert bool(lost.any())
    undefined = ["t_mem", "t_step", "utps", "stps", "tpot", "energy_per_token"]
    for name in undefined:
        assert bool((paper[name].isnull() == lost).all()), name
    for name in ("weight_bytes", "kv_bytes", "capacity_utilisation", "max_batch_size", "power"):
        assert not bool(paper[name].isnull().any()), name
    capacity = schema.FLAGS["limit"]["capacity"]
    assert bool(((paper.limit == capacity) == lost).all())


def test_nothing_of_the_papers_grid_is_left_uncomputed(paper):
    assert not bool((paper.limit == schema.FLAGS["limit"]["not_computed"]).any())
    assert not bool((paper.feasible == schema.FLAGS["feasible"]["not_computed"]).any())
