r"""Capacity: what a replica stores, what it can store, and the largest batch."""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import expert_replicas
from jaxlimits.model.kv_cache import sequence_bytes
from jaxlimits.model.llm import LLM
from jaxlimits.model.weights import count_weights, stored_weights


def weight_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Weights that one replica stores [B].

    All experts are stored, touched or not; under expert parallelism the replicas share one copy,
    and this is one replica's part of it.
    """
    experts = llm.num_experts / expert_replicas(deployment)
    elements = stored_weights(count_weights(llm, deployment), experts=experts)
    return elements * (deployment.weight_bits / 8.0)


def kv_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    r"""KV cache that one replica stores: :math:`\mathrm{pp} \cdot B` sequences [B].

    A pipeline of ``pp_size`` stages keeps as many micro-batches in flight (ours).
    """
    resident = deployment.pp_size * deployment.batch_size
    return resident * sequence_bytes(llm, deployment)


def replica_capacity(chip: Chip, deployment: Deployment) -> Scalar:
    """Memory of the chips of one replica that weights and KV cache may fill [B]."""
    chips = deployment.tp_size * deployment.pp_size
    return chips * (chip.mem_capacity * chip.usable_fraction)


def batch_capacity(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    r"""Micro-batch that fills the memory, a real number so that it has derivatives [1].

    .. math:: \max(0, (\mathrm{tp}\,\mathrm{pp}\,C - W)/(\mathrm{pp}\,S\,k))

    Infinite where a sequence stores nothing and the weights fit. Ours, from the published capacity.
    """
    free = replica_capacity(chip, deployment) - weight_bytes(llm, deployment)
    sequence = deployment.pp_size * sequence_bytes(llm, deployment)
    empty = sequence <= 0.0
    batch = free / jnp.where(empty, 1.0, sequence)
    return jnp.maximum(jnp.where(empty & (free >= 0.0), jnp.inf, batch), 0.0)


def max_batch_size(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    """Largest micro-batch that fits: :func:`batch_capacity` rounded down [1]."""
    return jnp.floor(batch_capacity(chip, llm, deployment))
