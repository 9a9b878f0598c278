"""Least squares: known constants come back, and intervals cover them as often as they say."""

import numpy as np
import pytest

from jaxlimits.calibration.cases import make_cases, parts_of
from jaxlimits.calibration.fit import fit_constants, log_gradient, predict, predict_engines
from jaxlimits.calibration.priors import FITTED, PRIORS
from jaxlimits.calibration.sample import measured_times
from jaxlimits.errors import InputError
from jaxlimits.model.calibration import INTERVAL

TRUE = {"mem_efficiency": 0.8, "expert_efficiency": 0.75, "kv_efficiency": 0.7}
TRUE |= {"flops_efficiency": 0.75, "kernel_latency": 5e-6, "sequence_latency": 5e-6}
TRUE |= {"collective_factor": 1.05, "overlap_loss": 0.5, "routed_passes": 16.0}
TRUE |= {"routing_spread": 1.0}
NOISE = 0.05
REPEATS = 100


@pytest.fixture(scope="module")
def parts(static_batch, catalog, fabrics):
    return parts_of(make_cases(static_batch, catalog, fabrics))


@pytest.fixture(scope="module")
def repeats(parts):
    """Known constants, drawn from their priors, and the fit to noisy rows that they make."""
    random = np.random.default_rng(2025)
    pairs = []
    for _ in range(REPEATS):
        known = {**TRUE, **{name: drawn(PRIORS[name], random) for name in FITTED}}
        exact = predict(parts, known)
        noisy = exact * np.exp(random.normal(0.0, NOISE, len(exact)))
        pairs.append((known, fit_constants(parts, noisy, fields=FITTED)))
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
    assert 0.87 <= covered <= 1.0
    assert abs(misses.mean()) < 0.4 * deviations.mean()
    assert deviations.mean() < PRIORS[name].width  # the rows say more than the priors


def test_the_spread_of_the_noise_comes_back(repeats):
    assert np.mean([fit.spread for _, fit in repeats]) == pytest.approx(NOISE, rel=0.06)


def test_rows_without_noise_give_the_constants_back(parts):
    fit = fit_constants(parts, predict(parts, TRUE), fields=FITTED)
    for name in FITTED:
        assert fit.values[name] == pytest.approx(TRUE[name], rel=2e-3), name


def test_engines_factors_come_back_and_an_unknown_one_has_the_populations(fitted):
    """Synthetic rows of the shipped points: two engines, one of them with slower kernels."""
    sample, random = fitted.sample, np.random.default_rng(7)
    factors = {"vllm": 1.3, "sglang": 1.0, "trtllm": 0.8}
    exact = np.full_like(sample.times, np.nan)
    for engine, factor in factors.items():
        values = {**TRUE, "kernel_latency": factor * TRUE["kernel_latency"]}
        own = sample.engines == engine
        exact[own] = predict(sample.parts, values)[own]
    noisy = exact * np.exp(random.normal(0.0, 0.03, len(exact)))
    fit = fit_constants(sample.parts, noisy, fields=FITTED, engines=sample.engines)
    for engine, factor in factors.items():
        found = fit.of_engine(engine)["kernel_latency"]
        assert found == pytest.approx(factor * TRUE["kernel_latency"], rel=0.06)
    for name in ("mem_efficiency", "expert_efficiency", "kv_efficiency"):
        assert fit.values[name] == pytest.approx(TRUE[name], rel=0.06)
    assert fit.of_engine("another") == fit.values
    again = predict_engines(sample.parts, sample.engines, fit)
    np.testing.assert_allclose(again, exact, rtol=0.06)


def test_one_wild_row_moves_nothing_far(parts):
    times = predict(parts, TRUE) * np.exp(np.random.default_rng(3).normal(0.0, NOISE, 41))
    usual = fit_constants(parts, times, fields=FITTED)
    times[5] *= 4.0
    moved = fit_constants(parts, times, fields=FITTED)
    assert moved.values["kernel_latency"] == pytest.approx(usual.values["kernel_latency"], rel=0.15)


def test_a_row_that_does_not_count_changes_nothing(parts, static_batch):
    times = measured_times(static_batch)
    weights = np.ones_like(times)
    weights[7] = 0.0
    absurd = np.where(weights > 0.0, times, 1e3)
    one = fit_constants(parts, times, fields=FITTED, weights=weights)
    other = fit_constants(parts, absurd, fields=FITTED, weights=weights)
    assert one.values == pytest.approx(other.values, rel=1e-9)


def test_constants_that_are_not_fitted_keep_their_means(parts, static_batch):
    fit = fit_constants(parts, measured_times(static_batch), fields=("kernel_latency",))
    for name in set(PRIORS) - {"kernel_latency"}:
        assert fit.values[name] == PRIORS[name].mean
    assert fit.covariance.shape == (1, 1)


def test_fitted_constants_stay_within_their_bounds(parts):
    slow = 50.0 * predict(parts, TRUE)
    fit = fit_constants(parts, slow, fields=FITTED)
    for name in FITTED:
        assert PRIORS[name].lower <= fit.values[name] <= PRIORS[name].upper


def test_a_fit_needs_more_rows_than_constants(parts):
    times = predict(parts, TRUE)
    weights = np.where(np.arange(len(times)) < 9, 1.0, 0.0)
    with pytest.raises(InputError, match="9 rows for 8 constants"):
        fit_constants(parts, times, fields=FITTED, weights=weights)


def test_gradients_of_predictions_are_those_of_finite_differences(parts):
    slopes = log_gradient(parts, TRUE, FITTED)
    for place, name in enumerate(FITTED):
        step = 1e-6 * TRUE[name]
        above, below = (predict(parts, {**TRUE, name: TRUE[name] + s}) for s in (step, -step))
        expected = np.log(above / below) / (2.0 * step)
        np.testing.assert_allclose(slopes[:, place], expected, rtol=1e-5, atol=1e-8)
