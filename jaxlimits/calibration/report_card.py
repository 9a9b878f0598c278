"""The report card of a fit: how it predicts what it has not seen, and beside what.

Every figure is of the same rows, those of plain decode, but for those of other tools, which are
published ones on data of their own.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.calibration.calibrate import Calibrated, engine_values
from jaxlimits.calibration.cases import Rows, choose_fabrics
from jaxlimits.calibration.left_out import KNOWN, LEVELS
from jaxlimits.calibration.mean_step import MeanParts, mean_of
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.calibration.paper_form import left_out_of_paper_form
from jaxlimits.calibration.report import mean_error, predicted
from jaxlimits.calibration.sample import SPLITS, Sample, take_sample
from jaxlimits.calibration.selection import PROMPTS, Selection
from jaxlimits.catalog.loader import Catalog
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.overlay import OverlayParts, streaming_times, timed

PUBLISHED: Mapping[str, str] = {
    "SynPerf": "8.5 % of kernels' times over eleven GPUs",
    "BLIS": "6.7 % of serving latencies, its coefficients fitted per system",
    "KernelSight-LM": "12.8 % of kernels' times on GPUs that it has not seen",
}
"""Published mean errors of other tools, on other data than these rows."""

WORST = 10
"""Systems that are named."""

_EVEN, _MUCH = 1.0, 8.0
_CONTRADICTED = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SplitRow:
    """What one split shows.

    Parameters
    ----------
    split, meaning
        Its name, and what its left-out rows stand for.
    groups
        How many.
    error, paper
        Mean absolute error of the time, and that of the paper's form in the same split [1].
    coverage
        Share of the rows within the interval of the other groups, by level [1].
    coverage_errors
        Standard error of that share, by level [1].
    by_group
        Error by group [1].
    """

    split: str
    meaning: str
    groups: int
    error: float
    paper: float
    coverage: Mapping[float, float]
    coverage_errors: Mapping[float, float]
    by_group: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OtherRows:
    """Rows that were not fitted, since prompts set their time.

    Parameters
    ----------
    name, rows
        Which, and how many.
    error, bias, inside
        Mean absolute error and mean error of the logarithm of the time, and the share within the
        95 % interval [1].
    """

    name: str
    rows: int
    error: float
    bias: float
    inside: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Worst:
    """A system that is predicted badly from the others.

    Parameters
    ----------
    system, rows
        Which, and how many rows.
    error, bias
        Mean absolute error, and mean error of the time [1].
    cause
        The likely reason.
    """

    system: str
    rows: int
    error: float
    bias: float
    cause: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A report card.

    Parameters
    ----------
    rows, in_sample, limit, paper
        Rows of the fit, and mean errors over them: its own, the limit's, the paper's form's [1].
    splits, others, worst
        What was left out, what was not fitted, and the worst systems.
    left_out
        Rows that are not plain decode, by the reason.
    """

    rows: int
    in_sample: float
    limit: float
    paper: float
    splits: Sequence[SplitRow]
    others: Sequence[OtherRows]
    worst: Sequence[Worst]
    left_out: Mapping[str, int]


def report_card(fitted: Calibrated, selection: Selection, catalog: Catalog) -> Card:
    """Make the report card of a fit.

    Parameters
    ----------
    fitted
        The fit.
    selection
        Its rows, and those that were left out.
    catalog
        Where the latter's names are looked up.
    """
    errors = fitted.report.errors
    return Card(
        rows=len(fitted.report.measurements),
        in_sample=errors.calibrated,
        limit=errors.limit,
        paper=errors.paper,
        splits=[_split(fitted, name) for name in SPLITS if name in fitted.intervals.splits],
        others=_others(fitted, selection.because(PROMPTS), catalog),
        worst=_worst(fitted),
        left_out=selection.reasons,
    )


def _split(fitted: Calibrated, name: str) -> SplitRow:
    found, times = fitted.intervals.splits[name], fitted.sample.times
    return SplitRow(
        split=name,
        meaning=SPLITS[name],
        groups=len(found.errors),
        error=found.error,
        paper=mean_error(left_out_of_paper_form(fitted.sample, name), times),
        coverage={level: found.coverage[level] for level in LEVELS},
        coverage_errors={level: found.coverage_errors[level] for level in LEVELS},
        by_group=found.errors,
    )


