"""Means against brute force, for many ways to cut the grid."""

import numpy as np
import pytest

from tests.engine.reductions.brute_force import MEMORIES, dense, reduce


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_mean_leaves_out_what_does_not_fit(memory):
    found = reduce("op = 'mean'\nof = 'utps'\nover = ['chip', 'batch_size']", memory=memory)
    utps = dense()[0]["utps"].astype(np.float64)
    counts = np.sum(~np.isnan(utps), axis=(1, 4))
    expected = np.nansum(utps, axis=(1, 4)) / np.where(counts, counts, np.nan)
    np.testing.assert_allclose(found["found"].values, expected, rtol=2e-6)
