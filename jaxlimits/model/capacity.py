r"""Capacity: what a replica stores, what it can store, and the largest batch."""

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip
from jaxlimits.model.dense_groups import kept_weights
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import stored_experts
from jaxlimits.model.ffn_groups import (
    chips_beside,
    ffn_group,
    is_apart,
    micro_batches,
    served_replicas,
)
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import in_bytes, part_bits
from jaxlimits.model.prefix import Stored
from jaxlimits.model.tiers import beside_capacity
from jaxlimits.model.weights import common_terms, count_weights, expert_terms


def weight_bytes(llm: LLM, deployment: Deployment, *, tables: bool = True) -> Scalar:
    """Weights of one model that one replica stores [B].

    All experts are stored, touched or not; under expert parallelism the replicas share one copy of
    each, and further ones of some, and this is one replica's part of them; so it is of all
    feed-forward parts where one group of chips holds them for all. Without ``tables``, embedding
    and LM head are another's.
    """
    experts = stored_experts(llm, ffn_group(deployment))
    weights = kept_weights(count_weights(llm, deployment), deployment)
    if deployment.ffn_groups:
        replicas = served_replicas(deployment)
        experts = experts / replicas
        weights = eqx.tree_at(lambda w: w.ffn, weights, weights.ffn / replicas)
    bits = part_bits(llm, deployment)
    table = [(weights.embedding, bits.embedding)] if tables else []
    common = common_terms(weights, bits, tables=tables)
    return in_bytes([*common, *table, *expert_terms(weights, bits, experts=experts)])


def kv_bytes(deployment: Deployment, stored: Stored) -> Scalar:
    r"""KV cache that one replica stores: :math:`\mathrm{pp} \cdot B` sequences [B].

    A pipeline of ``pp_size`` stages keeps as many micro-batches in flight (ours), and
    ``ffn_micro_batches`` times as many where feed-forward parts lie on chips of their own.

    Parameters
    ----------
    stored
        What one sequence stores of its own, and what all share.
    """
    return stored.of(micro_batches(deployment) * deployment.batch_size)


def replica_capacity(chip: Chip, deployment: Deployment) -> Scalar:
    """Memory of the chips of one replica that weights and KV cache may fill, of all tiers [B]."""
    chips = deployment.tp_size * deployment.pp_size
    return chips * chip_capacity(chip, deployment)


def chip_capacity(chip: Chip, deployment: Deployment) -> Scalar:
    """Memory of one chip that weights and KV cache may fill, of all tiers [B]."""
    return chip.mem_capacity * chip.usable_fraction + beside_capacity(chip, deployment)


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
    sequence = micro_batches(deployment) * stored.own
    empty = sequence <= 0.0
    batch = free / jnp.where(empty, 1.0, sequence)
    return jnp.maximum(jnp.where(empty & (free >= 0.0), jnp.inf, batch), 0.0)


class Fill(eqx.Module):
    """What chips of one kind store, and what they can.

    Parameters
    ----------
    held, capacity
        Bytes that they store, and the memory that they have for it [B].
    chips
        How many they are [1].
    """

    held: Scalar
    capacity: Scalar
    chips: Scalar


def ffn_fill(chip: Chip, llm: LLM, deployment: Deployment) -> Fill:
    """What the chips for feed-forward parts alone store; they are one chip where there are none."""
    weights, bits = count_weights(llm, deployment), part_bits(llm, deployment)
    experts = expert_terms(weights, bits, experts=stored_experts(llm, ffn_group(deployment)))
    apart = is_apart(deployment)
    chips = jnp.where(apart, chips_beside(deployment), 1.0)
    held = in_bytes([(weights.ffn, bits.ffn), *experts])
    return Fill(
        held=jnp.where(apart, held, 0.0),
        capacity=chips * chip_capacity(chip, deployment),
        chips=chips,
    )


def fuller(one: Fill, other: Fill) -> Fill:
    """The chips of which a larger share is filled; the second ones where both are as full."""
    first = one.held * other.capacity > other.held * one.capacity
    return jax.tree.map(lambda a, b: jnp.where(first, a, b), one, other)


def attention_weight_bytes(llm: LLM, deployment: Deployment, *, weights: Scalar) -> Scalar:
    """Weights of one replica on the chips of attention: all but parts that lie on others [B].

    Parameters
    ----------
    weights
        All that one replica stores [B].
    """
    own = eqx.tree_at(lambda w: w.ffn, count_weights(llm, deployment), 0.0)
    bits = part_bits(llm, deployment)
    without = in_bytes([*common_terms(own, bits), (own.embedding, bits.embedding)])
    return jnp.where(is_apart(deployment), without, weights)
