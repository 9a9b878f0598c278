r"""Collectives: how many one step has, what they move, and the synchronisation that is exposed.

The times of single collectives are those of :mod:`jaxlimits.model.topology`, or the paper's
constant.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar
from jaxlimits.model import residual
from jaxlimits.model.alpha_beta import ALGORITHMS_ON, ALL_GATHERS_ON
from jaxlimits.model.chip import Chip
from jaxlimits.model.context_parallel import splits_sequences
from jaxlimits.model.dense_groups import group_chips, group_replicas, has_groups
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import is_expert_parallel
from jaxlimits.model.ffn import expert_width
from jaxlimits.model.head_groups import Group, over_groups
from jaxlimits.model.layers import dense_layers, ffn_layers, mixing_layers
from jaxlimits.model.links import by_algorithm, quickest_of_all
from jaxlimits.model.llm import LLM
from jaxlimits.model.topology import (
    Exposed,
    collective_time,
    constant,
    group_levels,
    hops_between_stages,
    least,
)


class Waits(eqx.Module):
    """Exposed synchronisation of one step by what waits [s].

    Parameters
    ----------
    tensor, expert, pipeline
        Of tensor-parallel collectives, expert-parallel all-to-alls, hops between stages.
    dense
        Of exchanges between replicas that share dense parts; ``None`` for none.
    """

    tensor: Exposed
    expert: Exposed
    pipeline: Exposed
    dense: Exposed | None = None

    @property
    def whole(self) -> Exposed:
        """All of it."""
        usual = self.tensor + self.expert + self.pipeline
        return usual if self.dense is None else usual + self.dense


ALL_TO_ALLS_PER_MOE_LAYER = 2.0
"""Under expert parallelism: one to send tokens to their experts, one to bring them back (ours)."""

EXCHANGES_PER_DENSE_PART = 2.0
"""Between replicas that share it: an all-gather before, a reduce-scatter after (ours)."""


def layer_collectives(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Tensor-parallel collectives of all layers, before expert parallelism [1].

    ``fixed``: the field ``collectives_per_layer`` in each, 3 in every paper convention (inferred).
    ``derived`` (ours): one after each mixer and one after each feed-forward part, and a third to
    combine partial attention where the KV cache is split over more chips than it has heads. Under
    context parallelism each layer with heads has that one more by either count. A recurrent state
    divides by its columns too, and no chip needs another's.
    """
    if deployment.collectives == "fixed":
        usual = llm.num_layers * deployment.collectives_per_layer
        return with_combines(usual, llm, deployment)
    usual = mixing_layers(llm, deployment) + ffn_layers(llm, deployment)
    if deployment.kv_sharding == "heads":
        return with_combines(usual, llm, deployment)

    def combined(group: Group) -> Scalar:
        return group.count * jnp.where(deployment.tp_size > group.llm.num_kv_heads, 1.0, 0.0)

    return usual + over_groups(llm, deployment, combined)


def with_combines(usual: Scalar, llm: LLM, deployment: Deployment) -> Scalar:
    """Collectives with those that combine attention over parts of the sequence [1].

    Where KV is ``split`` there are no parts of the sequence beside those of the heads.
    """
    if deployment.kv_sharding == "split" or not deployment.context_parallel:
        return usual
    layers = over_groups(llm, deployment, lambda group: group.count)
    return usual + jnp.where(splits_sequences(deployment), layers, 0.0)


def replaced_collectives(deployment: Deployment) -> Scalar:
    """Of one MoE layer: the one after its experts, where an all-to-all takes its place [1]. Ours.

    No more than there are, under a fixed number.
    """
    if deployment.collectives == "fixed":
        return jnp.minimum(deployment.collectives_per_layer, 1.0)
    return 1.0


def activation_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Activations that a collective of one micro-batch moves: :math:`B\,q\,d\,b/8` [B] (ours)."""
    return _moved_bytes(deployment, width=llm.hidden_size)


def residual_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Residual streams of one micro-batch, which a hop between stages moves [B].

    The activations, or under hyper-connections as many of them as there are streams (ours).
    """
    return _moved_bytes(deployment, width=residual.width(llm, deployment))


