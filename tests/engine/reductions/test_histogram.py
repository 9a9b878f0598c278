"""Histograms against brute force, for many ways to cut the grid."""

import numpy as np
import pytest

from tests.engine.reductions.brute_force import MEMORIES, dense, reduce


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_histogram_counts_every_point_that_fits_once(memory):
    body = "op = 'histogram'\nof = 'utps'\nfirst = '20 token/s'\nlast = '2000 token/s'\nbins = 12"
    found = reduce(body, memory=memory)
    utps = dense()[0]["utps"]
    fits = utps[~np.isnan(utps)].astype(np.float64)
    edges = found["found_bin"].values
    expected = [
        np.sum((fits >= low) & (fits < high))
        for low, high in zip(edges, [*edges[1:], np.inf], strict=True)
    ]
    assert np.abs(found["found"].values - expected).sum() <= 2  # a value may lie on an edge
    assert found["found"].values.sum() == fits.size
