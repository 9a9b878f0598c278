r"""Experts: which of them a step touches, and where they are placed.

With ``ep_size`` 1 every expert is split over the TP chips of one replica. Above 1 the experts lie
on the ``tp_size * dp_size`` chips of a stage, and the replicas of the deployment step together.
"""

import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM


def touched_experts(llm: LLM, *, tokens: Scalar) -> Scalar:
    r"""Expected number of experts that ``tokens`` routed tokens use in one layer [1].

    .. math:: E\,(1 - (1 - k/E)^t)

    Routing is uniform and independent. Between :math:`k` and :math:`E` for :math:`t \ge 1`; 0 for a
    dense model. Ours.

    Parameters
    ----------
    tokens
        Routed tokens of one step [1].
    """
    sparse = llm.num_experts > llm.experts_per_token
    share = llm.experts_per_token / jnp.where(sparse, llm.num_experts, 1.0)
    share = jnp.where(sparse, share, 0.0)  # k = E would put log(0) into the gradient
    touched = -llm.num_experts * jnp.expm1(tokens * jnp.log1p(-share))
    return jnp.where(sparse, touched, llm.num_experts)


def is_expert_parallel(deployment: Deployment) -> Flag:
    """Whether experts are placed whole on ranks."""
    return deployment.ep_size > 1.0 if deployment.expert_parallel else False


def expert_replicas(deployment: Deployment) -> Scalar:
    """Replicas that share one copy of the experts: ``dp_size`` under EP, otherwise 1 [1]."""
    return jnp.where(is_expert_parallel(deployment), deployment.dp_size, 1.0)


def has_copies(deployment: Deployment) -> bool:
    """Whether ranks may hold copies of experts."""
    return deployment.expert_parallel and deployment.copied_experts


def stored_experts(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Experts that one replica stores in each MoE layer: its share of :math:`E + R` [1].

    Copies lie on the ranks of expert parallelism; without it there are none.
    """
    if not has_copies(deployment):
        return llm.num_experts / expert_replicas(deployment)
    copies = jnp.where(is_expert_parallel(deployment), deployment.redundant_experts, 0.0)
    return (llm.num_experts + copies) / expert_replicas(deployment)


def spread_pace(pace: Scalar, llm: LLM, deployment: Deployment) -> Scalar:
    r"""The slowest rank over the mean, where copies take a part of its load [1].

    .. math:: \max(1, (1 - \rho)\,\mathrm{pace}), \qquad \rho = \min(R/E, 1)

    Experts with copies can be computed wherever there is room; only the load of the others, a share
    :math:`1 - \rho`, is bound to its rank. A lower bound: fewer experts are less even than all, a
    copy may run on the ranks that hold it alone, and one that several ranks use is read on each.
    Ours, after the redundant experts of DeepSeek-V3 (arXiv:2412.19437, section 3.4, published).
    """
    if not has_copies(deployment):
        return pace
    some = llm.num_experts > 0.0
    share = deployment.redundant_experts / jnp.where(some, llm.num_experts, 1.0)
    return jnp.maximum((1.0 - jnp.minimum(share, 1.0)) * pace, 1.0)


def routed_tokens(deployment: Deployment) -> Scalar:
    """Tokens that meet one copy of the experts in one step [1]."""
    tokens = deployment.batch_size * deployment.query_tokens
    return tokens * expert_replicas(deployment)
