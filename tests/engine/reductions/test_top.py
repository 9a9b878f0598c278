"""The top points against brute force, for many ways to cut the grid."""

import numpy as np
import pytest

from tests.engine.reductions.brute_force import AXES, MEMORIES, dense, reduce


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("op", ["top", "bottom"])
def test_the_top_points_are_the_best_of_all(op, memory):
    found = reduce(f"op = '{op}'\nof = 'utps'\nk = 9", memory=memory)
    utps = dense()[0]["utps"].ravel()
    ordered = np.sort(utps[~np.isnan(utps)])
    expected = ordered[::-1][:9] if op == "top" else ordered[:9]
    np.testing.assert_allclose(found["found"].values, expected, rtol=1e-6)
    arrays, labels = dense()
    at = [
        np.flatnonzero(labels[n] == v)
        for n, v in ((n, found[f"found_{n}"].values[0]) for n in AXES)
    ]
    assert arrays["utps"][tuple(int(i[0]) for i in at)] == pytest.approx(expected[0], rel=1e-6)
