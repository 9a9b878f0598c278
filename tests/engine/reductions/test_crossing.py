"""Crossings against brute force, for many ways to cut the grid."""

import numpy as np
import pytest

from tests.engine.reductions.brute_force import MEMORIES, dense, reduce


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_crossing_is_the_first_value_that_reaches_the_target(memory):
    body = "op = 'crossing'\nof = 'utps'\nover = ['mem_bw_scale']\ntarget = '150 token/s'"
    found = reduce(body, memory=memory)["found"].values
    arrays, labels = dense()
    reached = arrays["utps"] >= 150.0
    first = labels["mem_bw_scale"][np.argmax(reached, axis=-1)]
    np.testing.assert_array_equal(found, np.where(reached.any(axis=-1), first, np.nan))
