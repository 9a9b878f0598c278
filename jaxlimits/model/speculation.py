r"""Speculation: a draft proposes tokens, and one step of the model verifies them all.

.. math::
    n = \frac{1 - a^{\gamma + 1}}{1 - a}, \qquad
    t_\mathrm{step} = t_\mathrm{verify}(q + \gamma) + \gamma\,t_\mathrm{draft}

tokens come of a step, with draft length :math:`\gamma`, acceptance :math:`a` of each proposed token
(or one that decays by position) and :math:`q` query tokens, 1 in plain decode. The draft is never
free: it is the same model applied to another LLM, on the same chips, or to one layer and the LM
head of this one (``mtp``).

References
----------
Leviathan et al., arXiv:2211.17192, equation 1 (published). Its place in the limit model is ours.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar
from jaxlimits.model import capacity
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fields import quantities
from jaxlimits.model.kv_cache import sequence_bytes
from jaxlimits.model.llm import LLM
from jaxlimits.model.sharded import kept_bytes
from jaxlimits.model.volumes import added

_TOTALS = tuple(name for name, info in quantities(LLM).items() if info.of_all_layers)
"""Fields of a model that its layers share."""

POSITIONS = 32
"""Positions of a draft that are summed one by one under an acceptance that decays."""


def is_speculative(deployment: Deployment) -> bool:
    """Whether a draft proposes tokens."""
    return deployment.speculation != "off"


def verifying(deployment: Deployment) -> Deployment:
    """The deployment while the model verifies: the draft's tokens come beside its own."""
    if not is_speculative(deployment):
        return deployment
    tokens = deployment.query_tokens + deployment.draft_length
    return eqx.tree_at(lambda d: d.query_tokens, deployment, tokens)


def proposing(deployment: Deployment) -> Deployment:
    """The deployment while a named draft proposes: its parts have bits of their own."""
    if deployment.speculation != "draft":
        return deployment
    own = tuple(("llm", name) for record, name in deployment.own_bits if record == "draft")
    return dataclasses.replace(deployment, own_bits=own)


def draft_model(llm: LLM, draft: LLM | None, deployment: Deployment) -> LLM:
    """The model that proposes: the named one, or one mean layer of the model with its LM head."""
    if deployment.speculation == "mtp":
        return mean_layer(llm)
    if draft is None:
        raise ValueError("speculation = 'draft' needs the record of a draft")
    return draft


def mean_layer(llm: LLM) -> LLM:
    """One layer of a model, with every kind of layer in its share."""
    share = 1.0 / llm.num_layers

    def shared(model: LLM) -> tuple[Any, ...]:
        return tuple(getattr(model, name) for name in _TOTALS)

    return eqx.tree_at(shared, llm, tuple(count * share for count in shared(llm)))


def tokens_per_step(deployment: Deployment) -> Scalar:
    r"""Tokens that one step gives to a user in the mean [token].

    .. math:: 1 + \sum_{j=1}^{\gamma} \prod_{i=1}^{j} a_i, \qquad a_i = a\,\delta^{\,i-1}

    A proposed token counts if it and all before it are accepted; one more comes from the
    verification itself. With a decay :math:`\delta` of 1 every position has the same probability,
    and the sum is the closed form of :func:`_of_constant_acceptance`. ``acceptance_length`` states
    the whole where it is set, as engines log it (those that do not count the verification's own
    token log one less). 1 without speculation. The decay is ours: two numbers hold published curves
    of drafts within a few per cent (the catalog's ``proposers`` say which).
    """
    if not is_speculative(deployment):
        return 1.0
    constant = _of_constant_acceptance(deployment)
    decays = deployment.acceptance_decay < 1.0
    # Nothing at a decay of 1, where it gives the sum its derivative.
    beside = (deployment.acceptance_decay - 1.0) * _slope_at_no_decay(deployment)
    found = jnp.where(decays, _of_decaying_acceptance(deployment, decays), constant + beside)
    stated = deployment.acceptance_length
    return jnp.where(stated > 0.0, stated, found)


