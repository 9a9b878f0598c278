"""Feed-forward parts on chips of their own: by hand, by a schedule, and by the second model."""

import math

import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.terms import step_terms
from tests.batches import gradient_x64
from tests.helpers import COMBINATIONS, DEFAULT, evaluate_x64, named_scenario, slow_but
from tests.laws import law
from tests.model.test_reference import equals_the_reference
from tests.strategies import scenarios

BARE = {**DEFAULT, "collective_algorithm": "constant", "accounting": "layers", "vector_work": "off"}
DENSE = {"tp_size": 8.0, "batch_size": 32.0, "seq_len": 4096.0, "ffn_chips": 4.0}
EXPERTS = {"dp_size": 4.0, "batch_size": 2.0, "seq_len": 4096.0, "ffn_chips": 8.0}
# Llama-70B in 8 bits: 80 layers, d = 8192, 64 heads and 8 KV heads of 128, f = 28672.
ATTENTION = 80 * (2 * 8192 * 8192 + 2 * 8192 * 1024)
FFN = 80 * 3 * 8192 * 28_672
KV = 4096 * 80 * 2 * 8 * 128


@pytest.fixture(autouse=True)
def in_float64(x64):
    """Compute in float64."""


def dense(**values):
    return named_scenario("llama3-70b", "h100", **{**BARE, **DENSE, **values})


def experts(**values):
    return named_scenario("deepseek-v3", "h200", **{**BARE, **EXPERTS, **values})


def at(scenario):
    return evaluate_x64(*scenario)


def parts_by_hand(scenario) -> tuple[float, float, float]:
    """Times of one micro-batch of the dense model: attention, feed-forward parts, messages."""
    sync, hop = scenario["sync_latency"], scenario["hop_latency"]
    attention = (ATTENTION + 32 * KV) / (8 * scenario["mem_bw"]) + 80 * 2 * sync
    return attention, FFN / (4 * scenario["mem_bw"]) + 80 * sync, 80 * 2 * hop


def test_one_micro_batch_of_a_dense_model_takes_all_parts_in_turn():
    # Of 3 collectives a layer 2 stay with attention, and each of 80 layers has a message both ways.
    one = dense(ffn_micro_batches=1.0)
    point = at(one)
    assert point.t_step == pytest.approx(sum(parts_by_hand(one)), rel=1e-12)
    assert point.stps == pytest.approx(32 / sum(parts_by_hand(one)), rel=1e-12)
    assert (point.tp_collectives, point.pp_hops, point.num_chips) == (80 * 3, 80 * 2, 12)
    assert point.pp_volume == 2 * 80 * 8192 * 2  # bytes of one token of 16 bits, there and back
    assert point.weight_traffic == ATTENTION + FFN
    busy = 12 * one["mem_bw"] * point.t_step
    assert point.bandwidth_utilisation == pytest.approx((ATTENTION + FFN + 32 * KV) / busy)


def test_two_micro_batches_of_it_go_at_the_pace_of_the_slower_chips():
    # 56.4 GB over four chips take 4.2 ms, 33.6 GB over eight 1.3 ms.
    two = dense(ffn_micro_batches=2.0)
    attention, ffn, sent = parts_by_hand(two)
    assert 2 * ffn > attention + ffn + sent
    point = at(two)
    assert point.t_step == pytest.approx(2 * ffn, rel=1e-12)
    assert point.t_mem == pytest.approx(2 * FFN / (4 * two["mem_bw"]), rel=1e-12)
    assert point.t_sync == pytest.approx(2 * 80 * two["sync_latency"], rel=1e-12)
    assert (point.users, point.stps) == (64, pytest.approx(32 / ffn, rel=1e-12))
    four = at(dense(ffn_micro_batches=4.0))
    assert four.stps == pytest.approx(point.stps, rel=1e-12)  # the pace is all there is


def test_a_split_mixture_of_experts_reads_what_the_tokens_of_all_replicas_touch():
    # 8 tokens of 4 replicas touch 256 (1 - (31/32)^8) experts in each of 58 layers, over 8 chips.
    each, shared = 3 * 7168 * 2048, 58
    touched = 256 * (1 - (31 / 32) ** 8)
    read = 3 * 3 * 7168 * 18_432 + each * (shared + 58 * touched)
    scenario = experts(ffn_micro_batches=3.0)
    ffn = read / (8 * scenario["mem_bw"]) + 61 * scenario["sync_latency"]
    point = at(scenario)
    assert point.t_step == pytest.approx(3 * ffn, rel=1e-9)
    assert point.limit == jl.Limit.MEMORY
    assert point.users == 3 * 4 * 2
    assert point.t_mem == pytest.approx(3 * read / (8 * scenario["mem_bw"]), rel=1e-9)


