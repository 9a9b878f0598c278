"""The limit study: what it covers, and a hand-worked number of every family of systems."""

import re
from pathlib import Path

import pytest

import jaxlimits as jl
from jaxlimits.grid.file import read_grid, shipped_grids
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.guide.pages import FOLDER
from jaxlimits.studies.family import family_table
from jaxlimits.studies.paper import PAPER
from jaxlimits.studies.prices import at_stated_prices

ROOT = Path(__file__).parents[2]
FAMILIES = {family.name: family for family in PAPER.families}


def rows(name):
    """Rows of a family's table by their names."""
    family = FAMILIES[name]
    table = family_table(family.title, jl.sweep(family.grid))
    heads = [column.label for column in table.columns]
    return [dict(zip(heads, row, strict=True)) for row in table.rows]


def row(name, **at):
    (found,) = (each for each in rows(name) if all(each[key] == v for key, v in at.items()))
    return found


def test_every_grid_of_the_study_is_shipped():
    assert set(PAPER.grids()) <= set(shipped_grids())


def test_a_quick_run_needs_the_grids_of_claims_alone():
    assert set(PAPER.grids(quick=True)) == {
        grid for c in PAPER.tested(quick=True) for grid in c.grids
    }


@pytest.mark.parametrize("grid", sorted(PAPER.grids()))
def test_every_grid_has_its_row_with_its_points_and_dimensions(grid):
    readme = (ROOT / "grids" / "README.md").read_text(encoding="utf-8")
    spec = build_spec(file := read_grid(grid), grid_catalog(file))
    dimensions = " ".join(axis.name for axis in spec.axes)
    row = rf"^\| `{grid}` \| {spec.num_points:,} \| `{dimensions}` \|"
    assert re.search(row, readme, flags=re.MULTILINE)


def test_every_family_has_its_row_in_the_guide():
    page = (FOLDER / "how-to" / "reproduce-the-paper.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| [^|]+ \| `(\w+)` \|$", page, flags=re.MULTILINE)
    assert named == [family.grid for family in PAPER.families]


def test_names_of_claims_families_and_figures_are_unique():
    pictures = [p.name for part in (*PAPER.claims, *PAPER.families) for p in part.pictures]
    names = [part.name for part in PAPER.claims]
    assert len(set(pictures)) == len(pictures)
    assert len(set(names)) == len(names)
    assert len(FAMILIES) == len(PAPER.families)


def test_hbm3_holds_llama_405b_from_four_chips_on():
    # 402.1e9 B of weights over 96 GiB = 103.1e9 B: 3.9 chips, so 4 of the powers of two
    found = row("hbm3", llm="llama3-405b", chip="xpu-hbm3", seq_len=4096)
    assert found["chips, fewest that fit"] == 4
    assert found["there: binds"] == "sync"


def test_hbm4_with_half_the_capacity_needs_twice_the_chips():
    half = row("hbm4", llm="llama3-405b", seq_len=4096, mem_capacity="103 GB")
    whole = row("hbm4", llm="llama3-405b", seq_len=4096, mem_capacity="206 GB")
    assert half["chips, fewest that fit"] == 2 * whole["chips, fewest that fit"] == 4


def test_stacked_dram_is_fast_with_fast_collectives():
    # 402.1e9 B over 1,024 chips of 30 TiB/s: 11.9 us; 378 * 0.1 us: 37.8 us
    found = row("stacked_dram", llm="llama3-405b", seq_len=4096, sync_latency="100 ns")
    assert found["fastest user"] == pytest.approx(1 / (11.9e-6 + 37.8e-6), rel=5e-3)


def test_sram_needs_a_thousand_chips_for_llama_405b():
    # 402.1e9 B over 512 MiB: 749 chips
    found = row("sram", llm="llama3-405b", chip="xpu-sram", seq_len=4096)
    assert found["chips, fewest that fit"] == 1024


def test_one_wafer_serves_a_small_model_without_collectives():
    # 7.0e9 B at 2,250 TiB/s: 2.8 us
    dataset = at_stated_prices(jl.sweep("wafer"))
    alone = dataset.sel(llm="llama3-8b", chip="xpu-cows", tp_size=1, pp_size=1, seq_len=4096)
    assert float(alone.t_sync.sel(batch_size=1)) == 0.0
    assert float(alone.t_mem.sel(batch_size=1)) == pytest.approx(2.93e-6, rel=2e-2)


