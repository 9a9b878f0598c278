r"""Recurrent layers: a state of constant size in place of heads and a cache.

A mixer of this kind (linear attention, Mamba-2) keeps for each sequence a matrix
:math:`d_k \times d_v` a head, and of the convolution before it the last columns of its channels.
Both are read *and* written in each step, whatever the context,

.. math:: b = H\,d_k\,d_v\,b_\mathrm{state}/8 + C\,n\,b_\mathrm{act}/8

bytes a layer, and count for each sequence in the capacity. The state of Mamba-2 has
:math:`d_\mathrm{head} \times d_\mathrm{state}` elements a head; all terms are the same in both
factors.

A prompt goes through in chunks (published: sections 6 and 7 of arXiv:2405.21060): within a chunk
of ``state_chunk`` tokens the products are those of attention, and between chunks the state carries
what came before. 64 tokens a chunk are those of flash-linear-attention's delta rules, which engines
run, and the default; configurations of Mamba-2 state theirs as ``chunk_size`` (128 in Nemotron-3).

References
----------
Gated DeltaNet, arXiv:2412.06464; Kimi Delta Attention, arXiv:2510.26692; Mamba-2, arXiv:2405.21060
(the recurrences: published). Their place in the limit model, and the counts of work, are ours.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.attention.kind import Kind, Part
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import IN_16, tensor_work
from jaxlimits.model.vector import ACTIVATION, RMS_NORM
from jaxlimits.model.volumes import Operator, counted_vector_flops

KERNELS = 6.0
"""Norm, input projection, convolution with its activation, state update, norm with its gate, output
projection."""

READ_AND_WRITTEN = 2.0
"""A state goes out of memory and back."""


def state_elements(llm: LLM) -> Scalar:
    r"""Elements of the state of one sequence in one layer: :math:`H\,d_k\,d_v` [1] (published)."""
    return llm.num_state_heads * llm.state_key_dim * llm.state_value_dim


def state_copies(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Copies of the states that the TP chips hold together [1].

    As with a cache: one where KV is ``split``; by ``heads``
    :math:`\max(1, \mathrm{tp}/H)`, since chips beyond the heads hold copies. A convolution without
    a state has channels alone, which divide over all chips. Ours.
    """
    if deployment.kv_sharding == "split":
        return 1.0
    heads = chosen(llm.num_state_heads > 0.0, llm.num_state_heads, deployment.tp_size)
    return jnp.maximum(deployment.tp_size / heads, 1.0)


def state_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """States and columns of the convolution of one sequence over all layers, copies included [B].

    The state has ``state_bits`` an element, the columns ``activation_bits``.
    """
    state = state_elements(llm) * (llm.state_bits / 8.0)
    columns = llm.conv_channels * llm.conv_columns * (deployment.activation_bits / 8.0)
    return llm.num_recurrent_layers * (state + columns) * state_copies(llm, deployment)


def mixer_vector_flops(llm: LLM) -> Scalar:
    """Vector work beside projections and state, a token and layer [FLOP]. Ours.

    The norm before the mixer, and the convolution's activation. Its products count with the
    weights; gate and norm of the output, about 1 % of the state's work, are left out.
    """
    return RMS_NORM * llm.hidden_size + ACTIVATION * llm.conv_channels


def state_work(llm: LLM) -> Scalar:
    r"""Work of updating and reading the state, a token over all layers [FLOP].

    .. math:: w\,H\,d_k\,d_v

    a layer, with :math:`w` the field ``state_flops``. A delta rule has 6: what the key finds, what
    is added, what the query reads, two each (the product of a decay goes with the first). Mamba-2
    has 5: its decay, what is added, what is read. Ours.
    """
    return llm.num_recurrent_layers * llm.state_flops * state_elements(llm)


def chunk_flops(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Work within the chunks of a prefill, a token over all layers [FLOP].

    .. math:: 2\,c\,H\,(d_k + d_v)

    a layer: scores of a token with the :math:`c` of its chunk, and their sum of values, as the
    chunked form computes them (arXiv:2405.21060, published; the count, all pairs of a chunk, is
    ours). A prefill in smaller chunks has no larger ones here.
    """
    chunk = jnp.minimum(llm.state_chunk, deployment.query_tokens)
    pair = 2.0 * llm.num_state_heads * (llm.state_key_dim + llm.state_value_dim)
    return llm.num_recurrent_layers * chunk * pair


def decode(llm: LLM, deployment: Deployment) -> Operator:
    """States read and written once for all query tokens, updated token by token.

    Ours: the update is element by element and runs beside the tensor units. Where a step verifies
    proposed tokens, engines keep a state for each to go back to; one is a bound.
    """
    tokens = deployment.batch_size * deployment.query_tokens
    traffic = READ_AND_WRITTEN * deployment.batch_size * state_bytes(llm, deployment)
    return Operator(
        tensor_flops=0.0,
        vector_flops=counted_vector_flops(deployment, tokens * state_work(llm)),
        weight_traffic=0.0,
        kv_traffic=traffic,
    )


def prefill(llm: LLM, deployment: Deployment) -> Operator:
    """All prompts chunk by chunk on the tensor units, states read and written once a prefill chunk.

    Ours: products of activations, which are computed in 16 bits.
    """
    tokens = deployment.batch_size * deployment.seq_len
    chunks = deployment.seq_len / deployment.query_tokens
    flops = tokens * (state_work(llm) + chunk_flops(llm, deployment))
    traffic = READ_AND_WRITTEN * deployment.batch_size * state_bytes(llm, deployment)
    return Operator(
        **tensor_work(deployment, (flops, IN_16)),
        vector_flops=0.0,
        weight_traffic=0.0,
        kv_traffic=chunks * traffic,
    )


KIND = Kind(
    name="recurrent",
    layers="num_recurrent_layers",
    part=Part(
        operator="state",
        weights=lambda llm: llm.num_recurrent_layers * llm.recurrent_params,
        vector_flops=lambda llm: llm.num_recurrent_layers * mixer_vector_flops(llm),
        sequence_bytes=state_bytes,
        decode=decode,
        prefill=prefill,
        norms=lambda llm: llm.num_recurrent_layers * llm.recurrent_norm_params,
    ),
    flag="recurrent_layers",
    has_state=True,
    cache_formats=("activation_bits",),
    kernels=KERNELS,
)
