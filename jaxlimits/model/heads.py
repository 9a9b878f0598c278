"""Heads: what those of one layer hold, cache and compute, summed over all forms.

A model has one form of heads; the fields of the others, and so their terms, are zero.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.attention import FORMS
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.vector import RMS_NORM, ROTARY, SOFTMAX
from jaxlimits.model.volumes import added


def projections(llm: LLM, deployment: Deployment) -> Scalar:
    """Weights of one layer before its scores [1]."""
    return added(form.projections(llm, deployment) for form in FORMS)


def output_projection(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Output-projection weights of one layer: :math:`h\,v\,d`, value heads :math:`v` wide [1]."""
    width = added(form.value_dim(llm, deployment) for form in FORMS)
    return llm.num_heads * width * llm.hidden_size


def kv_elements(llm: LLM) -> Scalar:
    """Cached elements of one token in one layer [1]."""
    return added(form.kv_elements(llm) for form in FORMS)


def kv_copies(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Copies of the KV cache that the TP chips hold together [1].

    Where KV is ``split`` it divides by all chips, also beyond the KV heads: 1 (the paper; inferred
    firmly). By ``heads``, as engines do, chips beyond the KV heads hold copies:
    :math:`\mathrm{tp}/\min(\mathrm{tp}, n_\mathrm{kv})`.
    """
    if deployment.kv_sharding == "split":
        return 1.0
    return deployment.tp_size / jnp.minimum(deployment.tp_size, llm.num_kv_heads)


def pair_flops(llm: LLM) -> Scalar:
    """Tensor work of one query token on one cached token in one layer, in decode [FLOP]."""
    return llm.num_heads * added(form.pair_flops(llm) for form in FORMS)


def prefill_pair_flops(llm: LLM) -> Scalar:
    """Tensor work of one token on one that it attends to in one layer, in prefill [FLOP]."""
    return llm.num_heads * added(form.prefill_pair_flops(llm) for form in FORMS)


def decompression_flops(llm: LLM, deployment: Deployment) -> Scalar:
    """Work to decompress what is cached of one token in one layer, in prefill [FLOP]."""
    forms = (form.decompression_flops for form in FORMS if form.decompression_flops is not None)
    return added(flops(llm, deployment) for flops in forms)


def projection_vector_flops(llm: LLM) -> Scalar:
    """Vector work of norm and rotary embedding, a token and layer [FLOP]. Ours."""
    rotated = (llm.num_heads + llm.num_kv_heads) * added(form.rotated_dim(llm) for form in FORMS)
    return RMS_NORM * llm.hidden_size + ROTARY * rotated


def score_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the softmax, a query token and attended token [FLOP]. Ours."""
    return SOFTMAX * llm.num_heads
