"""The gallery: every shipped grid has its picture, and the text says what the numbers say."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxlimits as jl
from jaxlimits.examples.gallery.__main__ import draw, result
from jaxlimits.examples.gallery.figures import ANSWERS, ENTRIES
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.pipeline import load_grid

GRIDS = Path(__file__).parents[1] / "grids"
PICTURES = GRIDS / "pictures" / "gallery"
TEXT = (GRIDS / "README.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in GRIDS.glob("*.toml"))


def said_of(name):
    (text,) = re.findall(rf"^### `{name}`\n(.*?)(?=^###|\Z)", TEXT, flags=re.DOTALL | re.MULTILINE)
    return " ".join(text.split())


def test_every_grid_has_its_entry():
    assert sorted(ENTRIES) == NAMES
    assert sorted(path.stem for path in PICTURES.iterdir()) == sorted([*NAMES, *ANSWERS])


@pytest.mark.parametrize("name", [*NAMES, *ANSWERS])
def test_every_grid_has_its_picture_and_its_text(name):
    said = said_of(name)
    assert f"(pictures/gallery/{name}.png)" in said
    assert (PICTURES / f"{name}.png").stat().st_size < 150_000
    assert len(said) > 150


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 3_000_000


@pytest.mark.parametrize("name", [name for name in NAMES if ENTRIES[name].every])
def test_grids_are_thinned_as_is_said(name):
    assert "*Thinned" in said_of(name)
    spec = load_grid(name)
    assert isinstance(spec, GridSpec)
    assert set(ENTRIES[name].every) <= {axis.name for axis in spec.axes}


def test_the_command_draws_what_is_stored(tmp_path):
    draw(tmp_path, "kv260")
    sizes = []
    for folder in (tmp_path, PICTURES):
        with Image.open(folder / "kv260.png") as image:
            sizes.append(image.size)
    assert sizes[0] == sizes[1]
    with pytest.raises(jl.InputError, match="did you mean kv260"):
        draw(tmp_path, "kv261")


def test_what_is_said_of_smoke_is_so():
    ds = result("smoke")
    speed = ds.utps.sel(seq_len=4096).sel(sync_latency=1e-6, method="nearest")
    gains = (speed.isel(mem_bw=-1) / speed.isel(mem_bw=0)).sel(batch_size=[1, 128])
    assert np.allclose(gains, [14.7, 9.5], atol=0.05)
    fits = ds.utps.sel(seq_len=65536).notnull().all(["mem_bw", "sync_latency"])
    assert ds.batch_size[fits.to_numpy()].max() == 8


def test_what_is_said_of_the_top_speed_is_so():
    best = result("top_speed").utps.max("tp_size").sel(seq_len=4096)
    assert (int((best >= 2000).sum()), int(best.count()), int((best >= 1e4).sum())) == (48, 52, 17)
    small = ["llama3-8b", "qwen3-4b", "qwen3-30b", "gpt-oss-20b"]
    assert int((best.sel(llm=small) >= 1e4).sum()) == 13


def test_what_is_said_of_the_plan_is_so():
    ds = result("plan")
    at_target = ds.sel(tpot_target=0.02)
    found = [at_target[f"least_{name}"].item() for name in ("bound", "aggregated", "disaggregated")]
    assert found == [29, 36, 45]
    assert (ds.least_bound <= ds.least_aggregated.fillna(np.inf)).all()
    assert (ds.least_bound <= ds.least_disaggregated.fillna(np.inf)).all()
    cheaper = ds.tpot_target.where(ds.least_disaggregated < ds.least_aggregated).max()
    assert 0.009 < cheaper < 0.013


@pytest.mark.slow
def test_what_is_said_of_a_ratio_is_so():
    speeds = result("ratio").utps.sel(seq_len=4096, batch_size=1, tp_size=128)
    over = speeds / speeds.sel(chip="xpu-hbm3")
    dense = over.sel(llm="llama3-405b", chip=["xpu-hbm4", "xpu-3d-dram"])
    assert np.allclose(dense, [1.77, 1.94], atol=0.005)
    sparse = over.sel(llm="gpt-oss-120b", chip=["xpu-hbm4", "xpu-3d-dram"])
    assert np.allclose(sparse, 1.04, atol=0.005)


@pytest.mark.slow
def test_what_is_said_of_a_tornado_is_so():
    chosen = result("tornado").sel(llm="llama3-405b", chip="xpu-hbm4", tp_size=128, seq_len=4096)
    one, many = chosen.sel(batch_size=1), chosen.sel(batch_size=512)
    assert float(0.9**one.utps_elasticity_sync_latency) == pytest.approx(1.086, abs=5e-4)
    assert float(1.1**one.utps_elasticity_mem_bw) == pytest.approx(1.021, abs=5e-4)
    assert float(1.1**many.utps_elasticity_peak_flops) == pytest.approx(1.072, abs=7e-4)
    assert float(many.utps_elasticity_mem_bw) == 0.0


@pytest.mark.slow
def test_what_is_said_of_a_waterfall_is_so():
    chosen = result("waterfall").utps.sel(llm="llama3-405b", seq_len=4096, chip="xpu-hbm3")
    off, proposed = (chosen.sel(attention_span="full", speculation=s) for s in ("off", "mtp"))
    steps = [off[0, 0], proposed[0, 0], proposed[1, 0], proposed[1, 1]]
    assert [round(float(step)) for step in steps[:: len(steps) - 1]] == [780, 3605]
    gains = [float(two / one) for one, two in itertools.pairwise(steps)]
    assert np.allclose(gains, [2.88, 1.39, 1.16], atol=0.005)


@pytest.mark.slow
def test_what_is_said_of_trajectories_is_so():
    ds = result("trajectories")
    assert int((ds.search_miss[:, 0] > 0.0).sum()) == 6
    assert ds.sizes["search"] == 8
    assert np.allclose(ds.search_objective[:, -1], 1564.0, atol=0.5)
