"""The standard deviation of a metric."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.by_row import Arrays, ByRow, Row, State
from jaxlimits.engine.counted import Counted, Traced, number
from jaxlimits.engine.reduction import Reduction, Swept
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Std(Reduction):
    r"""Standard deviation of all points that count, as a population.

    A chunk gives its count, its mean and the sum of squares about that mean; two of these are
    merged by

    .. math:: S = S_a + S_b + (m_b - m_a)^2\,\frac{n_a n_b}{n_a + n_b}

    so that no large sums are subtracted from each other.

    References
    ----------
    Chan, Golub, LeVeque: Algorithms for computing the sample variance, 1983 (published).
    """

    ops = ("std",)
    keeps = "the standard deviation (of the population)"

    def local(self, chunk: Counted) -> Traced:
        (name,) = self.of
        values = chunk.thin(name, self.over)
        counts = ~jnp.isnan(values)
        values = jnp.where(counts, values, 0.0)
        count = number(counts, self.over)
        total = jnp.sum(values, axis=self.over, keepdims=True)
        mean = total / jnp.maximum(count, 1).reshape(total.shape).astype(total.dtype)
        # In shares of the largest value, whose square float32 might not hold.
        largest = jnp.max(jnp.abs(values), axis=self.over, keepdims=True)
        scale = jnp.where(largest > 0.0, largest, 1.0)
        apart = jnp.where(counts, (values - mean) / scale, 0.0)
        times = chunk.times(self.over, name)
        part = {
            "count": times * count,
            "mean": mean,
            "scale": scale,
            "rest": times.astype(total.dtype) * jnp.sum(apart, axis=self.over),
            "squares": times.astype(total.dtype) * jnp.sum(apart**2, axis=self.over),
        }
        return {field: array.ravel() for field, array in part.items()}

    def by_row(self, _dtype: np.dtype, /) -> ByRow:
        state = {name: State(0.0, np.float64) for name in ("rest", "squares")}
        state |= {"first": State(np.nan, np.float64), "count": State(0, np.int32)}
        return ByRow(step=_add_squares, state=state, fold=_about_mean)

    def start(self, shape: tuple[int, ...]) -> Arrays:
        kept = self.kept_shape(shape)
        return {field: np.zeros(kept) for field in ("count", "mean", "squares")}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        count, mean, scale, rest, squares = (
            self.inside(part[field], plan, key).astype(np.float64)
            for field in ("count", "mean", "scale", "rest", "squares")
        )
        # The deviations sum to what the device lost when it rounded the mean.
        lost = rest / np.maximum(count, 1.0)
        squares = scale**2 * np.maximum(squares - rest * lost, 0.0)
        apart = mean + scale * lost - state["mean"][place]
        before = state["count"][place]
        share = count / np.maximum(before + count, 1.0)
        state["squares"][place] += squares + apart**2 * before * share
        state["mean"][place] += apart * share
        state["count"][place] += count

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        std = np.sqrt(state["squares"] / np.maximum(state["count"], 1.0))
        values = np.where(state["count"] > 0, std, np.nan)
        return [self.summary("standard deviation", values, swept)]


def _add_squares(
    values: np.ndarray,
    _: Row,
    rest: np.ndarray,
    squares: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
) -> None:
    """Add deviations from the first value that counts, and their squares, in float64."""
    for i in range(values.size):
        value = np.float64(values[i])
        first[i] = value if np.isnan(first[i]) else first[i]
        apart = value - first[i] if ~np.isnan(value) else 0.0
        rest[i] += apart
        squares[i] += apart * apart
        count[i] += ~np.isnan(value)


def _about_mean(_places: np.ndarray, state: Arrays) -> Arrays:
    """Merge the lanes by the formula of :class:`Std`; nothing is left to scale."""
    count = state["count"]
    total = count.sum(axis=1)
    lost = state["rest"] / np.maximum(count, 1)
    means = np.where(count > 0, state["first"] + lost, 0.0)
    mean = (count * means).sum(axis=1) / np.maximum(total, 1)
    squares = np.maximum(state["squares"] - state["rest"] * lost, 0.0)
    apart = count * (means - mean[:, None]) ** 2
    return {
        "count": total,
        "mean": mean,
        "scale": np.ones_like(mean),
        "rest": np.zeros_like(mean),
        "squares": (squares + apart).sum(axis=1),
    }