@pytest.fixture(scope="module")
def cluster():
    return at_stated_prices(jl.sweep("cluster"))


def test_a_pipeline_has_more_users_in_flight_and_none_faster(cluster):
    dataset = cluster.sel(llm="llama3-70b", chip="xpu-hbm3", tp_size=8, seq_len=4096)
    one, sixteen = (
        dataset.sel(interconnect="nvlink4-ndr", pp_size=pp, batch_size=32) for pp in (1, 16)
    )
    # A stage a domain: each hop takes 32 * 8192 * 2 B over a port of 50 GB/s, and 5 us.
    hops = 15 * (32 * 8192 * 2 / 50e9 + 5e-6)
    assert float(sixteen.t_step) == pytest.approx(float(one.t_step) + hops, rel=1e-5)
    assert float(sixteen.stps / one.stps) == pytest.approx(16 / (1 + hops / float(one.t_step)))


@pytest.mark.parametrize(("interconnect", "inside"), [("nvlink4-ndr", 8), ("nvlink5-xdr", 64)])
def test_leaving_the_scale_up_domain_slows_one_user(cluster, interconnect, inside):
    at = {"llm": "llama3-405b", "chip": "xpu-hbm4", "seq_len": 4096, "batch_size": 1}
    found = cluster.sel(interconnect=interconnect, pp_size=1, **at)
    within, across = (found.sel(tp_size=tp) for tp in (inside, 2 * inside))
    assert float(across.utps) < float(within.utps)
    # One message inside, one more over the rails: 5 us for each of 3 * 126 collectives.
    added = across.t_sync_latency - within.t_sync_latency
    assert float(added) == pytest.approx(378 * 5e-6, rel=1e-5)


def test_the_number_of_chips_sets_the_time_of_a_collective(cluster):
    at = {"llm": "llama3-405b", "chip": "xpu-hbm4", "seq_len": 4096, "batch_size": 1, "pp_size": 1}
    sync = cluster.t_sync.sel(interconnect="nvlink5-xdr", **at).dropna("tp_size")
    assert float(sync.sel(tp_size=2)) < float(sync.sel(tp_size=64)) < float(sync.sel(tp_size=1024))


def test_placed_experts_raise_throughput_on_every_interconnect():
    dataset = at_stated_prices(jl.sweep("cluster_experts"))
    at = {"llm": "deepseek-v3", "chip": "xpu-hbm3", "tp_size": 8, "dp_size": 32, "seq_len": 4096}
    split, placed = (dataset.stps.sel(ep_size=ep, batch_size=64, **at) for ep in (1, 64))
    assert (placed > 1.2 * split).all()
    assert float((placed / split).sel(interconnect="paper-fit")) > 2.0


def test_the_mesh_inside_a_wafer_takes_its_time():
    dataset = at_stated_prices(jl.sweep("wafer_mesh"))
    at = {"llm": "llama3-8b", "seq_len": 4096, "batch_size": 1, "pp_size": 1}
    # Sums stream through lines of 5 and 5 dies, or of 12 and 7: 0.2 us and 0.1 us a further router;
    # 4096 activations of 2 B at 0.45 TB/s, along either side; 3 collectives in 32 layers.
    routers = {"xpu-cows-die": 3 + 3, "wse-3-die": 10 + 5}
    for chip, further in routers.items():
        found = dataset.sel(chip=chip, **at)
        assert float(found.t_sync_latency) == pytest.approx(96 * (0.4 + 0.1 * further) * 1e-6)
        assert float(found.t_sync_payload) == pytest.approx(96 * 2 * 8192 / 0.45e12)
    one = at_stated_prices(jl.sweep("wafer")).sel(chip="xpu-cows", tp_size=1, **at)
    assert float(found.t_sync) > 0.0 == float(one.t_sync)
    assert row("wafer_mesh", llm="llama3-8b", chip="wse-3-die", seq_len=4096)[
        "chips, fewest that fit"
    ] == pytest.approx(84)


def test_a_family_gives_its_dollars_over_the_spread_of_prices():
    # Half and twice of everything but electricity.
    half, stated, twice = (
        value for label, value in rows("wafer")[0].items() if label.startswith("cheapest tokens")
    )
    assert 0.5 * stated < half < stated < twice < 2.0 * stated
    assert twice - stated == pytest.approx(2.0 * (stated - half), rel=1e-4)
