"""KV cache: how much of it is stored and how much one step reads, over all kinds of layers."""

from collections.abc import Callable

from jaxlimits._types import Scalar
from jaxlimits.model.attention import parts
from jaxlimits.model.attention.kind import Span, Term
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.head_groups import Group, over_groups
from jaxlimits.model.heads import kv_copies, kv_elements
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import cache_bits
from jaxlimits.model.volumes import added


def over_layers(group: Group, deployment: Deployment, term: Callable[[Span], Term]) -> Scalar:
    """Sum one term of a span over all layers of a group."""
    return added(each.count * term(each.span)(group.llm, deployment) for each in group.layers)


def stored_span(group: Group, deployment: Deployment) -> Scalar:
    """Cached tokens of one sequence, summed over the layers that keep a cache [token]."""
    return added(each.keeping * each.span.stored(group.llm, deployment) for each in group.layers)


def read_span(group: Group, deployment: Deployment) -> Scalar:
    """Cached tokens that one step reads for one sequence, summed over the layers [token].

    Layers that share a cache read it one after another, each whole (ours).
    """
    return over_layers(group, deployment, lambda span: span.read)


def kv_bytes_per_span(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes of one cached token in one layer, copies included [B]."""
    copies = kv_copies(llm, deployment)
    return kv_elements(llm, deployment) * copies * (cache_bits(llm, deployment) / 8.0)


def cache_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes of one sequence's KV cache, over all layers [B]."""
    return over_groups(
        llm,
        deployment,
        lambda g: stored_span(g, deployment) * kv_bytes_per_span(g.llm, deployment),
    )


def sequence_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes that one sequence stores over all layers: KV cache, and what kinds keep beside it [B].

    Index keys and states are beside it.
    """
    cache = cache_bytes(llm, deployment)
    return added([cache, *(part.sequence_bytes(llm, deployment) for part in parts(deployment))])
