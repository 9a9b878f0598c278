r"""Compressed attention: a layer keeps one entry for every :math:`m` tokens and reads all of them.

Beside the entries it keeps and reads the last ``sliding_window`` tokens as they are. DeepSeek-V4
has :math:`m = 128` (Heavily Compressed Attention) and a window of 128 tokens.

The last entry is complete only at every :math:`m`-th token. :math:`S/m` counts it by its share, so
that every term is smooth in the context; whole contexts are exact (ours).

References
----------
DeepSeek-V4, technical report, section 2.3.2 (published). Its place in the limit model is ours.
"""

from jaxlimits._types import Scalar
from jaxlimits.model.attention import full, windowed
from jaxlimits.model.attention.compressor import (
    Compressor,
    decode_traffic,
    element_bytes,
    prefill_traffic,
)
from jaxlimits.model.attention.kind import Kind, Part, Span
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.volumes import Operator


def compressor(llm: LLM) -> Compressor:
    """The compressor of one layer."""
    return Compressor(width=llm.shared_kv_head_dim, ratio=llm.compression_ratio, series=1.0)


def context(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Window and entries, stored and read: :math:`\min(S, w) + S/m` [token] (published)."""
    entries = deployment.seq_len / llm.compression_ratio
    return windowed.within_window(llm, deployment) + entries


def causal_pairs(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Pairs with tokens of the window and with entries so far, :math:`I^2/(2m)` [token^2]."""
    window = windowed.window_pairs(deployment.seq_len, llm.sliding_window)
    return window + full.causal_pairs(llm, deployment) / llm.compression_ratio


def prefill_read(llm: LLM, deployment: Deployment) -> Scalar:
    """Tokens of windows and entries so far that all chunks of a prompt read [token]."""
    entries = full.prefill_read(llm, deployment) / llm.compression_ratio
    return windowed.prefill_read(llm, deployment) + entries


def sequence_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """States of the compressors of one sequence over all layers, copies included [B]."""
    state = llm.num_compressed_layers * compressor(llm).state()
    return state * element_bytes(llm, deployment)


def decode(llm: LLM, deployment: Deployment) -> Operator:
    """The states; work of a compressor is that of its weights, and vector work beside them."""
    row = llm.num_compressed_layers * compressor(llm).row
    return _traffic(decode_traffic(llm, deployment, row))


def prefill(llm: LLM, deployment: Deployment) -> Operator:
    """The states, once a chunk."""
    state = llm.num_compressed_layers * compressor(llm).state()
    return _traffic(prefill_traffic(llm, deployment, state))


def _traffic(states: Scalar) -> Operator:
    return Operator(tensor_flops=0.0, vector_flops=0.0, weight_traffic=0.0, kv_traffic=states)


KIND = Kind(
    name="compressed",
    layers="num_compressed_layers",
    span=Span(stored=context, read=context, causal_pairs=causal_pairs, prefill_read=prefill_read),
    part=Part(
        operator="compressor",
        weights=lambda llm: llm.num_compressed_layers * compressor(llm).weights(llm),
        vector_flops=lambda llm: llm.num_compressed_layers * compressor(llm).vector_flops(),
        sequence_bytes=sequence_bytes,
        decode=decode,
        prefill=prefill,
        norms=lambda llm: llm.num_compressed_layers * compressor(llm).norms(),
    ),
    flag="compressed_layers",
    has_state=True,
    at_least_one={"shared_kv_head_dim": "compresses the one vector that its heads share"},
)
