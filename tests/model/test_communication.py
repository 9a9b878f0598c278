"""How often chips exchange data and how much, counted by hand, and the grids that show it."""

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.model.collectives import sync
from jaxlimits.model.communication import exchanges
from jaxlimits.model.speculation import draft_model, verifying
from tests.helpers import named_scenario

pytestmark = pytest.mark.usefixtures("x64")


def counted(name, **values):
    scenario = named_scenario(name, "h200", **values)
    found = exchanges(scenario.llm, scenario.draft, scenario.deployment)
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


def test_a_drafts_exchanges_count_with_its_models():
    # DRAFT: 1 layer, 64 elements of 2 B. 3 proposals at an acceptance of 1/2: 1.875 tokens a step.
    sizes = {"tp_size": 8.0, "pp_size": 2.0, "collectives_per_layer": 2.0}
    drafted = {"speculation": "draft", "draft_length": 3.0, "acceptance": 0.5}
    found = counted("llama3-70b", **sizes, **drafted)
    assert found["tp_collectives"] == 160 + 3 * 2
    assert found["pp_hops"] == 1 + 3
    sent = 4 * 160 * 14 * 16_384 + 3 * 2 * 14 * 128
    assert found["tp_volume"] == pytest.approx(sent / 1.875, rel=1e-12)
    assert found["pp_volume"] == pytest.approx((4 * 8 * 16_384 + 3 * 8 * 128) / 1.875, rel=1e-12)


def test_an_mtp_layer_exchanges_as_much_as_a_mean_layer():
    # 61 layers, 58 of them with experts: each proposal has 3 - 58/61 all-reduces, 2 * 58/61 others.
    sizes = {"tp_size": 4.0, "dp_size": 4.0, "ep_size": 16.0}
    plain = counted("deepseek-v3", **sizes)
    mtp = {"speculation": "mtp", "draft_length": 2.0, "acceptance": 1.0}
    found = counted("deepseek-v3", **sizes, **mtp)
    for name in ("tp_collectives", "ep_collectives"):
        assert found[name] == pytest.approx(plain[name] * (1 + 2 / 61), rel=1e-12)
    for name in ("tp_volume", "ep_volume"):  # 3 tokens verified, 2 of them proposed, all 3 accepted
        assert found[name] == pytest.approx(plain[name] * (3 + 2 / 61) / 3, rel=1e-12)


@pytest.mark.parametrize("speculation", ["draft", "mtp"])
def test_volumes_are_what_a_step_moves_over_the_links(speculation):
    # What one chip sends in a step is what two shots take beside their latency, the draft's too.
    values = {"speculation": speculation, "draft_length": 2.0, "acceptance": 0.5}
    values |= {"collective_algorithm": "two-shot", "batch_size": 32.0, "tp_size": 8.0}
    point = named_scenario("llama3-70b", "h200", **values)
    small = draft_model(point.llm, point.draft, point.deployment)
    own = sync(point.chip, point.llm, verifying(point.deployment)).payload
    proposals = 2 * sync(point.chip, small, point.deployment).payload
    found = exchanges(point.llm, point.draft, point.deployment)
    sent = found.tp_volume * 32 * (1 + 0.5 + 0.25) / 8
    assert float(own + proposals) == pytest.approx(float(sent) / 450e9, rel=1e-9)


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
