r"""Topology: how the chips of a collective are joined, and how long it then takes.

A topology is one to three levels, each a :class:`~jaxlimits.model.alpha_beta.Group`: a mesh or a
torus its columns, its rows and in three dimensions its planes, a rail-optimised cluster its
scale-up domains and the rails. A collective goes through the levels one after another: in a mesh or
a torus dimension by dimension. Where it begins with a reduce-scatter (or
ends with an all-gather) each chip has only its part of the payload at the next level.

All of it is ours, beside the paper's constant; see :mod:`jaxlimits.model.alpha_beta`.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar
from jaxlimits.model import alpha_beta
from jaxlimits.model.alpha_beta import Group
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.links import link_rate
from jaxlimits.model.whole import ceil_quotient, divides, quotient

DIMENSIONS = {"mesh-2d": 2, "torus-2d": 2, "torus-3d": 3, "wafer-mesh": 2}
"""Topologies with sides, and how many. A chip has two links in each dimension, among which its
``link_bw`` divides; at an edge some lie idle."""

_SIDES = tuple(2.0**exponent for exponent in range(9))
"""Numbers of rows that a mesh is given by itself, up to 256 x 256 chips."""

_PARTED = {"all-reduce": ("two-shot", "ring"), "all-gather": ("one-shot", "ring", "tree")}
"""Algorithms that leave each chip with a part of the payload for the next level."""

OPERATIONS: Mapping[str, Mapping[str, Callable[[Group, Scalar], Scalar]]] = {
    "all-reduce": alpha_beta.ALL_REDUCES,
    "all-gather": alpha_beta.ALL_GATHERS,
    "all-to-all": alpha_beta.ALL_TO_ALLS,
}
"""Collectives by name, and the algorithms of each."""


class Exposed(eqx.Module):
    """A time and its two parts [s]; ``total`` is their sum up to rounding."""

    total: Scalar
    latency: Scalar
    payload: Scalar

    def __add__(self, other: "Exposed") -> "Exposed":
        """One after another."""
        return jax.tree.map(operator.add, self, other)

    def times(self, count: Scalar, *, where: Flag = True) -> "Exposed":
        """So often, and nothing unless ``where``."""
        return jax.tree.map(lambda time: count * time, self).where(where)

    def where(self, condition: Flag) -> "Exposed":
        """Nothing unless a condition holds."""
        return jax.tree.map(lambda time: jnp.where(condition, time, 0.0), self)


def constant(latency: Scalar) -> Exposed:
    """A time that no payload changes."""
    return Exposed(total=latency, latency=latency, payload=0.0)


def group_levels(
    chip: Chip, deployment: Deployment, *, size: Scalar, chips: Scalar, latency: Scalar
) -> tuple[Group, ...]:
    r"""Levels of the network among the ``size`` members of a group that spans ``chips`` chips.

    ``switched``: one level. ``rail``: the fewest domains of ``scale_up_size`` chips that hold the
    group, members spread evenly, and the rails that join each chip with its likes in the other
    domains. ``mesh-2d``, ``wafer-mesh``, ``torus-2d``, ``torus-3d``: lines, or loops, along each of
    :func:`mesh_sides` in turn.

    Parameters
    ----------
    latency
        Exposed latency of one message inside a domain, or to a neighbour [s].
    """
    rate = link_rate(chip, deployment)
    if deployment.topology == "switched":
        return (Group(size=size, latency=latency, link_bw=rate),)
    if deployment.topology == "rail":
        domains = jnp.minimum(ceil_quotient(chips, chip.scale_up_size), size)
        inside = Group(size=quotient(size, domains), latency=latency, link_bw=rate)
        rails = Group(size=domains, latency=chip.scale_out_latency, link_bw=chip.scale_out_bw)
        return inside, rails
    sides = mesh_sides(deployment, size=size)
    return tuple(_side(chip, deployment, size=side, latency=latency) for side in sides)


def mesh_sides(deployment: Deployment, *, size: Scalar) -> tuple[Scalar, ...]:
    r"""Columns, rows and in three dimensions planes in which a group lies in a mesh or torus [1].

    Rows are the field ``mesh_rows`` where it is set (and divides the size); otherwise the largest
    power of two that divides the size and is at most its root, in three dimensions its cube root:
    2 x 2, 2 x 4, 4 x 4, 1 x 7; 2 x 2 x 2, 4 x 4 x 4. What is left over lies as near to a square.
    """
    dimensions = DIMENSIONS[deployment.topology]
    asked = jnp.maximum(deployment.mesh_rows, 1.0)
    given = (deployment.mesh_rows > 0.0) & divides(asked, size)
    rows = jnp.where(given, asked, _even_side(size, dimensions))
    rest = quotient(size, rows)
    if dimensions == 2:
        return rest, rows
    planes = _even_side(rest, 2)
    return quotient(rest, planes), rows, planes


def _even_side(size: Scalar, dimensions: int) -> Scalar:
    """The largest power of two that divides a size and is at most its root of that order [1]."""
    sides = jnp.array(_SIDES)
    # A power of two has an exact reciprocal, so that this remainder is right on any device.
    fits = (jnp.mod(size, sides) == 0.0) & (sides**dimensions <= size)
    return jnp.max(jnp.where(fits, sides, 1.0))


def hops_between_stages(chip: Chip, deployment: Deployment, payload: Scalar) -> Exposed:
    """Time of all hops of a step between pipeline stages, by topology [s].

    Each chip sends to its like in the next stage: through the switch; over the rails where the
    stages lie in different domains; in a mesh past as many chips as a stage's shortest side has,
    for stages lie side by side.
    """
    hops = deployment.pp_size - 1.0
    inside = _sent(chip, deployment, payload, size=deployment.tp_size)
    if deployment.topology != "rail":
        return inside.times(hops)
    chips = deployment.tp_size * deployment.pp_size
    across = jnp.minimum(hops, ceil_quotient(chips, chip.scale_up_size) - 1.0)
    return inside.times(hops - across) + _sent_over_rails(chip, payload).times(across)


def sent_between(
    chip: Chip, deployment: Deployment, payload: Scalar, *, size: Scalar, chips: Scalar
) -> Exposed:
    """Time of a message from each chip of one group to chips of another, by topology [s].

    As a hop between stages; over the rails where one scale-up domain does not hold both groups.

    Parameters
    ----------
    payload
        What one chip sends or takes, whichever is more [B].
    size, chips
        Chips of the sending group, and of both [1].
    """
    inside = _sent(chip, deployment, payload, size=size)
    if deployment.topology != "rail":
        return inside
    outside = _sent_over_rails(chip, payload)
    across = chips > chip.scale_up_size
    return jax.tree.map(lambda one, other: jnp.where(across, one, other), outside, inside)


def _sent(chip: Chip, deployment: Deployment, payload: Scalar, *, size: Scalar) -> Exposed:
    """Time of one message to a neighbouring group of so many chips inside a domain [s]."""
    if deployment.topology not in DIMENSIONS:
        pair = Group(size=2.0, latency=chip.hop_latency, link_bw=link_rate(chip, deployment))
        return exposed(alpha_beta.point_to_point, pair, payload)
    shortest = functools.reduce(jnp.minimum, mesh_sides(deployment, size=size))
    line = _side(chip, deployment, size=2.0, latency=chip.hop_latency)
    return exposed(functools.partial(alpha_beta.shift, hops=shortest), line, payload)


def _sent_over_rails(chip: Chip, payload: Scalar) -> Exposed:
    """Time of one message to a chip of another domain [s]."""
    ports = Group(size=2.0, latency=chip.scale_out_latency, link_bw=chip.scale_out_bw)
    return exposed(alpha_beta.point_to_point, ports, payload)


def collective_time(
    operation: str, algorithm: str, levels: Sequence[Group], payload: Scalar
) -> Exposed:
    """Time of one collective, level after level [s].

    Parameters
    ----------
    operation, algorithm
        A key of :data:`OPERATIONS` and of its value.
    levels
        As of :func:`group_levels`; a level of one chip takes no time.
    payload
        Bytes that each chip brings, or for an all-gather ends with [B].
    """
    form = OPERATIONS[operation][algorithm]
    times: list[Exposed] = []
    for level in levels:
        times.append(exposed(form, level, payload).where(level.size > 1.0))
        if algorithm in _PARTED.get(operation, ()):
            payload = payload / level.size
    return functools.reduce(operator.add, times)


def exposed(form: Callable[[Group, Scalar], Scalar], group: Group, payload: Scalar) -> Exposed:
    """Part a time in what it takes without a payload, and what it takes without any latency."""
    silent = dataclasses.replace(group, latency=0.0, router_latency=0.0)
    return Exposed(
        total=form(group, payload), latency=form(group, 0.0), payload=form(silent, payload)
    )


def least(candidates: Sequence[Exposed]) -> Exposed:
    """Return the quickest; where two tie the derivative of the total is the mean of theirs."""

    def quicker(one: Exposed, other: Exposed) -> Exposed:
        first = one.total <= other.total
        return Exposed(
            total=jnp.minimum(one.total, other.total),
            latency=jnp.where(first, one.latency, other.latency),
            payload=jnp.where(first, one.payload, other.payload),
        )

    return functools.reduce(quicker, candidates)


def _side(chip: Chip, deployment: Deployment, *, size: Scalar, latency: Scalar) -> Group:
    """One direction of a mesh or a torus."""
    return Group(
        size=size,
        latency=latency,
        link_bw=link_rate(chip, deployment) / (2.0 * DIMENSIONS[deployment.topology]),
        router_latency=chip.router_latency,
        shape="loop" if deployment.topology in ("torus-2d", "torus-3d") else "line",
    )
