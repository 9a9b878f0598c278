r"""Communication: how often the chips of one replica exchange data, and how much for a token.

Counts and volumes rest on the parallelism and on the model's shape alone, whatever the network and
its algorithms (ours; the closed forms are the usual ones of distributed inference).
"""

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.collectives import ep_collectives, tp_collectives
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM


class Exchanges(eqx.Module):
    """Collectives of one step [1], and what all chips of a replica send for one token [B/token].

    Those of the model's own pass: what a draft exchanges comes on top.
    """

    tp_collectives: Scalar
    ep_collectives: Scalar
    pp_hops: Scalar
    tp_volume: Scalar
    ep_volume: Scalar
    pp_volume: Scalar


def exchanges(llm: LLM, deployment: Deployment) -> Exchanges:
    r"""Count the exchanges of one step of one replica, and what they send for a token.

    .. math:: V_\mathrm{TP} = 2\,(\mathrm{tp} - 1)\,n_\mathrm{TP}\,a, \qquad
              V_\mathrm{EP} = k\,\frac{\mathrm{ep} - 1}{\mathrm{ep}}\,n_\mathrm{EP}\,a, \qquad
              V_\mathrm{PP} = (\mathrm{pp} - 1)\,\mathrm{tp}\,a

    with :math:`a = d\,b/8` bytes of activations. An all-reduce is counted as a reduce-scatter and
    an all-gather, the least that chips without help of the network can send; an all-to-all under
    even routing keeps each rank's own share; at a hop each chip sends the activations whole to its
    like. The volumes of a token are the same for every batch.
    """
    a = llm.hidden_size * (deployment.activation_bits / 8.0)
    tensor, expert = tp_collectives(llm, deployment), ep_collectives(llm, deployment)
    hops = deployment.pp_size - 1.0
    elsewhere = (deployment.ep_size - 1.0) / deployment.ep_size
    return Exchanges(
        tp_collectives=tensor,
        ep_collectives=expert,
        pp_hops=hops,
        tp_volume=2.0 * (deployment.tp_size - 1.0) * tensor * a,
        ep_volume=llm.experts_per_token * elsewhere * expert * a,
        pp_volume=hops * deployment.tp_size * a,
    )
