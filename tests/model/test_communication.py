"""How often chips exchange data and how much, counted by hand, and the grids that show it."""

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.model.communication import exchanges
from tests.helpers import named_scenario

pytestmark = pytest.mark.usefixtures("x64")


def counted(name, **values):
    scenario = named_scenario(name, "h200", **values)
    found = exchanges(scenario.llm, scenario.deployment)
    return {key: float(value) for key, value in vars(found).items()}


def test_one_chip_sends_nothing():
    assert set(counted("deepseek-v3").values()) == {0.0}


@pytest.mark.parametrize(
    ("tp_size", "volume"),
    [
        # 80 layers * 2 all-reduces; 8192 elements of 2 B; each of t chips sends (t - 1)/t twice.
        (2.0, 160 * 2 * 16_384),
        (8.0, 160 * 14 * 16_384),
    ],
)
def test_tensor_parallel_volume_by_hand(tp_size, volume):
    found = counted("llama3-70b", tp_size=tp_size, collectives_per_layer=2.0, batch_size=32.0)
    assert (found["tp_collectives"], found["tp_volume"]) == (160, volume)
    assert (found["ep_volume"], found["pp_volume"]) == (0, 0)


def test_the_volume_of_all_reduces_is_that_of_their_payload_on_the_links():
    # What one chip sends in a step, over its links, is what two shots take beside their latency.
    sizes = {"tp_size": 8.0, "batch_size": 32.0, "collective_algorithm": "two-shot"}
    point = jl.evaluate("llama3-70b", "h200", x64=True, **sizes)
    sent = point.tp_volume * 32 / 8
    assert point.t_sync_payload == pytest.approx(sent / 450e9, rel=1e-12)


def test_pipeline_volume_by_hand():
    # 3 hops, on each of which all 8 chips send 16,384 B.
    found = counted("llama3-70b", tp_size=8.0, pp_size=4.0)
    assert (found["pp_hops"], found["pp_volume"]) == (3, 3 * 8 * 16_384)


def test_expert_parallel_volume_by_hand():
    # 58 layers * 2 all-to-alls; 8 experts * 7168 elements * 2 B, 15/16 of them on other ranks.
    found = counted("deepseek-v3", tp_size=4.0, dp_size=4.0, ep_size=16.0)
    assert found["ep_collectives"] == 116
    assert found["ep_volume"] == pytest.approx(116 * 8 * 14_336 * 15 / 16, rel=1e-12)
    # 3 a layer, one fewer in the 58 expert layers: 3 * 61 - 58 = 125.
    assert (found["tp_collectives"], found["tp_volume"]) == (125, 125 * 6 * 14_336)


def test_the_volume_of_an_all_to_all_is_that_of_its_payload_on_the_links():
    sizes = {"dp_size": 16.0, "ep_size": 16.0, "batch_size": 4.0, "weight_bits": 1.0}
    sizes |= {"collective_algorithm": "ring"}
    point = jl.evaluate("deepseek-v3", "h200", x64=True, **sizes)
    assert point.t_sync_payload == pytest.approx(point.ep_volume * 4 / 450e9, rel=1e-12)


def test_the_grid_of_communication_shows_the_closed_forms():
    found = jl.sweep("communication").sel(llm="llama3-405b")
    tp, pp = found.tp_size, found.pp_size
    a = 16_384 * 2
    each = np.where(tp > 8, 3, 2) * (tp > 1)  # beyond its 8 KV heads attention is combined too
    np.testing.assert_allclose(found.tp_collectives.isel(ep_size=0, pp_size=0), 126 * each)
    volume = 126 * each * 2 * (tp - 1) * a
    np.testing.assert_allclose(found.tp_volume.isel(ep_size=0, pp_size=0), volume)
    hops = found.pp_volume.isel(ep_size=0).transpose("tp_size", "pp_size")
    np.testing.assert_allclose(hops, tp * (pp - 1) * a)
    assert not found.ep_volume.any()
