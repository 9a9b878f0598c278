"""The mean step of a server: some steps carry a whole chunk of a prompt, the others none."""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax

from jaxlimits._types import Scalar
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.overlay import OverlayParts, OverlayTimes, timed

_Told = TypeVar("_Told")


class MeanParts(eqx.Module):
    """What steps of two kinds consist of, and how many are of the second.

    Parameters
    ----------
    alone, carrying
        Steps that decode, and steps that carry prompts beside.
    share
        Share of the latter among all steps [1].
    """

    alone: OverlayParts
    carrying: OverlayParts
    share: Scalar


def mean_of(consists: MeanParts, of_one: Callable[[OverlayParts], _Told]) -> _Told:
    """Mean over all steps of numbers that are told of a step of each kind."""
    kinds = of_one(consists.alone), of_one(consists.carrying)
    return jax.tree.map(lambda own, other: own + consists.share * (other - own), *kinds)


def mean_times(consists: MeanParts, calibration: Calibration) -> OverlayTimes:
    """Times of the mean step with the constants of an engine, part by part [s]."""
    return mean_of(consists, lambda step: timed(step, calibration))
