"""Estimators of global sensitivity: what the values of a function say about its inputs.

They take values in the order of the sampler's rows and know nothing of where these come from. They
are computed in float64, whatever the precision of the values.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.program import Numbers


class SobolIndices(NamedTuple):
    """Shares of a variance, one for each input, and half the width of their confidence intervals.

    Parameters
    ----------
    first, first_conf
        Shares of the variance that an input explains alone.
    total, total_conf
        Shares that an input takes part in.
    second, second_conf
        Shares that pairs of inputs add beyond what each explains alone: the upper triangle, NaN
        elsewhere; none where they were not asked for.
    """

    first: np.ndarray
    first_conf: np.ndarray
    total: np.ndarray
    total_conf: np.ndarray
    second: np.ndarray | None
    second_conf: np.ndarray | None


class Effects(NamedTuple):
    """Elementary effects of each input: changes of a function by steps of the input's share.

    Parameters
    ----------
    mu, mu_star, sigma
        Mean, mean of the absolute values, standard deviation over trajectories.
    mu_star_conf
        Half the width of the confidence interval of ``mu_star``.
    """

    mu: np.ndarray
    mu_star: np.ndarray
    sigma: np.ndarray
    mu_star_conf: np.ndarray


def sobol_indices(
    blocks: np.ndarray, draws: np.ndarray, *, second_order: bool, width: float
) -> SobolIndices:
    r"""Estimate Sobol indices from blocks of Saltelli's design.

    A block holds the function at A, at A with each input of B in turn, for the second order at B
    with each input of A, and at B. With the sample variance V of A and B together

    .. math::

        S_i = \frac{\overline{f_B (f_{AB_i} - f_A)}}{V}, \qquad
        S_{Ti} = \frac{\overline{(f_A - f_{AB_i})^2}}{2 V}, \qquad
        S_{ij} = \frac{\overline{f_{BA_i} f_{AB_j} - f_A f_B}}{V} - S_i - S_j

    A resample of blocks is a weight for each, so that all its estimates are weighted means.

    Parameters
    ----------
    blocks
        Values, a block a row: inputs + 2 columns, or 2 inputs + 2 for the second order.
    draws
        Blocks of each resample of the bootstrap, by number: a resample a row.
    second_order
        Whether the blocks have what the second order needs.
    width
        Standard deviations in half a confidence interval.

    References
    ----------
    Saltelli et al. 2010, doi:10.1016/j.cpc.2009.09.018 (first order; Jansen's total order);
    Saltelli 2002, doi:10.1016/S0010-4655(02)00280-1 (second order); as SALib has them.
    """
    with jax.enable_x64(True):
        found, spread = _sobol(
            np.asarray(blocks, np.float64), np.asarray(draws, np.int32), second_order=second_order
        )
    first, total, second = jax.tree.map(np.asarray, found)
    first_conf, total_conf, second_conf = jax.tree.map(
        lambda part: width * np.asarray(part), spread
    )
    return SobolIndices(first, first_conf, total, total_conf, second, second_conf)


def elementary_effects(
    shares: np.ndarray, values: np.ndarray, draws: np.ndarray, *, step: float, width: float
) -> Effects:
    r"""Estimate elementary effects from Morris's trajectories.

    .. math:: e_i = \frac{f(u + \Delta_i) - f(u)}{\Delta}

    for the step of each trajectory in which input i moves, counted upwards.

    Parameters
    ----------
    shares
        Where the sampler has put each input, between 0 and 1: trajectories × (inputs + 1) × inputs.
    values
        Values, a trajectory a row.
    draws
        Trajectories of each resample of the bootstrap: inputs × resamples × trajectories.
    step
        Size of a step, as the sampler makes it.
    width
        Standard deviations in half a confidence interval.

    References
    ----------
    Morris 1991, doi:10.1080/00401706.1991.10484804; Campolongo et al. 2007,
    doi:10.1016/j.envsoft.2006.10.004 (the absolute values); as SALib has them.
    """
    with jax.enable_x64(True):
        found = _effects(
            np.asarray(shares, np.float64),
            np.asarray(values, np.float64),
            np.asarray(draws, np.int32),
            np.float64(step),
        )
    mu, mu_star, sigma, spread = map(np.asarray, found)
    return Effects(mu=mu, mu_star=mu_star, sigma=sigma, mu_star_conf=width * spread)


_Estimates = tuple[jax.Array, jax.Array, jax.Array | None]


@functools.partial(jax.jit, static_argnames="second_order")
def _sobol(blocks: Numbers, draws: Numbers, *, second_order: bool) -> tuple[_Estimates, _Estimates]:
    """Estimates from all blocks, and their standard deviations over the resamples."""
    blocks = (blocks - jnp.mean(blocks)) / jnp.std(blocks)
    number = blocks.shape[0]

    def resampled(draw: jax.Array) -> _Estimates:
        return _weighted(blocks, jnp.zeros(number).at[draw].add(1.0), second_order)

    found = _weighted(blocks, jnp.ones(number), second_order)
    spread = jax.tree.map(lambda part: jnp.std(part, axis=0, ddof=1), jax.lax.map(resampled, draws))
    return found, spread


def _weighted(blocks: Numbers, weights: jax.Array, second_order: bool) -> _Estimates:
    """Estimates from blocks that count more or less."""
    inputs = (blocks.shape[1] - 2) // (2 if second_order else 1)
    a, b, ab = blocks[:, 0], blocks[:, -1], blocks[:, 1 : inputs + 1]
    weights = weights / jnp.sum(weights)
    mean = weights @ (a + b) / 2.0
    variance = weights @ ((a - mean) ** 2 + (b - mean) ** 2) / 2.0
    first = (weights * b) @ (ab - a[:, None]) / variance
    total = weights @ (a[:, None] - ab) ** 2 / (2.0 * variance)
    if not second_order:
        return first, total, None
    ba = blocks[:, inputs + 1 : -1]
    both = ((weights[:, None] * ba).T @ ab - weights @ (a * b)) / variance
    pairs = jnp.triu(jnp.ones((inputs, inputs), bool), 1)
    return first, total, jnp.where(pairs, both - first[:, None] - first[None, :], jnp.nan)


@jax.jit
def _effects(
    shares: Numbers, values: Numbers, draws: Numbers, step: jax.Array | float
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Mean, mean of absolute values, deviation, and spread of the second over the resamples."""
    moves = jnp.sign(jnp.diff(shares, axis=1))
    effects = jnp.einsum("ts,tsi->it", jnp.diff(values, axis=1), moves) / step
    sizes = jnp.abs(effects)
    resampled = jax.vmap(lambda size, draw: jnp.mean(size[draw], axis=-1))(sizes, draws)
    return (
        jnp.mean(effects, axis=1),
        jnp.mean(sizes, axis=1),
        jnp.std(effects, axis=1, ddof=1),
        jnp.std(resampled, axis=1, ddof=1),
    )
