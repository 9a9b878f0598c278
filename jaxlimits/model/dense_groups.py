r"""Dense groups: replicas that share one copy of the dense feed-forward layers and of the LM head.

Under expert parallelism replicas step together, and what each of them would hold for itself can be
split over ``dense_tp_size`` chips of several: with :math:`g = \mathrm{dense}/\mathrm{tp}` replicas
in a group, each stores and reads :math:`1/g` of it. The tokens of all :math:`g` meet it, so that a
replica computes what it did. Before such a part an all-gather brings the tokens of the group
together, after it a reduce-scatter gives each replica its own: the two move what an all-reduce of
all these tokens does among the group's chips, and take the place of the one among TP chips.

Shared experts stay with the replica: engines compute them beside the all-to-alls, without a further
exchange. The LM head exchanges one token a sequence, also of a prompt that comes with a decode step
(a bound).

References
----------
SGLang, options ``moe-dense-tp-size`` and ``enable-dp-lm-head`` (the division: published). Its place
in the limit model is ours.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import is_expert_parallel
from jaxlimits.model.weights import Weights


def has_groups(deployment: Deployment) -> bool:
    """Whether replicas may share dense parts."""
    return deployment.expert_parallel and deployment.dense_groups


def group_chips(deployment: Deployment) -> Scalar:
    """Chips of a group: those of a replica where none is stated, or replicas share nothing [1]."""
    stated = is_expert_parallel(deployment) & (deployment.dense_tp_size > 0.0)
    return jnp.where(stated, deployment.dense_tp_size, deployment.tp_size)


def group_replicas(deployment: Deployment) -> Scalar:
    """Replicas of a group [1]."""
    return group_chips(deployment) / deployment.tp_size


def kept_weights(weights: Weights, deployment: Deployment) -> Weights:
    """What one replica stores and reads of the weights: of what is shared its part."""
    if not has_groups(deployment):
        return weights
    replicas = group_replicas(deployment)
    elsewhere = weights.dense * (1.0 - 1.0 / replicas)
    return eqx.tree_at(
        lambda w: (w.ffn, w.lm_head), weights, (weights.ffn - elsewhere, weights.lm_head / replicas)
    )
