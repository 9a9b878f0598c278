r"""Alpha-beta times: how long a collective takes among chips that are joined by links.

A message of :math:`p` bytes takes :math:`\alpha + p/w`: the exposed latency, then the payload at
the one-way rate of a chip's links. Each closed form below is the time of one algorithm played step
by step. A chip alone has nothing to exchange; callers leave its collectives out.

All forms are ours, textbook costs of each algorithm: the paper's collective is a constant.
"""

import functools
from collections.abc import Callable, Mapping

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar


class Group(eqx.Module):
    r"""Chips that take part in one collective, all of which reach each other alike.

    A network in several levels or dimensions is several groups, one after another.

    Parameters
    ----------
    size
        Chips :math:`n`, at least 1 [1].
    latency
        Exposed latency of one message :math:`\alpha` [s].
    link_bw
        One-way rate :math:`w` of one chip's links together [B/s].
    """

    size: Scalar
    latency: Scalar
    link_bw: Scalar


def point_to_point(group: Group, payload: Scalar) -> Scalar:
    r"""Time to send ``payload`` bytes to one other chip: :math:`\alpha + p/w` [s]."""
    return group.latency + payload / group.link_bw


def all_gather(group: Group, payload: Scalar) -> Scalar:
    r"""Time until every chip has all parts of ``payload`` bytes, sent straight to each [s].

    .. math:: \alpha + (n - 1)\,p/(n\,w)

    A chip starts with :math:`p/n` bytes and receives the rest. A reduce-scatter, the same sends
    backwards, takes as long.
    """
    return group.latency + _others_share(group) * payload / group.link_bw


def all_to_all(group: Group, payload: Scalar) -> Scalar:
    r"""Time until each chip's ``payload`` bytes have reached the chips they are for [s].

    .. math:: \alpha + (n - 1)\,p/(n\,w)

    The payload is spread evenly over all chips, and a chip keeps its own share.
    """
    return group.latency + _others_share(group) * payload / group.link_bw


def ring_all_gather(group: Group, payload: Scalar) -> Scalar:
    r"""Time of an all-gather that passes each part on from neighbour to neighbour [s].

    .. math:: (n - 1)\,(\alpha + p/(n\,w))
    """
    return (group.size - 1.0) * point_to_point(group, payload / group.size)


def one_shot_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time of an all-reduce in which every chip sends its all to every other [s].

    .. math:: \alpha + (n - 1)\,p/w

    Without a payload it is the paper's constant.
    """
    return group.latency + (group.size - 1.0) * payload / group.link_bw


def two_shot_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time of a reduce-scatter and an all-gather, each sent straight [s].

    .. math:: 2\,\alpha + 2\,(n - 1)\,p/(n\,w)
    """
    return 2.0 * all_gather(group, payload)


def ring_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time of a reduce-scatter and an all-gather around a ring [s].

    .. math:: 2\,(n - 1)\,(\alpha + p/(n\,w))
    """
    return 2.0 * ring_all_gather(group, payload)


def tree_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time to reduce up a binary tree and to broadcast down it, round by round [s].

    .. math:: 2\,\lceil \log_2 n \rceil\,(\alpha + p/w)

    Unpipelined. The number of rounds jumps just above each power of two, at which it is that of the
    left side; it does not vary in between, so that the derivative by the size is 0.
    """
    return 2.0 * ceil_log2(group.size) * point_to_point(group, payload)


def in_network_all_reduce(group: Group, payload: Scalar) -> Scalar:
    r"""Time of a sum taken in the switch while the payload streams through it [s].

    .. math:: 2\,\alpha + p/w
    """
    return group.latency + point_to_point(group, payload)


ALL_REDUCES: Mapping[str, Callable[[Group, Scalar], Scalar]] = {
    "one-shot": one_shot_all_reduce,
    "two-shot": two_shot_all_reduce,
    "ring": ring_all_reduce,
    "tree": tree_all_reduce,
    "in-network": in_network_all_reduce,
}
"""Algorithms of an all-reduce by name."""


def best_all_reduce(group: Group, payload: Scalar) -> Scalar:
    """Time of the quickest algorithm [s]; where two tie the derivative is the mean of theirs."""
    times = (all_reduce(group, payload) for all_reduce in ALL_REDUCES.values())
    return functools.reduce(jnp.minimum, times)


def ceil_log2(size: Scalar) -> Scalar:
    r"""Rounds in which a group doubles to its size: :math:`\lceil \log_2 n \rceil` [1].

    Read off the float's exponent: a logarithm of 8 may come out as a hair more than 3.
    """
    mantissa, exponent = jnp.frexp(size)  # size = mantissa * 2^exponent, mantissa in [0.5, 1)
    return exponent.astype(mantissa.dtype) - jnp.where(mantissa > 0.5, 0.0, 1.0)


def _others_share(group: Group) -> Scalar:
    """The share of a payload that is not a chip's own: (n - 1)/n [1]."""
    return (group.size - 1.0) / group.size
