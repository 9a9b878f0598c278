"""Sixteen decode cases that other tools also answer, against limits worked by hand."""

import json
from pathlib import Path

import pytest

import jaxlimits
from jaxlimits.model.metrics import Limit
from tests.helpers import Scenario, evaluate_x64, named_scenario

SHIPPED = Path(jaxlimits.__file__).parent / "catalog" / "data"
GOLDEN = json.loads((SHIPPED / "peer_cases.json").read_text("utf-8"))
CASES = {case["id"]: case for case in GOLDEN["cases"]}
DENSE = [name for name, case in CASES.items() if case["model"] != "deepseek-v3"]
FITTING = [name for name in DENSE if CASES[name]["capacity"]["fits"]]
DEEPSEEK = [name for name in CASES if name not in DENSE]
LATENCIES = {"sync0": 0.0, "sync2us": 2e-6, "sync4us": 4e-6}

BANDWIDTH = 8 * 4.8e12
"""Of the DeepSeek-V3 cases: eight chips of 4.8 TB/s."""

ALWAYS_READ = (
    61 * 187_105_280  # MLA as stored: 69,664,768 + 117,440,512 a layer
    + 3 * 396_361_728  # dense layers: 3 * 7168 * 18,432
    + 58 * 44_040_192  # shared experts: 3 * 7168 * 2048
    + 58 * 1_835_008  # routers: 7168 * 256
    + 129_280 * 7168  # LM head
    + 61 * (14_336 + 2_048)  # norms
    + 7168  # final norm
)
ROUTED_EXPERT = 58 * 44_040_192


def scenario_of(name: str, latency: float = 0.0) -> Scenario:
    """Real hardware's conventions in FP8, two collectives a layer."""
    case = CASES[name]
    chip = GOLDEN["chips"][case["chip"]]
    return named_scenario(
        case["model"],
        case["chip"].lower(),
        peak_flops=chip["fp8"],
        mem_bw=chip["bw"],
        mem_capacity=chip["cap"],
        usable_fraction=1.0,
        sync_latency=latency,
        collectives_per_layer=2.0,
        tp_size=float(case["tp"]),
        batch_size=float(case["batch"]),
        seq_len=float(case["ctx"]),
        vector_work="off",
    )


def bytes_by_hand(name: str, experts: float) -> float:
    """Bytes of one step of DeepSeek-V3 that reads so many routed experts in each layer."""
    users, context = CASES[name]["batch"], CASES[name]["ctx"]
    cache = users * context * 61 * 576  # 512 + 64 elements a token and layer
    return ALWAYS_READ + users * 7168 + experts * ROUTED_EXPERT + cache


def milliseconds(count: float) -> float:
    return 1e3 * count / BANDWIDTH


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("latency", LATENCIES)
def test_every_case_has_an_answer(case, latency):
    point = evaluate_x64(*scenario_of(case, LATENCIES[latency]))
    assert point.feasible == CASES[case]["capacity"]["fits"]
    assert point.limit == (Limit.MEMORY if point.feasible else Limit.CAPACITY)


@pytest.mark.parametrize("case", CASES)
def test_capacity_is_that_worked_by_hand(case):
    point = evaluate_x64(*scenario_of(case))
    needed = (point.weight_bytes + point.kv_bytes) / 1e9
    assert needed == pytest.approx(CASES[case]["capacity"]["need_GB"], rel=1e-3)
    available = needed / point.capacity_utilisation
    assert available == pytest.approx(CASES[case]["capacity"]["have_GB"], rel=1e-12)


def test_twelve_dense_cases_fit():
    assert len(FITTING) == 12
    assert set(DENSE) - set(FITTING) == {"L70B_tp8_b64_c128k"}


@pytest.mark.parametrize("case", FITTING)
@pytest.mark.parametrize("latency", LATENCIES)
def test_dense_cases_lie_on_the_limit_worked_by_hand(case, latency):
    point = evaluate_x64(*scenario_of(case, LATENCIES[latency]))
    assert 1e3 * point.tpot == pytest.approx(CASES[case]["hand_limit_ms"][latency], rel=1e-3)


