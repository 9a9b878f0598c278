"""Full attention: a layer keeps and reads every token. All layers of no other kind are full."""

from jaxlimits._types import Scalar
from jaxlimits.model.attention.kind import Kind, Span
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM


def context(_llm: LLM, deployment: Deployment) -> Scalar:
    """All tokens of the sequence [token] (published)."""
    return deployment.seq_len


def causal_pairs(_llm: LLM, deployment: Deployment) -> Scalar:
    r"""Half of the square of the prompt: :math:`\tfrac{1}{2} I^2` [token^2]."""
    return 0.5 * deployment.seq_len**2


def prefill_read(_llm: LLM, deployment: Deployment) -> Scalar:
    r"""Each of :math:`n` chunks reads all tokens so far: :math:`\tfrac{1}{2} I (n + 1)` [token]."""
    length = deployment.seq_len
    return 0.5 * length * (length / deployment.query_tokens + 1.0)


SPAN = Span(stored=context, read=context, causal_pairs=causal_pairs, prefill_read=prefill_read)
"""What every layer keeps and reads that does not keep a span of its own."""

KIND = Kind(
    name="full",
    layers="num_layers",
    span=SPAN,
    shared="num_shared_kv_layers",
    keyed="num_k_eq_v_layers",
)