def _others(fitted: Calibrated, rows: Sequence[Measurement], catalog: Catalog) -> list[OtherRows]:
    """Error of rows with more of their prompts, by how much."""
    slower = _within_the_limit(rows, fitted, catalog)
    if slower is None:
        return []
    known = {
        engine: engine_values(fitted.fit, fitted.intervals, engine)
        for engine in ("", *fitted.engines)
    }
    found = predicted(slower, known)
    off = np.log(found.t_step / slower.times)
    share = np.array([each.input_len / each.output_len for each in slower.measurements])
    bands = {
        "as many prompt tokens as are decoded, or fewer": share <= _EVEN,
        "up to eight prompt tokens for each that is decoded": (share > _EVEN) & (share <= _MUCH),
        "more than eight": share > _MUCH,
    }
    return [
        OtherRows(
            name=name,
            rows=int(own.sum()),
            error=float(np.mean(np.abs(np.expm1(off[own])))),
            bias=float(np.mean(off[own])),
            inside=float(np.mean(found.inside(slower.times)[own])),
        )
        for name, own in bands.items()
        if own.any()
    ]


def _within_the_limit(
    rows: Sequence[Measurement], fitted: Calibrated, catalog: Catalog
) -> Sample | None:
    """The rows that respect memory and compute times of their machine."""
    if not rows:
        return None
    fabrics = choose_fabrics(rows, catalog, named={}, where="") | dict(fitted.fabrics)
    whole = take_sample(rows, catalog, fabrics, check=False)
    kept = [each for each, fits in zip(rows, whole.times >= whole.least, strict=True) if fits]
    return whole.where(whole.times >= whole.least) if kept else None


def _worst(fitted: Calibrated) -> list[Worst]:
    """The systems with the largest error when they are left out."""
    sample, unseen = fitted.sample, fitted.intervals.splits[KNOWN].times
    off = unseen / sample.times - 1.0
    members = sample.members(KNOWN)
    ranked = sorted(members, key=lambda name: -float(np.abs(off[members[name]]).mean()))
    shares = _shares(fitted)
    return [
        Worst(
            system=name,
            rows=int(members[name].sum()),
            error=float(np.abs(off[members[name]]).mean()),
            bias=float(off[members[name]].mean()),
            cause=_cause(sample, members[name], off, shares),
        )
        for name in ranked[:WORST]
    ]


def _shares(fitted: Calibrated) -> dict[str, Rows]:
    """Shares of each predicted step, by what takes the time [1]."""
    sample = fitted.sample
    whole: dict[str, Rows] = {}
    for engine, own in sample.members("engine").items():
        with jax.enable_x64(True):
            found = _parts_of_time(sample.parts, fitted.values(engine))
        for name, times in found.items():
            whole.setdefault(name, np.zeros_like(sample.times))[own] = np.asarray(times)[own]
    total = sum(whole.values())
    return {name: times / total for name, times in whole.items()}


def _cause(sample: Sample, own: np.ndarray, off: Rows, shares: Mapping[str, Rows]) -> str:
    """The likely reason of a system's error: its runs contradict each other, or one part is off."""
    batches = np.array([each.settings["batch_size"] for each in sample.measurements])
    rows = np.flatnonzero(own)
    order = rows[np.argsort(batches[rows])]
    for one, other in itertools.pairwise(order):
        few, many = (batches[row] for row in (one, other))
        if few < many and sample.times[one] > sample.times[other] * (1.0 + _CONTRADICTED):
            return f"its runs contradict each other: {few:g} at once take longer than {many:g}"
    largest = max(shares, key=lambda name: float(shares[name][own].mean()))
    share, bias = float(shares[largest][own].mean()), float(off[own].mean())
    pace = "slower" if bias < 0.0 else "quicker"
    return f"{largest} ({share:.0%} of the step) {_BE[largest]} {pace} here than elsewhere"


_BE = {
    "weights": "stream",
    "weights of experts": "stream",
    "caches": "stream",
    "kernels": "start",
    "the host's work": "is",
    "collectives": "are",
    "activations": "move",
}


def _parts_of(parts: MeanParts, values: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """What each step takes its time for [s]."""

    def of_step(own: OverlayParts) -> dict[str, jax.Array]:
        calibration = Calibration(**values)
        streams, times = streaming_times(own, calibration), timed(own, calibration)
        found = {
            "weights": streams["weights"],
            "weights of experts": streams["experts"],
            "caches": streams["sequences"],
            "kernels": times.kernels,
            "the host's work": times.host,
            "collectives": times.collectives,
            "activations": times.activations,
        }
        return {name: jnp.asarray(time) for name, time in found.items()}

    return jax.vmap(lambda own: mean_of(own, of_step))(parts)


_parts_of_time = jax.jit(_parts_of)
