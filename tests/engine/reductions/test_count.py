"""Counts of codes against brute force, for many ways to cut the grid."""

import numpy as np
import pytest

from tests.engine.reductions.brute_force import MEMORIES, dense, reduce


@pytest.mark.parametrize("memory", MEMORIES)
def test_counts_by_limit_add_up_to_the_grid(memory):
    found = reduce("op = 'count'\nof = 'limit'\nover = ['llm', 'batch_size']", memory=memory)
    limit = dense()[0]["limit"]
    expected = np.stack([np.sum(limit == code, axis=(0, 4)) for code in (-1, 0, 1, 2, 3)], axis=-1)
    np.testing.assert_array_equal(found["found"].values, expected)
