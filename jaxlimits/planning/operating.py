"""Operating points of machines, for the bound: decode, prompts, and both in one step."""

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np

from jaxlimits.planning.bound import Points
from jaxlimits.planning.machine_grids import MachineGrid
from jaxlimits.planning.systems import EVERY_BATCH, Prompts
from jaxlimits.planning.workload import Workload


def operating_points(
    grid: MachineGrid,
    tried: np.ndarray,
    prompts: Prompts,
    workload: Workload,
    objective: str,
    *,
    limit: float = math.inf,
) -> Iterator[Points]:
    """Yield points of decode alone, of prompts alone, and of both where both resources bind.

    A batch above :data:`EVERY_BATCH` stands for those up to the next one: with its own time and
    users, and the answers of the largest of them, which bounds all from above.

    Parameters
    ----------
    grid, tried
        As :func:`decode_grid`.
    prompts, workload
        What is prefilled, and the lengths of answers.
    objective
        The metric that is minimised.
    limit
        Time of a token that a request may ask for [s]: points with as many prompts as keep it are
        there too.
    """
    shares = np.array(workload.shares)
    with np.errstate(invalid="ignore", divide="ignore"):
        memory, compute = prompts.memory @ shares, prompts.compute @ shares
        ttft = np.min(prompts.ttft, axis=-1)
        alone = prompts.lanes / np.maximum(memory, compute)
    gain = largest_of_each(tried)
    for block in grid.blocks():
        chips, layouts, batch = np.broadcast_arrays(*block.places)
        machine = (chips, layouts)
        of = _Block(
            found=block.arrays,
            cost=block.arrays[objective],
            answers=gain[batch] * block.arrays["stps"] / workload.mean_output_len,
            more=(memory[machine], compute[machine]),
            lanes=prompts.lanes[layouts],
            ttft=ttft[machine],
            number=np.ravel_multi_index((chips, layouts, batch), grid.shape).astype(float),
        )
        yield of.decoding()
        yield of.prefilling(alone[machine], where=batch == 0)
        yield of.doing_both()
        if math.isfinite(limit):
            yield of.doing_both(limit=limit)


def largest_of_each(tried: np.ndarray) -> np.ndarray:
    """Return the largest batch that each of those tried stands for, over itself [1]."""
    next_one = np.append(tried[1:] - 1.0, tried[-1])
    return np.where(tried >= EVERY_BATCH, np.maximum(next_one / tried, 1.0), 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """One block of decode steps, and what prompts would add to them.

    Parameters
    ----------
    found
        Metrics.
    cost, answers
        What a group costs, and answers that it finishes by time.
    more
        Memory and compute time that one prompt adds to a step [s].
    lanes, ttft
        Micro-batches in flight, and the least time to a first token.
    number
        Places in the grid.
    """

    found: Mapping[str, np.ndarray]
    cost: np.ndarray
    answers: np.ndarray
    more: tuple[np.ndarray, np.ndarray]
    lanes: np.ndarray
    ttft: np.ndarray
    number: np.ndarray

    def decoding(self) -> Points:
        """Decode steps alone."""
        fits = np.isfinite(self.found["t_step"])
        return self._points(
            fits, answers=self.answers, users=self.found["users"], tpot=self._token_time()
        )

    def prefilling(self, rate: np.ndarray, *, where: np.ndarray) -> Points:
        """Prompts alone, so many in a second, the weights read for all of them together."""
        fits = where & np.isfinite(rate) & np.isfinite(self.ttft)
        return self._points(fits, prompts=rate)

    def doing_both(self, *, limit: float = math.inf) -> Points:
        """Decode steps with as many prompts as make memory and compute take the same time.

        More of them cost what prompts alone cost. Where a token may take no longer than a limit,
        the prompts are as many as keep it, if these are fewer.
        """
        step, waits = self.found["t_step"], self.found["t_sync"]
        times = np.stack([self.found["t_mem"], self.found["t_compute"]])
        more = np.stack(self.more)
        slow = (times[1] > times[0]).astype(int)[None]
        longer, shorter = (np.take_along_axis(times, side, 0)[0] for side in (slow, 1 - slow))
        added, filling = (np.take_along_axis(more, side, 0)[0] for side in (slow, 1 - slow))
        tokens = self._token_time()
        with np.errstate(invalid="ignore", divide="ignore"):
            count = (longer - shorter) / (filling - added)
            room = (limit * step / tokens - waits - longer) / added
        count = np.where(room < count, room, count) if math.isfinite(limit) else count
        fits = np.isfinite(step) & np.isfinite(count) & (count > 0.0) & np.isfinite(self.ttft)
        whole = longer + np.where(fits, count, 0.0) * added + waits
        return self._points(
            fits,
            answers=self.answers * step / whole,
            prompts=self.lanes * count / whole,
            users=self.found["users"],
            tpot=tokens * whole / step,
        )

    def _token_time(self) -> np.ndarray:
        return self.found["users"] / self.found["stps"]

    def _points(self, chosen: np.ndarray, **values: np.ndarray) -> Points:
        nothing = np.zeros_like(self.number)
        given = {"answers": nothing, "prompts": nothing, "users": nothing, "tpot": nothing}
        own = {"cost": self.cost, "ttft": self.ttft, "places": self.number}
        whole = {**given, **own, **values}
        priced = chosen & np.isfinite(self.cost)  # a chip may state no power, or no price
        return Points(**{name: np.asarray(array)[priced] for name, array in whole.items()})
