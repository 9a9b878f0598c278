r"""Operating points of machines whose feed-forward parts lie on chips of their own, for the bound.

A step of a micro-batch of :math:`B` sequences keeps four resources of such a machine busy: the
chips of attention for :math:`t_A`, those of the feed-forward parts for :math:`t_F`, the links
between them for :math:`t_x`, and of the memory for caches, which holds :math:`\hat B` sequences, a
part for as long as the step lasts, :math:`t_C = \tau B/\hat B`. It lasts for
:math:`\tau = t_A + t_F + t_X` at least, the way of a micro-batch that waits for no other. None of
it depends on how many micro-batches are in flight.

Whatever a scheduler does, in the mean it begins :math:`n_B` steps of each batch in a second, and no
resource is busy for longer than there is time:

.. math:: \sum_B n_B\,t_k(B) \le \mathrm{pp} \quad\text{for each } k \in \{A, F, x, C\}

so that with any shares :math:`w_k \ge 0` that add up to 1

.. math:: \sum_B n_B\,t(B) \le \mathrm{pp}, \qquad t(B) = \sum_k w_k\,t_k(B).

A step so takes :math:`t(B)` of the time of a machine at least: an operating point of
:math:`\mathrm{pp}\,\mathrm{dp}\,B/t(B)` tokens in a second, each of which is in flight for
:math:`\tau`. It holds for any number of micro-batches in flight, equal or not. The longest
:math:`t_k` alone would not do: a small micro-batch that waits for weights of experts and a large
one that waits for caches fill each other's gaps.

All batches of one layout share its :math:`w`, and any :math:`w` gives a bound. The one that is
taken lets the layout give the fewest tokens by time at the batches whose :math:`\tau` keeps the
target of the time of a token. The least over all :math:`w` is what the best mixture of these
batches can give (duality); the shares that are tried are multiples of a quarter.

These machines decode; machines without such chips prefill for them: the model has no steps of
theirs that carry prompts. All of it is ours.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from jaxlimits.engine.masks import BUSY
from jaxlimits.planning.bound import Points
from jaxlimits.planning.machine_grids import Block, MachineGrid
from jaxlimits.planning.operating import largest_of_each
from jaxlimits.planning.systems import Machines, mean_decode
from jaxlimits.planning.workload import Workload

_PARTS = 4
_SHARES = np.array(
    [
        whole
        for whole in itertools.product(range(_PARTS + 1), repeat=len(BUSY) + 1)
        if sum(whole) == _PARTS
    ]
) / float(_PARTS)
"""Shares of the resources that are tried, a row each."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Steps of one micro-batch that waits for no other: arrays of machines, batches along the last.

    Parameters
    ----------
    busy
        For how long a step keeps each resource busy, resources along the first axis [s].
    way
        How long it lasts at least; NaN where one micro-batch does not fit [s].
    batch
        Sequences of the micro-batch, along the last axis.
    """

    busy: np.ndarray
    way: np.ndarray
    batch: np.ndarray

    def pace(self, *limits: float) -> np.ndarray:
        """The least time of a machine that a sequence's token takes, by shares [s].

        Parameters
        ----------
        *limits
            Times that a step may last [s].

        Returns
        -------
        numpy.ndarray
            Of limits, :data:`_SHARES` and machines; infinite where no batch keeps the limit.
        """
        least = np.empty((len(limits), len(_SHARES), *self.way.shape[:-1]))
        for place, shares in enumerate(_SHARES):
            token = self.taking(shares) / self.batch
            for number, limit in enumerate(limits):
                least[number, place] = np.where(self.way <= limit, token, np.inf).min(axis=-1)
        return least

    def taking(self, shares: np.ndarray) -> np.ndarray:
        """Time of a machine that a step takes, by shares along the last axis [s]."""
        return np.einsum("k...b,...k->...b", self.busy, shares)


def best_shares(paces: np.ndarray) -> np.ndarray:
    """Return for each machine the shares by which a token takes longest.

    Parameters
    ----------
    paces
        As :meth:`Steps.pace`: within the first limit that any batch of the machine keeps.
    """
    kept = np.isfinite(paces).argmax(axis=0)
    return _SHARES[np.take_along_axis(paces, kept[None], axis=0)[0].argmax(axis=0)]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Apart:
    """Machines that decode with feed-forward parts on chips of their own.

    Parameters
    ----------
    grid
        One micro-batch in flight, over chips, layouts and batches.
    tried
        The batches.
    objective
        The metric that is minimised.
    shares
        What each machine's resources count for, of chips, layouts and resources.
    """

    grid: MachineGrid
    tried: np.ndarray
    objective: str
    shares: np.ndarray

    def points(self, output_len: float, *, first: int) -> Iterator[Points]:
        """Yield the operating points.

        Parameters
        ----------
        output_len
            Tokens of an answer in the mean.
        first
            The number by which the first point is known.
        """
        gain = largest_of_each(self.tried)
        for block in self.grid.blocks():
            chips, layouts, batch = block.places
            yield points_of(
                _steps(block, self.tried),
                self.shares[chips[..., 0], layouts[..., 0]],
                users=block.arrays["users"],
                cost=block.arrays[self.objective],
                answers=gain[batch] / output_len,
                places=first + np.ravel_multi_index((chips, layouts, batch), self.grid.shape),
            )


def points_of(
    steps: Steps,
    shares: np.ndarray,
    *,
    users: np.ndarray,
    cost: np.ndarray,
    answers: np.ndarray,
    places: np.ndarray,
) -> Points:
    """Return the operating points of steps.

    Parameters
    ----------
    steps
        Steps of machines and batches.
    shares
        What each machine's resources count for, along the last axis.
    users
        Sequences of the machine that get a token where each of its stages has one such step.
    cost, places
        What the machine costs, and a number by which each point is known.
    answers
        Answers by token.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        tokens = users / steps.taking(shares)
    fits = np.isfinite(steps.way) & np.isfinite(cost)
    nothing = np.zeros_like(tokens)
    whole = {
        "cost": cost,
        "answers": tokens * answers,
        "prompts": nothing,
        "users": tokens * steps.way,
        "tpot": steps.way,
        "ttft": nothing,
        "places": nothing + places,
    }
    return Points(**{name: array[fits] for name, array in whole.items()})


