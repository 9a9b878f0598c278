"""Grouped-query heads: keys and values of ``num_kv_heads``, each read by as many query heads."""

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.attention.kind import Form
from jaxlimits.model.attention.query import query_rows
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM

KERNELS = 6.0
"""Norm, QKV projection, rotary embedding, cache write, attention, output projection."""


def projections(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Query, key and value weights of one layer, a query's latent apart [1].

    .. math:: r\,h\,d_k + d\,n_\mathrm{kv}\,(d_k + d_v)

    Query heads are computed from :math:`r` elements: the query's latent or the residual stream.
    Key heads are as wide as query heads, :math:`d_k`; value heads of another width
    :math:`d_v` are ours.

    References
    ----------
    arXiv:2507.14397, v2 parameter table: :math:`d_v = d_k`, :math:`r = d` (published). Step-3,
    arXiv:2507.19427: queries of a low rank, multi-matrix factorization attention (published).
    """
    queries = query_rows(llm) * llm.num_heads * llm.head_dim
    return queries + cached_projections(llm, deployment)


def cached_projections(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Key and value weights of one layer: :math:`d\,n_\mathrm{kv}\,(d_k + d_v)` [1]."""
    return llm.hidden_size * kv_elements(llm, deployment)


def value_projections(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Value weights of one layer: :math:`d\,n_\mathrm{kv}\,d_v` [1]."""
    return llm.hidden_size * llm.num_kv_heads * value_dim(llm, deployment)


def value_dim(llm: LLM, deployment: Deployment) -> Scalar:
    """Width of a value head: ``value_head_dim``, or that of a key head where it is 0 [1].

    One width for both is published (arXiv:2507.14397, v2). MiMo-V2-Flash has 192 and 128 (its
    published configuration).
    """
    if not deployment.value_heads:
        return llm.head_dim
    return chosen(llm.value_head_dim > 0.0, llm.value_head_dim, llm.head_dim)


def kv_elements(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Cached elements of one token: keys and values, :math:`n_\mathrm{kv}\,(d_k + d_v)` [1].

    Published (v2), for one width of both.
    """
    if not deployment.value_heads:
        return 2.0 * llm.num_kv_heads * llm.head_dim
    return llm.num_kv_heads * (llm.head_dim + value_dim(llm, deployment))


def pair_flops(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Scores and values of one head on one token: :math:`2\,(d_k + d_v)` [FLOP].

    Two FLOP a multiply-add; :math:`4\,d_k` where both widths are one. Published.
    """
    if not deployment.value_heads:
        return 4.0 * llm.head_dim
    return 2.0 * (llm.head_dim + value_dim(llm, deployment))


FORM = Form(
    field="head_dim",
    projections=projections,
    value_dim=value_dim,
    kv_elements=kv_elements,
    rotated_dim=lambda llm: llm.head_dim,
    pair_flops=pair_flops,
    prefill_pair_flops=pair_flops,
    cached_projections=cached_projections,
    value_projections=value_projections,
    kernels=KERNELS,
)
