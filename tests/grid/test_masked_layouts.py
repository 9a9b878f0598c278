"""One axis of layouts for several models: each has its own, and the others are no points of it."""

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.grid.scenario import bind
from jaxlimits.results.reason_codes import Reason
from jaxlimits.results.reasons import reasons
from jaxlimits.run import streamed
from jaxlimits.run.pipeline import load_grid

MODELS = ["gpt-oss-120b", "llama3-70b", "qwen3-235b"]
OUTPUTS = ["utps", "max_batch_size", "feasible", "limit"]
SIZES = ["bytes_per_chip", "num_chips"]
BASE = {"chip": "h200", "seq_len": 1000, "weight_bits": 8}


def grid_of(*models, **changes):
    axes = {"llm": list(models), "layout": {"all": 16, "only": {"pp_size": [1, 2]}}}
    return {"base": BASE, "outputs": OUTPUTS, "axes": axes} | changes


@pytest.fixture(scope="module")
def together():
    return jl.sweep(grid_of(*MODELS))


@pytest.fixture(scope="module", params=MODELS[:2])
def alone(request):
    return request.param, jl.sweep(grid_of(request.param))


def test_each_model_has_the_layouts_and_the_values_of_a_grid_of_it_alone(together, alone):
    model, own = alone
    mine = together.sel(llm=model)
    valid = mine.valid_layout.values == 1
    assert mine.layout.values[valid].tolist() == own.layout.values.tolist()
    assert valid.any()
    for name in OUTPUTS:  # other programs: the last bits may differ
        theirs, here = own.sel(llm=model)[name].values, mine[name].values[valid]
        assert here.dtype == theirs.dtype
        np.testing.assert_allclose(here, theirs, rtol=1e-6, err_msg=name)


def test_the_axis_has_no_layout_that_no_model_has(together):
    assert together.valid_layout.dims == ("llm", "layout")
    assert (together.valid_layout == 1).any("llm").all()
    assert (together.valid_layout == 0).any()


def test_a_layout_that_a_model_cannot_have_has_no_value_and_says_why(together):
    cannot = together.valid_layout == 0
    for name in ("utps", "max_batch_size"):
        assert bool(together[name].isnull().where(cannot, True).all())
    assert set(together.feasible.values[cannot.values].tolist()) == {0}
    for name in ("utps", "limit"):
        codes = reasons(together, name)
        assert set(codes.values[cannot.values].tolist()) == {Reason.CANNOT_BE}
        assert Reason.CANNOT_BE not in codes.values[~cannot.values]
    flags = together.valid_layout.attrs
    assert flags["flag_meanings"].split()[flags["flag_values"].tolist().index(0)] == "cannot_be"


def test_they_are_counted(together):
    (said,) = [line for line in together.remarks.splitlines() if "cannot be" in line]
    number = int((together.valid_layout == 0).sum())
    assert said.startswith(f"{number:,} of {together.valid_layout.size:,} points cannot be")
    assert "layout = tp" in said
    assert "llm = " in said


def test_a_grid_of_one_model_has_no_mask_and_no_coordinate(alone):
    model, own = alone
    assert bind(load_grid(grid_of(model))).rules.layouts is None
    assert "valid_layout" not in own.coords
    assert "cannot be" not in own.attrs.get("remarks", "")


def test_reductions_and_searches_pass_them_over(together):
    most = {"op": "max", "of": "utps", "over": ["layout"]}
    best = {"op": "argmax", "of": "utps", "over": ["llm"]}
    count = {"op": "count", "of": "feasible", "over": ["layout"]}
    reduce = {"most": most, "who": best, "number": count}
    reduced = jl.sweep(grid_of(*MODELS, outputs=["utps"], reduce=reduce))
    np.testing.assert_array_equal(reduced.most, together.utps.max("layout"))
    found = reduced[next(name for name in reduced if str(name).startswith("who"))]
    assert found.dims == ("layout",)
    question = jl.ask(maximise="utps", count=40)
    for source in (grid_of(*MODELS, outputs=["utps"]), together):
        points = jl.best(source, question)
        at = {name: xr.DataArray(points[name].values, dims="point") for name in ("llm", "layout")}
        assert bool((together.valid_layout.sel(at) == 1).all())