def test_tokens_go_straight_to_experts_on_ranks():
    # A message carries 8 tokens of 7168 x 2 B: in 3 dense layers once, in 58 to 8 experts and once
    # to the shared one; the 4 chips of attention send it. The ranks have no other exchange.
    moving = {
        "collective_algorithm": "one-shot",
        "link_bw": 50e9,
        "ep_size": 16.0,
        "ffn_chips": 16.0,
    }
    apart = at(experts(**moving, ffn_micro_batches=1.0))
    messages = 2 * (3 + 58 * 9) * 8 * 7168 * 2 / (4 * 50e9)
    within = 3 * 15 * 8 * 7168 * 2 / 50e9  # three dense layers, among 16 chips in one shot
    assert apart.t_sync_payload == pytest.approx(messages + within, rel=1e-9)
    assert (apart.ep_collectives, apart.tp_collectives, apart.pp_hops) == (0, 3, 122)
    # No more than once to each rank: 2 ranks take 2 copies.
    few = at(experts(**moving, ffn_micro_batches=1.0).but(ep_size=2.0))
    assert few.pp_volume == 2 * (3 + 58 * 3) * 7168 * 2


def test_slow_links_set_the_pace():
    slow = {"collective_algorithm": "one-shot", "link_bw": 1e8, "ffn_micro_batches": 3.0}
    point = at(dense(**slow, tp_size=1.0, ffn_chips=1.0, mem_capacity=1e12))
    one_way = 80 * 32 * 8192 * 2 / 1e8
    assert point.t_step == pytest.approx(3 * one_way, rel=1e-9)
    assert point.limit == jl.Limit.SYNC
    # Twelve chips do not lie in one domain of eight: the four of the fewer take 1/4 of the tokens.
    rails = {"topology": "rail", "scale_up_size": 8.0, "scale_out_bw": 1e7, "link_bw": 450e9}
    outside = at(dense(**{**slow, **rails}))
    assert outside.t_step == pytest.approx(3 * 80 * 32 * 8192 * 2 / (4 * 1e7), rel=1e-9)


def test_as_many_chips_and_one_micro_batch_take_as_long_as_the_same_chips():
    # Only which chips work changes, so the operators take what they took; messages are free here.
    free = {"roofline": "operator", "hop_latency": 0.0, "ffn_micro_batches": 1.0}
    sizes = {"tp_size": 8.0, "ffn_chips": 8.0, "ep_size": 1.0}
    for make, more in ((dense, {}), (experts, {"dp_size": 1.0, "mem_capacity": 1e12})):
        apart = make(**free, **sizes, **more)
        ours, theirs = at(apart), at(apart.but(ffn_chips=0.0))
        assert ours.t_step == pytest.approx(theirs.t_step, rel=1e-12)
        assert ours.weight_bytes == pytest.approx(theirs.weight_bytes, rel=1e-12)
        assert ours.users == theirs.users


def test_a_micro_batch_keeps_each_resource_busy_as_long_as_by_hand():
    # The same however many are in flight; of 4 chips each sends a quarter of 32 tokens, 80 times.
    for batches in (1.0, 3.0):
        scenario = dense(ffn_micro_batches=batches)
        busy = terms_of(scenario).busy
        attention, ffn, _ = parts_by_hand(scenario)
        assert (busy.attention, busy.ffn) == pytest.approx((attention, ffn), rel=1e-12)
        assert busy.links == 0.0  # under a constant algorithm no payload moves
    moving = terms_of(dense(collective_algorithm="one-shot", link_bw=1e9)).busy
    assert moving.links == pytest.approx(80 * 32 * 8192 * 2 / (4 * 1e9), rel=1e-12)
    assert terms_of(dense(ffn_chips=0.0)).busy is None


def terms_of(scenario):
    return step_terms(*scenario, Calibration(), Fabric())


def steady_time(attention: float, ffn: float, way: float, batches: int, layers: int = 200) -> float:
    """Mean time of a layer when micro-batches take turns, whichever is ready first."""
    ready = [0.0] * batches
    free = {"attention": 0.0, "ffn": 0.0}
    for _ in range(layers):
        for batch in range(batches):
            for kind, work in (("attention", attention), ("ffn", ffn)):
                start = max(ready[batch], free[kind])
                free[kind] = start + work
                ready[batch] = free[kind] + way
    return ready[-1] / layers


@pytest.mark.parametrize("scenario", [dense(), dense(ffn_chips=32.0, hop_latency=9e-6)])
def test_a_schedule_of_single_layers_takes_as_long(scenario):
    one = at(scenario.but(ffn_micro_batches=1.0))
    sync = 80 * scenario["sync_latency"]
    way = scenario["hop_latency"]
    ffn = FFN / (scenario["ffn_chips"] * scenario["mem_bw"]) + sync
    attention = one.t_step - ffn - 160 * way
    for batches in (1, 2, 3, 5):
        expected = 80 * steady_time(attention / 80, ffn / 80, way, batches)
        point = at(scenario.but(ffn_micro_batches=float(batches), mem_capacity=1e12))
        assert point.t_step == pytest.approx(expected, rel=0.01)  # but for the first layers


