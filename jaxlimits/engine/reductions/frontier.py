"""The Pareto frontier: the points that no other point exceeds in every metric."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pydantic

from jaxlimits.engine.asked import Asked
from jaxlimits.engine.counted import Counted, Traced
from jaxlimits.engine.reduction import Arrays, Reduction, Swept
from jaxlimits.engine.winners import WinnerKeys, winner_names, winners
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan

_LEADERS = 64
"""Points of a chunk against which all its others are held."""

_GROUP = 256
"""Points that are held against the leaders together, at least, where a chunk has so many."""


class FrontierKeys(WinnerKeys):
    """Keys of ``frontier``."""

    minimise: list[str] = pydantic.Field(
        default_factory=list,
        description="The metrics of `of` to minimise; the others are maximised.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frontier(Reduction):
    """Exact Pareto frontier of two or three metrics over the whole grid.

    On the device a chunk is searched in groups of neighbouring points. A group is dropped when one
    of a few good points, the leaders, beats the best that the group has in each metric; the points
    of the others are held against the leaders one by one. What survives is few, is sent whole, and
    is filtered exactly on the host. Where more survive than there is room for, the chunk is reduced
    again with more.
    """

    minimise: tuple[str, ...] = ()
    groups: int = 64
    room: int = 4096

    ops = ("frontier",)
    keeps = "the exact Pareto frontier of two or three metrics"
    keys = FrontierKeys
    reduces = "the whole grid"
    num_metrics = (2, 3)
    adds = "point"
    grows = True

    @classmethod
    def read(cls, asked: Asked, keys: FrontierKeys) -> "Frontier":
        minimise = asked.metrics(keys.minimise)
        stray = sorted(set(minimise) - set(asked.of))
        if stray:
            raise asked.error(f"minimises {', '.join(stray)}, which it does not reduce")
        return cls(**asked.common, also=asked.metrics(keys.also), minimise=minimise)

    @property
    def signs(self) -> tuple[float, ...]:
        """For each metric 1 where more of it is better, else -1."""
        return tuple(-1.0 if name in self.minimise else 1.0 for name in self.of)

    def local(self, chunk: Counted) -> Traced:
        columns = [sign * chunk.whole(name) for name, sign in zip(self.of, self.signs, strict=True)]
        counts = ~jnp.isnan(sum(columns[1:], start=columns[0]))
        length = group_length(columns[0].shape)
        filled = [jnp.where(counts, column, -jnp.inf).reshape(-1, length) for column in columns]
        number = len(filled[0])
        starts = length * jnp.arange(number, dtype=jnp.int32)
        leaders = _leaders(_samples(filled, starts))

        corners = _Points(jnp.stack([jnp.max(groups, axis=1) for groups in filled]), starts)
        some = _undominated(corners, leaders)
        chosen = _first_few(some, min(number, self.groups))

        inside = length * chosen[:, None] + jnp.arange(length, dtype=jnp.int32)[None, :]
        rows = jnp.minimum(chosen, number - 1)
        taken = _Points(jnp.stack([groups[rows].ravel() for groups in filled]), inside.ravel())
        alive = _undominated(taken, leaders) & (taken.places < number * length)
        place = _first_few(alive, min(alive.size, self.room))
        return {
            **{f"metric{i}": column[place] for i, column in enumerate(taken.metrics)},
            "index": taken.places.at[place].get(mode="fill", fill_value=-1),
            "groups": jnp.sum(some, dtype=jnp.int32),
            "points": jnp.sum(alive, dtype=jnp.int32),
        }

    def enlarged(self, part: Arrays) -> "Frontier | None":
        if part["groups"] > self.groups:
            return dataclasses.replace(self, groups=_larger(self.groups, part["groups"]))
        if part["points"] > self.room:
            return dataclasses.replace(self, room=_larger(self.room, part["points"]))
        return None

    def start(self, shape: tuple[int, ...]) -> Arrays:
        del shape  # the frontier is of the whole grid
        empty = {f"metric{i}": np.empty(0) for i in range(len(self.of))}
        return {**empty, "index": np.empty(0, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        valid = part["index"] >= 0
        index = self.global_index(part["index"][valid], plan, key)
        points = [part[f"metric{i}"][valid].astype(np.float64) for i in range(len(self.of))]
        for i, column in enumerate(points):
            state[f"metric{i}"] = np.concatenate([state[f"metric{i}"], column])
        state["index"] = np.concatenate([state["index"], index])
        kept = undominated(
            np.stack([state[f"metric{i}"] for i in range(len(self.of))]), state["index"]
        )
        for name in state:
            state[name] = state[name][kept]

    def variables(self, axes: Iterable[str]) -> set[str]:
        metrics = {f"{self.name}_{metric}" for metric in self.of}
        return super().variables(axes) | metrics | winner_names(self, axes)

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        dims = (self.dimension,)
        metrics = [
            Finding(
                name=f"{self.name}_{metric}",
                dims=dims,
                values=sign * state[f"metric{i}"],
                quantity=metric,
                meaning=metric,
            )
            for i, (metric, sign) in enumerate(zip(self.of, self.signs, strict=True))
        ]
        return [*metrics, *winners(self, state["index"], swept, dims)]


def group_length(shape: tuple[int, ...]) -> int:
    """Return how many neighbouring points of a chunk make a group.

    The last axes together, as few of them as give a group its least size: along an axis metrics
    mostly rise or fall, so that one point of a group is nearly the best in every metric.
    """
    length = 1
    for size in reversed(shape):
        length *= size
        if length >= _GROUP:
            break
    return length


class _Points(NamedTuple):
    """Some points of a chunk, all metrics maximised.

    Parameters
    ----------
    metrics
        A row for each; minus infinity where a point does not count.
    places
        Position of each in the chunk; of a group, that of its first point.
    """

    metrics: jax.Array
    places: jax.Array

    def at(self, chosen: jax.Array | slice) -> "_Points":
        """Take some of the points."""
        return _Points(self.metrics[:, chosen], self.places[chosen])


def _samples(groups: list[jax.Array], starts: jax.Array) -> _Points:
    """First, middle and last point of every group."""
    length = groups[0].shape[1]
    places = np.array([0, length // 2, length - 1])
    metrics = jnp.stack([columns[:, places].ravel() for columns in groups])
    return _Points(metrics, (starts[:, None] + places.astype(np.int32)[None, :]).ravel())


def _leaders(points: _Points) -> _Points:
    """A few of the points that beat most of the others."""
    first = points.at(slice(None, None, -(-len(points.places) // _LEADERS)))
    second = points.at(_spread(_undominated(points, first), 4 * _LEADERS))
    return second.at(_spread(_undominated(second, second), _LEADERS))


def _spread(chosen: jax.Array, number: int) -> jax.Array:
    """Positions of a number of the chosen, evenly spread, some of them twice if these are fewer."""
    rank = jnp.cumsum(chosen, dtype=jnp.int32)
    wanted = 1 + (rank[-1] - 1) * jnp.arange(number, dtype=jnp.int32) // (number - 1)
    return jax.lax.platform_dependent(
        rank,
        wanted,
        cpu=lambda rank, wanted: jnp.searchsorted(rank, wanted).astype(jnp.int32),
        # A search in steps is a line of small kernels there.
        default=lambda rank, wanted: jnp.sum(
            rank[None, :] < wanted[:, None], axis=1, dtype=jnp.int32
        ),
    )


def _first_few(chosen: jax.Array, number: int) -> jax.Array:
    """Positions of the first of the chosen, and the length where there are fewer.

    Each of them is written at its rank, which takes fewer kernels than :func:`jax.numpy.nonzero`.
    """
    length = len(chosen)
    # Unsigned, or the scatter is not fused with what finds the ranks.
    rank = jnp.cumsum(chosen, dtype=jnp.uint32) - 1
    places = jnp.arange(length, dtype=jnp.uint32)
    at = jnp.where(chosen, rank, length + places)  # beyond the end, where nothing is written
    found = jnp.full(number, length, jnp.int32)
    return found.at[at].set(places.astype(jnp.int32), mode="drop", unique_indices=True)


def _undominated(points: _Points, leaders: _Points) -> jax.Array:
    """Whether points count and no leader beats them, or equals them and comes before."""
    beaten = jax.lax.platform_dependent(
        points, leaders, cpu=_beaten_by_each, default=_beaten_by_any
    )
    return ~beaten & (points.metrics[0] > -jnp.inf)


def _beats(leader: _Points, points: _Points) -> jax.Array:
    """Whether leaders beat points, or equal them and come before; both broadcast."""
    as_good = jnp.all(leader.metrics >= points.metrics, axis=0)
    better = jnp.any(leader.metrics > points.metrics, axis=0)
    return as_good & (better | (leader.places < points.places))


def _beaten_by_each(points: _Points, leaders: _Points) -> jax.Array:
    """Whether any leader beats each point: one leader after another, as a CPU does it soonest."""

    def against(beaten: jax.Array, leader: _Points) -> tuple[jax.Array, None]:
        one = _Points(leader.metrics[:, None], leader.places)
        return beaten | _beats(one, points), None

    none = jnp.zeros(points.places.shape, bool)
    each = _Points(leaders.metrics.T, leaders.places)
    beaten, _ = jax.lax.scan(against, none, each, unroll=8)
    return beaten


def _beaten_by_any(points: _Points, leaders: _Points) -> jax.Array:
    """As :func:`_beaten_by_each`, all leaders in one kernel of an accelerator."""
    every = _Points(leaders.metrics[:, :, None], leaders.places[:, None])
    each = _Points(points.metrics[:, None, :], points.places[None, :])
    return jnp.any(_beats(every, each), axis=0)


def _larger(room: int, needed: np.ndarray) -> int:
    """Room for what is needed, in steps of four, since every step is one more compile."""
    while room < needed:
        room *= 4
    return room


def undominated(points: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the positions of the points that no other point dominates, all metrics maximised.

    Of points that are equal in all metrics the one with the lowest ``order`` stays.

    Parameters
    ----------
    points
        Metrics by points.
    order
        Position of each point in the grid.
    """
    sequence = np.lexsort((order, *(-points[::-1])))
    if len(points) == 2:
        second = points[1, sequence]
        before = np.concatenate([[-np.inf], np.maximum.accumulate(second)[:-1]])
        return sequence[second > before]
    kept: list[int] = []
    front = np.empty((len(points) - 1, 0))
    for candidate in sequence:
        rest = points[1:, candidate][:, None]
        if not np.any(np.all(front >= rest, axis=0)):
            kept.append(candidate)
            front = np.concatenate([front[:, ~np.all(front <= rest, axis=0)], rest], axis=1)
    return np.asarray(kept, dtype=np.int64)
