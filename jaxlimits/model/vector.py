r"""Vector work: what runs beside the tensor units.

The constants below are ours, one place for all of them: arithmetic operations an element in a
plain implementation. The paper leaves this work out (``vector_work = "off"``).
"""

from jaxlimits._types import Scalar
from jaxlimits.model.llm import LLM

RMS_NORM = 4.0
"""Square, sum, scale, multiply by the weight — for each normalised element."""

ROTARY = 3.0
"""Two products and one sum, for each rotated element."""

SOFTMAX = 5.0
"""Running maximum, subtraction, exponential, sum, division — for each score."""

GATED_ACTIVATION = 6.0
"""Sigmoid (4), product with its argument, product with the gate — for each hidden element."""

INDEX_SCORE = 3.0
"""Rectification, weight of the head, sum over heads — for each score of an index head."""

SELECTION = 1.0
"""One comparison with the least score that is still selected, for each indexed token."""

RESIDUAL = 1.0
"""One sum for each element of the residual stream."""

COMBINE = 2.0
"""Weight and sum one expert's output, for each element."""


def projection_vector_flops(llm: LLM) -> Scalar:
    """Vector work of norm and rotary embedding, a token and layer [FLOP]. Ours."""
    heads = llm.num_heads + llm.num_kv_heads
    rotated = heads * (llm.head_dim + llm.qk_rope_head_dim)
    return RMS_NORM * llm.hidden_size + ROTARY * rotated


def score_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the softmax, a query token and attended token [FLOP]. Ours."""
    return SOFTMAX * llm.num_heads


def index_projection_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the key's norm and of rotary embedding, a token and sparse layer [FLOP].

    Index heads and key rotate as many elements as the model's own rotary part, under MLA. The
    rotations and scales of quantisation are left out, as elsewhere. Ours.
    """
    rotated = (llm.index_n_heads + 1.0) * llm.qk_rope_head_dim
    return RMS_NORM * llm.index_head_dim + ROTARY * rotated


def index_score_vector_flops(llm: LLM) -> Scalar:
    """Vector work of an indexer, a query token and indexed token [FLOP]. Ours."""
    return INDEX_SCORE * llm.index_n_heads + SELECTION


def output_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the residual sum after attention, a token and layer [FLOP]. Ours."""
    return RESIDUAL * llm.hidden_size


def router_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the router's softmax, a token and MoE layer [FLOP]. Ours."""
    return SOFTMAX * llm.num_experts


def ffn_vector_flops(llm: LLM) -> Scalar:
    """Vector work of dense layers and shared experts, a token, over all layers [FLOP]. Ours."""
    shared = llm.num_moe_layers * llm.num_shared_experts * llm.moe_intermediate_size
    dense = (llm.num_layers - llm.num_moe_layers) * llm.intermediate_size
    around = (RMS_NORM + RESIDUAL) * llm.hidden_size * llm.num_layers
    return GATED_ACTIVATION * (dense + shared) + around


def expert_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the routed experts, a token, over all layers [FLOP]. Ours."""
    one = GATED_ACTIVATION * llm.moe_intermediate_size + COMBINE * llm.hidden_size
    return llm.num_moe_layers * llm.experts_per_token * one


def head_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the final norm and the softmax over the vocabulary, a token [FLOP]. Ours."""
    return RMS_NORM * llm.hidden_size + SOFTMAX * llm.vocab_size
