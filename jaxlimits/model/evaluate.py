"""The model's one entry point: chip, LLM and deployment in, one record out."""

import jax.numpy as jnp

from jaxlimits._types import Code, Flag, Scalar
from jaxlimits.model import capacity
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Limit, Metrics
from jaxlimits.model.operators import Operators, step_operators
from jaxlimits.model.power import system_power
from jaxlimits.model.roofline import StepTimes, step_times, tensor_rate


def binding_limit(times: StepTimes, *, feasible: Flag) -> Code:
    """Code of the largest of memory, compute and sync time, or capacity where it does not fit.

    Ties go to the first in that order.
    """
    slower = jnp.where(times.t_compute > times.t_mem, Limit.COMPUTE, Limit.MEMORY)
    synced = times.t_sync > jnp.maximum(times.t_compute, times.t_mem)
    code = jnp.where(synced, Limit.SYNC, slower)
    return jnp.where(feasible, code, Limit.CAPACITY).astype(jnp.int8)


def evaluate(chip: Chip, llm: LLM, deployment: Deployment) -> Metrics:
    r"""Evaluate the limit model at one point.

    .. math:: t_\mathrm{step} = \max(t_\mathrm{compute}, t_\mathrm{mem}) + t_\mathrm{sync},
              \qquad \mathrm{utps} = 1/t_\mathrm{step},
              \qquad \mathrm{stps} = \mathrm{dp}\,\mathrm{pp}\,B/t_\mathrm{step}

    Pure: no jit or vmap inside; differentiable in every numeric field.

    Parameters
    ----------
    chip, llm, deployment
        What one chip offers, what runs, and how. Scalars in SI units.

    Returns
    -------
    Metrics
        Times, rates, stored and read bytes, utilisations and power. A point that does not fit has
        NaN times, rates and per-token figures.

    References
    ----------
    arXiv:2507.14397, step time (published).
    """
    operators = step_operators(llm, deployment)
    times = step_times(operators, chip, llm, deployment)
    stored_weights = capacity.weight_bytes(llm, deployment)
    stored_kv = capacity.kv_bytes(llm, deployment)
    available = capacity.replica_capacity(chip, deployment)
    feasible = stored_weights + stored_kv <= available
    possible = _nan_unless(feasible, times)
    stps = deployment.dp_size * deployment.pp_size * deployment.batch_size / possible.t_step
    power = system_power(chip, deployment)
    bandwidth_share, flops_share = _utilisations(operators, possible, chip, deployment)
    return Metrics(
        t_compute=possible.t_compute,
        t_mem=possible.t_mem,
        t_sync=possible.t_sync,
        t_step=possible.t_step,
        utps=1.0 / possible.t_step,
        stps=stps,
        tpot=possible.t_step,
        weight_bytes=stored_weights,
        kv_bytes=stored_kv,
        bytes_per_chip=(stored_weights + stored_kv) / (deployment.tp_size * deployment.pp_size),
        weight_traffic=operators.total("weight_traffic"),
        kv_traffic=operators.total("kv_traffic"),
        flops=operators.total("tensor_flops"),
        max_batch_size=capacity.max_batch_size(chip, llm, deployment),
        feasible=feasible,
        limit=binding_limit(times, feasible=feasible),
        capacity_utilisation=(stored_weights + stored_kv) / available,
        bandwidth_utilisation=bandwidth_share,
        flops_utilisation=flops_share,
        power=power,
        energy_per_token=power / stps,
        stps_per_watt=stps / power,
    )


def _nan_unless(feasible: Flag, times: StepTimes) -> StepTimes:
    """The times where the point fits, NaN where it does not."""
    kept = [jnp.where(feasible, t, jnp.nan) for t in (times.t_compute, times.t_mem, times.t_sync)]
    return StepTimes(*kept, t_step=jnp.where(feasible, times.t_step, jnp.nan))


def _utilisations(
    operators: Operators, times: StepTimes, chip: Chip, deployment: Deployment
) -> tuple[Scalar, Scalar]:
    """Mean use of bandwidth and of the tensor units over a step of a full pipeline [1]."""
    seconds = deployment.tp_size * times.t_step
    traffic = operators.total("weight_traffic") + operators.total("kv_traffic")
    bandwidth_share = traffic / (chip.mem_bw * seconds)
    flops_share = operators.total("tensor_flops") / (tensor_rate(chip, deployment) * seconds)
    return bandwidth_share, flops_share
