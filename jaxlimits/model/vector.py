r"""Vector work: what runs beside the tensor units.

The constants below are ours: arithmetic operations an element in a plain implementation. Those of
a kind of attention stand in its file. The paper leaves this work out (``vector_work = "off"``).
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

RESIDUAL = 1.0
"""One sum for each element of the residual stream."""

COMBINE = 2.0
"""Weight and sum one expert's output, for each element."""


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
