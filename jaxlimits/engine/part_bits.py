"""Bits by part at the named level: ``weight_bits`` moves every part that nobody set beside it.

Whoever states a part (an axis, a setting, an unknown, the variable of a derivative, a factor on it)
splits it off: it keeps the value that it has at the point, and from there has its own.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp

from jaxlimits.schema import PART_BITS, SCALE_SUFFIX, WEIGHT_BITS

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
    for_all = fields[WEIGHT_BITS]
    parted = {name: jnp.where(for_all > 0.0, for_all, fields[name]) for name in leaving}
    every = tuple(sorted({*own, *(PART_BITS[name] for name in leaving)}))
    return {**fields, **parted}, tuple(sorted({**dict(static), _OWN: every}.items()))


def moving_with(name: str, static: Static) -> tuple[str, ...]:
    """Return the fields that change where one does: with ``weight_bits`` the parts that follow."""
    if name != WEIGHT_BITS:
        return (name,)
    own = dict(static).get(_OWN, ())
    return (name, *(part for part, pair in PART_BITS.items() if pair not in own))


def scaled(
    fields: Mapping[str, Any], values: Mapping[str, Any], static: Static
) -> tuple[dict[str, Any], Static]:
    """Apply factors on bits: one on ``weight_bits`` holds for the parts that follow it.

    Parameters
    ----------
    fields
        Every field, its own factor not yet applied to those of bits.
    values
        Fields and factors as they are given.
    static
        Static fields of the deployment.
    """
    factor = values.get(f"{WEIGHT_BITS}{SCALE_SUFFIX}")
    if factor is not None:
        following = moving_with(WEIGHT_BITS, static)
        fields = {**fields, **{name: fields[name] * factor for name in following}}
    factors = {name: values.get(f"{name}{SCALE_SUFFIX}") for name in PART_BITS}
    given = {name: factor for name, factor in factors.items() if factor is not None}
    fields, static = split_off(fields, static, given)
    return {**fields, **{name: fields[name] * given[name] for name in given}}, static
