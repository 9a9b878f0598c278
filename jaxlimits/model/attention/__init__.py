"""Attention: one file a form of heads, and one a kind of layer.

``FORMS`` and ``KINDS`` are read off the files here: a module that states a ``FORM`` or a ``KIND``
is known everywhere. Kinds stand in the order in which the model's record counts their layers; full
layers, which the record counts first, are what the others leave.
"""

import functools
import importlib
import operator
import pkgutil

from jaxlimits._types import Scalar
from jaxlimits.model.attention.kind import Form, Kind, Part
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fields import quantities
from jaxlimits.model.llm import LLM

_FILES = [
    importlib.import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(__path__)
]
_FIELDS = list(quantities(LLM))

FORMS: tuple[Form, ...] = tuple(file.FORM for file in _FILES if hasattr(file, "FORM"))
"""Every form of heads."""

KINDS: tuple[Kind, ...] = tuple(
    sorted(
        (file.KIND for file in _FILES if hasattr(file, "KIND")),
        key=lambda kind: _FIELDS.index(kind.layers),
    )
)
"""Every kind of layer, full ones first."""


def forms(deployment: Deployment) -> list[Form]:
    """Every form of heads in use."""
    return [form for form in FORMS if form.flag is None or getattr(deployment, form.flag)]


def is_in_use(kind: Kind, deployment: Deployment) -> bool:
    """Whether terms of a kind count: its flag is on, and its layers keep their span."""
    if kind.flag is not None and not getattr(deployment, kind.flag):
        return False
    return kind.span is None or deployment.attention_span == "model"


def other_kinds(deployment: Deployment) -> list[Kind]:
    """Every kind in use but full layers."""
    return [kind for kind in KINDS[1:] if is_in_use(kind, deployment)]


def parts(deployment: Deployment) -> list[Part]:
    """What layers of the kinds in use have of their own."""
    return [kind.part for kind in other_kinds(deployment) if kind.part is not None]


def layers_with_heads(llm: LLM, deployment: Deployment) -> Scalar:
    """Layers that have heads [1]."""
    without = (kind for kind in other_kinds(deployment) if kind.span is None)
    counts = (getattr(llm, kind.layers) for kind in without)
    return functools.reduce(operator.sub, counts, llm.num_layers)
