"""Touched experts and their placement, by hand."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlimits.model import experts
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.imbalance import touched_imbalance
from tests.helpers import evaluate_x64, named_scenario

DEEPSEEK = named_scenario("deepseek-v3", "h200").llm


@pytest.mark.parametrize(
    ("tokens", "touched"),
    [
        (1.0, 8.0),
        (2.0, 15.75),  # 256 * (1 - (31/32)^2) = 256 * 63/1024
        (3.0, 23.2578125),  # 256 * (1 - 29791/32768) = 256 * 2977/32768
        (64.0, 222.442488),  # 256 * (1 - (31/32)^64) = 256 * (1 - 0.13108403)
        (1e6, 256.0),
    ],
)
@pytest.mark.usefixtures("x64")
def test_deepseek_v3_touches_so_many_experts(tokens, touched):
    assert experts.touched_experts(DEEPSEEK, tokens=tokens) == pytest.approx(touched, rel=1e-6)


@pytest.mark.usefixtures("x64")
def test_the_mean_over_all_choices_is_the_formula():
    # 2 tokens choose 2 of 4 experts each: 6 * 6 equally likely pairs of sets.
    choices = [set(pair) for pair in itertools.combinations(range(4), 2)]
    mean = sum(len(a | b) for a in choices for b in choices) / 36
    llm = named_scenario("deepseek-v3", "h200", num_experts=4.0, experts_per_token=2.0).llm
    assert mean == 3.0
    assert experts.touched_experts(llm, tokens=2.0) == pytest.approx(mean, rel=1e-14)


@pytest.mark.usefixtures("x64")
def test_a_dense_model_touches_none_and_a_token_of_all_experts_all():
    dense = named_scenario("llama3-70b", "h100").llm
    assert experts.touched_experts(dense, tokens=7.0) == 0.0
    every = named_scenario("deepseek-v3", "h200", experts_per_token=256.0).llm
    assert experts.touched_experts(every, tokens=1.0) == 256.0


@given(tokens=st.integers(1, 10**6), more=st.integers(0, 1000), used=st.integers(1, 256))
def test_touched_experts_lie_between_active_and_all_and_grow_with_tokens(tokens, more, used):
    llm = named_scenario("deepseek-v3", "h200", experts_per_token=float(used)).llm
    fewer = experts.touched_experts(llm, tokens=float(tokens))
    touched = experts.touched_experts(llm, tokens=float(tokens + more))
    slack = 1e-4  # these calls are in single precision
    assert used - slack <= fewer <= touched + slack <= 256.0 + 2 * slack


@pytest.mark.usefixtures("x64")
def test_replicas_share_tokens_only_under_expert_parallelism():
    sizes = {"tp_size": 8.0, "dp_size": 4.0, "batch_size": 3.0, "query_tokens": 2.0}
    alone, placed = Deployment(**sizes), Deployment(ep_size=32.0, **sizes)
    assert experts.expert_replicas(alone) == 1.0
    assert experts.expert_replicas(placed) == 4.0
    assert experts.routed_tokens(alone) == 6.0  # 3 * 2
    assert experts.routed_tokens(placed) == 24.0  # 3 * 2 * 4


OF_32_RANKS = {"num_experts": 256.0, "experts_per_token": 8.0, "ep_size": 32.0}


def test_a_replica_stores_and_reads_its_share_of_the_experts():
    sizes = {"tp_size": 8.0, "dp_size": 4.0, "batch_size": 3.0, "accounting": "layers"}
    alone = evaluate_x64(*named_scenario("deepseek-v3", "h200", **sizes))
    placed = evaluate_x64(*named_scenario("deepseek-v3", "h200", ep_size=32.0, **sizes))
    # 256 routed experts of 2,554,331,136 weights over all layers; the rest, as in test_weights:
    # 11,413,422,080 + 1,189,085,184 + 2,554,331,136 + 106,430,464 = 15,263,268,864
    assert alone.weight_bytes == 15_263_268_864 + 256 * 2_554_331_136
    assert placed.weight_bytes == 15_263_268_864 + 64 * 2_554_331_136
    # 3 tokens alone; 12 together, of which the replica answers for a quarter
    one = 256 * (1 - (31 / 32) ** 3) * 2_554_331_136
    share = 256 * (1 - (31 / 32) ** 12) * 2_554_331_136 / 4
    pace = float(touched_imbalance(tokens=12.0, **OF_32_RANKS))  # all wait for the slowest rank
    assert alone.weight_traffic == pytest.approx(15_263_268_864 + one, rel=1e-12)
    assert placed.weight_traffic == pytest.approx(15_263_268_864 + pace * share, rel=1e-6)


def test_every_expert_is_stored_touched_or_not():
    few = evaluate_x64(*named_scenario("deepseek-v3", "h200", tp_size=8.0))
    many = evaluate_x64(*named_scenario("deepseek-v3", "h200", tp_size=8.0, batch_size=64.0))
    assert few.weight_bytes == many.weight_bytes == 671_026_404_352
    assert few.weight_traffic < many.weight_traffic < many.weight_bytes


def test_copies_are_stored_by_the_ranks_together():
    # As above, with 32 more on all ranks: a replica's quarter of 288 experts. Without ranks none.
    sizes = {"tp_size": 8.0, "dp_size": 4.0, "batch_size": 3.0, "accounting": "layers"}
    copied = named_scenario("deepseek-v3", "h200", redundant_experts=32.0, **sizes)
    alone, placed = evaluate_x64(*copied), evaluate_x64(*copied.but(ep_size=32.0))
    assert alone.weight_bytes == 15_263_268_864 + 256 * 2_554_331_136
    assert placed.weight_bytes == 15_263_268_864 + 72 * 2_554_331_136
    share = 256 * (1 - (31 / 32) ** 12) * 2_554_331_136 / 4
    pace = max(1.0, 7 / 8 * float(touched_imbalance(tokens=12.0, **OF_32_RANKS)))
    assert placed.weight_traffic == pytest.approx(15_263_268_864 + pace * share, rel=1e-6)


@pytest.mark.parametrize(
    ("copies", "pace"),
    [
        (0.0, 2.0),
        (64.0, 1.5),  # a quarter has copies: three quarters of twice the mean are bound
        (128.0, 1.0),
        (200.0, 1.0),  # no less than the mean
        (512.0, 1.0),  # more than one copy each
    ],
)
@pytest.mark.usefixtures("x64")
def test_what_has_copies_goes_where_there_is_room(copies, pace):
    deployment = Deployment(tp_size=8.0, ep_size=8.0, redundant_experts=copies)
    assert experts.spread_pace(2.0, DEEPSEEK, deployment) == pace


def test_the_slowest_rank_has_less_to_do_where_experts_have_copies():
    # Decode of 2 tokens a rank on 64 ranks is far from even: the traffic of experts falls by 1/8.
    sizes = {"dp_size": 64.0, "ep_size": 64.0, "batch_size": 2.0, "sync_latency": 0.0}
    few, more = (
        evaluate_x64(
            *named_scenario("deepseek-v3", "h200", redundant_experts=copies, **sizes).but(
                all_to_all_latency=0.0
            )
        )
        for copies in (0.0, 32.0)
    )
    experts_alone = few.t_mem - more.t_mem
    assert experts_alone > 0.0
    rest = 8 * experts_alone  # of the slowest rank's experts, all of which are 8 times the eighth
    assert rest < few.t_mem
    # The traffic is that of the slowest rank, at whose pace all step: what the time saves, saved.
    saved = experts_alone * 4.8e12
    assert few.weight_traffic - more.weight_traffic == pytest.approx(saved, rel=1e-9)