def machines_apart(
    machines: Machines, workload: Workload, *, tried: np.ndarray, objective: str, limit: float
) -> Apart | None:
    """Evaluate which resource holds each machine up; none where there is no such machine.

    Parameters
    ----------
    machines
        All machines.
    tried, objective
        Batches, and the metric that is minimised.
    limit
        The target of the time of a token; infinite without one [s].
    """
    layouts = dict.fromkeys(each._replace(ffn_micro_batches=1) for each in machines.apart.layouts)
    if not layouts:
        return None
    grid = dataclasses.replace(machines, layouts=tuple(layouts)).grid(
        (*BUSY, "t_step", "users", "batch_capacity", objective),
        axes={"batch_size": tried.tolist()},
        base={**mean_decode(workload), "roofline": "step"},
    )
    paces = np.full((2, len(_SHARES), *grid.shape[:2]), np.inf)
    for block in grid.blocks():
        part = paces[..., block.chips[:, None], block.layouts]
        here = np.minimum(part, _steps(block, tried).pace(limit, np.inf))
        paces[..., block.chips[:, None], block.layouts] = here
    return Apart(grid=grid, tried=tried, objective=objective, shares=best_shares(paces))


def _steps(block: Block, tried: np.ndarray) -> Steps:
    """Steps of a block of such machines with one micro-batch in flight."""
    found, batch = block.arrays, tried[block.rest[0]]
    with np.errstate(invalid="ignore", divide="ignore"):
        held = found["t_step"] * batch / found["batch_capacity"]
    busy = np.stack([*(found[name] for name in BUSY), held])
    return Steps(busy=busy, way=found["t_step"], batch=batch)
