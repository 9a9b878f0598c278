r"""Power: provisioned for the machine, whatever it does."""

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment


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


def system_power(chip: Chip, deployment: Deployment) -> Scalar:
    """Provisioned power of all chips of the deployment [W]."""
    chips = deployment.tp_size * deployment.pp_size * deployment.dp_size
    return chips * chip_power(chip)
