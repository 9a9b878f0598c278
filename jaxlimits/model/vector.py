r"""Vector work: what runs beside the tensor units.

The constants below are ours: arithmetic operations an element in a plain implementation. Those of
a kind of attention stand in its file. The paper leaves this work out (``vector_work = "off"``).
"""

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.ffn import expert_width, shared_width
from jaxlimits.model.layers import dense_layers, ffn_layers
from jaxlimits.model.llm import LLM

RMS_NORM = 4.0
"""Square, sum, scale, multiply by the weight — for each normalised element."""

ROTARY = 3.0
"""Two products and one sum, for each rotated element."""

SOFTMAX = 5.0
"""Running maximum, subtraction, exponential, sum, division — for each score."""

ACTIVATION = 5.0
"""Sigmoid (4), product with its argument — for each activated element."""

SIGMOID = 4.0
"""Sign, exponential, sum, quotient — for each element."""

PRODUCT = 1.0
"""Product with a gate, for each gated element."""

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


def activation_flops(matrices: Scalar) -> Scalar:
    """Vector work of the activation, a hidden element [FLOP]. Ours.

    With a third matrix its product is the gate, and multiplies the activation once more.
    """
    return ACTIVATION + (matrices - 2.0)


def ffn_vector_flops(llm: LLM, deployment: Deployment) -> Scalar:
    """Vector work of dense layers and shared experts, a token, over all layers [FLOP]. Ours."""
    shared = llm.num_moe_layers * llm.num_shared_experts * shared_width(llm, deployment)
    dense = dense_layers(llm, deployment) * llm.intermediate_size
    around = (RMS_NORM + RESIDUAL) * llm.hidden_size * ffn_layers(llm, deployment)
    activated = activation_flops(llm.ffn_matrices) * dense
    return activated + activation_flops(llm.expert_matrices) * shared + around


def expert_vector_flops(llm: LLM, deployment: Deployment) -> Scalar:
    """Vector work of the routed experts, a token, over all layers [FLOP]. Ours.

    What they give is summed in the width in which they give it.
    """
    activated = activation_flops(llm.expert_matrices) * llm.moe_intermediate_size
    one = activated + COMBINE * expert_width(llm, deployment)
    return llm.num_moe_layers * llm.experts_per_token * one


def head_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the final norm and the softmax over the vocabulary, a token [FLOP]. Ours."""
    return RMS_NORM * llm.hidden_size + SOFTMAX * llm.vocab_size
