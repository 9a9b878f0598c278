"""Operators of a point add up to the point, whoever asks for them."""

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.store.netcdf import write_dataset

GRID = """
outputs = ["utps", "t_step"]
[base]
llm = "deepseek-v3"
sync_latency_scale = 2
[axes]
chip = ["h200", "b200"]
tp_size = { values = [8, 16], with = { seq_len = [4096, 8192] } }
batch_size = [1, 64]
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    grid = tmp_path_factory.mktemp("operators") / "grid.toml"
    grid.write_text(GRID)
    return jl.sweep(grid, x64=True)


def step_time(parts, *, by_operator):
    """Time of the passes of a model and of its draft, from their parts, by the definition."""
    times = [np.maximum(parts.t_tensor, parts.t_vector), parts.t_mem]
    of_draft = parts.operator.str.startswith("draft ")
    whole = 0.0
    for of in (of_draft, ~of_draft):
        compute, mem = (each.where(of, 0.0) for each in times)
        if by_operator:
            whole += float(np.maximum(compute, mem).sum())
            continue
        # Tensor and vector work of a whole step overlap too.
        tensor, beside = (parts[name].where(of, 0.0).sum() for name in ("t_tensor", "t_vector"))
        whole += float(max(tensor, beside, mem.sum()))
    return whole + float(parts.t_sync)


@pytest.mark.parametrize(
    "settings",
    [
        {"roofline": "operator"},
        {"ep_size": 16, "dp_size": 2},
        {"speculation": "mtp", "draft_length": 2},
        {"sram_capacity": "20 GB", "sram_bw": "50 TB/s", "pp_size": 2},
        {"weight_placement": "sharded", "dp_size": 4, "link_bw": "450 GB/s"},
    ],
    ids=" ".join,
)
def test_the_parts_make_up_the_step(settings):
    parts = jl.operators("deepseek-v3", "h200", tp_size=16, batch_size=64, **settings)
    by_operator = settings.get("roofline") == "operator"
    assert step_time(parts, by_operator=by_operator) == pytest.approx(
        float(parts.t_step), rel=1e-12
    )


def test_the_step_is_that_of_the_point():
    asked = ("deepseek-v3", "h200")
    point = jl.evaluate(*asked, tp_size=16, batch_size=64, x64=True)
    parts = jl.operators(*asked, tp_size=16, batch_size=64)
    assert float(parts.t_mem.sum()) == pytest.approx(point.t_mem, rel=1e-12)
    assert float(parts.t_step) == pytest.approx(point.t_step, rel=1e-12)
    assert parts.limit.item() == point.limit


def test_no_operator_is_above_its_roof():
    parts = jl.operators("deepseek-v3", "h200", tp_size=16, batch_size=64, ep_size=16)
    time = np.maximum(np.maximum(parts.t_tensor, parts.t_vector), parts.t_mem)
    worked = parts.tensor_flops > 0
    rate = (parts.tensor_flops / time).where(worked)
    intensity = parts.tensor_flops / parts.traffic
    roof = np.minimum(parts.tensor_roof, parts.memory_roof * intensity)
    assert bool((rate <= roof * (1 + 1e-12)).where(worked, other=True).all())


def test_a_result_gives_the_operators_of_its_points(result):
    chosen = result.sel(chip="b200")
    parts = jl.operators_of(chosen)
    assert dict(parts.sizes) == {"tp_size": 2, "batch_size": 2, "operator": parts.sizes["operator"]}
    assert np.allclose(parts.t_step, chosen.t_step, rtol=1e-12)
    one = jl.operators(
        "deepseek-v3", "b200", tp_size=16, seq_len=8192, batch_size=64, sync_latency_scale=2
    )
    there = parts.sel(tp_size=16, batch_size=64)
    for name in one.data_vars:
        assert np.allclose(there[name], one[name], rtol=1e-12), name


def test_a_stored_result_gives_them_too(result, tmp_path):
    path = tmp_path / "out.nc"
    write_dataset(result, path)
    with jl.open(path) as stored:
        parts = stored.sel(chip="h200", tp_size=8, batch_size=1).limits.operators()
    assert parts.t_step == pytest.approx(
        result.t_step.sel(chip="h200", tp_size=8, batch_size=1).item(), rel=1e-12
    )


def test_too_many_points_are_refused_with_what_to_keep():
    with pytest.raises(
        jl.InputError, match=r"10,000 points; at most 64 .* keep fewer, as `\.sel\(mem_bw="
    ):
        jl.operators_of(jl.sweep("smoke"))


def test_an_axis_that_was_reduced_away_is_named(result):
    with pytest.raises(jl.InputError, match="batch_size: is not an axis of the result"):
        jl.operators_of(result.isel(batch_size=0, drop=True))
