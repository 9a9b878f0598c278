r"""Multi-head latent attention: every head reads one cached latent of rank :math:`c`.

Beside the latent there is one key with rotary embedding, of width :math:`\rho`. The weights are
``stored`` as published, or ``absorbed``: the latent's up-projections multiplied into those before
and after it.

References
----------
DeepSeek-V2, arXiv:2405.04434.
"""

from jaxlimits._types import Scalar
from jaxlimits.model.attention.kind import Form
from jaxlimits.model.attention.query import query_rows
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM

KERNELS = 14.0
"""Norm, joint down-projection, two latent norms, query up-projection, rotary embedding, cache
write, absorbed key projection, concatenation, attention, value projection, output projection, and
two that quantise activations in blocks before a projection."""


def is_absorbed(deployment: Deployment) -> bool:
    """Whether the latent's up-projections are multiplied into the query and the output."""
    return deployment.mla_weights == "absorbed"


def projections(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Query heads and latent projections of one layer, the query's own latent apart [1].

    .. math:: r\,h\,q + d\,(c + \rho) + u

    with :math:`c` the latent's rank and :math:`\rho` the rotary width. Stored, the query width is
    :math:`q = n + \rho` and the latent's up-projection :math:`u = c\,h\,(n + v)`; absorbed, the
    key half of :math:`u` moves into the query, :math:`q = c + \rho`, and the value half into the
    output projection, :math:`u = 0`. Queries come from their latent, :math:`r = r_q`, or where
    there is none by one full matrix, :math:`r = d`.

    References
    ----------
    arXiv:2507.14397, v2 parameter table: absorbed (published). Stored: DeepSeek-V2,
    arXiv:2405.04434.
    """
    nope, rope = llm.qk_nope_head_dim, llm.qk_rope_head_dim
    absorbed = is_absorbed(deployment)
    query_dim = (llm.kv_lora_rank if absorbed else nope) + rope
    query = query_rows(llm) * llm.num_heads * query_dim
    latent = llm.hidden_size * (llm.kv_lora_rank + rope)
    if absorbed:
        return query + latent
    return query + latent + llm.kv_lora_rank * llm.num_heads * (nope + llm.v_head_dim)


def value_dim(llm: LLM, deployment: Deployment) -> Scalar:
    """Width of a value head; absorbed, the latent's rank (published, v2) [1]."""
    return llm.kv_lora_rank if is_absorbed(deployment) else llm.v_head_dim


def cached_projections(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Weights that compute the latent and the rotary key: :math:`d\,(c + \rho)` [1]."""
    return llm.hidden_size * (llm.kv_lora_rank + llm.qk_rope_head_dim)


def kv_elements(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Cached elements of one token: the latent and the rotary key, :math:`c + \rho` [1].

    Published (v2).
    """
    return llm.kv_lora_rank + llm.qk_rope_head_dim


def pair_flops(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Tensor work of one head on one cached token in decode: :math:`2\,(2c + \rho)` [FLOP].

    It attends in the latent space whichever form of its weights is stored. Published.
    """
    return 2.0 * (2.0 * llm.kv_lora_rank + llm.qk_rope_head_dim)


def prefill_pair_flops(llm: LLM, _deployment: Deployment) -> Scalar:
    r"""Tensor work of one head on one token in prefill: :math:`2\,(n + \rho + v)` [FLOP].

    Prefill runs in the decompressed form, with keys and values of every head (DeepSeek-V2).
    """
    return 2.0 * (llm.qk_nope_head_dim + llm.qk_rope_head_dim + llm.v_head_dim)


def decompression_flops(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Work to decompress the latent of one token in one layer: :math:`2\,c\,h\,(n + v)` [FLOP].

    Zero where the weights count as ``stored``: they hold the very matrix, which is counted with
    them. ``absorbed`` weights do not.
    """
    if not is_absorbed(deployment):
        return 0.0
    width = llm.qk_nope_head_dim + llm.v_head_dim
    return 2.0 * llm.kv_lora_rank * llm.num_heads * width


FORM = Form(
    field="kv_lora_rank",
    projections=projections,
    value_dim=value_dim,
    kv_elements=kv_elements,
    rotated_dim=lambda llm: llm.qk_rope_head_dim,
    pair_flops=pair_flops,
    prefill_pair_flops=prefill_pair_flops,
    cached_projections=cached_projections,
    kernels=KERNELS,
    decompression_flops=decompression_flops,
)
