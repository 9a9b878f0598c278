"""Links by value: collectives carry their payload where a chip states its links, and only there."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.model.alpha_beta import ALGORITHMS_ON
from jaxlimits.model.chip import UNSTATED_LINK_BW, Chip
from jaxlimits.model.collectives import sync
from jaxlimits.model.sharded import gather_time
from tests.helpers import ALGORITHMS, named_scenario
from tests.reference import Point, sync_parts

pytestmark = pytest.mark.usefixtures("x64")

SIZES = {"tp_size": 4.0, "pp_size": 2.0, "dp_size": 2.0, "ep_size": 8.0, "batch_size": 8.0}
"""All three kinds of exchanges."""

STATED, UNSTATED = "h200", "xpu-hbm4"
"""Chips of the catalog with and without a rate of their links."""

CHIPS = (STATED, UNSTATED, "rtx-4090", "xpu-hbm3")
EXCHANGING = ("t_sync", "t_sync_latency", "t_sync_payload", "utps", "limit")


def point(chip, algorithm="auto", **values):
    return named_scenario(
        "deepseek-v3", chip, **{**SIZES, **values}, collective_algorithm=algorithm
    )


def waiting(chip, algorithm="auto", **values):
    """Exposed synchronisation, all of it, its latency and its payload."""
    at = point(chip, algorithm, **values)
    times = sync(at.chip, at.llm, at.deployment)
    return tuple(map(float, (times.total, times.latency, times.payload)))


def come_to(chip):
    return "best" if load_catalog().chip(chip).link_bw else "constant"


@pytest.mark.parametrize("topology", ALGORITHMS_ON)
@pytest.mark.parametrize("chip", [STATED, UNSTATED])
def test_auto_is_the_best_or_the_constant(chip, topology):
    here = waiting(chip, topology=topology)
    assert here == waiting(chip, come_to(chip), topology=topology)
    reference = point(chip, topology=topology)
    expected = sync_parts(Point(reference.numbers, reference.switches))
    assert here == pytest.approx(expected, rel=1e-9)


def test_links_that_are_set_count_as_stated():
    *_, bare = waiting(UNSTATED)
    *_, linked = waiting(UNSTATED, link_bw=1e11)
    assert bare == 0.0 < linked
    assert waiting(UNSTATED, link_bw=1e11) == waiting(UNSTATED, "best", link_bw=1e11)
    assert waiting(STATED, link_bw=0.0) == waiting(STATED, "constant")


@pytest.mark.parametrize("algorithm", sorted({*ALGORITHMS} - {"auto"}))
def test_every_other_algorithm_has_links_where_none_are_stated(algorithm):
    usual = waiting(UNSTATED, algorithm, link_bw=UNSTATED_LINK_BW)
    assert waiting(UNSTATED, algorithm) == usual


@pytest.mark.parametrize("algorithm", ["auto", "constant", "best"])
@pytest.mark.parametrize("chip", [STATED, UNSTATED])
def test_shards_are_gathered_over_links_that_are_not_stated_too(chip, algorithm):
    def gathering(by, **values):
        sharded = {"weight_placement": "sharded", "dp_size": 4.0, "ep_size": 1.0}
        at = point(chip, by, **sharded, **values)
        return float(gather_time(at.chip, at.llm, at.deployment, weights=7e11))

    usual = {"link_bw": load_catalog().chip(chip).link_bw or UNSTATED_LINK_BW}
    alike = come_to(chip) if algorithm == "auto" else algorithm
    assert gathering(algorithm) == gathering(alike, **usual) > 0.0


@pytest.mark.parametrize("rate", [0.0, 450e9])
def test_gradients_are_finite_where_links_may_be_stated_or_not(rate):
    # All records are traced, so that both kinds of links are.
    at = point(STATED, link_bw=rate)
    both = dataclasses.replace(at.deployment, stated_links=True, unstated_links=True)
    records = jax.tree.map(np.float64, (at.chip, at.llm, both))
    slopes = jax.grad(lambda records: sync(*records).total)(records)
    assert all(np.isfinite(slope) for slope in jax.tree.leaves(slopes))
    assert (float(slopes[0].link_bw) < 0.0) == (rate > 0.0)


def test_a_mixed_grid_is_each_of_its_chips_by_its_own_algorithm():
    base = {"llm": "deepseek-v3", "pp_size": 2, "batch_size": 8, "dp_size": 4}
    axes = {"chip": list(CHIPS), "tp_size": [1, 8], "ep_size": [1, 4]}
    outputs = [*EXCHANGING, "t_sync_elasticity_link_bw"]
    mixed = jl.sweep({"outputs": outputs, "base": base, "axes": axes}, x64=True)
    assert "best on h200 and rtx-4090, constant on xpu-hbm4 and xpu-hbm3" in mixed.attrs["rests_on"]
    for algorithm in ("best", "constant"):
        own = [chip for chip in CHIPS if come_to(chip) == algorithm]
        alone = jl.sweep(
            {
                "outputs": outputs,
                "base": {**base, "collective_algorithm": algorithm},
                "axes": {**axes, "chip": own},
            },
            x64=True,
        )
        for name in outputs:
            here = mixed[name].sel(chip=own)
            np.testing.assert_allclose(here, alone[name], rtol=1e-12, err_msg=name)
            assert not here.isnull().all()


def test_a_mixed_grid_is_each_of_its_points():
    base = {"llm": "llama3-70b", "tp_size": 8, "weight_bits": 4}
    grid = {"outputs": ["t_sync"], "base": base, "axes": {"chip": list(CHIPS)}}
    mixed = jl.sweep(grid, x64=True).t_sync
    for chip in CHIPS:
        settings = {**base, "collective_algorithm": come_to(chip)}
        expected = jl.evaluate(chip=chip, x64=True, **settings).t_sync
        assert mixed.sel(chip=chip).item() == pytest.approx(expected, rel=1e-12)


def test_an_interconnect_counts_as_stated_links():
    joined = {"tp_size": 8, "interconnect": "pcie5", "x64": True}
    one = jl.evaluate("llama3-70b", UNSTATED, **joined)
    best = jl.evaluate("llama3-70b", UNSTATED, **joined, collective_algorithm="best")
    assert one.t_sync == best.t_sync
    assert one.t_sync_payload > 0.0


def test_a_chip_of_ones_own_states_its_links_or_does_not():
    numbers = {"peak_flops": 1e15, "peak_vector_flops": 3e13, "mem_bw": 8e12, "mem_capacity": 3e11}
    plain, linked = Chip(**numbers), Chip(**numbers, link_bw=1e11)
    settings = {"tp_size": 8, "batch_size": 64, "x64": True}
    assert jl.evaluate("llama3-70b", plain, **settings).t_sync_payload == 0.0
    assert jl.evaluate("llama3-70b", linked, **settings).t_sync_payload > 0.0


def test_a_prefill_over_pcie_waits_for_its_links():
    # Llama 70B, 32,768 tokens of 8192 elements of 2 B: 536.9 MB in each of 3 * 80 collectives,
    # which a switch sums at 32 GB/s in 2 * 3.56 us + 16.777 ms: 4.03 s beside 0.37 s of work.
    bits = {"weight_bits": 8, "kv_bits": 8, "compute_bits": 8}
    asked = {"input_len": 32768, "tp_size": 8, "x64": True, **bits}
    constant = jl.evaluate("llama3-70b", "h100", collective_algorithm="constant", **asked).ttft
    assert constant == pytest.approx(0.373, abs=1e-3)
    payload = 240 * (3.56e-6 + 32768 * 8192 * 2 / 32e9)
    linked = jl.evaluate("llama3-70b", "h100", link_bw="32 GB/s", **asked).ttft
    assert linked == pytest.approx(constant + payload, rel=1e-9)
    assert constant + payload == pytest.approx(4.40, abs=5e-3)


@pytest.mark.parametrize(("settings", "users"), [({}, 6), ({"kv_sharding": "split"}, 49)])
def test_a_latent_cache_is_held_by_every_chip_by_default(settings, users):
    # 8 * 141 GB less 671 GB of weights; 61 * 576 * 2 B * 131,072 tokens are 9.2 GB, in 8 copies.
    asked = {"tp_size": 8, "seq_len": 131_072, "kv_bits": 16, **settings}
    assert jl.evaluate("deepseek-v3", "h200", **asked).max_batch_size == users
