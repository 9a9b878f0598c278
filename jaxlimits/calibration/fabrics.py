"""Fabrics: the overlay's all-reduces from tables of measured ones."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from jaxlimits.calibration.measured_tables import read_table, selected
from jaxlimits.catalog.entries import find_entry
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.fields import Quantity, quantities

COLUMNS = ("gpu", "stack", "num_gpus", "bytes", "us")
"""Columns that a table must have; others are not read."""

ONE_SHOT_BYTES = tuple(2.0**power for power in range(18, 25))
LIBRARY_BYTES = (0.0, *(2.0**power for power in range(18, 23)))
"""Sizes at which an engine may change its kind of all-reduce: powers of two."""

_COUNT = Quantity(unit="1", display="1", meaning="GPUs of one server", lower=2.0, whole=True)
_SIZE = Quantity(unit="1", display="1", meaning="bytes of the payload", positive=True, whole=True)
_TIME = Quantity(unit="1", display="1", meaning="microseconds", positive=True)
_FIELDS = quantities(Fabric)
_COEFFICIENTS = 6
_SECONDS, _SECONDS_A_BYTE = 1e-6, 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AllReduces:
    """Measured all-reduces of one chip in one stack.

    Parameters
    ----------
    chip, stack
        Name in the catalog; name and version of the stack.
    chips, payloads, times
        Participants [1], payload [B] and time [s] of each measurement.
    """

    chip: str
    stack: str
    chips: np.ndarray
    payloads: np.ndarray
    times: np.ndarray

    @property
    def name(self) -> str:
        """Name of the fabric: ``vllm-b200``."""
        return f"{self.stack.partition('/')[0]}-{self.chip}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FabricFit:
    """A fabric fitted to measured all-reduces.

    Parameters
    ----------
    table
        The measurements.
    values
        Fields of the fabric that count, in SI units.
    error, largest_error
        Mean and largest absolute error of a time [1].
    """

    table: AllReduces
    values: Mapping[str, float]
    error: float
    largest_error: float


def read_all_reduces(
    path: str | Path, catalog: Catalog, *, without: Mapping[str, str] | None = None
) -> list[AllReduces]:
    """Read a table of measured all-reduces: ``gpu``, ``stack``, ``num_gpus``, ``bytes``, ``us``.

    Raises
    ------
    InputError
        Naming file, line and column: missing columns, unknown GPUs, values that are not numbers,
        times of zero, duplicate rows, too few rows of a chip and stack.
    """
    rows = selected(read_table(path, required=COLUMNS), without=without or {}, where=str(path))
    points: dict[tuple[str, str], dict[tuple[float, float], float]] = {}
    for row in rows:
        gpu = row.text("gpu")
        chip = find_entry(catalog.entries, "chips", gpu, where=row.where, key="gpu").name
        own = points.setdefault((chip, row.text("stack")), {})
        point = (row.number("num_gpus", _COUNT), row.number("bytes", _SIZE))
        if point in own:
            problem = f"{point[0]:g} GPUs and {point[1]:g} bytes stand there twice"
            raise InputError(problem, where=row.where, remedy="keep one of them")
        own[point] = row.number("us", _TIME) * _SECONDS
    tables = [_table(chip, stack, own) for (chip, stack), own in points.items()]
    for table in tables:
        if len(table.times) < 2 * _COEFFICIENTS:
            problem = f"{len(table.times)} rows of {table.chip} in {table.stack} are too few"
            remedy = f"give at least {2 * _COEFFICIENTS}, of small and large payloads"
            raise InputError(problem, where=str(path), remedy=remedy)
    _refuse_same_name(tables, where=str(path))
    return tables


def fit_fabric(table: AllReduces) -> FabricFit:
    r"""Fit latencies and rates of all-reduces to measured ones.

    The time is linear in latencies and inverse rates once the sizes at which the kind changes are
    given: non-negative least squares on relative errors for each pair of powers of two, and the
    pair of the least Bayesian information criterion, which makes the library's ring pay for its
    constants. Where an engine changes from one shot to two is not a field: a prediction takes the
    quicker.
    """
    best: tuple[float, float, np.ndarray, np.ndarray] | None = None
    for one_shot, library in itertools.product(ONE_SHOT_BYTES, LIBRARY_BYTES):
        design = _design(table, one_shot, library)
        solution, norm = nnls(design, np.ones(len(design)))
        constants = np.count_nonzero(np.any(design > 0.0, axis=0)) + (2 if library else 1)
        count = len(design)
        criterion = count * np.log(norm**2 / count) + constants * np.log(count)
        if best is None or criterion < best[0]:
            best = (float(criterion), library, solution, design @ solution - 1.0)
    assert best is not None  # there are candidates
    _, library, solution, errors = best
    return FabricFit(
        table=table,
        values=_values(library, solution),
        error=float(np.abs(errors).mean()),
        largest_error=float(np.abs(errors).max()),
    )


def _table(chip: str, stack: str, points: Mapping[tuple[float, float], float]) -> AllReduces:
    sizes = np.array(list(points))
    return AllReduces(
        chip=chip,
        stack=stack,
        chips=sizes[:, 0],
        payloads=sizes[:, 1],
        times=np.array(list(points.values())),
    )


def _refuse_same_name(tables: Sequence[AllReduces], *, where: str) -> None:
    seen: dict[str, AllReduces] = {}
    for table in tables:
        if table.name in seen:
            problem = f"has {table.chip} in {seen[table.name].stack} and in {table.stack}"
            remedy = "leave one of them out by its stack (`without`)"
            raise InputError(problem, where=where, remedy=remedy)
        seen[table.name] = table


def _design(table: AllReduces, one_shot: float, library: float) -> np.ndarray:
    """Coefficients of a relative time.

    Latency and inverse rate of one shot, then of two; latency and hop of the library's ring.
    """
    chips, payloads = table.chips, table.payloads
    direct = chips * payloads < one_shot
    ring = ~direct & (payloads < library)
    switched = ~direct & ~ring
    peers = chips - 1.0
    columns = [
        _SECONDS * direct,
        _SECONDS_A_BYTE * direct * peers * payloads,
        _SECONDS * switched,
        _SECONDS_A_BYTE * switched * 2.0 * peers / chips * payloads,
        _SECONDS * ring,
        _SECONDS * ring * 2.0 * peers,
    ]
    return np.stack(columns, axis=1) / table.times[:, None]


def _values(library: float, solution: np.ndarray) -> dict[str, float]:
    values = {
        "one_shot_latency": solution[0] * _SECONDS,
        "two_shot_latency": solution[2] * _SECONDS,
    }
    for name, inverse in (("one_shot_bw", solution[1]), ("two_shot_bw", solution[3])):
        if inverse > 0.0:
            values[name] = 1.0 / (inverse * _SECONDS_A_BYTE)
    if library:
        values["library_bytes"] = library
        values["library_latency"] = solution[4] * _SECONDS
        values["library_hop_latency"] = solution[5] * _SECONDS
    return {name: float(values[name]) for name in _FIELDS if name in values}
