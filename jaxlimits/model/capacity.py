r"""Capacity: what a replica stores, what it can store, and the largest batch."""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip
from jaxlimits.model.dense_groups import kept_weights
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import stored_experts
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import in_bytes, part_bits
from jaxlimits.model.prefix import Stored
from jaxlimits.model.tiers import beside_capacity
from jaxlimits.model.weights import common_terms, count_weights, expert_terms


def weight_bytes(llm: LLM, deployment: Deployment, *, tables: bool = True) -> Scalar:
    """Weights of one model that one replica stores [B].

    All experts are stored, touched or not; under expert parallelism the replicas share one copy of
    each, and further ones of some, and this is one replica's part of them. Without ``tables``,
    embedding and LM head are another's.
    """
    experts = stored_experts(llm, deployment)
    weights = kept_weights(count_weights(llm, deployment), deployment)
    bits = part_bits(llm, deployment)
    table = [(weights.embedding, bits.embedding)] if tables else []
    common = common_terms(weights, bits, tables=tables)
    return in_bytes([*common, *table, *expert_terms(weights, bits, experts=experts)])


def kv_bytes(deployment: Deployment, stored: Stored) -> Scalar:
    r"""KV cache that one replica stores: :math:`\mathrm{pp} \cdot B` sequences [B].

    A pipeline of ``pp_size`` stages keeps as many micro-batches in flight (ours).

    Parameters
    ----------
    stored
        What one sequence stores of its own, and what all share.
    """
    return stored.of(deployment.pp_size * deployment.batch_size)


def replica_capacity(chip: Chip, deployment: Deployment) -> Scalar:
    """Memory of the chips of one replica that weights and KV cache may fill, of all tiers [B]."""
    chips = deployment.tp_size * deployment.pp_size
    return chips * (chip.mem_capacity * chip.usable_fraction + beside_capacity(chip, deployment))


def batch_capacity(
    deployment: Deployment, *, capacity: Scalar, weights: Scalar, stored: Stored
) -> Scalar:
    r"""Micro-batch that fills the memory, a real number so that it has derivatives [1].

    .. math:: \max(0, (\mathrm{tp}\,\mathrm{pp}\,C - W)/(\mathrm{pp}\,S\,k))

    What all sequences share takes its place beside the weights. Infinite where a sequence stores
    nothing and the weights fit. Ours, from the published capacity.

    Parameters
    ----------
    capacity, weights
        Memory of one replica, and what its weights take of it [B].
    stored
        What one sequence stores of its own, and what all share.
    """
    free = capacity - stored.beside(weights)
    sequence = deployment.pp_size * stored.own
    empty = sequence <= 0.0
    batch = free / jnp.where(empty, 1.0, sequence)
    return jnp.maximum(jnp.where(empty & (free >= 0.0), jnp.inf, batch), 0.0)
