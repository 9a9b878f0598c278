"""Quantiles against exact ones, for many ways to cut the grid."""

import numpy as np
import pytest

from jaxlimits.engine.reductions.quantiles import SKETCH_ERROR
from tests.engine.reductions.brute_force import MEMORIES, dense, reduce


@pytest.mark.parametrize("memory", MEMORIES)
def test_quantiles_are_within_the_stated_error(memory):
    over = ["chip", "batch_size", "tp_size"]
    body = f"op = 'quantiles'\nof = 'utps'\nat = [0.1, 0.5, 0.99]\nover = {over}"
    found = reduce(body, memory=memory)["found"].values
    exact = np.nanquantile(
        dense()[0]["utps"], [0.1, 0.5, 0.99], axis=(1, 3, 4), method="inverted_cdf"
    )
    np.testing.assert_allclose(found, np.moveaxis(exact, 0, -1), rtol=1.01 * SKETCH_ERROR)
