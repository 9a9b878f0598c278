"""Designs and estimators against SALib's, and against the known indices of Ishigami."""

import math

import numpy as np
import pytest
from SALib.analyze import morris as salib_morris
from SALib.analyze import sobol as salib_sobol
from SALib.sample import sobol as salib_sample
from scipy.special import ndtri

from jaxlimits.engine.indices import sobol_indices
from jaxlimits.uncertainties.distributions import Distribution
from jaxlimits.uncertainties.morris import morris_effects
from jaxlimits.uncertainties.samplers import latin_shares, morris_shares, saltelli_shares
from jaxlimits.uncertainties.sobol import sobol_variances
from jaxlimits.uncertainties.uncertain import Sampling

ISHIGAMI = {
    name: Distribution(kind="uniform", parameters=(-math.pi, math.pi))
    for name in ("x1", "x2", "x3")
}
PROBLEM = {"num_vars": 3, "names": list(ISHIGAMI), "bounds": [[-math.pi, math.pi]] * 3}


def ishigami(columns):
    """Sudret's a = 7, b = 0.1: the indices follow in closed form."""
    x1, x2, x3 = columns.values()
    return {"y": np.sin(x1) + 7.0 * np.sin(x2) ** 2 + 0.1 * x3**4 * np.sin(x1)}


def closed_form():
    """V1 = (1 + b π⁴/5)²/2, V2 = a²/8, V13 = b² π⁸ (1/18 - 1/50), V their sum."""
    alone = (1.0 + 0.1 * math.pi**4 / 5.0) ** 2 / 2.0
    second, both = 49.0 / 8.0, 0.01 * math.pi**8 * (1.0 / 18.0 - 1.0 / 50.0)
    shares = np.array([alone, second, both]) / (alone + second + both)
    first, total = [shares[0], shares[1], 0.0], [shares[0] + shares[2], shares[1], shares[2]]
    return np.array(first), np.array(total), shares[2]


def test_ishigami_is_within_the_tolerance_of_the_tests_of_salib():
    sampling = Sampling(samples=8192, seed=101)
    found = sobol_variances(ishigami, ISHIGAMI, sampling)["y"].indices
    # SALib: tests/test_regression.py, test_regression_sobol.
    tolerance = {"atol": 5e-2, "rtol": 1e-1}
    np.testing.assert_allclose(found.first, [0.31, 0.44, 0.00], **tolerance)
    np.testing.assert_allclose(found.total, [0.55, 0.44, 0.24], **tolerance)
    pairs = found.second[[0, 0, 1], [1, 2, 2]]
    np.testing.assert_allclose(pairs, [0.00, 0.25, 0.00], **tolerance)


def test_ishigami_is_close_to_its_closed_form_and_within_its_intervals():
    found = sobol_variances(ishigami, ISHIGAMI, Sampling(samples=1 << 16, seed=3))["y"].indices
    first, total, both = closed_form()
    np.testing.assert_allclose(found.first, first, atol=2e-3)
    np.testing.assert_allclose(found.total, total, atol=2e-3)
    np.testing.assert_allclose(found.second[0, 2], both, atol=2e-3)
    assert (np.abs(found.first - first) < found.first_conf).all()
    assert (np.abs(found.total - total) < found.total_conf).all()


@pytest.mark.parametrize("second_order", [True, False])
def test_saltellis_blocks_are_those_of_salib(second_order):
    cube = PROBLEM | {"bounds": [[0.0, 1.0]] * 3}
    random = np.random.default_rng(5)
    theirs = salib_sample.sample(cube, 64, calc_second_order=second_order, seed=random)
    ours = saltelli_shares(3, 64, seed=5, second_order=second_order)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("inputs", "levels"), [(1, 2), (5, 4), (9, 6)])
def test_each_step_of_a_trajectory_moves_one_input_and_all_move_once(inputs, levels):
    shares = morris_shares(inputs, 200, seed=3, levels=levels).reshape(200, inputs + 1, inputs)
    lattice = np.linspace(0.0, 1.0, levels)
    assert (np.abs(shares[..., None] - lattice).min(axis=-1) < 1e-12).all()
    assert np.unique(shares.round(12)).size == levels
    steps = np.diff(shares, axis=1)
    moves = steps != 0.0
    assert (moves.sum(axis=1) == 1).all()
    assert (moves.sum(axis=2) == 1).all()
    np.testing.assert_allclose(np.abs(steps[moves]), levels / (2.0 * (levels - 1.0)))
    assert 0.4 < (steps[moves] > 0.0).mean() < 0.6
    first = moves[:, 0].mean(axis=0)  # which input moves first
    np.testing.assert_allclose(first, 1.0 / inputs, atol=0.1)


def test_a_latin_hypercube_has_one_row_in_every_slice():
    slices = np.floor(latin_shares(4, 100, seed=2) * 100)
    np.testing.assert_array_equal(np.sort(slices, axis=0), np.arange(100)[:, None].repeat(4, 1))


