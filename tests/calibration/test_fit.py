"""Least squares: known constants come back, and intervals cover them as often as they say."""

import numpy as np
import pytest

from jaxlimits.calibration.cases import make_cases
from jaxlimits.calibration.fit import fit_constants, log_gradient, predict
from jaxlimits.calibration.priors import FITTED, PRIORS
from jaxlimits.calibration.sample import measured_times
from jaxlimits.errors import InputError
from jaxlimits.model.evaluate import INTERVAL

TRUE = {"mem_efficiency": 0.8, "kv_efficiency": 0.7, "flops_efficiency": 0.75}
TRUE |= {"kernel_latency": 5e-6, "overlap_loss": 0.5, "routed_passes": 16.0, "routing_spread": 1.0}
NOISE = 0.05


@pytest.fixture(scope="module")
def cases(static_batch, catalog, fabrics):
    return make_cases(static_batch, catalog, fabrics)


@pytest.fixture(scope="module", params=[60, pytest.param(200, marks=pytest.mark.slow)])
def repeats(cases, request):
    """Known constants, drawn from their priors, and the fit to noisy rows that they make."""
    random = np.random.default_rng(2025)
    pairs = []
    for _ in range(request.param):
        known = {**TRUE, **{name: drawn(PRIORS[name], random) for name in FITTED}}
        exact = predict(cases, known)
        noisy = exact * np.exp(random.normal(0.0, NOISE, len(exact)))
        pairs.append((known, fit_constants(cases, noisy, fields=FITTED)))
    return pairs


def drawn(prior, random):
    """A value of the prior within its bounds."""
    draws = random.normal(prior.mean, prior.width, 100)
    return float(draws[(draws > prior.lower) & (draws < prior.upper)][0])


@pytest.mark.parametrize("place", range(len(FITTED)), ids=FITTED)
def test_intervals_cover_known_constants_as_often_as_they_say(place, repeats):
    name = FITTED[place]
    misses = np.array([fit.values[name] - known[name] for known, fit in repeats])
    deviations = np.array([np.sqrt(fit.covariance[place, place]) for _, fit in repeats])
    covered = np.mean(np.abs(misses) <= INTERVAL * deviations)
    assert 0.90 <= covered <= 0.985
    assert abs(misses.mean()) < 3.5 * deviations.mean() / np.sqrt(len(repeats))
    assert deviations.mean() < 0.7 * PRIORS[name].width  # the rows say more than the priors


def test_the_spread_of_the_noise_comes_back(repeats):
    assert np.mean([fit.spread for _, fit in repeats]) == pytest.approx(NOISE, rel=0.03)


def test_rows_without_noise_give_the_constants_back(cases):
    fit = fit_constants(cases, predict(cases, TRUE), fields=FITTED)
    for name in FITTED:
        assert fit.values[name] == pytest.approx(TRUE[name], rel=1e-6)


def test_a_row_that_does_not_count_changes_nothing(cases, static_batch):
    times = measured_times(static_batch)
    weights = np.ones_like(times)
    weights[7] = 0.0
    absurd = np.where(weights > 0.0, times, 1e3)
    one = fit_constants(cases, times, fields=FITTED, weights=weights)
    other = fit_constants(cases, absurd, fields=FITTED, weights=weights)
    assert one.values == pytest.approx(other.values, rel=1e-9)


def test_constants_that_are_not_fitted_keep_their_means(cases, static_batch):
    fit = fit_constants(cases, measured_times(static_batch), fields=("kernel_latency",))
    for name in set(PRIORS) - {"kernel_latency"}:
        assert fit.values[name] == PRIORS[name].mean
    assert fit.covariance.shape == (1, 1)


def test_fitted_constants_stay_within_their_bounds(cases):
    slow = 50.0 * predict(cases, TRUE)
    fit = fit_constants(cases, slow, fields=FITTED)
    for name in FITTED:
        assert PRIORS[name].lower <= fit.values[name] <= PRIORS[name].upper


def test_a_fit_needs_more_rows_than_constants(cases):
    times = predict(cases, TRUE)
    weights = np.where(np.arange(len(times)) < 5, 1.0, 0.0)
    with pytest.raises(InputError, match="5 rows for 4 constants"):
        fit_constants(cases, times, fields=FITTED, weights=weights)


def test_gradients_of_predictions_are_those_of_finite_differences(cases):
    slopes = log_gradient(cases, TRUE, FITTED)
    for place, name in enumerate(FITTED):
        step = 1e-6 * TRUE[name]
        above, below = (predict(cases, {**TRUE, name: TRUE[name] + s}) for s in (step, -step))
        expected = np.log(above / below) / (2.0 * step)
        np.testing.assert_allclose(slopes[:, place], expected, rtol=1e-5, atol=1e-8)
