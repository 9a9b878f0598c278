"""Links: the rate at which a chip sends, and whether its collectives move a payload over them."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar
from jaxlimits.model.chip import UNSTATED_LINK_BW, Chip
from jaxlimits.model.deployment import Deployment

_Time = TypeVar("_Time")


def link_rate(chip: Chip, deployment: Deployment) -> Scalar:
    """One-way rate of one chip's links together, above 0 whether it is stated or not [B/s] (ours).

    Where it is not stated it does not vary with the field.
    """
    if not deployment.unstated_links:
        return chip.link_bw
    if not deployment.stated_links:
        return UNSTATED_LINK_BW
    # Links that are not stated have a rate all the same: a division by 0 in the branch that is
    # not taken would make the gradient NaN.
    return jnp.where(states_links(chip), chip.link_bw, UNSTATED_LINK_BW)


def states_links(chip: Chip) -> Flag:
    """Whether the chip states the rate of its links."""
    return chip.link_bw > 0.0


def by_algorithm(
    chip: Chip,
    deployment: Deployment,
    constant: _Time,
    of_payload: Callable[[], _Time],
) -> _Time:
    """Time of an exchange: a constant, or what its payload takes.

    ``auto``, the default of ``collective_algorithm``, is ``best`` for a chip that states the rate
    of its links and ``constant`` for one that does not: by value, so that one program serves both
    (ours).

    Parameters
    ----------
    constant
        Time under ``constant``.
    of_payload
        Time under every other algorithm, ``best`` for ``auto``.
    """
    algorithm = deployment.collective_algorithm
    if algorithm == "constant" or (algorithm == "auto" and not deployment.stated_links):
        return constant
    if algorithm != "auto" or not deployment.unstated_links:
        return of_payload()
    stated = states_links(chip)
    return jax.tree.map(lambda one, other: jnp.where(stated, one, other), of_payload(), constant)


def quickest_of_all(deployment: Deployment) -> bool:
    """Whether the quickest algorithm is taken of all that have a path."""
    return deployment.collective_algorithm in ("auto", "best")
