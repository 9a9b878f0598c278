"""The two imbalance factors against enumeration, Monte Carlo and their limits."""

from functools import partial
from itertools import combinations, product

import jax
import numpy as np
import pytest

from jaxlimits.model.imbalance import routed_imbalance, touched_imbalance

FACTORS = (touched_imbalance, routed_imbalance)

TOLERANCE = 0.05
"""Allowed relative error of either factor; the worst over the domain is 3 %, see the docstrings."""

ERROR = 0.005
"""Standard error that Monte Carlo must stay below, as a share of the factor."""

LAYERS = (16, 32, 48, 64, 96, 128, 160, 256, 384)
USED = (1, 4, 8)
"""Experts of a layer, and those that a token is routed to."""

POINTS = 8192
"""Every array of points is padded to this length, so that each factor is compiled once."""


def _at(factor, x):
    """Evaluate one factor at one point, a vector of its four arguments."""
    return factor(tokens=x[0], num_experts=x[1], experts_per_token=x[2], ep_size=x[3])


COMPILED = {factor: jax.jit(jax.vmap(partial(_at, factor))) for factor in FACTORS}


def _call(factor, tokens, experts, k, ep, dtype=np.float32):
    """Evaluate one factor over arrays that broadcast together."""
    x = np.stack(np.broadcast_arrays(tokens, experts, k, ep), -1).astype(dtype)
    padded = np.ones((POINTS, 4), dtype)
    padded[: x.size // 4] = x.reshape(-1, 4)
    return np.asarray(COMPILED[factor](padded))[: x.size // 4].reshape(x.shape[:-1])


def _loads(choices, experts, ep):
    """Most touched and most routed on any rank, for one realisation of every token's experts."""
    counts = np.bincount(np.concatenate(choices), minlength=experts).reshape(ep, -1)
    return (counts > 0).sum(1).max(), counts.sum(1).max()


def _enumerated(tokens, experts, k, ep):
    """Both factors exactly, from every equally likely realisation."""
    picks = [np.array(c) for c in combinations(range(experts), k)]
    loads = [_loads(c, experts, ep) for c in product(picks, repeat=tokens)]
    touched, routed = np.mean(loads, axis=0)
    mean_touched = experts / ep * (1 - (1 - k / experts) ** tokens)
    return touched / mean_touched, routed / (tokens * k / ep)


def _routed(rng, steps, tokens, experts, k):
    """How often each expert is picked in each step: an array (step, expert).

    Each token's k distinct experts are drawn by Floyd's algorithm, for all tokens at once.
    """
    picks = np.empty((k, steps * tokens), np.int32)
    for drawn, last in enumerate(range(experts - k, experts)):
        pick = rng.integers(0, last + 1, steps * tokens, dtype=np.int32)
        picks[drawn] = np.where((picks[:drawn] == pick).any(0), last, pick)
    places = picks.reshape(k, steps, tokens) + experts * np.arange(steps)[:, None]
    return np.bincount(places.ravel(), minlength=steps * experts).reshape(steps, experts)


def _sampled(tokens, experts, k, eps, seed=0):
    """Both factors for several ep from the same Monte Carlo steps: an array (ep, factor).

    Steps are drawn until the standard error of every factor is below ``ERROR``.
    """
    rng = np.random.default_rng([seed, tokens, experts, k])
    steps = int(np.clip(400_000 // (tokens * k), 16, 4000))
    mean_loads = experts * (1 - (1 - k / experts) ** tokens), tokens * k
    found = np.empty((0, len(eps), 2))
    while True:
        counts = _routed(rng, steps, tokens, experts, k)
        ranks = [counts.reshape(steps, ep, -1) for ep in eps]
        most = np.array([((r > 0).sum(-1).max(-1), r.sum(-1).max(-1)) for r in ranks], float)
        factors = most.transpose(2, 0, 1) / mean_loads * np.array(eps, float)[:, None]
        found = np.concatenate([found, factors])
        mean, error = found.mean(0), found.std(0) / np.sqrt(len(found))
        if len(found) >= 64 and (error < ERROR * mean).all():
            return mean


def _ranks(experts):
    return [n for n in range(2, 65) if experts % n == 0]


def _assert_close(cases):
    """Compare both factors with Monte Carlo for (tokens, experts, k), at every ep up to 64."""
    rows = [(*case, ep) for case in cases for ep in _ranks(case[1])]
    got = np.stack([_call(f, *np.array(rows, float).T) for f in FACTORS], -1)
    want = np.concatenate([_sampled(*case, _ranks(case[1])) for case in cases])
    np.testing.assert_allclose(got, want, rtol=TOLERANCE)


@pytest.mark.parametrize("factor", FACTORS)
def test_one_rank_is_never_imbalanced(factor):
    assert np.all(_call(factor, [1.0, 3.5, 256.0, 1e7], 64.0, 8.0, 1.0) == 1.0)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_dense_layer_is_never_imbalanced(factor):
    assert np.all(_call(factor, [1.0, 256.0, 1e7], 0.0, 0.0, [1.0, 8.0, 64.0]) == 1.0)


@pytest.mark.parametrize("factor", FACTORS)
def test_python_floats_are_accepted(factor):
    got = factor(tokens=2.0, num_experts=4.0, experts_per_token=1.0, ep_size=2.0)
    assert got == pytest.approx(_call(factor, 2, 4, 1, 2), rel=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("ep", [2, 4, 16, 64])
def test_one_assignment_loads_one_rank_with_everything(factor, ep):
    assert _call(factor, 1, 64, 1, ep) == pytest.approx(ep, rel=0.01)


def test_two_tokens_on_two_ranks_by_hand():
    # Both on one rank with probability 1/2, which makes the maximum 2; otherwise it is 1. Mean: 1.
    assert _call(routed_imbalance, 2, 4, 1, 2) == pytest.approx(1.5, rel=0.02)


def test_two_experts_of_one_token_by_hand():
    # The second expert joins the first on its rank with probability 1/3. Maximum 4/3, mean 1.
    for factor in FACTORS:
        assert _call(factor, 1, 4, 2, 2) == pytest.approx(4 / 3, rel=TOLERANCE)


@pytest.mark.parametrize(
    ("tokens", "experts", "k", "ep"),
    [
        (2, 4, 1, 2),
        (3, 6, 1, 3),
        (4, 6, 1, 2),
        (5, 4, 1, 4),
        (2, 6, 2, 3),
        (2, 8, 2, 4),
        (3, 6, 2, 2),
        (2, 16, 1, 2),
        (3, 16, 1, 4),
        (2, 16, 2, 8),
    ],
)
def test_tiny_layers_match_enumeration(tokens, experts, k, ep):
    touched, routed = _enumerated(tokens, experts, k, ep)
    # With so few experts it shows that the number touched in all is replaced by its mean.
    tolerance = TOLERANCE if experts >= 16 else 0.08
    assert _call(touched_imbalance, tokens, experts, k, ep) == pytest.approx(touched, rel=tolerance)
    assert _call(routed_imbalance, tokens, experts, k, ep) == pytest.approx(routed, rel=TOLERANCE)


@pytest.mark.parametrize("case", range(8))
def test_factors_match_monte_carlo_at_cases_drawn(case):
    # Every layer, every k and every power of two of tokens turns up among the cases.
    tokens = [2**power for power in range(13)]
    drawn = [
        (tokens[(5 * i + case) % 13], layer, USED[(i + case) % 3]) for i, layer in enumerate(LAYERS)
    ]
    _assert_close(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("k", USED)
@pytest.mark.parametrize("experts", LAYERS)
def test_factors_match_monte_carlo_everywhere(experts, k):
    tokens = sorted({*range(1, 9), *(m * 2**p for m in (2, 3) for p in range(2, 11)), 4096})
    _assert_close([(t, experts, k) for t in tokens])


@pytest.mark.parametrize("factor", FACTORS)
def test_gradients_are_finite_everywhere(factor):
    tokens = np.array([0.0, 1.0, 2.0, 37.5, 4096.0, 1e7])
    layers = np.array([(0, 0), (1, 1), (8, 8), (16, 1), (16, 4), (384, 8), (1024, 16)], float)
    eps = np.array([1.0, 2.0, 7.0, 64.0, 1024.0])
    t, layer, ep = np.meshgrid(tokens, np.arange(len(layers)), eps, indexing="ij")
    x = np.stack([t.ravel(), *layers[layer.ravel()].T, ep.ravel()], -1).astype(np.float32)
    gradient = jax.jit(jax.vmap(jax.jacfwd(partial(_at, factor))))(x)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("factor", FACTORS)
def test_reverse_mode_gradient_matches_finite_differences(factor):
    x = np.array([37.3, 60.0, 3.0, 7.0])
    steps = 1e-5 * np.eye(4)
    with jax.enable_x64(True):
        above, below = (_call(factor, *(x + d).T, np.float64) for d in (steps, -steps))
        gradient = jax.jit(jax.grad(partial(_at, factor)))(x)
    np.testing.assert_allclose(gradient, (above - below) / 2e-5, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("factor", FACTORS)
def test_imbalance_vanishes_for_many_tokens(factor):
    got = _call(factor, 1e7, [16.0, 128.0, 1024.0], 8.0, [[2.0], [8.0], [16.0]])
    np.testing.assert_allclose(got, 1.0, atol=2e-3)


@pytest.mark.parametrize("factor", FACTORS)
def test_factors_stay_between_one_and_the_number_of_ranks(factor):
    rng = np.random.default_rng(0)
    tokens, experts = 10 ** rng.uniform(0, 7, 5000), np.floor(10 ** rng.uniform(0, 3.01, 5000))
    k, ep = (
        np.minimum(rng.integers(1, 17, 5000), experts),
        np.floor(10 ** rng.uniform(0, 3.01, 5000)),
    )
    got = _call(factor, tokens, experts, k, ep)
    assert np.all(got >= 1.0)
    assert np.all(got <= ep.astype(np.float32))


@pytest.mark.parametrize("factor", FACTORS)
def test_factors_are_continuous_in_tokens(factor):
    tokens = np.geomspace(1, 1e3, 4001)
    with jax.enable_x64(True):
        got = _call(factor, tokens, [[384.0], [16.0]], [[8.0], [1.0]], 4.0, np.float64)
    assert np.max(np.abs(np.diff(np.log(got)))) < 0.01


def test_one_token_touches_what_it_is_routed_to():
    experts, ep = np.array([16.0, 64.0, 384.0]), np.array([[2.0], [8.0], [16.0]])
    touched, routed = (_call(factor, 1.0, experts, 8.0, ep) for factor in FACTORS)
    np.testing.assert_allclose(touched, routed, rtol=1e-4)


@pytest.mark.parametrize("factor", FACTORS)
def test_single_precision_agrees_with_double(factor):
    tokens = np.array([1, 2, 3, 8, 64, 1024, 4096, 1e5, 1e7])[:, None, None, None]
    experts = np.array([16.0, 60.0, 384.0, 1024.0])[:, None, None]
    k, ep = np.array([1.0, 4.0, 8.0, 16.0])[:, None], np.array([2.0, 4.0, 7.0, 16.0, 64.0, 1024.0])
    single = _call(factor, tokens, experts, k, ep)
    with jax.enable_x64(True):
        double = _call(factor, tokens, experts, k, ep, np.float64)
    assert single.dtype == np.float32
    assert double.dtype == np.float64
    np.testing.assert_allclose(single, double, rtol=1e-5)
