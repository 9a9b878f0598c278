r"""Collectives: how many one step has, what they move, and the synchronisation that is exposed.

The times of single collectives are those of :mod:`jaxlimits.model.alpha_beta`, or the paper's
constant.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import alpha_beta
from jaxlimits.model.alpha_beta import Group
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import is_expert_parallel
from jaxlimits.model.llm import LLM

ALL_TO_ALLS_PER_MOE_LAYER = 2.0
"""Under expert parallelism: one to send tokens to their experts, one to bring them back (ours)."""


def tp_collectives_per_layer(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Tensor-parallel collectives in one layer, before expert parallelism [1].

    ``fixed``: the field ``collectives_per_layer``, 3 in every paper convention (inferred).
    ``derived`` (ours): 2, after the output projection and after the feed-forward part, and a third
    to combine partial attention where the KV cache is split over more chips than it has heads.
    """
    if deployment.collectives == "fixed":
        return deployment.collectives_per_layer
    if deployment.kv_sharding == "heads":
        return 2.0
    return jnp.where(deployment.tp_size > llm.num_kv_heads, 3.0, 2.0)


def activation_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Activations of one micro-batch between two layers: :math:`B\,q\,d\,b/8` [B].

    What a tensor-parallel collective and a hop between stages move (ours).
    """
    tokens = deployment.batch_size * deployment.query_tokens
    return tokens * llm.hidden_size * (deployment.activation_bits / 8.0)


def routed_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Activations that one chip sends to experts: :math:`B\,q\,k\,d\,b/(8\,\mathrm{tp})` [B].

    Each of a token's :math:`k` experts is sent it once; a replica's chips share the sending evenly,
    and the experts' answers take the same way back (ours).
    """
    each = activation_bytes(llm, deployment) * llm.experts_per_token
    return each / deployment.tp_size


def all_reduce_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    """Exposed time of one tensor-parallel collective by ``collective_algorithm`` [s].

    ``constant``: ``sync_latency``, whatever the payload (the paper's, published form). Otherwise an
    all-reduce among ``tp_size`` chips, of which ``sync_latency`` is one message's latency (ours).
    """
    algorithm = deployment.collective_algorithm
    if algorithm == "constant":
        return chip.sync_latency
    group = Group(size=deployment.tp_size, latency=chip.sync_latency, link_bw=chip.link_bw)
    payload = activation_bytes(llm, deployment)
    if algorithm == "best":
        return alpha_beta.best_all_reduce(group, payload)
    return alpha_beta.ALL_REDUCES[algorithm](group, payload)


def all_to_all_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    """Exposed time of one expert-parallel all-to-all [s].

    ``all_to_all_latency``, and, unless ``collective_algorithm`` is ``constant``, the payload of an
    even routing among ``ep_size`` ranks, sent straight under every algorithm (ours).
    """
    if deployment.collective_algorithm == "constant":
        return chip.all_to_all_latency
    group = Group(size=deployment.ep_size, latency=chip.all_to_all_latency, link_bw=chip.link_bw)
    return alpha_beta.all_to_all(group, routed_bytes(llm, deployment))


def hop_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    """Exposed time of one hop between pipeline stages [s].

    ``hop_latency``, and, unless ``collective_algorithm`` is ``constant``, the activations: each
    chip sends them whole to its like in the next stage, so that nothing is left to gather (ours).
    """
    if deployment.collective_algorithm == "constant":
        return chip.hop_latency
    pair = Group(size=2.0, latency=chip.hop_latency, link_bw=chip.link_bw)
    return alpha_beta.point_to_point(pair, activation_bytes(llm, deployment))


def tp_sync_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    r"""Exposed time of all tensor-parallel collectives of one step [s].

    One chip has none, and there the derivative by ``tp_size`` is 0. Under expert parallelism each
    MoE layer has one fewer: its feed-forward part ends in an all-to-all instead (ours).
    """
    per_layer = tp_collectives_per_layer(llm, deployment)
    replaced = jnp.where(is_expert_parallel(deployment), jnp.minimum(per_layer, 1.0), 0.0)
    count = llm.num_layers * per_layer - llm.num_moe_layers * replaced
    each = all_reduce_time(chip, llm, deployment)
    return jnp.where(deployment.tp_size > 1.0, count * each, 0.0)


def ep_sync_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    """Exposed time of the expert-parallel all-to-alls of one step [s]. Ours."""
    count = ALL_TO_ALLS_PER_MOE_LAYER * llm.num_moe_layers
    each = all_to_all_time(chip, llm, deployment)
    return jnp.where(is_expert_parallel(deployment), count * each, 0.0)


def pp_sync_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    r"""Exposed time of the hops between pipeline stages: :math:`(\mathrm{pp}-1)\,\tau` [s]."""
    return (deployment.pp_size - 1.0) * hop_time(chip, llm, deployment)


def sync_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    r"""Exposed synchronisation of one step [s].

    .. math:: t_\mathrm{sync} = n_\mathrm{TP}\,\tau_\mathrm{sync} + n_\mathrm{EP}\,\tau_\mathrm{a2a}
              + (\mathrm{pp} - 1)\,\tau_\mathrm{hop}

    By default a constant a collective, whatever its payload: the paper's constant (published form).
    ``collective_algorithm`` adds the payload and the number of chips (ours); the payload's part is
    then ``-link_bw`` times the derivative by ``link_bw``.
    """
    tensor = tp_sync_time(chip, llm, deployment)
    expert = ep_sync_time(chip, llm, deployment)
    return tensor + expert + pp_sync_time(chip, llm, deployment)
