r"""Alpha-beta times: how long a collective takes among chips that are joined by links.

A message of :math:`p` bytes takes :math:`\alpha + p/w`: the exposed latency, then the payload at
the one-way rate of a link. Behind a switch all :math:`n` chips reach each other alike; along a line
or around a loop it passes the routers on its way, each :math:`\rho` later. A message that has its
links to itself streams through them; where several share a link they go in steps, in each of which
routers pass on what they received in the one before. Each closed form below is the time of one
algorithm played that way, and is a latency plus a time in proportion to the payload. A chip alone
has nothing to exchange; callers leave its collectives out.

With :math:`h` hops to the farthest chip (1 behind a switch, :math:`n - 1` along a line,
:math:`\lfloor n/2 \rfloor` around a loop), a message sent straight is exposed for
:math:`\hat\alpha = \alpha + (h - 1)\,\rho`; :math:`g` parts cross the busiest link where each
chip's part goes to all others (:math:`n - 1`, around a loop half of it).

All forms are ours, textbook costs of each algorithm: the paper's collective is a constant.
"""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar

SHAPES = ("switch", "line", "loop")
"""Ways in which the chips of a group are joined."""


class Group(eqx.Module):
    r"""Chips that take part in one collective and are joined in one way.

    A network in several levels or dimensions is several groups, one after another: see
    :mod:`jaxlimits.model.topology`.

    Parameters
    ----------
    size
        Chips :math:`n`, at least 1 [1].
    latency
        Exposed latency of one message to a neighbour, or through the switch :math:`\alpha` [s].
    link_bw
        One-way rate :math:`w` of one chip's links together behind a switch, of one link along a
        line or a loop [B/s].
    router_latency
        What each further router adds :math:`\rho` [s].
    shape
        One of :data:`SHAPES`.
    """

    size: Scalar
    latency: Scalar
    link_bw: Scalar
    router_latency: Scalar = 0.0
    shape: str = eqx.field(static=True, default="switch")


def point_to_point(group: Group, payload: Scalar) -> Scalar:
    r"""Time to send ``payload`` bytes to a neighbour: :math:`\alpha + p/w` [s]."""
    return group.latency + payload / group.link_bw


def shift(group: Group, payload: Scalar, *, hops: Scalar) -> Scalar:
    r"""Time in which every chip along a line sends to the one some hops further on [s].

    .. math:: \alpha + (h - 1)\,\rho + h\,p/w

    All send at once, so that each link carries the payloads of ``hops`` chips.
    """
    routed = group.latency + (hops - 1.0) * group.router_latency
    return routed + hops * payload / group.link_bw


def all_gather(group: Group, payload: Scalar) -> Scalar:
    r"""Time until every chip has all parts of ``payload`` bytes, sent straight to each [s].

    .. math:: \hat\alpha + g\,p/(n\,w), \qquad g = n - 1 \text{ behind a switch}

    A chip starts with :math:`p/n` bytes and receives the rest; routers copy what passes. Around a
    loop of even size the part of the chip opposite comes half from either side.
    """
    share = _crossing_parts(group) / group.size
    return _farthest_latency(group) + share * payload / group.link_bw


def reduce_scatter(group: Group, payload: Scalar) -> Scalar:
    r"""Time until every chip has the sum of its part of ``payload`` bytes [s].

    .. math:: h\,\alpha + g\,p/(n\,w)

    Behind a switch an all-gather's sends backwards. Along a line or a loop each chip on the way
    adds its own and sends the sum on, so that a hop costs a message's whole latency.
    """
    share = _crossing_parts(group) / group.size
    return _hops(group) * group.latency + share * payload / group.link_bw


def all_to_all(group: Group, payload: Scalar) -> Scalar:
    r"""Time until each chip's ``payload`` bytes have reached the chips they are for [s].

    .. math:: \hat\alpha + e\,p/(n\,w), \qquad e = n - 1,\; n\,h/2,\; h\,(n - h)/2

    behind a switch, along a line, around a loop. The payload is spread evenly over all chips, and a
    chip keeps its own share. Routers pass on together what goes further, so that in each step a
    link carries as many parts as there are chips ahead.
    """
    share = _exchanged_parts(group) / group.size
    return _farthest_latency(group) + share * payload / group.link_bw


def ring_all_gather(group: Group, payload: Scalar) -> Scalar:
    r"""Time of an all-gather in which each chip passes each part on to its neighbours [s].

    .. math:: (n - 1)\,(\alpha + p/(n\,w)), \qquad
              \text{around a loop}\; h\,\alpha + (n - 1)\,p/(2\,n\,w)

    One way around behind a switch, both ways at once along a line or a loop.
    """
    if group.shape == "loop":
        return reduce_scatter(group, payload)
    return (group.size - 1.0) * point_to_point(group, payload / group.size)


def tree_all_gather(group: Group, payload: Scalar) -> Scalar:
    r"""Time of an all-gather in which what a chip holds doubles in each round [s].

    .. math:: \lceil \log_2 n \rceil\,\alpha + (n - 1)\,p/(n\,w)

    Behind a switch. In the last round chips send only what is lacking.
    """
    share = _crossing_parts(group) / group.size
    return ceil_log2(group.size) * group.latency + share * payload / group.link_bw


def ring_all_to_all(group: Group, payload: Scalar) -> Scalar:
    r"""Time of an all-to-all in rounds, each with one partner at a greater distance [s].

    .. math:: (n - 1)\,(\alpha + p/(n\,w))

    Behind a switch: pairwise exchange.
    """
    return (group.size - 1.0) * point_to_point(group, payload / group.size)


