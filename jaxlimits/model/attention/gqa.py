"""Grouped-query heads: keys and values of ``num_kv_heads``, each read by as many query heads."""

from jaxlimits._types import Scalar
from jaxlimits.model.attention.kind import Form
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM

KERNELS = 6.0
"""Norm, QKV projection, rotary embedding, cache write, attention, output projection."""


def projections(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Query, key and value weights of one layer [1].

    .. math:: d\,h\,d_h + 2\,d\,n_\mathrm{kv}\,d_h

    References
    ----------
    arXiv:2507.14397, v2 parameter table (published).
    """
    return llm.hidden_size * llm.head_dim * (llm.num_heads + 2.0 * llm.num_kv_heads)


def head_dim(llm: LLM, _deployment: Deployment) -> Scalar:
    """Width of a value head [1] (published)."""
    return llm.head_dim


def kv_elements(llm: LLM) -> Scalar:
    r"""Cached elements of one token: keys and values, :math:`2\,n_\mathrm{kv}\,d_h` [1].

    Published (v2).
    """
    return 2.0 * llm.num_kv_heads * llm.head_dim


def pair_flops(llm: LLM) -> Scalar:
    r"""Scores and values of one head on one token, two FLOP a multiply-add: :math:`4\,d_h` [FLOP].

    Published.
    """
    return 4.0 * llm.head_dim


FORM = Form(
    field="head_dim",
    projections=projections,
    value_dim=head_dim,
    kv_elements=kv_elements,
    rotated_dim=lambda llm: llm.head_dim,
    pair_flops=pair_flops,
    prefill_pair_flops=pair_flops,
    kernels=KERNELS,
)