def test_the_best_of_each_model_is_among_its_own():
    axes = {"llm": ["gpt-oss-120b", "gpt-oss-20b"], "layout": ["tp1 ep64 dp64", "tp1 ep32 dp32"]}
    question = jl.ask(minimise="bytes_per_chip", per=["llm"])
    points = jl.best({"base": BASE, "outputs": SIZES, "axes": axes}, question)
    assert points.layout.values.tolist() == ["tp1 ep64 dp64", "tp1 ep32 dp32"]


def test_what_is_required_of_a_layout_that_cannot_be_is_excluded():
    asked = {"of": ["utps"], "by": ["mem_bw"]}
    require = {"need": {"for": "mem_bw", "of": "utps", "at_least": "10 token/s"}}
    found = jl.sweep(grid_of(*MODELS[:2], outputs=[], elasticities=asked, require=require))
    cannot = (found.valid_layout == 0).values
    flags = found.need_reason.attrs
    place = flags["flag_meanings"].split().index("unreachable_excluded")
    excluded = found.need_reason.values == flags["flag_values"][place]
    np.testing.assert_array_equal(excluded, cannot)
    assert np.isnan(found.need.values[cannot]).all()
    assert np.isnan(found.utps_elasticity_mem_bw.values[cannot]).all()
    assert set(reasons(found, "need").values[cannot].tolist()) == {Reason.CANNOT_BE}


def test_a_switch_decides_as_a_model_does():
    axes = {"weight_placement": ["resident", "sharded"], "layout": {"all": 4}}
    base = BASE | {"llm": MODELS[0]}
    swept = jl.sweep({"base": base, "outputs": SIZES, "axes": axes})
    sharded = swept.sel(weight_placement="sharded")
    np.testing.assert_array_equal(sharded.valid_layout == 1, swept.ep_size == 1)
    assert bool((swept.sel(weight_placement="resident").valid_layout == 1).all())
    np.testing.assert_array_equal(sharded.bytes_per_chip.notnull(), sharded.valid_layout == 1)


def test_copies_of_experts_decide_as_a_model_does():
    # 128 experts and 7 copies on 3 or 5 ranks: 128 % 3 and 128 % 5 are not 0, 135 % 3 and % 5 are.
    axes = {"redundant_experts": [0, 7], "layout": {"all": 5}}
    base = BASE | {"llm": MODELS[0]}
    swept = jl.sweep({"base": base, "outputs": SIZES, "axes": axes})
    ranks = [
        set(swept.ep_size.values[row == 1].tolist())
        for row in swept.valid_layout.transpose("redundant_experts", "layout").values
    ]
    assert ranks == [{1, 2, 4}, {1, 3, 5}]


def test_layouts_that_are_listed_are_masked_where_some_model_has_them():
    axes = {"llm": ["gpt-oss-120b", "gpt-oss-20b"], "layout": ["tp8", "tp1 ep64 dp64"]}
    swept = jl.sweep({"base": BASE, "outputs": SIZES, "axes": axes})
    assert swept.valid_layout.values.tolist() == [[1, 1], [1, 0]]
    with pytest.raises(jl.InputError, match=r"ep_size must divide.*ep_size = 5"):
        jl.sweep(
            {"base": BASE, "outputs": ["utps"], "axes": axes | {"layout": ["tp8", "dp5 ep5 tp1"]}}
        )


def test_shards_and_files_keep_them(together, tmp_path, monkeypatch):
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
    grid = grid_of(*MODELS[:2], outputs=SIZES)
    path = tmp_path / "sharded.nc"
    jl.sweep(grid, path, memory=2000).close()
    whole = jl.sweep(grid)
    with jl.open(path) as found:
        assert found.attrs["num_shards"] > 2
        xr.testing.assert_allclose(found.load(), whole, rtol=1e-6)
        assert found.valid_layout.identical(whole.valid_layout)
        assert found.attrs["remarks"] == whole.attrs["remarks"]
    shards = sorted((tmp_path / found.attrs["shards_folder"]).glob("0*.nc"))
    with xr.open_dataset(shards[-1]) as last:
        part = whole.valid_layout.sel(llm=last.llm, layout=last.layout)
        np.testing.assert_array_equal(last.valid_layout, part)
