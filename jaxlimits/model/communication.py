r"""Communication: how often the chips of one replica exchange data, and how much for a token.

Counts and volumes rest on the parallelism and on the model's shape alone, whatever the network and
its algorithms (ours; the closed forms are the usual ones of distributed inference).
"""

import operator

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import residual
from jaxlimits.model.collectives import dense_exchanges, ep_collectives, tp_collectives
from jaxlimits.model.dense_groups import group_chips, has_groups
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.ffn import expert_width
from jaxlimits.model.ffn_groups import ffn_group, is_apart
from jaxlimits.model.llm import LLM
from jaxlimits.model.ping_pong import (
    attention_collectives,
    ffn_collectives,
    sends,
    sent_copies,
)
from jaxlimits.model.speculation import draft_model, is_speculative, tokens_per_step, verifying


class Exchanges(eqx.Module):
    """Collectives of one step [1], and what all chips of a replica send for one token [B/token].

    The draft's are among them.
    """

    tp_collectives: Scalar
    ep_collectives: Scalar
    pp_hops: Scalar
    tp_volume: Scalar
    ep_volume: Scalar
    pp_volume: Scalar


def exchanges(llm: LLM, draft: LLM | None, deployment: Deployment) -> Exchanges:
    r"""Count the exchanges of one step of one replica, and what they send for a token of a user.

    .. math:: N = N_\mathrm{model} + \gamma\,N_\mathrm{draft}, \qquad
              V = \frac{(q + \gamma)\,V_\mathrm{model} + \gamma\,q\,V_\mathrm{draft}}{n}

    One pass of the model over its :math:`q` query tokens and the :math:`\gamma` that the draft
    proposes in as many passes, for the :math:`n` tokens that a user gets of it: what is sent for
    tokens that are not accepted counts. Plain decode has :math:`q = n = 1` and :math:`\gamma = 0`.

    Parameters
    ----------
    draft
        The named draft; unused unless ``speculation`` is ``draft``.
    """
    n = tokens_per_step(deployment)
    own = _passes(llm, deployment, times=1.0, tokens=verifying(deployment).query_tokens / n)
    if not is_speculative(deployment):
        return own
    times = deployment.draft_length
    small = draft_model(llm, draft, deployment)
    tokens = times * deployment.query_tokens / n
    proposals = _passes(small, deployment, times=times, tokens=tokens)
    return jax.tree.map(operator.add, own, proposals)


def _passes(llm: LLM, deployment: Deployment, *, times: Scalar, tokens: Scalar) -> Exchanges:
    r"""Exchanges of so many passes of a model, over so many of its tokens for one of a user.

    .. math:: V_\mathrm{TP} = 2\,(\mathrm{tp} - 1)\,n_\mathrm{TP}\,a, \qquad
              V_\mathrm{EP} = k\,\frac{\mathrm{ep} - 1}{\mathrm{ep}}\,n_\mathrm{EP}\,a_\ell, \qquad
              V_\mathrm{PP} = (\mathrm{pp} - 1)\,\mathrm{tp}\,a_r

    with :math:`a = d\,b/8` bytes of activations, :math:`a_\ell` of those that experts take in a
    width of their own, and :math:`a_r` of all streams of the residual. An all-reduce is counted as
    a reduce-scatter and an all-gather, the least that chips without help of the network can send;
    an all-to-all under even routing keeps each rank's own share; at a hop each chip sends the
    residual whole to its like. The volumes of a token are the same for every batch. Exchanges
    between replicas that share dense parts count with TP's: each is half of an all-reduce among the
    chips of their group. Messages to chips that hold feed-forward parts alone and back count with
    the hops, collectives among these chips with TP's.
    """
    each = deployment.activation_bits / 8.0
    a, routed = tokens * llm.hidden_size * each, tokens * expert_width(llm, deployment) * each
    streams = tokens * residual.width(llm, deployment) * each
    tensor, expert = tp_collectives(llm, deployment), ep_collectives(llm, deployment)
    volume = 2.0 * (deployment.tp_size - 1.0) * tensor * a
    hops = deployment.pp_size - 1.0
    hopping = hops * deployment.tp_size * streams
    if deployment.ffn_groups:
        apart = is_apart(deployment)
        own, ffn = attention_collectives(llm, deployment), ffn_collectives(llm, deployment)
        between = (deployment.tp_size - 1.0) * own + (ffn_group(deployment).tp_size - 1.0) * ffn
        tensor = jnp.where(apart, own + ffn, tensor)
        volume = jnp.where(apart, 2.0 * between * a, volume)
        expert = jnp.where(apart, 0.0, expert)
        hops = hops + jnp.where(apart, sends(llm, deployment), 0.0)
        hopping = hopping + jnp.where(apart, sent_copies(llm, deployment) * a, 0.0)
    if has_groups(deployment):
        between = dense_exchanges(llm, deployment)
        tensor, volume = tensor + between, volume + (group_chips(deployment) - 1.0) * between * a
    ranks = deployment.ep_size if deployment.expert_parallel else 1.0
    elsewhere = (ranks - 1.0) / ranks
    return Exchanges(
        tp_collectives=times * tensor,
        ep_collectives=times * expert,
        pp_hops=times * hops,
        tp_volume=volume,
        ep_volume=llm.experts_per_token * elsewhere * expert * routed,
        pp_volume=hopping,
    )
