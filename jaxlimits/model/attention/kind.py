"""What a file of this package states: a form of heads, or a kind of layer.

The attention of a layer is its heads over a span of tokens. A **form** says what the heads of one
layer hold, cache and compute. The heads of a model are the sum of all forms, since the fields of a
form that it lacks are zero. A **kind** says which tokens the heads of its layers keep and read, and
what such a layer has of its own beside the heads, or in place of them.

All functions are those of one point: they take the model's record and the deployment.
"""

import dataclasses
from collections.abc import Callable, Mapping

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.volumes import Operator

Count = Callable[[LLM], Scalar]
Term = Callable[[LLM, Deployment], Scalar]
Work = Callable[[LLM, Deployment], Operator]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """A form of heads: terms of one layer, zero in a model that has none of this form.

    Parameters
    ----------
    field
        Field of the model's record that is positive where a model has this form.
    projections
        Elements of the projections before the scores [1].
    value_dim
        Width that the output projection takes from each query head [1].
    kv_elements
        Cached elements of one token [1].
    rotated_dim
        Elements with rotary embedding in each head [1].
    pair_flops, prefill_pair_flops
        Tensor work of one query head on one cached token, in decode and in prefill [FLOP].
    cached_projections
        Of the projections, what computes that which is cached; a layer that reads another layer's
        cache has none of it [1].
    value_projections
        Of these, what computes values alone; ``None`` where values and keys have one source [1].
    output_projection
        Elements of its output projection; ``None`` for one full matrix of all value heads [1].
    flag
        Static field of the deployment that spares all terms of the form where it is false;
        ``None`` for terms so few that they are always traced.
    decompression_flops
        Further work of a prefill, a token; ``None`` where there is none [FLOP].
    kernels
        Kernels that an engine runs one after another, output projection included [1].
    """

    field: str
    projections: Term
    value_dim: Term
    kv_elements: Term
    rotated_dim: Count
    pair_flops: Term
    prefill_pair_flops: Term
    cached_projections: Term
    kernels: float
    value_projections: Term | None = None
    output_projection: Term | None = None
    flag: str | None = None
    decompression_flops: Term | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Which tokens of one sequence a layer keeps and reads.

    Parameters
    ----------
    stored, read
        Tokens whose keys and values are kept, and those that one decode step reads [token].
    causal_pairs
        Pairs of a token of a prompt and one that it attends to [token^2].
    prefill_read
        Cached tokens that all chunks of one prompt read together [token].
    """

    stored: Term
    read: Term
    causal_pairs: Term
    prefill_read: Term


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OwnHeads:
    """Heads of a kind of layer that may differ from those of the model's other layers.

    Parameters
    ----------
    record
        The model's record, with the heads of such a layer in place of the model's.
    flag
        Static field of the deployment that spares the difference where it is false.
    """

    record: Callable[[LLM], LLM]
    flag: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What layers of one kind have of their own: terms over all layers of the kind.

    Parameters
    ----------
    operator
        Name of its operator.
    weights
        Elements that every token uses; they count with the projections [1].
    vector_flops
        Vector work beside these, a token [FLOP].
    sequence_bytes
        Bytes that one sequence stores beside the KV cache of the heads [B].
    decode, prefill
        Volumes of its operator in one step, and over all chunks of a prefill.
    norms
        Elements that count with the norms, in ``full`` accounting alone; ``None`` for none [1].
    kernels
        Kernels that an engine runs for it beside those of the heads; ``None`` for none [1].
    """

    operator: str
    weights: Count
    vector_flops: Count
    sequence_bytes: Term
    decode: Work
    prefill: Work
    norms: Count | None = None
    kernels: Count | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of layer, of which a model has a number.

    Parameters
    ----------
    name
        What such a layer is: "a windowed layer".
    layers
        Field of the model's record that counts the layers of this kind.
    span
        What the model's heads keep and read in such a layer; ``None`` where it has none of them.
    heads
        Heads that such a layer has in place of the model's; ``None`` where these are the model's.
    shared
        Field of the record that counts those of the layers that read another layer's cache.
    keyed
        Field of the record that counts those of the layers whose values are their projected keys.
    part
        What such a layer has of its own, or ``None``.
    flag
        Static field of the deployment that spares all terms of the kind where it is false;
        ``None`` for terms so few that they are always traced, as zeros where the model lacks them.
    at_least_one
        Fields of the record that must be at least 1 where a model has such layers, and why.
    cache_formats
        Fields, beside ``kv_bits``, that say how what a sequence stores is laid out.
    has_state
        Whether a sequence keeps a state in such layers, its elements in ``state_bits``.
    kernels
        Kernels that an engine runs one after another in place of those of the heads [1].
    """

    name: str
    layers: str
    span: Span | None = None
    heads: OwnHeads | None = None
    shared: str | None = None
    keyed: str | None = None
    part: Part | None = None
    flag: str | None = None
    at_least_one: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cache_formats: tuple[str, ...] = ()
    has_state: bool = False
    kernels: float = 0.0
