"""Extremes against brute force, for many ways to cut the grid."""

import numpy as np
import pytest

from tests.engine.reductions.brute_force import MEMORIES, dense, reduce


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize(("op", "pick"), [("max", np.nanmax), ("min", np.nanmin)])
def test_an_extreme_is_that_of_the_dense_result(op, pick, memory):
    over = ("chip", "tp_size", "batch_size")
    found = reduce(f"op = '{op}'\nof = 'utps'\nover = {list(over)}", memory=memory)["found"]
    utps = dense()[0]["utps"]
    assert found.dims == ("llm", "roofline", "mem_bw_scale")
    np.testing.assert_allclose(found.values, pick(utps, axis=(1, 3, 4)), rtol=1e-6)
