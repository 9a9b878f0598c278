r"""Operators: the work of one decode step, operator by operator.

Volumes are those of one micro-batch of one replica, summed over all layers. Under expert
parallelism a replica answers for its share of the experts that all replicas use together.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import heads, residual, vector
from jaxlimits.model.attention import parts
from jaxlimits.model.dense_groups import kept_weights
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import (
    expert_replicas,
    is_expert_parallel,
    routed_tokens,
    spread_pace,
    touched_experts,
)
from jaxlimits.model.ffn_groups import FFN_OPERATORS, ffn_group, served_replicas
from jaxlimits.model.head_groups import head_groups, over_groups
from jaxlimits.model.imbalance import routed_imbalance, touched_imbalance
from jaxlimits.model.kv_cache import kv_bytes_per_span, read_span
from jaxlimits.model.layers import mixing_layers
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import (
    PartBits,
    cache_bits,
    cache_width,
    in_bytes,
    part_bits,
    product_width,
    tensor_work,
)
from jaxlimits.model.volumes import Operator, added, counted_vector_flops, repeated
from jaxlimits.model.weights import Weights, count_weights, expert_terms


class Operators(eqx.Module):
    """The chain of operators of one step, summed over the layers.

    Query, key and value projections; what kinds of layers have of their own, as the scores of an
    indexer or a recurrent state; scores and values; output projection; router, with the mappings
    of hyper-connections; routed experts; dense feed-forward layers with the shared experts;
    embedding and LM head.

    Parameters
    ----------
    own, own_names
        Operators of kinds of layers, and their names.
    """

    projections: Operator
    attention: Operator
    output: Operator
    router: Operator
    experts: Operator
    ffn: Operator
    lm_head: Operator
    own: tuple[Operator, ...] = ()
    own_names: tuple[str, ...] = eqx.field(static=True, default=())

    def named(self) -> dict[str, Operator]:
        """The operators in their order, by name."""
        rest = ("attention", "output", "router", "experts", "ffn", "lm_head")
        return {
            "projections": self.projections,
            **dict(zip(self.own_names, self.own, strict=True)),
            **{name: getattr(self, name) for name in rest},
        }

    def each(self) -> tuple[Operator, ...]:
        """The operators in their order."""
        return tuple(self.named().values())

    def total(self, volume: str) -> Scalar:
        """Sum one volume over the operators, without the pace of the slowest rank."""
        return sum((getattr(operator, volume) for operator in self.each()), start=0.0)


def step_operators(llm: LLM, deployment: Deployment) -> Operators:
    """Volumes of every operator in one step of one micro-batch.

    Tensor work is two FLOP a weight and token (published); every byte is read once a step.
    """
    weights = count_weights(llm, deployment)
    tokens = deployment.batch_size * deployment.query_tokens
    kinds = parts(deployment)
    return Operators(
        **weight_operators(llm, deployment, weights),
        own=tuple(part.decode(llm, deployment) for part in kinds),
        own_names=tuple(part.operator for part in kinds),
        attention=_attention(llm, deployment),
        lm_head=head_operator(llm, deployment, weights, scored=tokens, embedded=tokens),
    )


def weight_operators(llm: LLM, deployment: Deployment, weights: Weights) -> dict[str, Operator]:
    """Operators of one micro-batch that read weights alone, the LM head apart, by name.

    Of feed-forward parts that one group of chips has for all replicas, one replica's share.
    """
    own = _weight_operators(llm, deployment, weights)
    if not deployment.ffn_groups:
        return own
    of_all = _weight_operators(llm, ffn_group(deployment), weights)
    share = 1.0 / served_replicas(deployment)
    return own | {name: repeated(of_all[name], share) for name in FFN_OPERATORS}


def _weight_operators(llm: LLM, deployment: Deployment, weights: Weights) -> dict[str, Operator]:
    """Those of chips that have all the weights."""
    tokens = deployment.batch_size * deployment.query_tokens
    bits = part_bits(llm, deployment)

    kept = kept_weights(weights, deployment)

    def dense(
        elements: Scalar,
        each: Scalar,
        vector_flops: Scalar,
        *beside: tuple[Scalar, Scalar],
        read: Scalar | None = None,
    ) -> Operator:
        """An operator whose weights every token uses; norms and biases are read beside them.

        All of the weights are read unless a share is stated.
        """
        product = (2.0 * tokens * elements, product_width(each, llm))
        return Operator(
            **tensor_work(deployment, product),
            vector_flops=counted_vector_flops(deployment, tokens * vector_flops),
            weight_traffic=in_bytes([(elements if read is None else read, each), *beside]),
        )

    own = (part.vector_flops(llm) for part in parts(deployment))
    projecting = over_groups(
        llm, deployment, lambda g: heads.all_projection_vector_flops(g, deployment)
    )
    projecting = added([projecting, *own])
    beside = (weights.extras, bits.head)
    summed = mixing_layers(llm, deployment) * vector.output_vector_flops(llm)
    routing = llm.num_moe_layers * vector.router_vector_flops(llm)
    if deployment.hyper_connections:
        routing = routing + residual.stream_vector_flops(llm, deployment)
    return {
        "projections": dense(weights.projections, bits.attention, projecting, beside),
        "output": dense(weights.output, bits.attention, summed),
        "router": dense(weights.router, bits.head, routing),
        "experts": _routed_experts(llm, deployment, weights, bits),
        "ffn": dense(
            weights.ffn, bits.ffn, vector.ffn_vector_flops(llm, deployment), read=kept.ffn
        ),
    }


def _attention(llm: LLM, deployment: Deployment) -> Operator:
    """Scores and values against the cache, which is read once for all query tokens.

    Published: two FLOP a multiply-add.
    """
    sequences, queries = deployment.batch_size, deployment.batch_size * deployment.query_tokens
    read = [(g.llm, read_span(g, deployment)) for g in head_groups(llm, deployment)]
    pairs = [(own, queries * span) for own, span in read]
    flops = added(number * heads.pair_flops(own, deployment) for own, number in pairs)
    scores = added(number * heads.score_vector_flops(own) for own, number in pairs)
    return Operator(
        **tensor_work(deployment, (flops, cache_width(cache_bits(llm, deployment)))),
        vector_flops=counted_vector_flops(deployment, scores),
        weight_traffic=0.0,
        kv_traffic=added(
            sequences * span * kv_bytes_per_span(own, deployment) for own, span in read
        ),
    )


def _routed_experts(llm: LLM, deployment: Deployment, weights: Weights, bits: PartBits) -> Operator:
    """Routed experts: work of the chosen, bytes of the touched, at the slowest rank's pace."""
    if not deployment.routed_experts:
        return Operator(tensor_flops=0.0, vector_flops=0.0, weight_traffic=0.0)
    tokens = deployment.batch_size * deployment.query_tokens
    routed = routed_tokens(deployment)
    share = touched_experts(llm, tokens=routed) / expert_replicas(deployment)
    flops = 2.0 * tokens * llm.experts_per_token * weights.expert
    vector_flops = tokens * vector.expert_vector_flops(llm, deployment)
    return Operator(
        **tensor_work(deployment, (flops, product_width(bits.expert, llm))),
        vector_flops=counted_vector_flops(deployment, vector_flops),
        weight_traffic=in_bytes(expert_terms(weights, bits, experts=share)),
        compute_pace=routed_pace(llm, deployment, routed),
        traffic_pace=_pace(touched_imbalance, llm, deployment, routed),
    )


