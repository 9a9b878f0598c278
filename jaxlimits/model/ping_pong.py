r"""Ping-pong: times of steps whose feed-forward parts lie on chips of their own.

In each layer a micro-batch goes from attention's chips to those of the feed-forward part and back.
With :math:`t_A` and :math:`t_F` the times of one micro-batch on either kind of chips, their own
collectives included, and :math:`t_X` that of the messages both ways, a token of a user takes

.. math:: t_\mathrm{step} = \max\bigl(t_A + t_F + t_X,\; m \max(t_A, t_F, x)\bigr)

with :math:`m` micro-batches in flight. The first is the way of one micro-batch that waits for no
other; in the second one resource works all the time, one micro-batch after another. Links carry
both directions at once, and a message follows another before that has arrived: :math:`x` is the
payload's part of :math:`t_X/2`. More than :math:`(t_A + t_F + t_X)/\max(t_A, t_F)` micro-batches
keep the slower kind of chips busy all the time; with :math:`t_A = t_F` these are the
:math:`2\,(1 + T_c/T_f)` of MegaScale-Infer.

References
----------
MegaScale-Infer (arXiv:2504.02263, equations 1 to 6; published): the time of one layer's ping-pong,
what hides communication, and what a chip sends: a token once to each of its experts. There
:math:`t_F` paces a balanced pipeline; that the slowest of three does, and that the latency of a
message keeps no link busy, is inferred. Step-3 (arXiv:2507.19427) has the same three stages.
"""

import operator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip
from jaxlimits.model.collectives import (
    activation_bytes,
    all_reduce,
    layer_collectives,
    pp_sync,
    replaced_collectives,
)
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import is_expert_parallel
from jaxlimits.model.ffn_groups import (
    FFN_OPERATORS,
    chips_of_ffn,
    ffn_group,
    stage_micro_batches,
)
from jaxlimits.model.layers import ffn_layers
from jaxlimits.model.links import by_algorithm
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import Operators
from jaxlimits.model.roofline import StepTimes, as_one, of_parts, stage_rates
from jaxlimits.model.topology import Exposed, constant, sent_between
from jaxlimits.model.volumes import Operator

SENDS_PER_LAYER = 2.0
"""Of a layer with a feed-forward part: to its chips, and back (published)."""


class Busy(NamedTuple):
    """For how long one micro-batch's step keeps each of three resources busy [s].

    Parameters
    ----------
    attention, ffn
        Either kind of chips, their own collectives included.
    links
        The links between them, one way.
    """

    attention: Scalar
    ffn: Scalar
    links: Scalar


def attention_collectives(llm: LLM, deployment: Deployment) -> Scalar:
    """Tensor-parallel collectives of one step among the chips of attention [1]. Ours.

    Those of all layers but the one after each feed-forward part, whose answer comes with a message.
    """
    left = ffn_layers(llm, deployment) * replaced_collectives(deployment)
    count = layer_collectives(llm, deployment) - left
    return jnp.where(deployment.tp_size > 1.0, count, 0.0)


def ffn_collectives(llm: LLM, deployment: Deployment) -> Scalar:
    """Tensor-parallel collectives of one step among the chips of feed-forward parts [1]. Ours.

    One for each part that all of them share: an all-gather before it and a reduce-scatter after it
    move what an all-reduce does. Experts on ranks have none, for tokens come to them straight.
    """
    shared = ffn_layers(llm, deployment) - placed_layers(llm, deployment)
    count = shared * replaced_collectives(deployment)
    return jnp.where(ffn_group(deployment).tp_size > 1.0, count, 0.0)


def placed_layers(llm: LLM, deployment: Deployment) -> Scalar:
    """Layers whose experts lie on ranks [1]."""
    return jnp.where(is_expert_parallel(deployment), llm.num_moe_layers, 0.0)


def copies(llm: LLM, deployment: Deployment) -> Scalar:
    """How often a token is sent to the experts of one layer that lie on ranks [1].

    Once to each of its experts, but no more than once to each rank (a bound), and once more where
    there are shared experts, which divide over all ranks (ours).
    """
    ranks = jnp.minimum(llm.experts_per_token, deployment.ep_size)
    return ranks + jnp.minimum(llm.num_shared_experts, 1.0)


def sends(llm: LLM, deployment: Deployment) -> Scalar:
    """Messages of one step between the two kinds of chips, one after another [1]."""
    return SENDS_PER_LAYER * ffn_layers(llm, deployment)


def sent_copies(llm: LLM, deployment: Deployment) -> Scalar:
    """How often the activations of a token are sent in one step in those messages [1]."""
    more = placed_layers(llm, deployment) * (copies(llm, deployment) - 1.0)
    return SENDS_PER_LAYER * (ffn_layers(llm, deployment) + more)


