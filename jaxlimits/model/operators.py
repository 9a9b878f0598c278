r"""Operators: the work of one decode step, operator by operator.

Volumes are those of one micro-batch of one replica, summed over all layers. Under expert
parallelism a replica answers for its share of the experts that all replicas use together.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import vector
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import (
    expert_replicas,
    is_expert_parallel,
    routed_tokens,
    touched_experts,
)
from jaxlimits.model.imbalance import routed_imbalance, touched_imbalance
from jaxlimits.model.indexer import has_indexer, index_bytes, index_flops_per_span, index_span
from jaxlimits.model.kv_cache import kv_bytes_per_span, read_span
from jaxlimits.model.llm import LLM
from jaxlimits.model.weights import Weights, count_weights


class Operator(eqx.Module):
    """Work of one operator in one step.

    Parameters
    ----------
    tensor_flops, vector_flops
        Work of the tensor units and beside them [FLOP].
    weight_traffic, kv_traffic
        Bytes of weights, and of KV cache and index keys, read [B].
    compute_pace, traffic_pace
        Slowest rank over the mean: 1 unless experts are placed whole on ranks [1].
    """

    tensor_flops: Scalar
    vector_flops: Scalar
    weight_traffic: Scalar
    kv_traffic: Scalar = 0.0
    compute_pace: Scalar = 1.0
    traffic_pace: Scalar = 1.0


class Operators(eqx.Module):
    """The chain of operators of one step, summed over the layers.

    Query, key and value projections; where layers are sparse their indexers' scores; scores and
    values; output projection; router; routed experts; dense feed-forward layers with the shared
    experts; embedding and LM head.
    """

    projections: Operator
    attention: Operator
    output: Operator
    router: Operator
    experts: Operator
    ffn: Operator
    lm_head: Operator
    indexer: Operator | None = None

    def named(self) -> dict[str, Operator]:
        """The operators in their order, by name."""
        blocks = ("projections", "indexer", "attention", "output")
        names = (*blocks, "router", "experts", "ffn", "lm_head")
        found = {name: getattr(self, name) for name in names}
        return {name: operator for name, operator in found.items() if operator is not None}

    def each(self) -> tuple[Operator, ...]:
        """The operators in their order."""
        return tuple(self.named().values())

    def total(self, volume: str) -> Scalar:
        """Sum one volume over the operators, without the pace of the slowest rank."""
        return sum((getattr(operator, volume) for operator in self.each()), start=0.0)


def attention_flops_per_span(llm: LLM) -> Scalar:
    r"""Tensor work of one query token on one cached token in one layer [FLOP].

    .. math:: 4\,h\,d_h \quad\text{or, for MLA in decode,}\quad 2\,h\,(2c + \rho)

    Scores and values, two FLOP a multiply-add; MLA attends in the latent space whichever form of
    its weights is stored. Published.
    """
    gqa = 4.0 * llm.num_heads * llm.head_dim
    latent = 2.0 * llm.kv_lora_rank + llm.qk_rope_head_dim
    return gqa + 2.0 * llm.num_heads * latent


def step_operators(llm: LLM, deployment: Deployment) -> Operators:
    """Volumes of every operator in one step of one micro-batch.

    Tensor work is two FLOP a weight and token (published); every byte is read once a step.
    """
    weights = count_weights(llm, deployment)
    tokens = deployment.batch_size * deployment.query_tokens
    byte = deployment.weight_bits / 8.0

    def dense(elements: Scalar, vector_flops: Scalar, extras: Scalar = 0.0) -> Operator:
        """An operator whose weights every token uses; norms and biases are read beside them."""
        return Operator(
            tensor_flops=2.0 * tokens * elements,
            vector_flops=counted_vector_flops(deployment, tokens * vector_flops),
            weight_traffic=(elements + extras) * byte,
        )

    layers, sparse = llm.num_layers, has_indexer(deployment)
    projecting = layers * vector.projection_vector_flops(llm)
    if sparse:
        projecting += llm.num_sparse_layers * vector.index_projection_vector_flops(llm)
    return Operators(
        projections=dense(weights.projections, projecting, extras=weights.extras),
        indexer=_indexer(llm, deployment) if sparse else None,
        attention=_attention(llm, deployment),
        output=dense(weights.output, layers * vector.output_vector_flops(llm)),
        router=dense(weights.router, llm.num_moe_layers * vector.router_vector_flops(llm)),
        experts=_routed_experts(llm, deployment, weights),
        ffn=dense(weights.ffn, vector.ffn_vector_flops(llm)),
        lm_head=head_operator(llm, deployment, weights, scored=tokens, embedded=tokens),
    )


def counted_vector_flops(deployment: Deployment, vector_flops: Scalar) -> Scalar:
    """Vector work, or zero where the deployment leaves it out."""
    return vector_flops if deployment.vector_work == "on" else 0.0


def _indexer(llm: LLM, deployment: Deployment) -> Operator:
    """Scores of the whole context against its index keys, read once for all query tokens."""
    batch = deployment.batch_size
    pairs = batch * deployment.query_tokens * index_span(llm, deployment)
    return Operator(
        tensor_flops=pairs * index_flops_per_span(llm),
        vector_flops=counted_vector_flops(deployment, pairs * vector.index_score_vector_flops(llm)),
        weight_traffic=0.0,
        kv_traffic=batch * index_bytes(llm, deployment),
    )


def _attention(llm: LLM, deployment: Deployment) -> Operator:
    """Scores and values against the cache, which is read once for all query tokens."""
    span = read_span(llm, deployment)
    pairs = deployment.batch_size * deployment.query_tokens * span
    return Operator(
        tensor_flops=pairs * attention_flops_per_span(llm),
        vector_flops=counted_vector_flops(deployment, pairs * vector.score_vector_flops(llm)),
        weight_traffic=0.0,
        kv_traffic=deployment.batch_size * span * kv_bytes_per_span(llm, deployment),
    )


def _routed_experts(llm: LLM, deployment: Deployment, weights: Weights) -> Operator:
    """Routed experts: work of the chosen, bytes of the touched, at the slowest rank's pace."""
    if not deployment.routed_experts:
        return Operator(tensor_flops=0.0, vector_flops=0.0, weight_traffic=0.0)
    tokens = deployment.batch_size * deployment.query_tokens
    routed = routed_tokens(deployment)
    share = touched_experts(llm, tokens=routed) / expert_replicas(deployment)
    return Operator(
        tensor_flops=2.0 * tokens * llm.experts_per_token * weights.expert,
        vector_flops=counted_vector_flops(deployment, tokens * vector.expert_vector_flops(llm)),
        weight_traffic=share * weights.expert * (deployment.weight_bits / 8.0),
        compute_pace=_pace(routed_imbalance, llm, deployment, routed),
        traffic_pace=_pace(touched_imbalance, llm, deployment, routed),
    )


