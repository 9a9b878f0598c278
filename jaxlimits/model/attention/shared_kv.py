r"""Shared key-value heads: all query heads read one vector a token, as its key and as its value.

The vector is :math:`D` wide and nothing else of a token is cached: half of what one KV head of
keys and values would be. The output projection may go by groups of heads through latents.

References
----------
DeepSeek-V4, technical report, sections 2.3.1 and 2.3.2 (published), and its class in transformers.
"""

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.attention.kind import Form
from jaxlimits.model.attention.query import query_rows
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM

KERNELS = 11.0
"""Norm, joint down-projection, norms of query latent and vector, query up-projection, norm of
queries with rotary embedding, cache write, attention, rotation back, two output projections."""


def projections(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Query heads and the shared vector of one layer [1].

    .. math:: r\,h\,D + d\,D

    with :math:`r` the query's latent or the residual stream. Published.
    """
    return llm.shared_kv_head_dim * (query_rows(llm) * llm.num_heads + llm.hidden_size)


def width(llm: LLM, _deployment: Deployment) -> Scalar:
    """Width of a value head: that of the vector [1] (published)."""
    return llm.shared_kv_head_dim


def output_projection(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Output projections of one layer [1].

    .. math:: h\,D\,R + g\,R\,d

    Each of :math:`g` groups of :math:`h/g` heads is projected to a latent of rank :math:`R`, and
    all latents together to the residual stream. One full matrix, :math:`h\,D\,d`, where
    ``o_lora_rank`` is 0. Published.
    """
    heads, rank = llm.num_heads * llm.shared_kv_head_dim, llm.o_lora_rank
    latents = chosen(rank > 0.0, llm.o_groups * rank, 0.0)
    return heads * chosen(rank > 0.0, rank, llm.hidden_size) + latents * llm.hidden_size


def cached_projections(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Weights that compute the vector: :math:`d\,D` [1] (published)."""
    return llm.hidden_size * llm.shared_kv_head_dim


def kv_elements(llm: LLM, _deployment: Deployment) -> Scalar:
    """Cached elements of one token or compressed entry: the vector, once [1] (published)."""
    return llm.shared_kv_head_dim


def pair_flops(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Tensor work of one head on one cached vector: score and value, :math:`4\,D` [FLOP].

    Published; decode and prefill have the same form.
    """
    return 4.0 * llm.shared_kv_head_dim


FORM = Form(
    field="shared_kv_head_dim",
    projections=projections,
    value_dim=width,
    kv_elements=kv_elements,
    # Whole heads, as under GQA, where only a part rotates; the rotation back, of as large a part,
    # and the norms of query heads are left out.
    rotated_dim=lambda llm: llm.shared_kv_head_dim,
    pair_flops=pair_flops,
    prefill_pair_flops=pair_flops,
    cached_projections=cached_projections,
    kernels=KERNELS,
    output_projection=output_projection,
    flag="shared_kv_heads",
)
