r"""Bottleneck: what binds, what would bind next, and how far away that is.

Ours, from the published step time. Ties go to memory, then compute, then synchronisation.
"""

import jax.numpy as jnp

from jaxlimits._types import Code, Flag, Scalar
from jaxlimits.model.metrics import Limit
from jaxlimits.model.roofline import StepTimes


def binding_limit(times: StepTimes, *, feasible: Flag) -> Code:
    """Code of the largest of memory, compute and sync time, or capacity where it does not fit."""
    return jnp.where(feasible, _largest(times), Limit.CAPACITY).astype(jnp.int8)


def next_limit(times: StepTimes, *, feasible: Flag) -> Code:
    """Code of what binds once that which binds now is out of the way.

    The second largest of memory, compute and sync time; the largest where the point does not fit.
    """
    binds = _largest(times)
    without_memory = jnp.where(times.t_sync > times.t_compute, Limit.SYNC, Limit.COMPUTE)
    without_compute = jnp.where(times.t_sync > times.t_mem, Limit.SYNC, Limit.MEMORY)
    without_sync = jnp.where(times.t_compute > times.t_mem, Limit.COMPUTE, Limit.MEMORY)
    second = jnp.where(binds == Limit.MEMORY, without_memory, without_compute)
    second = jnp.where(binds == Limit.SYNC, without_sync, second)
    return jnp.where(feasible, second, binds).astype(jnp.int8)


def limit_factor(times: StepTimes, *, stored: Scalar, capacity: Scalar) -> Scalar:
    r"""Factor by which what binds must improve until something else does [1].

    .. math:: t_{(1)} / t_{(2)} \quad\text{or, where it does not fit,}\quad M / C

    The largest of the three times over the second largest; the bytes stored over the capacity.
    Infinite where nothing else takes any time. At a kink the derivative is the mean of both sides.
    """
    slower = jnp.maximum(times.t_compute, times.t_mem)
    faster = jnp.minimum(times.t_compute, times.t_mem)
    largest = jnp.maximum(slower, times.t_sync)
    second = jnp.maximum(faster, jnp.minimum(slower, times.t_sync))
    alone = second <= 0.0
    factor = jnp.where(alone, jnp.inf, largest / jnp.where(alone, 1.0, second))
    return jnp.where(stored <= capacity, factor, stored / capacity)


def _largest(times: StepTimes) -> Code:
    slower = jnp.where(times.t_compute > times.t_mem, Limit.COMPUTE, Limit.MEMORY)
    synced = times.t_sync > jnp.maximum(times.t_compute, times.t_mem)
    return jnp.where(synced, Limit.SYNC, slower).astype(jnp.int8)
