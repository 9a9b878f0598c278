r"""Collectives: the exposed synchronisation of one step."""

import jax.numpy as jnp

from jaxlimits._types import Scalar
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


def tp_sync_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    r"""Exposed latency of all tensor-parallel collectives of one step [s].

    One chip has no collective. Under expert parallelism each MoE layer has one fewer: its
    feed-forward part ends in an all-to-all instead (ours).
    """
    per_layer = tp_collectives_per_layer(llm, deployment)
    replaced = jnp.where(is_expert_parallel(deployment), jnp.minimum(per_layer, 1.0), 0.0)
    count = llm.num_layers * per_layer - llm.num_moe_layers * replaced
    return jnp.where(deployment.tp_size > 1.0, count * chip.sync_latency, 0.0)


def ep_sync_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    """Exposed latency of the expert-parallel all-to-alls of one step [s]. Ours."""
    count = ALL_TO_ALLS_PER_MOE_LAYER * llm.num_moe_layers
    return jnp.where(is_expert_parallel(deployment), count * chip.all_to_all_latency, 0.0)


def pp_sync_time(chip: Chip, deployment: Deployment) -> Scalar:
    r"""Exposed latency of the hops between pipeline stages: :math:`(\mathrm{pp}-1)\,\tau` [s]."""
    return (deployment.pp_size - 1.0) * chip.hop_latency


def sync_time(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    r"""Exposed synchronisation of one step [s].

    .. math:: t_\mathrm{sync} = n_\mathrm{TP}\,\tau_\mathrm{sync} + n_\mathrm{EP}\,\tau_\mathrm{a2a}
              + (\mathrm{pp} - 1)\,\tau_\mathrm{hop}

    A constant a collective, whatever its payload: the paper's constant (published form).
    """
    tensor = tp_sync_time(chip, llm, deployment)
    expert = ep_sync_time(chip, llm, deployment)
    return tensor + expert + pp_sync_time(chip, deployment)
