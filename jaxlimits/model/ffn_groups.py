r"""FFN groups: feed-forward parts on chips of their own (attention-FFN disaggregation).

With ``ffn_chips`` :math:`n_F` above 0 the :math:`\mathrm{dp} \cdot \mathrm{tp}` chips of each
pipeline stage hold attention, norms, routers, embedding, LM head and all KV cache, and :math:`n_F`
further chips of the stage hold its dense feed-forward layers, shared and routed experts. The group
computes for the tokens of all :math:`\mathrm{dp}` replicas, which step together. Its dense parts
divide by tensor parallelism over all :math:`n_F` chips; so do the experts with ``ep_size`` 1, and
otherwise they lie on ``ep_size`` ranks of the group.

Each replica keeps ``ffn_micro_batches`` :math:`m` micro-batches of :math:`B` sequences in flight
in a stage, so that the chips of one kind work on one while those of the other kind work on another.
Prompts are prefilled likewise: :math:`m` times ``prefill_batch`` of them in flight.

Here is who holds and computes what; :mod:`jaxlimits.model.ping_pong` has the times.

References
----------
MegaScale-Infer (arXiv:2504.02263, section 3) and Step-3 (arXiv:2507.19427): the division is
published. Its place in the limit model is ours.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar
from jaxlimits.model.deployment import Deployment

FFN_OPERATORS = ("experts", "ffn")
"""Operators of the chips that hold feed-forward parts."""


def is_apart(deployment: Deployment) -> Flag:
    """Whether feed-forward parts lie on chips of their own."""
    return deployment.ffn_chips > 0.0 if deployment.ffn_groups else False


def ffn_group(deployment: Deployment) -> Deployment:
    """The deployment as the chips of feed-forward parts see it: one replica with all tokens."""
    if not deployment.ffn_groups:
        return deployment
    apart, replicas = is_apart(deployment), deployment.dp_size
    return eqx.tree_at(
        lambda d: (d.tp_size, d.dp_size, d.batch_size),
        deployment,
        (
            jnp.where(apart, deployment.ffn_chips, deployment.tp_size),
            jnp.where(apart, 1.0, replicas),
            jnp.where(apart, replicas, 1.0) * deployment.batch_size,
        ),
    )


def served_replicas(deployment: Deployment) -> Scalar:
    """Replicas whose feed-forward parts the same chips compute in one step [1]."""
    return jnp.where(is_apart(deployment), deployment.dp_size, 1.0)


def chips_of_ffn(deployment: Deployment) -> Scalar:
    """Chips of a stage that one replica has for feed-forward parts: its share of a group's [1]."""
    return ffn_group(deployment).tp_size / served_replicas(deployment)


def chips_beside(deployment: Deployment) -> Scalar:
    """Chips of the system for feed-forward parts alone [1]."""
    return deployment.pp_size * deployment.ffn_chips


def num_chips(deployment: Deployment) -> Scalar:
    r"""Chips of the system: :math:`\mathrm{pp}\,(\mathrm{tp} \cdot \mathrm{dp} + n_F)` [1]."""
    chips = deployment.tp_size * deployment.pp_size * deployment.dp_size
    return chips + chips_beside(deployment) if deployment.ffn_groups else chips


def stage_micro_batches(deployment: Deployment) -> Scalar:
    """Micro-batches of one replica that are in flight in one stage [1]."""
    if not deployment.ffn_groups:
        return 1.0
    return jnp.where(is_apart(deployment), deployment.ffn_micro_batches, 1.0)


def micro_batches(deployment: Deployment) -> Scalar:
    """Micro-batches of one replica that are in flight in all stages [1]."""
    if not deployment.ffn_groups:
        return deployment.pp_size
    return deployment.pp_size * stage_micro_batches(deployment)


def stage_chips(deployment: Deployment) -> Scalar:
    r"""Chips of one stage for each micro-batch of a replica that is in flight there [1].

    .. math:: (\mathrm{tp} + n_F/\mathrm{dp})/m
    """
    if not deployment.ffn_groups:
        return deployment.tp_size
    more = jnp.where(is_apart(deployment), deployment.ffn_chips / deployment.dp_size, 0.0)
    return (deployment.tp_size + more) / stage_micro_batches(deployment)
