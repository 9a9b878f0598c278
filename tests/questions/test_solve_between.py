"""Unknowns of which a value between the ends is the best: drafts, chunks."""

import numpy as np
import pytest

import jaxlimits as jl

SERVED = {"tp_size": 8, "batch_size": 4, "speculation": "mtp", "acceptance": 0.9}


def speeds(lengths, **settings):
    return {
        n: float(jl.evaluate("deepseek-v3", "b200", draft_length=n, x64=True, **settings).utps)
        for n in lengths
    }


@pytest.fixture(scope="module")
def by_length():
    return speeds(range(1, 40), **SERVED)


def test_a_draft_length_between_the_ends_is_found(by_length):
    best = max(by_length.values())
    assert by_length[1] < best > by_length[39]  # neither end of these is the best
    target = 0.5 * (max(by_length[1], by_length[39]) + best)
    found = jl.solve("deepseek-v3", "b200", solve_for="draft_length", target=target, **SERVED)
    assert found.is_met
    reaches = [n for n, speed in by_length.items() if speed >= target]
    assert found.value == min(reaches)


def test_the_best_that_can_be_reached_and_its_place_are_told(by_length):
    found = jl.solve("deepseek-v3", "b200", solve_for="draft_length", target=1e6, **SERVED)
    assert not found.is_met
    assert np.isnan(found.value)
    assert found.reached == pytest.approx(by_length[int(found.reached_at)], rel=1e-9)
    assert found.reached >= 0.98 * max(by_length.values())
