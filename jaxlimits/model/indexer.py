r"""Indexer: how a sparse layer finds the tokens that its attention reads.

A sparse layer keeps one small key a token beside its KV cache. At every step the indexer's heads
score the keys of the *whole* context, and attention reads only the ``index_topk`` tokens with the
highest scores (DeepSeek Sparse Attention, DeepSeek-V3.2). What a layer saves in attention it
partly spends here.

References
----------
DeepSeek-V3.2-Exp, technical report (equations 1 and 2) and inference code (published). Its place in
the limit model is ours.
"""

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM


def has_indexer(deployment: Deployment) -> bool:
    """Whether sparse layers select tokens: not where every layer attends to all of them."""
    return deployment.sparse_attention and deployment.attention_span == "model"


def index_flops_per_span(llm: LLM) -> Scalar:
    r"""Tensor work of one query token on one indexed token in one layer [FLOP].

    .. math:: 2\,h_I\,d_I

    The products of all index heads with the one key; their weighted sum is vector work.
    """
    return 2.0 * llm.index_n_heads * llm.index_head_dim


def index_span(llm: LLM, deployment: Deployment) -> Scalar:
    """Indexed tokens of one sequence, summed over the sparse layers: all of its context [token]."""
    return llm.num_sparse_layers * deployment.seq_len


def index_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Index keys of one sequence over all layers, copies included [B].

    .. math:: n\,S\,d_I\,b_I/8

    Stored, and read whole in each step. Where KV is sharded by ``heads``, every TP chip holds the
    keys, since all index heads read the same one (as the published code does).
    """
    copies = deployment.tp_size if deployment.kv_sharding == "heads" else 1.0
    key = llm.index_head_dim * copies * (deployment.index_bits / 8.0)
    return index_span(llm, deployment) * key
