r"""Sharded weights: every replica keeps a share, and gathers each layer before it runs (FSDP).

.. math::
    W_\mathrm{replica} = \frac{W}{\mathrm{dp}}
    + \left(1 - \frac{1}{\mathrm{dp}}\right) \frac{2 W}{L}, \qquad
    t_\mathrm{gather} = L\, t_\mathrm{AG}\!\left(\frac{W}{\mathrm{tp}\,L}\right)

Two layers are whole at any time: the one in use and the one that arrives, by one all-gather among
the replicas. With perfect prefetch a gather hides behind the work of the layer before it, and only
what is longer is exposed: :math:`t_\mathrm{mem}` is the time of the memory or that of all gathers,
whichever is longer. Whole layers are gathered, with all their experts.

References
----------
FSDP: Zhao et al., arXiv:2304.11277 (published). These limits are ours.
"""

from jaxlimits._types import Scalar
from jaxlimits.model.alpha_beta import ALL_GATHERS_ON
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.links import by_algorithm, link_rate, quickest_of_all
from jaxlimits.model.llm import LLM
from jaxlimits.model.topology import collective_time, group_levels, least


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


def gather_time(chip: Chip, llm: LLM, deployment: Deployment, *, weights: Scalar) -> Scalar:
    r"""Time in which one chip receives what it lacks of every layer, all gathers together [s].

    An all-gather a layer among the ``dp_size`` chips that hold its shares, by
    ``collective_algorithm`` over ``topology``, one after another: latencies and payload. An
    algorithm that no all-gather has is sent straight (as two shots do second). ``constant``, and
    ``auto`` where the chip states no ``link_bw``:
    :math:`(1 - 1/\mathrm{dp})\,W/(\mathrm{tp}\,w)`, the payload alone, over links of rate
    :math:`w`; the paper's constant is that of an all-reduce.

    Parameters
    ----------
    weights
        Bytes of the whole model [B].
    """
    part = weights / deployment.tp_size
    payload_alone = others_share(deployment) * part / link_rate(chip, deployment)

    def by_layers() -> Scalar:
        known, algorithm = ALL_GATHERS_ON[deployment.topology], deployment.collective_algorithm
        asked = (algorithm if algorithm in known else "one-shot",)
        size, latency = deployment.dp_size, chip.sync_latency
        chips = deployment.tp_size * size
        levels = group_levels(chip, deployment, size=size, chips=chips, latency=latency)
        layer = part / llm.num_layers
        names = known if quickest_of_all(deployment) else asked
        quickest = least([collective_time("all-gather", name, levels, layer) for name in names])
        return llm.num_layers * quickest.total

    return by_algorithm(chip, deployment, payload_alone, by_layers)