def test_either_kind_of_chips_may_be_the_one_that_is_full():
    # Of feed-forward weights 14.1 GB on each of four chips; on each of eight 9.6 GB, and with four
    # times the sequences 33.7 GB, of attention's weights and of all that are in flight.
    each = dense()["mem_capacity"] * dense()["usable_fraction"]
    few, many = (at(dense(ffn_micro_batches=3.0, batch_size=size)) for size in (32.0, 128.0))
    assert few.bytes_per_chip == pytest.approx(FFN / 4)
    assert few.capacity_utilisation == pytest.approx(FFN / 4 / each)
    assert many.kv_bytes == 3 * 128 * KV
    assert many.bytes_per_chip == pytest.approx((ATTENTION + 3 * 128 * KV) / 8)
    assert many.capacity_utilisation == pytest.approx(many.bytes_per_chip / each)
    largest = math.floor((8 * each - ATTENTION) / (3 * KV))
    assert few.max_batch_size == many.max_batch_size == largest
    small = at(dense(ffn_chips=1.0, mem_capacity=50e9, usable_fraction=1.0))
    assert not small.feasible
    assert (small.max_batch_size, small.limit) == (0, jl.Limit.CAPACITY)
    assert small.capacity_utilisation == pytest.approx(FFN / 50e9)
    assert small.bytes_per_chip == FFN


@law(max_examples=25, scenario=scenarios(combinations=("paper",), apart=True, ep_size=1.0))
def test_what_more_of_each_does(scenario):
    roomy = scenario.but(mem_capacity=1e18)
    chips = roomy.but(ffn_chips=2.0 * scenario["ffn_chips"])
    quick = roomy.but(hop_latency=0.5 * scenario["hop_latency"])
    batches = roomy.but(ffn_micro_batches=scenario["ffn_micro_batches"] + 1.0)
    here, wide, soon, full = yield roomy, chips, quick, batches
    if scenario["ffn_chips"] > 1.0:  # a single chip has no collectives
        assert wide.utps >= here.utps * (1.0 - 1e-12)
    assert soon.utps >= here.utps * (1.0 - 1e-12)
    assert full.utps <= here.utps * (1.0 + 1e-12)
    assert full.stps >= here.stps * (1.0 - 1e-12)


def test_the_slope_by_the_chips_is_the_closed_one():
    # utps = 1/(2 (F/(n W) + 80 s)), so that its slope by n is 2 F/(n^2 W) times its square.
    slopes = gradient_x64(dense())
    by_chips = 2 * FFN / (4**2 * dense()["mem_bw"]) * at(dense()).utps ** 2
    assert slopes["ffn_chips"] == pytest.approx(by_chips, rel=1e-9)
    assert all(math.isfinite(slope) for slope in slopes.values())


# Under "engine" those with requests are compared, below.
@pytest.mark.parametrize("name", slow_but(COMBINATIONS, "default"))
@law(
    max_examples=50,
    scenario=lambda name: scenarios(combinations=(name,), apart=True, feasible=None),
)
def test_the_model_equals_an_independent_one(name, scenario):
    return equals_the_reference(scenario)


@law(
    max_examples=25,
    scenario=scenarios(combinations=("engine",), apart=True, requested=True, feasible=None),
)
def test_requests_equal_those_of_an_independent_one(scenario):
    return equals_the_reference(scenario)


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ({"ep_size": 6}, "ep_size must divide ffn_chips"),
        ({"ep_size": 2, "dense_tp_size": 4}, "dense layers that replicas share"),
        ({"sram_capacity": "1 GB", "sram_bw": "1 TB/s"}, "a tier of SRAM"),
        ({"lpddr_capacity": "1 GB", "lpddr_bw": "1 TB/s"}, "a tier of LPDDR"),
        *(
            ({switch: choice}, f"{switch} = '{choice}'")
            for switch, plain in schema.switch_defaults().items()
            if switch in ("weight_placement", "speculation", "mixed_steps")
            for choice in schema.SWITCHES[switch].choices
            if choice != plain
        ),
    ],
)
def test_what_it_excludes_is_refused(beside, says):
    with pytest.raises(InputError, match=says):
        jl.evaluate("deepseek-v3", "h200", ffn_chips=16, **beside)


def test_latents_do_not_go_to_ranks():
    sizes = {"ffn_chips": 16, "expert_hidden_size": 1024}
    with pytest.raises(InputError, match="a latent of another width"):
        jl.evaluate("deepseek-v3", "h200", ep_size=16, **sizes)


def test_an_operator_is_taken_apart_on_the_chips_that_work_on_it():
    # Each of four chips reads a quarter of the feed-forward weights, whatever the batch.
    parts = jl.operators("llama3-70b", "h100", tp_size=8, ffn_chips=4, weight_bits=8)
    assert parts.traffic.sel(operator="ffn").item() == pytest.approx(FFN / 4)
    projected = 80 * 8192 * (8192 + 2 * 1024) / 8  # beside them norms, in the bits of the head
    assert parts.traffic.sel(operator="projections").item() == pytest.approx(projected, rel=1e-3)
