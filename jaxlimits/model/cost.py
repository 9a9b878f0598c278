r"""Cost: what a system costs to own and to power, or to rent, whatever it does.

The formulas are ours. Prices are inputs whose defaults are illustrative: every output that rests on
them says so.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.ffn_groups import num_chips
from jaxlimits.model.site import Site


def chip_capital(chip: Chip) -> Scalar:
    r"""Price of one chip with its memory and its shares of server and network [USD].

    .. math:: c_\mathrm{chip} + c_\mathrm{mem}\,C + c_\mathrm{net}
              + c_\mathrm{server}/n_\mathrm{server}

    Chips that are sold with their memory have it in ``chip_price``.
    """
    memory = chip.mem_price * chip.mem_capacity
    server = chip.server_price / chip.chips_per_server
    return chip.chip_price + memory + chip.network_price + server


def capital_cost(chip: Chip, deployment: Deployment) -> Scalar:
    """Price of all chips of the deployment, with servers and network [USD]."""
    return num_chips(deployment) * chip_capital(chip)


def cost_rate(chip: Chip, deployment: Deployment, site: Site, *, power: Scalar) -> Scalar:
    r"""Cost of the system by time [USD/s].

    .. math:: K/T + \pi\,\mathrm{PUE}\,P \quad\text{or, where a rent is stated,}\quad n\,r

    Capital cost :math:`K` spread evenly over the depreciation time :math:`T`, and the electricity
    of the system's power :math:`P` at the price :math:`\pi`. Interest, staff and space are left
    out. A rent :math:`r` of each of :math:`n` chips takes the place of both: whoever lets the chip
    pays for it and for its electricity.

    Parameters
    ----------
    power
        Power of the system, provisioned or by its activity [W].
    """
    owning = capital_cost(chip, deployment) / site.depreciation_time
    powering = site.electricity_price * site.pue * power
    rent = chip.chip_hour_price
    return jnp.where(rent > 0.0, num_chips(deployment) * rent, owning + powering)


def serving_cost(chip: Chip, deployment: Deployment, site: Site, *, power: Scalar) -> Scalar:
    """Cost of the system by time in which it serves: idle time is paid for too [USD/s]."""
    return cost_rate(chip, deployment, site, power=power) / site.utilisation