def routed_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Activations that one chip sends to experts: :math:`B\,q\,k\,\ell\,b/(8\,\mathrm{tp})` [B].

    Each of a token's :math:`k` experts is sent it once, in the width :math:`\ell` that they take. A
    replica's chips share the sending evenly, and the answers take the same way back (ours).
    """
    each = _moved_bytes(deployment, width=expert_width(llm, deployment)) * llm.experts_per_token
    return each / deployment.tp_size


def _moved_bytes(deployment: Deployment, *, width: Scalar) -> Scalar:
    """Activations of one micro-batch that are so wide [B]."""
    tokens = deployment.batch_size * deployment.query_tokens
    return tokens * width * (deployment.activation_bits / 8.0)


def all_reduce(chip: Chip, llm: LLM, deployment: Deployment) -> Exposed:
    """Exposed time of one tensor-parallel collective by ``collective_algorithm`` [s].

    ``constant``: ``sync_latency``, whatever the payload (the paper's, published form). Otherwise an
    all-reduce among ``tp_size`` chips joined by ``topology``, of which ``sync_latency`` is one
    message's latency; ``best`` is the quickest that has a path there (ours). ``auto``, here and
    below, is one of the two: see :func:`jaxlimits.model.links.by_algorithm`.
    """

    def of_payload() -> Exposed:
        asked = (deployment.collective_algorithm,)
        names = ALGORITHMS_ON[deployment.topology] if quickest_of_all(deployment) else asked
        payload, size = activation_bytes(llm, deployment), deployment.tp_size
        levels = group_levels(chip, deployment, size=size, chips=size, latency=chip.sync_latency)
        return least([collective_time("all-reduce", name, levels, payload) for name in names])

    return by_algorithm(chip, deployment, constant(chip.sync_latency), of_payload)


def all_to_all(chip: Chip, llm: LLM, deployment: Deployment) -> Exposed:
    """Exposed time of one expert-parallel all-to-all [s].

    ``all_to_all_latency``, and, unless ``collective_algorithm`` is ``constant``, the payload of an
    even routing among ``ep_size`` ranks joined by ``topology``, sent straight under every
    algorithm: behind a switch no other is quicker (ours).
    """

    def of_payload() -> Exposed:
        size, chips = deployment.ep_size, deployment.tp_size * deployment.dp_size
        latency = chip.all_to_all_latency
        levels = group_levels(chip, deployment, size=size, chips=chips, latency=latency)
        return collective_time("all-to-all", "one-shot", levels, routed_bytes(llm, deployment))

    return by_algorithm(chip, deployment, constant(chip.all_to_all_latency), of_payload)


def reduces_experts(deployment: Deployment, *, unless_asked: bool = False) -> Flag:
    """Whether ranks of experts all-reduce their sums: never among several replicas.

    Every chip of a replica has all of its tokens under tensor parallelism, so that none need be
    sent: each rank computes its experts' share, and the all-reduce of plain TP adds them (ours, as
    vLLM, SGLang and TensorRT-LLM do it).

    Parameters
    ----------
    unless_asked
        What ``auto`` means.
    """
    asked = deployment.expert_exchange
    if asked == "all-to-all" or (asked == "auto" and not unless_asked):
        return False
    return jnp.logical_and(is_expert_parallel(deployment), deployment.dp_size <= 1.0)


def exchanges_tokens(deployment: Deployment) -> Flag:
    """Whether tokens go to the ranks of their experts and come back."""
    if deployment.expert_exchange != "all-reduce":
        return is_expert_parallel(deployment)
    return jnp.logical_and(is_expert_parallel(deployment), deployment.dp_size > 1.0)


def tp_collectives(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Tensor-parallel collectives of one step; none on one chip [1].

    Under expert parallelism each MoE layer has one fewer: its feed-forward part ends in an
    all-to-all instead, unless ``expert_exchange`` keeps the all-reduce; so has a dense layer that
    several replicas share (ours).
    """
    fewer = replaced_collectives(deployment)
    replaced = jnp.where(exchanges_tokens(deployment), fewer, 0.0)
    count = layer_collectives(llm, deployment) - llm.num_moe_layers * replaced
    if has_groups(deployment):
        replaced = jnp.where(group_replicas(deployment) > 1.0, fewer, 0.0)
        count = count - dense_layers(llm, deployment) * replaced
    return jnp.where(deployment.tp_size > 1.0, count, 0.0)


def dense_exchanges(llm: LLM, deployment: Deployment) -> Scalar:
    """Exchanges of one step between replicas that share dense layers and the LM head [1]. Ours."""
    head = 1.0 if deployment.accounting == "full" else 0.0
    count = EXCHANGES_PER_DENSE_PART * (dense_layers(llm, deployment) + head)
    return jnp.where(group_replicas(deployment) > 1.0, count, 0.0)


