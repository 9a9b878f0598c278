r"""Weights: how many elements each operator of a model holds.

Counts are of elements over *all* layers of the whole model; bytes come later, from ``weight_bits``.
The three accountings are static choices of :class:`~jaxlimits.model.deployment.Deployment`.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.indexer import has_indexer
from jaxlimits.model.llm import LLM


class Weights(eqx.Module):
    """Weight elements by operator, over all layers [1].

    Parameters
    ----------
    projections
        Query, key and value projections, or MLA's down- and up-projections; those of indexers.
    output
        Attention's output projection.
    router, ffn
        Routers; dense feed-forward layers and shared experts.
    expert
        *One* routed expert in each MoE layer, summed over the MoE layers, its biases included.
    lm_head, embedding
        The LM head as read, and the embedding table beside it as stored.
    extras
        Norms, QK norms and biases.
    """

    projections: Scalar
    output: Scalar
    router: Scalar
    ffn: Scalar
    expert: Scalar
    lm_head: Scalar
    embedding: Scalar
    extras: Scalar

    @property
    def common(self) -> Scalar:
        """Elements that every token uses, the embedding table apart [1]."""
        blocks = self.projections + self.output + self.router + self.ffn
        return blocks + self.lm_head + self.extras


def gqa_projections(llm: LLM) -> Scalar:
    r"""Query, key and value weights of one grouped-query layer [1].

    .. math:: d\,h\,d_h + 2\,d\,n_\mathrm{kv}\,d_h

    Zero under MLA, where ``head_dim`` is 0.

    References
    ----------
    arXiv:2507.14397, v2 parameter table (published).
    """
    return llm.hidden_size * llm.head_dim * (llm.num_heads + 2.0 * llm.num_kv_heads)


def query_rows(llm: LLM) -> Scalar:
    """Width that query heads are computed from: the query's latent or the residual stream [1]."""
    return jnp.where(llm.q_lora_rank > 0.0, llm.q_lora_rank, llm.hidden_size)


def mla_projections(llm: LLM, *, absorbed: bool) -> Scalar:
    r"""Query and latent projections of one MLA layer [1].

    .. math:: d\,r_q + r_q\,h\,q + d\,(c + \rho) + u

    with :math:`c` the latent's rank and :math:`\rho` the rotary width. Stored, the query width is
    :math:`q = n + \rho` and the latent's up-projection :math:`u = c\,h\,(n + v)`; absorbed, the
    key half of :math:`u` moves into the query, :math:`q = c + \rho`, and the value half into the
    output projection, :math:`u = 0`. Where ``q_lora_rank`` is 0 the query has one full matrix
    :math:`d\,h\,q`.

    References
    ----------
    arXiv:2507.14397, v2 parameter table: absorbed (published). Stored: DeepSeek-V2,
    arXiv:2405.04434.
    """
    nope, rope = llm.qk_nope_head_dim, llm.qk_rope_head_dim
    query_dim = (llm.kv_lora_rank if absorbed else nope) + rope
    query = llm.hidden_size * llm.q_lora_rank + query_rows(llm) * llm.num_heads * query_dim
    latent = llm.hidden_size * (llm.kv_lora_rank + rope)
    if absorbed:
        return query + latent
    return query + latent + llm.kv_lora_rank * llm.num_heads * (nope + llm.v_head_dim)


def index_projections(llm: LLM) -> Scalar:
    r"""Weights of the indexer of one sparse layer [1].

    .. math:: r\,h_I\,d_I + d\,d_I + d\,h_I

    Index heads from the query's latent :math:`r`, one key and the weights of the heads from the
    residual stream.

    References
    ----------
    DeepSeek-V3.2-Exp, inference code (published).
    """
    heads = query_rows(llm) * llm.index_n_heads * llm.index_head_dim
    return heads + llm.hidden_size * (llm.index_head_dim + llm.index_n_heads)


