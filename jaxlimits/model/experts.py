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


def routed_tokens(deployment: Deployment) -> Scalar:
    """Tokens that meet one copy of the experts in one step [1]."""
    tokens = deployment.batch_size * deployment.query_tokens
    return tokens * expert_replicas(deployment)