def dense_sync(
    chip: Chip, llm: LLM, deployment: Deployment, *, headed: Scalar | None = None
) -> Exposed:
    r"""Exposed time of them, layers and LM head [s].

    Each is an all-gather, or its reverse, of the tokens of all :math:`g` replicas among the group's
    chips, by ``collective_algorithm`` (an algorithm that no all-gather has is sent straight);
    before the LM head one token a sequence, of ``headed`` sequences where it is not all.
    """
    sizes, replicas = group_chips(deployment), group_replicas(deployment)
    of_head = eqx.tree_at(lambda d: d.query_tokens, deployment, 1.0)
    if headed is not None:
        of_head = eqx.tree_at(lambda d: d.batch_size, of_head, headed)

    def each(tokens: Deployment) -> Exposed:
        payload = replicas * activation_bytes(llm, tokens)
        return all_gather(chip, deployment, size=sizes, payload=payload)

    total = each(deployment).times(EXCHANGES_PER_DENSE_PART * dense_layers(llm, deployment))
    if deployment.accounting == "full":
        total = total + each(of_head).times(EXCHANGES_PER_DENSE_PART)
    return total.where(replicas > 1.0)


def all_gather(chip: Chip, deployment: Deployment, *, size: Scalar, payload: Scalar) -> Exposed:
    """Exposed time of one all-gather among neighbouring chips that ends with a payload [s]. Ours.

    ``constant``: ``sync_latency``.
    """

    def of_payload() -> Exposed:
        known, algorithm = ALL_GATHERS_ON[deployment.topology], deployment.collective_algorithm
        asked = (algorithm if algorithm in known else "one-shot",)
        names = known if quickest_of_all(deployment) else asked
        levels = group_levels(chip, deployment, size=size, chips=size, latency=chip.sync_latency)
        return least([collective_time("all-gather", name, levels, payload) for name in names])

    return by_algorithm(chip, deployment, constant(chip.sync_latency), of_payload)


def ep_collectives(llm: LLM, deployment: Deployment) -> Scalar:
    """Expert-parallel all-to-alls of one step [1]. Ours."""
    count = ALL_TO_ALLS_PER_MOE_LAYER * llm.num_moe_layers
    return jnp.where(exchanges_tokens(deployment), count, 0.0)


def tp_sync(chip: Chip, llm: LLM, deployment: Deployment) -> Exposed:
    r"""Exposed time of all tensor-parallel collectives of one step [s].

    One chip has none, and there the derivative by ``tp_size`` is 0.
    """
    each = all_reduce(chip, llm, deployment)
    return each.times(tp_collectives(llm, deployment), where=deployment.tp_size > 1.0)


def ep_sync(chip: Chip, llm: LLM, deployment: Deployment) -> Exposed:
    """Exposed time of the expert-parallel all-to-alls of one step [s]. Ours."""
    if not deployment.expert_parallel:
        return constant(0.0)
    each = all_to_all(chip, llm, deployment)
    return each.times(ep_collectives(llm, deployment), where=exchanges_tokens(deployment))


def pp_sync(chip: Chip, llm: LLM, deployment: Deployment) -> Exposed:
    r"""Exposed time of the hops between pipeline stages: :math:`(\mathrm{pp}-1)\,\tau` [s].

    ``hop_latency``, and, unless ``collective_algorithm`` is ``constant``, the residual: each chip
    sends it whole to its like in the next stage, so that nothing is left to gather (ours).
    """
    without = constant((deployment.pp_size - 1.0) * chip.hop_latency)
    return by_algorithm(
        chip,
        deployment,
        without,
        lambda: hops_between_stages(chip, deployment, residual_bytes(llm, deployment)),
    )


def sync(chip: Chip, llm: LLM, deployment: Deployment) -> Exposed:
    r"""Exposed synchronisation of one step, and its parts of latency and of payload [s].

    .. math:: t_\mathrm{sync} = n_\mathrm{TP}\,\tau_\mathrm{sync} + n_\mathrm{EP}\,\tau_\mathrm{a2a}
              + (\mathrm{pp} - 1)\,\tau_\mathrm{hop}

    Under ``collective_algorithm`` ``constant`` a constant a collective, whatever its payload: the
    paper's (published form), all of it latency. The other algorithms add the payload and the number
    of chips, ``topology`` how they are joined (ours).
    """
    return waits(chip, llm, deployment).whole


def waits(chip: Chip, llm: LLM, deployment: Deployment, *, headed: Scalar | None = None) -> Waits:
    """The parts of :func:`sync` [s]; ``headed`` sequences have a token before the LM head."""
    return Waits(
        tensor=tp_sync(chip, llm, deployment),
        expert=ep_sync(chip, llm, deployment),
        pipeline=pp_sync(chip, llm, deployment),
        dense=dense_sync(chip, llm, deployment, headed=headed) if has_groups(deployment) else None,
    )
