"""Bits by part at the named level: ``weight_bits`` moves every part that nobody set beside it.

``kv_bits`` does the same for the caches of the model and of its draft. Whoever states a part (an
axis, a setting, an unknown, the variable of a derivative, a factor on it) splits it off: it keeps
the value that it has at the point, and from there has its own.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp

from jaxlimits.schema import PART_BITS, SCALE_SUFFIX, SETTERS

Static = tuple[tuple[str, Any], ...]
"""Every static field of the deployment, by name."""

_OWN = "own_bits"


def split_off(
    fields: Mapping[str, Any], static: Static, names: Collection[str]
) -> tuple[dict[str, Any], Static]:
    """Return fields and static fields with some parts on their own; other names are passed over."""
    own = dict(static).get(_OWN, ())
    leaving = [name for name in names if name in PART_BITS and PART_BITS[name] not in own]
    if not leaving:
        return dict(fields), static
    given = {name: fields[SETTERS[name]] for name in leaving}
    parted = {name: jnp.where(given[name] > 0.0, given[name], fields[name]) for name in leaving}
    every = tuple(sorted({*own, *(PART_BITS[name] for name in leaving)}))
    return {**fields, **parted}, tuple(sorted({**dict(static), _OWN: every}.items()))


def moving_with(name: str, static: Static) -> tuple[str, ...]:
    """Return the fields that change where one does: with ``weight_bits`` the parts that follow."""
    own = dict(static).get(_OWN, ())
    following = (part for part, setter in SETTERS.items() if setter == name)
    return (name, *(part for part in following if PART_BITS[part] not in own))


def scaled(
    fields: Mapping[str, Any], values: Mapping[str, Any], static: Static
) -> tuple[dict[str, Any], Static]:
    """Apply factors on bits: one on ``weight_bits`` holds for the parts that follow it.

    Parameters
    ----------
    fields
        Every field, factors on bits not yet applied.
    values
        Fields and factors as they are given.
    static
        Static fields of the deployment.
    """
    scaled_fields = dict(fields)
    for setter in sorted(set(SETTERS.values())):
        factor = values.get(f"{setter}{SCALE_SUFFIX}")
        if factor is not None:
            following = moving_with(setter, static)
            scaled_fields |= {name: fields[name] * factor for name in following}
    factors = {name: values.get(f"{name}{SCALE_SUFFIX}") for name in PART_BITS}
    given = {name: factor for name, factor in factors.items() if factor is not None}
    parted, static = split_off(scaled_fields, static, given)
    return {**parted, **{name: parted[name] * given[name] for name in given}}, static
