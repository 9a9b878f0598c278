"""Head groups: the layers of a model by the heads that they have.

Every term of heads is a sum over these groups. A model has one group unless layers of some kind
have heads of their own.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable

from jaxlimits._types import Scalar
from jaxlimits.model import attention
from jaxlimits.model.attention import full
from jaxlimits.model.attention.kind import Kind, OwnHeads, Span
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.volumes import added


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """Layers with the same heads over the same span of tokens.

    Parameters
    ----------
    count
        How many [1].
    shared
        Those that read another layer's cache; ``None`` where there are none for certain [1].
    span
        Which tokens they keep and read.
    """

    count: Scalar
    shared: Scalar | None
    span: Span

    @property
    def keeping(self) -> Scalar:
        """Layers that keep a cache of their own [1]."""
        return self.count if self.shared is None else self.count - self.shared


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """All layers with the same heads, those of a model's kinds that have no heads of their own.

    Every term of heads is a sum over the groups of a model.

    Parameters
    ----------
    llm
        The model's record, with the heads of these layers.
    count
        How many [1].
    layers
        Them by their span.
    keyed
        Those whose values are their projected keys; ``None`` where there are none for certain [1].
    """

    llm: LLM
    count: Scalar
    layers: tuple[Layers, ...]
    keyed: Scalar | None

    @property
    def shared(self) -> Scalar | None:
        """Those that read another layer's cache; ``None`` where there are none for certain [1]."""
        return _sum([layers.shared for layers in self.layers])


def head_groups(llm: LLM, deployment: Deployment) -> list[Group]:
    """The layers of a model that have heads, by the heads that they have.

    First those with the model's own, full ones among them; then kinds whose heads differ. Every
    layer counts as full where ``attention_span`` is ``full`` (the paper's reading of every model),
    but keeps its heads.
    """
    differing = _differing(deployment)
    apart = [kind for kind, _ in differing]
    others = [kind for kind in attention.other_kinds(deployment) if kind not in apart]
    headless = [kind for kind in others if kind.span is None]
    wide = [kind for kind in attention.KINDS if kind not in (*others, *apart)]
    count = _left(llm, [*others, *apart])
    own = [
        _layers(llm, deployment, getattr(llm, kind.layers), kind.span, [kind])
        for kind in others
        if kind.span is not None
    ]
    usual = Group(
        llm=llm,
        count=_left(llm, [*headless, *apart]),
        layers=(_layers(llm, deployment, count, full.SPAN, wide), *own),
        keyed=_counted(llm, deployment, [kind.keyed for kind in wide]),
    )
    return [usual, *(_own_group(kind, heads, llm, deployment) for kind, heads in differing)]


def over_groups(llm: LLM, deployment: Deployment, term: Callable[[Group], Scalar]) -> Scalar:
    """Sum a term over all layers that have heads."""
    return added(term(group) for group in head_groups(llm, deployment))


def _differing(deployment: Deployment) -> list[tuple[Kind, OwnHeads]]:
    """Kinds whose layers may have other heads than the model's, and these heads."""
    own = [(kind, kind.heads) for kind in attention.KINDS if kind.heads is not None]
    return [(kind, heads) for kind, heads in own if getattr(deployment, heads.flag)]


def _own_group(kind: Kind, heads: OwnHeads, llm: LLM, deployment: Deployment) -> Group:
    count = getattr(llm, kind.layers)
    span = kind.span if attention.is_in_use(kind, deployment) else None
    return Group(
        llm=heads.record(llm),
        count=count,
        layers=(_layers(llm, deployment, count, span or full.SPAN, [kind]),),
        keyed=_counted(llm, deployment, [kind.keyed]),
    )


def _layers(
    llm: LLM, deployment: Deployment, count: Scalar, span: Span, kinds: Iterable[Kind]
) -> Layers:
    shared = _counted(llm, deployment, [kind.shared for kind in kinds])
    return Layers(count=count, shared=shared, span=span)


def _counted(llm: LLM, deployment: Deployment, fields: Iterable[str | None]) -> Scalar | None:
    """Sum of counts of layers that do not project what they attend to; ``None`` for none."""
    if not deployment.shared_kv:
        return None
    return _sum([getattr(llm, field) for field in fields if field is not None])


def _sum(counts: Iterable[Scalar | None]) -> Scalar | None:
    stated = [count for count in counts if count is not None]
    return added(stated) if stated else None


def _left(llm: LLM, kinds: Iterable[Kind]) -> Scalar:
    """Layers of the model that are of none of some kinds [1]."""
    counts = (getattr(llm, kind.layers) for kind in kinds)
    return functools.reduce(operator.sub, counts, llm.num_layers)