def _pace(imbalance, llm: LLM, deployment: Deployment, tokens: Scalar) -> Scalar:
    """An imbalance factor, or 1 where TP splits every expert over all chips."""
    if not deployment.expert_parallel:
        return 1.0
    factor = imbalance(
        tokens=tokens,
        num_experts=llm.num_experts,
        experts_per_token=llm.experts_per_token,
        ep_size=deployment.ep_size,
    )
    return jnp.where(is_expert_parallel(deployment), factor, 1.0)


def head_operator(
    llm: LLM, deployment: Deployment, weights: Weights, *, scored: Scalar, embedded: Scalar
) -> Operator:
    """LM head, read whole, and the rows of the embedding that are looked up.

    Absent in ``layers`` and ``nominal`` accounting, where its weights are zero.

    Parameters
    ----------
    scored, embedded
        Tokens that the head works on, and that the embedding is read for [token].
    """
    rows = embedded * llm.hidden_size if deployment.accounting == "full" else 0.0
    vector_flops = scored * vector.head_vector_flops(llm)
    counted = deployment.accounting == "full"
    return Operator(
        tensor_flops=2.0 * scored * weights.lm_head,
        vector_flops=counted_vector_flops(deployment, vector_flops) if counted else 0.0,
        weight_traffic=(weights.lm_head + rows) * (deployment.weight_bits / 8.0),
    )