def output_projection(llm: LLM, *, absorbed: bool) -> Scalar:
    r"""Output-projection weights of one layer: :math:`h\,(d_h + v)\,d` [1].

    A model has either ``head_dim`` or ``v_head_dim``. Absorbed, MLA's value width is the latent's
    rank :math:`c` (published, v2).
    """
    mla_width = llm.kv_lora_rank if absorbed else llm.v_head_dim
    return llm.num_heads * (llm.head_dim + mla_width) * llm.hidden_size


def gated_ffn(llm: LLM, width: Scalar) -> Scalar:
    r"""Weights of one gated feed-forward layer: :math:`3\,d\,f` [1] (published)."""
    return 3.0 * llm.hidden_size * width


def layer_weights(llm: LLM, deployment: Deployment) -> Weights:
    """Weights inside the layers: no embedding, LM head, norms or biases (published, v2)."""
    absorbed = deployment.mla_weights == "absorbed"
    attention = gqa_projections(llm) + mla_projections(llm, absorbed=absorbed)
    dense_layers = llm.num_layers - llm.num_moe_layers
    expert = gated_ffn(llm, llm.moe_intermediate_size) * llm.num_moe_layers
    ffn = gated_ffn(llm, llm.intermediate_size) * dense_layers + expert * llm.num_shared_experts
    projections = llm.num_layers * attention
    if has_indexer(deployment):
        projections += llm.num_sparse_layers * index_projections(llm)
    return Weights(
        projections=projections,
        output=llm.num_layers * output_projection(llm, absorbed=absorbed),
        router=llm.num_moe_layers * llm.hidden_size * llm.num_experts,
        ffn=ffn,
        expert=expert,
        lm_head=0.0,
        embedding=0.0,
        extras=0.0,
    )


def full_weights(llm: LLM, deployment: Deployment) -> Weights:
    """Everything that is stored: layers, embedding, LM head, norms and biases.

    A tied embedding is stored once and counts as the LM head. The final norm is included.
    """
    table = llm.vocab_size * llm.hidden_size
    per_layer = llm.norm_params + llm.qk_norm_params + llm.bias_params
    expert_biases = llm.expert_bias_params * llm.num_moe_layers
    layers = layer_weights(llm, deployment)
    return eqx.tree_at(
        lambda weights: (weights.expert, weights.lm_head, weights.embedding, weights.extras),
        layers,
        (
            layers.expert + expert_biases,
            table,
            table * (1.0 - llm.tied_embeddings),
            per_layer * llm.num_layers + llm.hidden_size,
        ),
    )


def nominal_weights(llm: LLM, deployment: Deployment) -> Weights:
    r"""Layer weights scaled to the totals that the model's name states.

    With :math:`T` total and :math:`A` active parameters, one routed expert holds
    :math:`e' = (T - A)/(E - k)` and the rest :math:`A - k\,e'`; a dense model holds :math:`A`.
    The paper's v1 figures rest on the plain total (405e9; inferred); the split is ours.
    """
    layers = layer_weights(llm, deployment)
    spare = llm.num_experts - llm.experts_per_token
    inactive = llm.nominal_params - llm.nominal_active_params
    expert = jnp.where(spare > 0.0, inactive / jnp.where(spare > 0.0, spare, 1.0), 0.0)
    common = llm.nominal_active_params - llm.experts_per_token * expert
    scale = common / layers.common
    return eqx.tree_at(
        lambda w: (w.projections, w.output, w.router, w.ffn, w.expert),
        layers,
        (
            layers.projections * scale,
            layers.output * scale,
            layers.router * scale,
            layers.ffn * scale,
            expert,
        ),
    )


_ACCOUNTINGS = {"layers": layer_weights, "full": full_weights, "nominal": nominal_weights}


def count_weights(llm: LLM, deployment: Deployment) -> Weights:
    """Weights by the deployment's ``accounting``."""
    return _ACCOUNTINGS[deployment.accounting](llm, deployment)


def stored_weights(weights: Weights, *, experts: Scalar) -> Scalar:
    """Elements stored when each MoE layer keeps ``experts`` routed experts [1]."""
    return weights.common + weights.embedding + experts * weights.expert