@pytest.mark.parametrize("second_order", [True, False])
def test_sobol_indices_and_intervals_are_those_of_salib_on_the_same_rows(second_order):
    samples, resamples, seed = 512, 100, 7
    sampling = Sampling(samples=samples, seed=seed, second_order=second_order, resamples=resamples)
    values = []

    def function(columns):
        values.append(ishigami(columns)["y"])
        return {"y": values[0]}

    found = sobol_variances(function, ISHIGAMI, sampling)["y"].indices
    theirs = salib_sobol.analyze(
        PROBLEM, values[0], calc_second_order=second_order, num_resamples=resamples, seed=seed
    )
    for ours, name in (
        (found.first, "S1"),
        (found.first_conf, "S1_conf"),
        (found.total, "ST"),
        (found.total_conf, "ST_conf"),
    ):
        np.testing.assert_allclose(ours, theirs[name], rtol=1e-6, atol=1e-12, err_msg=name)
    if not second_order:
        assert found.second is None
        return
    np.testing.assert_allclose(found.second, theirs["S2"], rtol=1e-6, atol=1e-12)
    upper = np.triu_indices(3, 1)
    theirs_conf = theirs["S2_conf"][upper]
    np.testing.assert_allclose(found.second_conf[upper], theirs_conf, rtol=1e-6)


def test_a_level_far_above_the_variation_costs_no_accuracy():
    shares = saltelli_shares(3, 256, seed=1, second_order=True)
    blocks = shares.sum(axis=1).reshape(256, -1)
    draws = np.random.default_rng(0).integers(256, size=(10, 256))
    plain, raised = (
        sobol_indices(blocks + level, draws, second_order=True, width=2.0) for level in (0.0, 1e6)
    )
    np.testing.assert_allclose(raised.total, plain.total, rtol=1e-7)


def test_elementary_effects_are_those_of_salib_on_the_same_rows():
    sampling = Sampling(samples=60, seed=11, levels=6)
    values = []

    def function(columns):
        values.append(ishigami(columns)["y"])
        return {"y": values[0]}

    found = morris_effects(function, ISHIGAMI, sampling)["y"].effects
    shares = morris_shares(3, 60, seed=11, levels=6)
    theirs = salib_morris.analyze(dict(PROBLEM), shares, values[0], num_levels=6, seed=11)
    for name in ("mu", "mu_star", "sigma", "mu_star_conf"):
        np.testing.assert_allclose(getattr(found, name), theirs[name], rtol=1e-6, atol=1e-12)


def test_the_effects_of_a_plane_are_its_slopes():
    def plane(columns):
        return {"y": 2.0 * columns["x1"] - 3.0 * columns["x2"] + 0.0 * columns["x3"]}

    found = morris_effects(plane, ISHIGAMI, Sampling(samples=10))["y"].effects
    ends = 0.98 * 2.0 * math.pi  # from the 1 % to the 99 % quantile
    np.testing.assert_allclose(found.mu, [2.0 * ends, -3.0 * ends, 0.0], atol=1e-12)
    np.testing.assert_allclose(found.mu_star, np.abs(found.mu))
    np.testing.assert_allclose(found.sigma, 0.0, atol=1e-12)


def test_incomplete_blocks_are_dropped_and_counted():
    sampling = Sampling(samples=256, seed=5)

    def holed(columns):
        values = ishigami(columns)["y"].copy()
        values[8 * 3] = np.nan  # the first row of block 3
        values[8 * 10 + 7] = np.inf
        return {"y": values}

    whole = sobol_variances(ishigami, ISHIGAMI, sampling)["y"]
    found = sobol_variances(holed, ISHIGAMI, sampling)["y"]
    assert whole.dropped == 0.0
    assert found.dropped == 2 / 256
    blocks = np.delete(_blocks(sampling), [3, 10], axis=0)
    draws = np.random.default_rng(5).integers(254, size=(254, 100)).T
    expected = sobol_indices(blocks, draws, second_order=True, width=float(ndtri(0.975)))
    np.testing.assert_array_equal(found.indices.total, expected.total)


def _blocks(sampling):
    shares = saltelli_shares(3, sampling.samples, seed=sampling.seed, second_order=True)
    columns = {name: d.quantile(shares[:, i]) for i, (name, d) in enumerate(ISHIGAMI.items())}
    return ishigami(columns)["y"].reshape(sampling.samples, -1)


def test_a_constant_has_no_indices():
    found = sobol_variances(
        lambda columns: {"y": np.ones_like(columns["x1"])}, ISHIGAMI, Sampling(samples=64)
    )["y"]
    assert np.isnan(found.indices.total).all()
    assert (found.mean, found.deviation, found.dropped) == (1.0, 0.0, 0.0)


def test_nothing_that_fits_leaves_nothing():
    def never(columns):
        return {"y": np.full_like(columns["x1"], np.nan)}

    assert sobol_variances(never, ISHIGAMI, Sampling(samples=64))["y"].dropped == 1.0
    screening = morris_effects(never, ISHIGAMI, Sampling(samples=64))["y"]
    assert screening.dropped == 1.0
    assert np.isnan(screening.effects.mu).all()
