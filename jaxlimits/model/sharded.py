r"""Sharded weights: every replica keeps a share, and gathers each layer before it runs (FSDP).

.. math::
    W_\mathrm{replica} = \frac{W}{\mathrm{dp}}
    + \left(1 - \frac{1}{\mathrm{dp}}\right) \frac{2 W}{L}, \qquad
    t_\mathrm{gather} = \left(1 - \frac{1}{\mathrm{dp}}\right) \frac{W}{\mathrm{tp}\,w}

Two layers are whole at any time: the one in use and the one that arrives. With perfect prefetch a
step takes at least as long to gather as its links of rate :math:`w` need, however fast the memory:
:math:`t_\mathrm{mem}` is the longer of the two. Whole layers are gathered, with all their experts.
The latencies of the gathers are hidden (a bound).

References
----------
FSDP: Zhao et al., arXiv:2304.11277 (published). These limits are ours.
"""

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM


def is_sharded(deployment: Deployment) -> bool:
    """Whether the replicas share one copy of all weights."""
    return deployment.weight_placement == "sharded"


def others_share(deployment: Deployment) -> Scalar:
    """Share of the weights that the other replicas keep [1]."""
    return 1.0 - 1.0 / deployment.dp_size


def kept_bytes(llm: LLM, deployment: Deployment, *, weights: Scalar) -> Scalar:
    """Weights that one replica stores: its share, and two layers while they run [B].

    Parameters
    ----------
    weights
        Bytes of the whole model [B].
    """
    if not is_sharded(deployment):
        return weights
    buffers = others_share(deployment) * 2.0 * weights / llm.num_layers
    return weights / deployment.dp_size + buffers


def gather_time(chip: Chip, deployment: Deployment, *, weights: Scalar) -> Scalar:
    """Time in which one chip receives what it lacks of every layer [s].

    Parameters
    ----------
    weights
        Bytes of the whole model [B].
    """
    received = others_share(deployment) * weights / deployment.tp_size
    return received / chip.link_bw
