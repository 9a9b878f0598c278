"""Kinds of attention of a model: what its layers and heads are, by the fields of its record."""

from collections.abc import Mapping

from jaxlimits.model.attention import FORMS, KINDS


def attention_kinds(values: Mapping[str, float]) -> tuple[str, ...]:
    """Return the forms of heads and the kinds of layers, full ones apart, that a model has.

    Parameters
    ----------
    values
        Numeric fields of the model, by their own names.
    """
    forms = [form.field for form in FORMS if values.get(form.field, 0.0) > 0.0]
    kinds = [kind.name for kind in KINDS[1:] if values.get(kind.layers, 0.0) > 0.0]
    return (*forms, *kinds)