def _of_decaying_acceptance(deployment: Deployment, decays: Flag) -> Scalar:
    r"""The sum over positions, :math:`1 + \sum_j a^j \delta^{j(j-1)/2}` [token].

    Ends after :data:`POSITIONS`, of which the last ones add nothing for any decay. A draft length
    that is not a whole number has its last position in part: the sum has a derivative by it.
    """
    length, acceptance = deployment.draft_length, deployment.acceptance
    decay = jnp.where(decays, deployment.acceptance_decay, 1.0)

    def position(place: int) -> Scalar:
        counted = _counted(length, place)
        return counted * acceptance**place * decay ** (place * (place - 1) // 2)

    return 1.0 + added(position(place) for place in range(1, POSITIONS + 1))


def _slope_at_no_decay(deployment: Deployment) -> Scalar:
    r"""Derivative of that sum by :math:`\delta` at 1, :math:`\sum_j a^j j(j-1)/2` [token]."""
    length, acceptance = deployment.draft_length, deployment.acceptance
    return added(
        _counted(length, place) * acceptance**place * (place * (place - 1) / 2.0)
        for place in range(2, POSITIONS + 1)
    )


def _counted(length: Scalar, place: int) -> Scalar:
    """How much of a position a draft of some length has: 1, 0, or a part of the last [1]."""
    return jnp.clip(length - (place - 1.0), 0.0, 1.0)


def _of_constant_acceptance(deployment: Deployment) -> Scalar:
    r"""The sum where every position has the same probability [token].

    .. math:: \sum_{j=0}^{\gamma} a^j = \frac{1 - a^{\gamma+1}}{1 - a}

    :math:`\gamma + 1` at :math:`a = 1`, with the derivative :math:`\gamma(\gamma+1)/2`: above one
    half it is computed as :math:`\phi((\gamma+1)\ln a) / \phi(\ln a) \cdot (\gamma + 1)` with
    :math:`\phi(x) = (e^x - 1)/x`, which is smooth there.
    """
    count, acceptance = deployment.draft_length + 1.0, deployment.acceptance
    high = acceptance > 0.5
    low = jnp.where(high, 0.25, acceptance)
    direct = (1.0 - low**count) / (1.0 - low)
    log = jnp.log(jnp.where(high, acceptance, 1.0))
    smooth = count * _relative_growth(count * log) / _relative_growth(log)
    return jnp.where(high, smooth, direct)


def _relative_growth(x: Scalar) -> Scalar:
    r""":math:`(e^x - 1)/x`, by its series where the quotient would lose digits."""
    small = jnp.abs(x) < 0.1
    away = jnp.where(small, 1.0, x)
    near = jnp.where(small, x, 0.0)
    series = 1.0
    for divisor in (10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0):
        series = 1.0 + near / divisor * series
    return jnp.where(small, series, jnp.expm1(away) / away)


def stored_weight_bytes(llm: LLM, draft: LLM | None, deployment: Deployment) -> Scalar:
    """Weights that one replica stores, the draft's too [B].

    An MTP layer shares the embedding and the LM head of its model. A draft is never sharded.
    """
    whole = capacity.weight_bytes(llm, deployment)
    own = kept_bytes(llm, deployment, weights=whole)
    if not is_speculative(deployment):
        return own
    small = draft_model(llm, draft, deployment)
    tables = deployment.speculation == "draft"
    return own + capacity.weight_bytes(small, proposing(deployment), tables=tables)


def stored_sequence_bytes(llm: LLM, draft: LLM | None, deployment: Deployment) -> Scalar:
    """KV cache, index keys and states that one sequence stores, the draft's too [B]."""
    own = sequence_bytes(llm, deployment)
    if not is_speculative(deployment):
        return own
    return own + sequence_bytes(draft_model(llm, draft, deployment), deployment)