def transfer(chip: Chip, llm: LLM, deployment: Deployment) -> Exposed:
    r"""Time of all messages of one micro-batch's step between the two kinds of chips [s].

    .. math:: 2 L_F\,\tau_\mathrm{hop}
              + \frac{c\,\mathrm{dp}\,B\,q\,d\,b/8}{w\,\min(\mathrm{tp\,dp},\,n_F)}

    with :math:`c` copies of the activations in all. All chips of a kind share the sending and the
    taking evenly, so that those of which there are fewer set the time; routing is even. Where
    ``collective_algorithm`` moves no payload, ``hop_latency`` alone. Published for experts
    (MegaScale-Infer, equation 6); with the latency ours.
    """
    size, group = deployment.tp_size * deployment.dp_size, ffn_group(deployment)
    payload = activation_bytes(llm, group) / jnp.minimum(size, group.tp_size)
    count, all_copies = sends(llm, deployment), sent_copies(llm, deployment)

    def of_payload() -> Exposed:
        chips = size + group.tp_size
        one = sent_between(chip, deployment, payload, size=size, chips=chips)
        latency, moving = count * one.latency, all_copies * one.payload
        return Exposed(total=latency + moving, latency=latency, payload=moving)

    return by_algorithm(chip, deployment, constant(count * chip.hop_latency), of_payload)


def attention_times(
    operators: Operators, chip: Chip, llm: LLM, deployment: Deployment, *, chunks: Scalar
) -> StepTimes:
    """Times of one micro-batch on the chips of attention [s].

    Parameters
    ----------
    operators
        Those of one replica's micro-batch, over all chunks, here and below.
    chunks
        How often collectives and messages start again.
    """
    named = operators.named()
    parts = [each for name, each in named.items() if name not in FFN_OPERATORS]
    collectives = all_reduce(chip, llm, deployment).times(
        chunks * attention_collectives(llm, deployment), where=deployment.tp_size > 1.0
    )
    return _times(parts, chip, deployment, collectives)


def ffn_times(
    operators: Operators, chip: Chip, llm: LLM, deployment: Deployment, *, chunks: Scalar
) -> StepTimes:
    """Times of one micro-batch of all replicas on the chips of feed-forward parts [s]."""
    parts = [getattr(operators, name) for name in FFN_OPERATORS]
    group = ffn_group(deployment)
    collectives = all_reduce(chip, llm, group).times(
        chunks * ffn_collectives(llm, deployment), where=group.tp_size > 1.0
    )
    share = eqx.tree_at(lambda d: d.tp_size, deployment, chips_of_ffn(deployment))
    return _times(parts, chip, share, collectives)


def _times(
    parts: list[Operator], chip: Chip, deployment: Deployment, collectives: Exposed
) -> StepTimes:
    """Times of some operators on the chips of a deployment, by its ``roofline`` [s]."""
    parts = [as_one(parts)] if deployment.roofline == "step" else parts
    return of_parts(parts, stage_rates(chip, deployment), collectives)


def ping_pong_times(
    operators: Operators, chip: Chip, llm: LLM, deployment: Deployment, *, chunks: Scalar = 1.0
) -> tuple[StepTimes, Busy]:
    """Times of a step in which both kinds of chips work on micro-batches in turn [s].

    ``t_step`` is that of the module's equation. The others are those of what sets it: of both kinds
    of chips and the messages where one micro-batch waits for no other; otherwise, of all
    micro-batches in flight, those of attention, of the feed-forward parts or of the links. Beside
    busy links stands the work that they hide. At a kink the derivative of ``t_step`` is the mean of
    both sides. Beside them stands for how long one micro-batch keeps each resource busy.
    """
    attention = attention_times(operators, chip, llm, deployment, chunks=chunks)
    ffn = ffn_times(operators, chip, llm, deployment, chunks=chunks)
    moved = transfer(chip, llm, deployment).times(chunks)
    hops = pp_sync(chip, llm, deployment).times(chunks)
    alone = _with_sync(jax.tree.map(operator.add, attention, ffn), moved + hops)
    batches = stage_micro_batches(deployment)
    busy = 0.5 * moved.payload
    paced = jax.tree.map(lambda time: batches * time, _longer(attention, ffn))
    over_links = StepTimes(
        t_compute=alone.t_compute,
        t_mem=alone.t_mem,
        t_sync=batches * busy,
        t_sync_latency=0.0,
        t_sync_payload=batches * busy,
        t_step=batches * busy,
    )
    resources = Busy(attention=attention.t_step, ffn=ffn.t_step, links=busy)
    return _longer(alone, _longer(paced, over_links)), resources


def _with_sync(times: StepTimes, more: Exposed) -> StepTimes:
    """Times with more synchronisation."""
    return StepTimes(
        t_compute=times.t_compute,
        t_mem=times.t_mem,
        t_sync=times.t_sync + more.total,
        t_sync_latency=times.t_sync_latency + more.latency,
        t_sync_payload=times.t_sync_payload + more.payload,
        t_step=times.t_step + more.total,
    )


def _longer(one: StepTimes, other: StepTimes) -> StepTimes:
    """Those whose step takes longer; the first where both take as long."""
    chosen = jax.tree.map(lambda a, b: jnp.where(one.t_step >= other.t_step, a, b), one, other)
    return eqx.tree_at(lambda t: t.t_step, chosen, jnp.maximum(one.t_step, other.t_step))
