"""Heads: what those of one layer hold, cache and compute, summed over all forms.

A model has one form of heads; the fields of the others, and so their terms, are zero. Where layers
of a kind have heads of their own, the record is theirs: see :mod:`jaxlimits.model.head_groups`.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.attention import forms
from jaxlimits.model.attention.query import query_latent
from jaxlimits.model.context_parallel import head_chips
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.head_groups import Group
from jaxlimits.model.llm import LLM
from jaxlimits.model.vector import PRODUCT, RMS_NORM, ROTARY, SIGMOID, SOFTMAX
from jaxlimits.model.volumes import added


def projections(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Weights of one layer before its scores, the query's latent with them, and of the gate [1].

    The gate of :math:`g` elements a query head holds :math:`d\,h\,g`: one for each element of the
    head's output (Qwen3-Next) or one for the head (Step-3.5). Published, in their inference code.
    """
    each = (form.projections(llm, deployment) for form in forms(deployment))
    own = added([query_latent(llm), *each])
    if not deployment.attention_gates:
        return own
    return own + llm.hidden_size * llm.num_heads * llm.attention_gate_dim


def all_projections(group: Group, deployment: Deployment) -> Scalar:
    r"""Weights of a group's layers before their scores, over all of them [1].

    A layer that reads another layer's cache projects neither keys nor values; one whose values are
    its projected keys has no projection of values. Published: transformers' classes of Gemma 3n and
    Gemma 4.
    """
    weights = group.count * projections(group.llm, deployment)
    if group.shared is not None:
        used = forms(deployment)
        each = added(form.cached_projections(group.llm, deployment) for form in used)
        weights = weights - group.shared * each
    if group.keyed is not None:
        values = (form.value_projections for form in forms(deployment))
        stated = (term(group.llm, deployment) for term in values if term is not None)
        weights = weights - group.keyed * added(stated)
    return weights


def value_dim(llm: LLM, deployment: Deployment) -> Scalar:
    """Width of the output of each query head [1]."""
    return added(form.value_dim(llm, deployment) for form in forms(deployment))


def output_projection(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Output-projection weights of one layer: :math:`h\,v\,d`, value heads :math:`v` wide [1].

    A form that projects another way has a term of its own.
    """
    used = forms(deployment)
    whole = (form for form in used if form.output_projection is None)
    width = added(form.value_dim(llm, deployment) for form in whole)
    own = (form.output_projection for form in used if form.output_projection is not None)
    full = llm.num_heads * width * llm.hidden_size
    return added([full, *(weights(llm, deployment) for weights in own)])


def kv_elements(llm: LLM, deployment: Deployment) -> Scalar:
    """Cached elements of one token in one layer [1]."""
    return added(form.kv_elements(llm, deployment) for form in forms(deployment))


def kv_copies(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Copies of the KV cache that the TP chips hold together [1].

    Where KV is ``split`` it divides by all chips, also beyond the KV heads: 1 (the paper; inferred
    firmly). By ``heads``, as engines do, chips beyond the KV heads hold copies:
    :math:`a/\min(a, n_\mathrm{kv})`, with :math:`a` the TP chips that share the heads: all of them
    without context parallelism.
    """
    if deployment.kv_sharding == "split":
        return 1.0
    chips = head_chips(deployment)
    return chips / jnp.minimum(chips, llm.num_kv_heads)


def pair_flops(llm: LLM, deployment: Deployment) -> Scalar:
    """Tensor work of one query token on one cached token in one layer, in decode [FLOP]."""
    each = (form.pair_flops(llm, deployment) for form in forms(deployment))
    return llm.num_heads * added(each)


def prefill_pair_flops(llm: LLM, deployment: Deployment) -> Scalar:
    """Tensor work of one token on one that it attends to in one layer, in prefill [FLOP]."""
    each = (form.prefill_pair_flops(llm, deployment) for form in forms(deployment))
    return llm.num_heads * added(each)


def decompression_flops(llm: LLM, deployment: Deployment) -> Scalar:
    """Work to decompress what is cached of one token in one layer, in prefill [FLOP]."""
    each = (form.decompression_flops for form in forms(deployment))
    return added(flops(llm, deployment) for flops in each if flops is not None)


def rotated_dim(llm: LLM, deployment: Deployment) -> Scalar:
    """Elements with rotary embedding in each head [1]."""
    return added(form.rotated_dim(llm) for form in forms(deployment))


def projection_vector_flops(llm: LLM, deployment: Deployment) -> Scalar:
    """Vector work of norm, rotary embedding and gate, a token and layer [FLOP]. Ours."""
    rotated = (llm.num_heads + llm.num_kv_heads) * rotated_dim(llm, deployment)
    own = RMS_NORM * llm.hidden_size + ROTARY * rotated
    return own + gate_vector_flops(llm, deployment) if deployment.attention_gates else own


def gate_vector_flops(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Vector work of a gate, a token and layer: :math:`h\,(4 g + v)` [FLOP].

    A sigmoid for each of its elements, a product for each element of the output. Ours.
    """
    gates, gated = llm.attention_gate_dim, value_dim(llm, deployment)
    each = SIGMOID * gates + PRODUCT * chosen(gates > 0.0, gated, 0.0)
    return llm.num_heads * each


def all_projection_vector_flops(group: Group, deployment: Deployment) -> Scalar:
    """Vector work beside the projections of a group's layers, a token [FLOP]. Ours.

    A layer that reads another layer's cache rotates no keys.
    """
    work = group.count * projection_vector_flops(group.llm, deployment)
    if group.shared is None:
        return work
    rotated = group.llm.num_kv_heads * rotated_dim(group.llm, deployment)
    return work - group.shared * ROTARY * rotated


def score_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the softmax, a query token and attended token [FLOP]. Ours."""
    return SOFTMAX * llm.num_heads
