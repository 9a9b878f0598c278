r"""Precision: in how many bits each part of the weights is stored, and how wide products are.

A checkpoint of today has no one width: experts may be in 4 bits and attention in 16. The model's
record states the bits of each part, scales included; ``weight_bits`` of the deployment sets all
parts at once, and ``kv_bits`` the cache, but for those that
:attr:`~jaxlimits.model.deployment.Deployment.own_bits` names.

A product runs at the width of its wider operand,

.. math:: \max(\lceil b \rceil, a), \qquad \lceil b \rceil \in \{4, 8, 16\}

with :math:`b` the stored bits (scales raise them a little above their format's: 4.5, 8.25) and
:math:`a` the ``operand_bits`` of the model: 16 where weights alone are quantised. All of it is
ours.
"""

from collections.abc import Iterable
from typing import NamedTuple

import equinox as eqx

from jaxlimits._types import Flag, Scalar, chosen
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.volumes import added

PARTS = ("attention_bits", "ffn_bits", "expert_bits", "embedding_bits", "head_bits")
"""Bits of the parts of the weights, in a model's record."""

SET_BY = {**dict.fromkeys(PARTS, "weight_bits"), "cache_bits": "kv_bits"}
"""Field of the deployment that sets each of a model's bits, for what has no bits of its own."""

ALONE = ("state_bits",)
"""Bits of a model that no field of the deployment sets: those of what sequences keep as states."""

_MAY_BE = {
    "weight_bits": ("stated_bits", "released_bits"),
    "kv_bits": ("stated_cache", "released_cache"),
}
"""Static fields of the deployment that are false where such a field is unset, or set, for sure."""

_MOST_OF_4, _MOST_OF_8 = 6.0, 12.0
"""Stored bits, scales included, that still count as operands of 4 and of 8 bits."""


class Width(NamedTuple):
    """Width of the operands of a product, of the three for which a chip has a rate: 8 if neither.

    Two truth values, since no operation needs the number.
    """

    is_16: Flag
    is_4: Flag


IN_4, IN_8, IN_16 = Width(False, True), Width(False, False), Width(True, False)


class PartBits(eqx.Module):
    """Stored bits of one weight, scales included, by part [1].

    Parameters
    ----------
    attention
        Projections, the output projection, indexers.
    ffn, expert
        Dense layers and shared experts; routed experts.
    embedding
        The table as it is looked up.
    head
        The LM head, and what quantised files leave as it was: routers, norms, biases.
    """

    attention: Scalar
    ffn: Scalar
    expert: Scalar
    embedding: Scalar
    head: Scalar


def part_bits(llm: LLM, deployment: Deployment) -> PartBits:
    """Bits of each part: what the deployment sets, else what the model's record states.

    Parts that ``weight_bits`` sets are one and the same number, and add up before they are
    multiplied.
    """
    return PartBits(*(_bits_of(name, llm, deployment) for name in PARTS))


def cache_bits(llm: LLM, deployment: Deployment) -> Scalar:
    """Bits of one element of the KV cache: the deployment's, else those that the model states."""
    return _bits_of("cache_bits", llm, deployment)


def _bits_of(name: str, llm: LLM, deployment: Deployment) -> Scalar:
    parent = SET_BY[name]
    own, given = getattr(llm, name), getattr(deployment, parent)
    may_be_set, may_be_unset = (getattr(deployment, flag) for flag in _MAY_BE[parent])
    if ("llm", name) in deployment.own_bits or not may_be_set:
        return own
    return chosen(given > 0.0, given, own) if may_be_unset else given


def in_bytes(terms: Iterable[tuple[Scalar, Scalar]]) -> Scalar:
    """Bytes of elements, each with the bits of one; those of one part are added first [B]."""
    groups: dict[int, tuple[list[Scalar], Scalar]] = {}
    for elements, bits in terms:
        groups.setdefault(id(bits), ([], bits))[0].append(elements)
    return added(added(elements) * (bits / 8.0) for elements, bits in groups.values())


def product_width(bits: Scalar, llm: LLM) -> Width:
    """Width at which weights of so many bits are multiplied: that of the wider operand."""
    other = llm.operand_bits
    is_16 = (bits > _MOST_OF_8) | (other > 8.0)
    return Width(is_16, is_4=(bits <= _MOST_OF_4) & (other <= 4.0))


def cache_width(bits: Scalar) -> Width:
    """Width of products with a cache of so many bits: 16, or 8 where it is narrower (a bound)."""
    return Width(is_16=bits > _MOST_OF_8, is_4=False)


def tensor_work(deployment: Deployment, *products: tuple[Scalar, Width]) -> dict[str, Scalar]:
    """Tensor work of an operator, in all and by width where the parts have their own [FLOP].

    Parameters
    ----------
    *products
        Work, and the width of its operands.
    """
    total = added(flops for flops, _ in products)
    if not deployment.part_widths:
        return {"tensor_flops": total}
    wide = (chosen(width.is_16, flops, 0.0) for flops, width in products)
    narrow = (chosen(width.is_4, flops, 0.0) for flops, width in products)
    return {"tensor_flops": total, "wide_flops": added(wide), "narrow_flops": added(narrow)}
