"""The best points against brute force, for many ways to cut the grid."""

import numpy as np
import pytest

from tests.engine.reductions.brute_force import MEMORIES, dense, reduce


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_best_point_has_its_coordinates_and_other_metrics(memory):
    body = "op = 'argmax'\nof = 'stps'\nover = ['tp_size', 'batch_size']\nalso = ['utps', 'limit']"
    found = reduce(body, memory=memory)
    arrays, labels = dense()
    rows = np.moveaxis(arrays["stps"], (3, 4), (-2, -1)).reshape(3, 2, 2, 5, 21)
    some = ~np.isnan(rows).all(axis=-1)
    winner = np.argmax(np.where(np.isnan(rows), -np.inf, rows), axis=-1)
    tp, batch = np.unravel_index(winner, (3, 7))
    np.testing.assert_array_equal(found["found_tp_size"].values[some], labels["tp_size"][tp][some])
    expected = labels["batch_size"][batch]
    np.testing.assert_array_equal(found["found_batch_size"].values[some], expected[some])
    assert np.isnan(found["found_batch_size"].values[~some]).all()
    assert (found["found_limit"].values[~some] == -1).all()
    for metric in ("utps", "limit"):
        flat = np.moveaxis(arrays[metric], (3, 4), (-2, -1)).reshape(3, 2, 2, 5, 21)
        picked = np.take_along_axis(flat, winner[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(found[f"found_{metric}"].values[some], picked[some], rtol=1e-6)
