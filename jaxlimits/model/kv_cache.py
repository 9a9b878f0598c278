"""KV cache: how much of it is stored and how much one step reads, over all kinds of layers."""

from collections.abc import Callable

from jaxlimits._types import Scalar
from jaxlimits.model.attention import parts, spans
from jaxlimits.model.attention.kind import Span, Term
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.heads import kv_copies, kv_elements
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import cache_bits
from jaxlimits.model.volumes import added


def over_layers(llm: LLM, deployment: Deployment, term: Callable[[Span], Term]) -> Scalar:
    """Sum one term of a span over all layers that have the model's heads.

    Every layer counts as full where ``attention_span`` is ``full`` (the paper's reading of every
    model).
    """
    counted = spans(llm, deployment)
    return added(count * term(span)(llm, deployment) for count, span in counted)


def stored_span(llm: LLM, deployment: Deployment) -> Scalar:
    """Cached tokens of one sequence, summed over the layers [token]."""
    return over_layers(llm, deployment, lambda span: span.stored)


def read_span(llm: LLM, deployment: Deployment) -> Scalar:
    """Cached tokens that one step reads for one sequence, summed over the layers [token]."""
    return over_layers(llm, deployment, lambda span: span.read)


def kv_bytes_per_span(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes of one cached token in one layer, copies included [B]."""
    copies = kv_copies(llm, deployment)
    return kv_elements(llm) * copies * (cache_bits(llm, deployment) / 8.0)


def sequence_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes that one sequence stores over all layers: KV cache, and what kinds keep beside it [B].

    Index keys and recurrent states are beside it.
    """
    cache = stored_span(llm, deployment) * kv_bytes_per_span(llm, deployment)
    return added([cache, *(part.sequence_bytes(llm, deployment) for part in parts(deployment))])
