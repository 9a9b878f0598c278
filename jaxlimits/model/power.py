r"""Power: provisioned for the machine, whatever it does, or by what its chips do.

``power_model`` chooses. Provisioned power is the paper's; activity power is ours, with measured
energies.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.ffn_groups import (
    chips_beside,
    chips_of_ffn,
    num_chips,
    stage_micro_batches,
)
from jaxlimits.model.volumes import Operator


def chip_power(chip: Chip) -> Scalar:
    r"""Provisioned power of one chip with its memory and its share of the server [W].

    .. math:: P = P_0 + A\,p + e\,W + P_\mathrm{server}/n_\mathrm{server}

    Published in notes to arXiv:2507.14397: 1 W/mm² of die in v1 and 1.1 in v2, 30 W per TB/s of
    HBM4, 5.6 pJ/B for 3D-stacked DRAM, 300 W per server of 8 chips. Die areas are ours, and real
    chips state their whole power as ``base_power``.
    """
    die = chip.die_area * chip.power_density
    memory = chip.mem_energy * chip.mem_bw
    return chip.base_power + die + memory + chip.server_power / chip.chips_per_server


def activity_power(chip: Chip, *, byte_rate: Scalar, flop_rate: Scalar) -> Scalar:
    r"""Power of one chip by what it streams and computes [W].

    .. math:: P = \min\left(P_\mathrm{cap},\; P_\mathrm{idle} + \varepsilon_B\,\dot B
              + \varepsilon_F\,\dot F\right)

    Ours: two energies and a floor hold the measured power of a B200 within 12 % in the mean and of
    an H100 within 10 % (``catalog/data/energy.csv``). At a cap a chip slows its clocks, which is
    not in the times. The derivative at the cap is the mean of both sides.

    Parameters
    ----------
    byte_rate, flop_rate
        Bytes streamed and tensor FLOP computed in a second by one chip [B/s, FLOP/s].
    """
    busy = chip.idle_power + chip.read_energy * byte_rate + chip.flop_energy * flop_rate
    capped = chip.power_cap > 0.0
    return jnp.where(capped, jnp.minimum(busy, chip.power_cap), busy)


def system_power(
    chip: Chip,
    deployment: Deployment,
    *,
    traffic: Scalar,
    flops: Scalar,
    t_step: Scalar,
    ffn: Operator | None = None,
) -> Scalar:
    """Power of all chips of the deployment with their servers [W].

    Parameters
    ----------
    traffic, flops
        Bytes read and FLOP computed by one replica in the step of one micro-batch [B, FLOP].
    t_step
        Time of that step, in which every stage of a pipeline serves a micro-batch of its own, or
        as many as are in flight there [s].
    ffn
        Of traffic and FLOP, those of chips for feed-forward parts alone; ``None`` where none may
        be.
    """
    if deployment.power_model == "provisioned":
        return num_chips(deployment) * chip_power(chip)
    chips = deployment.tp_size * deployment.pp_size * deployment.dp_size
    if ffn is None:
        return chips * _busy_power(chip, traffic, flops, deployment.tp_size * t_step)
    times = t_step / stage_micro_batches(deployment)
    own = (traffic - ffn.weight_traffic, flops - ffn.tensor_flops)
    beside = (ffn.weight_traffic, ffn.tensor_flops, chips_of_ffn(deployment) * times)
    of_attention = _busy_power(chip, *own, deployment.tp_size * times)
    return chips * of_attention + chips_beside(deployment) * _busy_power(chip, *beside)


def _busy_power(chip: Chip, traffic: Scalar, flops: Scalar, chip_seconds: Scalar) -> Scalar:
    """Power of one chip and its share of a server, by what several do in some time [W]."""
    own = activity_power(chip, byte_rate=traffic / chip_seconds, flop_rate=flops / chip_seconds)
    return own + chip.server_power / chip.chips_per_server
