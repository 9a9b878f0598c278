"""Samplers: designs on the unit cube, a row a sample, a column an input.

The sequences are SciPy's; Saltelli's and Morris's arrangements of them are ours.
"""

import numpy as np
import scipy
from jaxtyping import Float
from scipy.stats import qmc

Shares = Float[np.ndarray, "rows inputs"]


def saltelli_shares(inputs: int, samples: int, *, seed: int, second_order: bool) -> Shares:
    """Return Saltelli's blocks of a scrambled Sobol' sequence, one after another.

    A point of the sequence in twice as many dimensions gives two rows, A and B. A block is A; for
    each input, A with that input from B; for each, B with it from A, where second orders are due;
    and B.

    Parameters
    ----------
    inputs
        Columns.
    samples
        Blocks: a power of two, for which the sequence is balanced.
    seed
        Of the scrambling.
    second_order
        Blocks of 2 inputs + 2 rows where true, of inputs + 2 where not.

    References
    ----------
    Saltelli 2002, doi:10.1016/S0010-4655(02)00280-1.
    """
    points = qmc.Sobol(2 * inputs, scramble=True, rng=seed).random(samples)
    a, b = points[:, None, :inputs], points[:, None, inputs:]
    one = np.eye(inputs, dtype=bool)
    exchanged = [np.where(one, b, a), *([np.where(one, a, b)] if second_order else [])]
    return np.concatenate([a, *exchanged, b], axis=1).reshape(-1, inputs)


def morris_shares(inputs: int, samples: int, *, seed: int, levels: int) -> Shares:
    """Return Morris's trajectories of inputs + 1 rows on a lattice of so many levels.

    From one row of a trajectory to the next one input moves, up or down by levels / (2 (levels -
    1)), about half the width; their order and directions are random.

    Parameters
    ----------
    inputs
        Columns.
    samples
        Trajectories.
    seed
        Of the starts, the directions and the order.
    levels
        An even number.

    References
    ----------
    Morris 1991, doi:10.1080/00401706.1991.10484804.
    """
    random = np.random.default_rng(seed)
    lower = random.integers(levels // 2, size=(samples, 1, inputs)) / (levels - 1)
    upwards = random.integers(2, size=(samples, 1, inputs)) == 1
    turn = random.permuted(np.tile(np.arange(inputs), (samples, 1)), axis=1)[:, None]
    moved = turn < np.arange(inputs + 1)[:, None]
    step = levels / (2.0 * (levels - 1.0))
    return (lower + step * (moved == upwards)).reshape(-1, inputs)


def latin_shares(inputs: int, samples: int, *, seed: int) -> Shares:
    """Return a Latin hypercube: in each column one row in every slice of equal share."""
    return qmc.LatinHypercube(inputs, rng=seed).random(samples)


def sampler_version() -> str:
    """Return the libraries whose random numbers a design rests on, for a result to state."""
    return f"SciPy {scipy.__version__}, NumPy {np.__version__}"
