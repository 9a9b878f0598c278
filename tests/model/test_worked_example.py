"""Watts, dollars an hour and dollars a million tokens of the guide's example, by plain arithmetic.

Eight of the paper's HBM3 machines serve one user of Llama 3.1 405B with 4,096 tokens of context.
"""

import pytest

from tests.helpers import PAPER, evaluate_x64, named_scenario

CHIPS = 8
GIB, TIB = 2.0**30, 2.0**40
HOURS = 4 * 365.25 * 24


def by_hand(prices=1.0):
    """The figures of the guide, each from the one before; a factor on all prices but power's."""
    watts = CHIPS * (800 * 1.1 + 30e-12 * 4 * TIB + 300 / 8)  # die, memory, share of the server
    dollars = CHIPS * (20_000 + 20 * 96 * GIB / 1e9 + 4_000 + 80_000 / 8)
    dollars *= prices
    owning, powering = dollars / HOURS, watts / 1000 * 1.2 * 0.08
    read = 405e9 + 4096 * 258_048  # weights, and the KV cache of 126 layers of 2 * 8 * 128
    seconds = read / (CHIPS * 4 * TIB) + 126 * 3 * 0.2e-6
    hourly = owning + powering
    return {
        "watts": watts,
        "dollars": dollars,
        "owning": owning,
        "powering": powering,
        "hourly": hourly,
        "rate": 1 / seconds,
        "million": hourly / (3600 / seconds) * 1e6,
    }


def point():
    switches = {**PAPER, "accounting": "nominal"}
    scenario = named_scenario(
        "llama3-405b", "xpu-hbm3", tp_size=8.0, sync_latency=0.2e-6, **switches
    )
    return evaluate_x64(*scenario)


def test_the_example_to_the_cent():
    found = by_hand()
    assert round(found["watts"]) == 8396
    assert round(found["dollars"], 2) == 288_492.67
    assert round(found["owning"], 2) == 8.23
    assert round(found["powering"], 2) == 0.81
    assert round(found["hourly"], 2) == 9.03
    assert round(found["rate"], 1) == 86.1
    assert round(found["million"], 2) == 29.15
    assert [round(by_hand(prices)["million"], 2) for prices in (0.5, 2.0)] == [15.88, 55.70]


def test_the_model_says_what_the_example_does():
    found, metrics = by_hand(), point()
    assert metrics.power == pytest.approx(found["watts"], rel=1e-12)
    assert metrics.capital_cost == pytest.approx(found["dollars"], rel=1e-12)
    assert 3600 * metrics.cost_rate == pytest.approx(found["hourly"], rel=1e-12)
    assert metrics.utps == pytest.approx(found["rate"], rel=1e-12)
    assert 1e6 * metrics.dollars_per_token == pytest.approx(found["million"], rel=1e-12)