def one_shot_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time of an all-reduce in which every chip sends its all to every other [s].

    .. math:: \hat\alpha + g\,p/w, \qquad g = n - 1 \text{ behind a switch}

    Without a payload, behind a switch, it is the paper's constant.
    """
    return _farthest_latency(group) + _crossing_parts(group) * payload / group.link_bw


def two_shot_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time of a reduce-scatter and an all-gather, each sent straight [s].

    .. math:: \hat\alpha + h\,\alpha + 2\,g\,p/(n\,w), \qquad
              2\,\alpha + 2\,(n - 1)\,p/(n\,w) \text{ behind a switch}
    """
    return reduce_scatter(group, payload) + all_gather(group, payload)


def ring_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time of a reduce-scatter and an all-gather from neighbour to neighbour [s].

    .. math:: 2\,(n - 1)\,(\alpha + p/(n\,w)), \qquad
              \text{around a loop}\; 2\,h\,\alpha + (n - 1)\,p/(n\,w)
    """
    return 2.0 * ring_all_gather(group, payload)


def tree_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time to reduce up a binary tree and to broadcast down it, round by round [s].

    .. math:: 2\,r\,(\alpha + p/w) + 2\,(2^r - 1 - r)\,\rho, \qquad r = \lceil \log_2 n \rceil

    Unpipelined. Partners of round k are :math:`2^k` hops apart along a line, and around a loop
    too, whose closing link it does not use; behind a switch :math:`\rho` does not count. The
    number of rounds jumps just above each power of two, at which it is that of the left side; it
    does not vary in between, so that the derivative by the size is 0.
    """
    rounds = ceil_log2(group.size)
    paired = 2.0 * rounds * point_to_point(group, payload)
    if group.shape == "switch":
        return paired
    return paired + 2.0 * (jnp.exp2(rounds) - 1.0 - rounds) * group.router_latency


def in_network_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time of a sum taken on the way, while the payload streams through [s].

    .. math:: 2\,\alpha + p/w \text{ in the switch}, \qquad
              \hat\alpha + p/w \text{ by the routers of a line}

    Along a line the sums of all chips to the left and to the right stream towards each chip.
    """
    if group.shape == "switch":
        return group.latency + point_to_point(group, payload)
    return _farthest_latency(group) + payload / group.link_bw


ALL_REDUCES: Mapping[str, Callable[[Group, Scalar], Scalar]] = {
    "one-shot": one_shot_all_reduce,
    "two-shot": two_shot_all_reduce,
    "ring": ring_all_reduce,
    "tree": tree_all_reduce,
    "in-network": in_network_all_reduce,
}
"""Algorithms of an all-reduce by name."""

_ON_A_MESH = ("one-shot", "two-shot", "ring", "tree")

ALGORITHMS_ON: Mapping[str, tuple[str, ...]] = {
    "switched": tuple(ALL_REDUCES),
    "mesh-2d": _ON_A_MESH,
    "torus-2d": _ON_A_MESH,
    "torus-3d": _ON_A_MESH,
    "wafer-mesh": (*_ON_A_MESH, "in-network"),
    "rail": tuple(ALL_REDUCES),
}
"""Topologies, and the algorithms of an all-reduce that have a path there.

The routers between packaged chips do not sum; those of a wafer do, as do switches.
"""

ALL_GATHERS: Mapping[str, Callable[[Group, Scalar], Scalar]] = {
    "one-shot": all_gather,
    "ring": ring_all_gather,
    "tree": tree_all_gather,
}
"""Algorithms of an all-gather by name."""

ALL_GATHERS_ON: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(ALGORITHMS_ON, ("one-shot", "ring")),
    **dict.fromkeys(("switched", "rail"), tuple(ALL_GATHERS)),
}
"""Topologies, and the algorithms of an all-gather there; the tree behind switches alone."""

ALL_TO_ALLS: Mapping[str, Callable[[Group, Scalar], Scalar]] = {
    "one-shot": all_to_all,
    "ring": ring_all_to_all,
}
"""Algorithms of an all-to-all by name; rounds of pairs behind a switch alone."""


def ceil_log2(size: Scalar) -> Scalar:
    r"""Rounds in which a group doubles to its size: :math:`\lceil \log_2 n \rceil` [1].

    Read off the float's exponent: a logarithm of 8 may come out as a hair more than 3.
    """
    mantissa, exponent = jnp.frexp(size)  # size = mantissa * 2^exponent, mantissa in [0.5, 1)
    return exponent.astype(mantissa.dtype) - jnp.where(mantissa > 0.5, 0.0, 1.0)


def _hops(group: Group) -> Scalar:
    """Hops from a chip to the farthest one [1]; around a loop of real size those of the floor."""
    if group.shape == "switch":
        return 1.0
    return group.size - 1.0 if group.shape == "line" else jnp.floor(0.5 * group.size)


def _farthest_latency(group: Group) -> Scalar:
    """Exposed latency of a message to the farthest chip [s]."""
    if group.shape == "switch":
        return group.latency
    return group.latency + (_hops(group) - 1.0) * group.router_latency


def _crossing_parts(group: Group) -> Scalar:
    """Parts that cross the busiest link where each chip's goes to all the others [1]."""
    others = group.size - 1.0
    return 0.5 * others if group.shape == "loop" else others


def _exchanged_parts(group: Group) -> Scalar:
    """Parts that cross the busiest link, step by step, where each pair of chips has one [1]."""
    if group.shape == "switch":
        return group.size - 1.0
    hops = _hops(group)
    ahead = group.size if group.shape == "line" else group.size - hops
    return 0.5 * hops * ahead