def test_the_case_that_does_not_fit_stores_2_3_times_what_there_is():
    # 70.55e9 of weights and 64 * 131,072 * 163,840 = 1374.39e9 of cache on 8 * 80e9
    point = evaluate_x64(*scenario_of("L70B_tp8_b64_c128k"))
    assert point.capacity_utilisation == pytest.approx(1444.94 / 640.0, rel=1e-4)
    # (640e9 - 70.55e9) / (131,072 * 163,840) = 26.5
    assert point.max_batch_size == 26


@pytest.mark.parametrize(
    ("case", "experts", "expected"),
    [
        # 16,190,954,496 always, 8 * 2,554,331,136 of experts, 7168 of embedding, 143,917,056 of
        # cache: 36,769,527,808 B
        ("DSV3_tp8_b1_c4k", 8.0, 0.957_539_787),
        # 222.442488 experts of 2,554,331,136 are 568.191773e9, 9.210692e9 of cache
        ("DSV3_tp8_b64_c4k", 256 * (1 - (31 / 32) ** 64), 15.458_173_9),
        # the same experts, 73.685533e9 of cache
        ("DSV3_tp8_b64_c32k", 256 * (1 - (31 / 32) ** 64), 17.137_206_2),
    ],
)
def test_deepseek_v3_reads_its_touched_experts_and_its_latent_cache(case, experts, expected):
    by_hand = milliseconds(bytes_by_hand(case, experts))
    assert by_hand == pytest.approx(expected, rel=1e-6)
    for latency in LATENCIES.values():
        point = evaluate_x64(*scenario_of(case, latency))
        sync = 1e3 * 2 * 61 * latency
        assert 1e3 * point.tpot == pytest.approx(by_hand + sync, rel=1e-12)


def test_what_is_always_read_and_all_experts_are_the_whole_model_but_the_embedding():
    point = evaluate_x64(*scenario_of("DSV3_tp8_b1_c4k"))
    embedding = 129_280 * 7168
    assert point.weight_bytes == ALWAYS_READ + 256 * ROUTED_EXPERT + embedding


def peers_where(case: str, holds) -> set[str]:
    """Peers whose answer to a case, in milliseconds, meets a condition."""
    return {
        name
        for name, peer in GOLDEN["peers"].items()
        if holds(peer["answers"][case].get("ms_per_token", float("nan")))
    }


@pytest.mark.parametrize(
    ("case", "peers"),
    [
        ("DSV3_tp8_b1_c4k", {"aiconfigurator_sol"}),
        ("DSV3_tp8_b64_c4k", set()),
        ("DSV3_tp8_b64_c32k", set()),
    ],
)
def test_these_peers_read_faster_than_the_active_weights_allow(case, peers):
    # Impossible on this hardware: each user's eight experts and cache take longer than that.
    floor = milliseconds(bytes_by_hand(case, 8.0))
    assert peers_where(case, lambda answer: answer < floor) == peers
    assert 1e3 * evaluate_x64(*scenario_of(case)).tpot >= floor * (1.0 - 1e-12)


@pytest.mark.parametrize(
    ("case", "peers"),
    [
        ("DSV3_tp8_b1_c4k", {"inference_roofline_tool", "infersim", "mlsysim"}),
        (
            "DSV3_tp8_b64_c4k",
            {
                "aiconfigurator_silicon",
                "aiconfigurator_sol",
                "inference_roofline_tool",
                "infersim",
                "mlsysim",
            },
        ),
        (
            "DSV3_tp8_b64_c32k",
            {
                "aiconfigurator_silicon",
                "aiconfigurator_sol",
                "inference_roofline_tool",
                "infersim",
                "mlsysim",
            },
        ),
    ],
)
def test_these_peers_take_longer_than_reading_every_expert(case, peers):
    ceiling = milliseconds(bytes_by_hand(case, 256.0))
    assert peers_where(case, lambda answer: answer > ceiling) == peers
    assert 1e3 * evaluate_x64(*scenario_of(case)).tpot < ceiling


@pytest.mark.parametrize("case", ["DSV3_tp8_b64_c4k", "DSV3_tp8_b64_c32k"])
def test_one_peer_reads_fewer_experts_than_64_users_touch(case):
    expected = 1e3 * evaluate_x64(*scenario_of(case)).tpot
    assert peers_where(case, lambda answer: answer < expected) == {"genz_git", "genz_pypi"}
