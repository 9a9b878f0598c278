"""One rank's load with a cap on it, against the exact binomial distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxlimits.model import imbalance
from jaxlimits.model.imbalance import _Urn

URNS = [(40, 0.3), (200, 0.05), (60, 0.5)]
"""Trials, and the chance of each."""

CAPS = np.arange(10)
"""Counts from the first whole one above the mean, so that each function compiles once."""


def capped(trials, chance, cap):
    """Probabilities of the counts up to a cap, and that of all these together."""
    pmf = stats.binom.pmf(np.arange(cap + 1), trials, chance)
    return pmf / pmf.sum(), pmf.sum()


def cumulants(weights):
    """Mean and the second to fourth cumulant."""
    counts = np.arange(len(weights))
    mean = weights @ counts
    second, third, fourth = (weights @ (counts - mean) ** power for power in (2, 3, 4))
    return mean, second, third, fourth - 3.0 * second**2


def case(trials, chance, ranks=16.0):
    """The urn, its caps above the mean, and the exact distributions under each."""
    mean = trials * chance
    fields = (ranks, mean, trials, chance, 1.0 - chance, trials)
    caps = int(np.ceil(mean)) + CAPS
    exact = [capped(trials, chance, cap) for cap in caps]
    urn = _Urn(*(jnp.full(len(CAPS), float(field)) for field in fields))
    return urn, jnp.asarray(caps - mean), exact


def shift_of(urn, exact):
    return urn.mean - jnp.array([cumulants(weights)[0] for weights, _ in exact])


@pytest.mark.parametrize("urn", URNS)
def test_cumulants_under_a_cap_are_exact(x64, urn):
    of, above, exact = case(*urn)
    got = jax.jit(imbalance._capped_cumulants)(of, above, shift_of(of, exact))
    expected = np.array([cumulants(weights)[1:] for weights, _ in exact]).T
    np.testing.assert_allclose(got, expected, rtol=1e-10)


@pytest.mark.parametrize("urn", URNS)
def test_odds_and_shift_of_a_cap_are_those_of_the_binomial(x64, urn):
    of, above, exact = case(*urn)
    odds, shift = jax.jit(imbalance._odds_and_shift)(of, above)
    below = np.array([whole for _, whole in exact])
    np.testing.assert_allclose(odds, (1.0 - below) / below, rtol=0.003)
    np.testing.assert_allclose(shift, shift_of(of, exact), rtol=0.0005)


@pytest.mark.parametrize("ranks", [16, 64])
@pytest.mark.parametrize("urn", URNS)
def test_a_total_under_caps_is_as_likely_as_a_convolution_says(x64, urn, ranks):
    of, above, exact = case(*urn, ranks=float(ranks))
    trials, chance = urn
    total = round(ranks * trials * chance)
    got = jax.jit(imbalance._sum_ratio)(of, above, shift_of(of, exact))
    free = stats.binom.pmf(total, ranks * trials, chance)
    expected = []
    for weights, _ in exact:
        sums = np.ones(1)
        for _ in range(ranks):
            sums = np.convolve(sums, weights)
        expected.append(sums[total] / free)
    likely = np.array(expected) > 0.5
    assert likely.sum() > 3
    np.testing.assert_allclose(np.asarray(got)[likely], np.array(expected)[likely], rtol=0.001)


def test_odds_of_a_normal_score_are_those_of_the_normal(x64):
    z = np.linspace(-3.0, 5.5, 100)
    expected = stats.norm.logsf(z) - stats.norm.logcdf(z)
    np.testing.assert_allclose(np.log(imbalance._normal_odds(jnp.asarray(z))), expected, atol=0.002)


def test_a_gamma_of_half_integers_is_stirlings_with_its_correction(x64):
    s = np.array([0.5, 1.0, 2.0, 10.0, 100.0])
    plain = s * np.log(s) - s + 0.5 * np.log(2.0 * np.pi)
    correction = plain - special.gammaln(s + 0.5)
    np.testing.assert_allclose(imbalance._stirling(jnp.asarray(s)), correction, rtol=0.011)
    np.testing.assert_allclose(imbalance._stirling(jnp.asarray(s[:1])), correction[:1], rtol=1e-4)
