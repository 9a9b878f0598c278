r"""Weights: how many elements each operator of a model holds.

Counts are of elements over *all* layers of the whole model; bytes come of the bits of each part.
The three accountings are static choices of :class:`~jaxlimits.model.deployment.Deployment`.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import ffn, heads, residual
from jaxlimits.model.attention import layers_with_heads, parts
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.head_groups import over_groups
from jaxlimits.model.layers import dense_layers
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import PartBits
from jaxlimits.model.volumes import added


class Weights(eqx.Module):
    """Weight elements by operator, over all layers [1].

    Parameters
    ----------
    projections
        What comes before the scores: queries, keys, values, and what kinds of layers have of their
        own, as indexers and whole recurrent mixers.
    output
        Attention's output projection.
    router, ffn
        Routers, with the mappings of hyper-connections; dense feed-forward layers, shared experts,
        the projections to a latent of routed ones, and what is in none of the parts.
    expert, expert_biases
        *One* routed expert in each MoE layer, summed over the MoE layers, its biases included; of
        that the biases alone.
    lm_head, embedding
        The LM head as read, and the embedding table and further ones beside it as stored.
    extras
        Norms, QK norms and biases.
    dense
        Of ``ffn``, what dense feed-forward layers hold.
    """

    projections: Scalar
    output: Scalar
    router: Scalar
    ffn: Scalar
    expert: Scalar
    lm_head: Scalar
    embedding: Scalar
    extras: Scalar
    expert_biases: Scalar = 0.0
    dense: Scalar = 0.0

    @property
    def common(self) -> Scalar:
        """Elements that every token uses, the embedding table apart [1]."""
        blocks = self.projections + self.output + self.router + self.ffn
        return blocks + self.lm_head + self.extras


def layer_weights(llm: LLM, deployment: Deployment) -> Weights:
    """Weights inside the layers: no embedding, LM head, norms or biases (published, v2)."""
    projections = over_groups(llm, deployment, lambda g: heads.all_projections(g, deployment))
    dense = ffn.dense_weights(llm) * dense_layers(llm, deployment)
    shared = ffn.shared_weights(llm, deployment) * llm.num_moe_layers * llm.num_shared_experts
    every_token = [dense + shared]
    if deployment.latent_experts:
        every_token.append(ffn.latent_weights(llm) * llm.num_moe_layers)
    return Weights(
        projections=added([projections, *(part.weights(llm) for part in parts(deployment))]),
        output=over_groups(
            llm, deployment, lambda g: g.count * heads.output_projection(g.llm, deployment)
        ),
        router=_router(llm, deployment),
        ffn=added(every_token),
        expert=ffn.expert_weights(llm, deployment) * llm.num_moe_layers,
        lm_head=0.0,
        embedding=0.0,
        extras=0.0,
        dense=dense,
    )


def _router(llm: LLM, deployment: Deployment) -> Scalar:
    """Routers, and the mappings of hyper-connections, which are small and read the same [1]."""
    routers = llm.num_moe_layers * llm.hidden_size * llm.num_experts
    if not deployment.hyper_connections:
        return routers
    return routers + residual.mapping_weights(llm, deployment)


def full_weights(llm: LLM, deployment: Deployment) -> Weights:
    """Everything that is stored: layers, embedding, LM head, norms and biases.

    A tied embedding is stored once and counts as the LM head. The final norm is included. Further
    weights count with the dense feed-forward layers, further tables with the embedding (ours).
    """
    table = llm.vocab_size * llm.hidden_size
    embedding = table * (1.0 - llm.tied_embeddings)
    expert_biases = llm.expert_bias_params * llm.num_moe_layers
    layers = layer_weights(llm, deployment)
    more = deployment.extra_weights
    return eqx.tree_at(
        lambda w: (w.ffn, w.expert, w.lm_head, w.embedding, w.extras, w.expert_biases),
        layers,
        (
            layers.ffn + llm.extra_params if more else layers.ffn,
            layers.expert + expert_biases,
            table,
            embedding + llm.extra_embedding_params if more else embedding,
            _extras(llm, deployment),
            expert_biases,
        ),
    )


def _extras(llm: LLM, deployment: Deployment) -> Scalar:
    """Norms and biases of all layers, the final norm, the last mapping of streams [1]."""
    each = (llm.norm_params + llm.bias_params) * llm.num_layers
    of_heads = llm.qk_norm_params * layers_with_heads(llm, deployment)
    own = [part.norms(llm) for part in parts(deployment) if part.norms is not None]
    if deployment.hyper_connections:
        own.append(residual.last_mapping(llm))
    return added([each + of_heads + llm.hidden_size, *own])


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
        lambda w: (w.projections, w.output, w.router, w.ffn, w.expert, w.dense),
        layers,
        (
            layers.projections * scale,
            layers.output * scale,
            layers.router * scale,
            layers.ffn * scale,
            expert,
            layers.dense * scale,
        ),
    )


_ACCOUNTINGS = {"layers": layer_weights, "full": full_weights, "nominal": nominal_weights}


def count_weights(llm: LLM, deployment: Deployment) -> Weights:
    """Weights by the deployment's ``accounting``."""
    return _ACCOUNTINGS[deployment.accounting](llm, deployment)


def stored_weights(weights: Weights, *, experts: Scalar) -> Scalar:
    """Elements stored when each MoE layer keeps ``experts`` routed experts [1]."""
    return weights.common + weights.embedding + experts * weights.expert


Terms = list[tuple[Scalar, Scalar]]
"""Elements, and the bits of each [1]."""


def common_terms(weights: Weights, bits: PartBits, *, tables: bool = True) -> Terms:
    """What every token uses, the embedding table apart; without the LM head where not ``tables``.

    Routers, norms and biases have the bits of the LM head: quantised files leave them as they were.
    """
    return [
        (weights.projections, bits.attention),
        (weights.output, bits.attention),
        (weights.router, bits.head),
        (weights.ffn, bits.ffn),
        *([(weights.lm_head, bits.head)] if tables else []),
        (weights.extras, bits.head),
    ]


def expert_terms(weights: Weights, bits: PartBits, *, experts: Scalar) -> Terms:
    """So many routed experts in each MoE layer, their biases apart where they have other bits."""
    if bits.expert is bits.head:
        return [(experts * weights.expert, bits.expert)]
    products = weights.expert - weights.expert_biases
    return [(experts * products, bits.expert), (experts * weights.expert_biases, bits.head)]