def routed_pace(
    llm: LLM, deployment: Deployment, tokens: Scalar, *, share: Scalar | None = None
) -> Scalar:
    """The slowest rank's work on routed experts over the mean [1].

    Parameters
    ----------
    tokens
        Those that chance routes [token].
    share
        What they are of all tokens, where the others are spread evenly [1].
    """
    return _pace(routed_imbalance, llm, deployment, tokens, share)


def _pace(
    imbalance, llm: LLM, deployment: Deployment, tokens: Scalar, share: Scalar | None = None
) -> Scalar:
    """An imbalance factor, or 1 where TP splits every expert over all chips."""
    if not deployment.expert_parallel:
        return 1.0
    factor = imbalance(
        tokens=tokens,
        num_experts=llm.num_experts,
        experts_per_token=llm.experts_per_token,
        ep_size=deployment.ep_size,
    )
    if share is not None:
        factor = 1.0 + (factor - 1.0) * share
    spread = spread_pace(factor, llm, deployment)
    return jnp.where(is_expert_parallel(deployment), spread, 1.0)


def head_operator(
    llm: LLM, deployment: Deployment, weights: Weights, *, scored: Scalar, embedded: Scalar
) -> Operator:
    """LM head, and the rows of the embedding and further tables that are looked up.

    The head is read whole, or where replicas share it each one's part; it is absent in ``layers``
    and ``nominal`` accounting, where its weights are zero.

    Parameters
    ----------
    scored, embedded
        Tokens that the head works on, and that the embedding is read for [token].
    """
    counted = deployment.accounting == "full"
    bits, kept = part_bits(llm, deployment), kept_weights(weights, deployment)
    width = llm.hidden_size
    if deployment.extra_weights:
        width = width + llm.extra_embedding_dim
    rows = embedded * width if counted else 0.0
    vector_flops = scored * vector.head_vector_flops(llm)
    product = (2.0 * scored * weights.lm_head, product_width(bits.head, llm))
    return Operator(
        **tensor_work(deployment, product),
        vector_flops=counted_vector_flops(deployment, vector_flops) if counted else 0.0,
        weight_traffic=in_bytes([(kept.lm_head, bits.head), (rows, bits.embedding)]),
    )
