"""A study of uncertain inputs: read from its file, and the model evaluated at its samples."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pydantic

from jaxlimits import schema
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import Job, make_job
from jaxlimits.errors import InputError
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.file import GridTables, Precision, read_grid
from jaxlimits.grid.scenario import Scenario, bind, refuse_absent
from jaxlimits.grid.spec import GridSpec, build_spec, grid_catalog
from jaxlimits.run.effects import warn_of_idle_inputs
from jaxlimits.run.pipeline import check_memory
from jaxlimits.uncertainties.distributions import Distribution, DistributionTable, read_distribution

Method = Literal["bands", "sobol", "morris"]
Columns = Mapping[str, np.ndarray]
Function = Callable[[Columns], Mapping[str, np.ndarray]]
"""From samples of inputs to values of metrics, all by name; NaN where there is no value."""

SAMPLE = "sample"
"""Name of the axis along which samples lie."""

_DEFAULT_SAMPLES: Mapping[Method, int] = {"bands": 4096, "sobol": 4096, "morris": 256}
_LEAST_SAMPLES: Mapping[Method, int] = {"bands": 2, "sobol": 64, "morris": 4}


class UncertainTables(GridTables):
    """Keys of a file of uncertain inputs: those of a grid, distributions, and how to sample."""

    inner: ClassVar[Mapping[str, type[pydantic.BaseModel]]] = {
        **GridTables.inner,
        "uncertain": DistributionTable,
    }

    outputs: list[str] | Literal["all"] | None = pydantic.Field(
        default_factory=lambda: ["utps", "stps"], description="The metrics to study."
    )
    uncertain: dict[str, DistributionTable] = pydantic.Field(
        default_factory=dict, description="The distribution of each uncertain input, by its name."
    )
    method: Method = pydantic.Field(
        default="bands", description="What to compute: bands, Sobol indices, or elementary effects."
    )
    samples: int | None = pydantic.Field(
        default=None,
        ge=1,
        le=1 << 24,
        description="The number of samples; the method has its own default.",
    )
    seed: int = pydantic.Field(
        default=0, ge=0, lt=1 << 63, description="The seed of samples and bootstrap."
    )
    second_order: bool = pydantic.Field(
        default=True, description="For Sobol indices: whether to give indices of pairs."
    )
    resamples: int = pydantic.Field(
        default=100,
        ge=2,
        le=10_000,
        description="For indices and effects: the number of bootstrap resamples.",
    )
    confidence: float = pydantic.Field(
        default=0.95, gt=0.0, lt=1.0, description="The level of the intervals."
    )
    levels: int = pydantic.Field(
        default=4,
        ge=2,
        le=64,
        multiple_of=2,
        description="For elementary effects: the levels of the lattice.",
    )
    at: list[float] = pydantic.Field(
        default_factory=lambda: [0.05, 0.25, 0.5, 0.75, 0.95],
        description="For bands: the shares of the samples below each quantile.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How many samples of what, and what is made of them.

    Parameters
    ----------
    samples
        Rows of bands, blocks of Sobol's method, trajectories of Morris's.
    seed
        Of samples and bootstrap.
    second_order
        Sobol: whether pairs of inputs are told apart.
    resamples, confidence
        Sobol, Morris: resamples of the bootstrap, and level of its intervals.
    levels
        Morris: levels of the lattice.
    shares
        Bands: shares of the samples that lie below each quantile.
    """

    samples: int
    seed: int = 0
    second_order: bool = True
    resamples: int = 100
    confidence: float = 0.95
    levels: int = 4
    shares: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Uncertain:
    """A study of uncertain inputs, read and checked.

    Parameters
    ----------
    spec
        What is certain: names, fixed fields, and the axes of bands.
    inputs
        Distributions by field or scale factor.
    outputs
        Metrics and sensitivities of metrics.
    method, sampling
        What is asked, and how.
    """

    spec: GridSpec
    inputs: Mapping[str, Distribution]
    outputs: tuple[str, ...]
    method: Method
    sampling: Sampling

    def central(self) -> Scenario:
        """Return the scenario with every uncertain input at its median."""
        medians = {
            name: float(distribution.quantile(np.array(0.5)))
            for name, distribution in self.inputs.items()
        }
        return bind(dataclasses.replace(self.spec, base={**self.spec.base, **medians}))

    def warn_of_idle(self) -> None:
        """Say which uncertain inputs change no output: their indices are 0 whatever their range.

        Warns
        -----
        IdleSettingWarning
            With what would give such an input effect.
        """
        ends = np.array([0.05, 0.95])
        columns = {name: found.quantile(ends) for name, found in self.inputs.items()}
        warn_of_idle_inputs(
            self._sampled(columns),
            self.inputs,
            (*self.outputs, *self.spec.outputs),
            precision=self.spec.precision,
            where=f"{self.spec.file.where}: uncertain",
        )

    def scenario(self, columns: Columns) -> Scenario:
        """Return the scenario with samples along its first axis, checked.

        Raises
        ------
        InputError
            Samples that exclude each other or leave the bounds of a scaled field.
        """
        sampled = self._sampled(columns)
        check_scenario(sampled)
        return sampled

    def _sampled(self, columns: Columns) -> Scenario:
        central = self.central()
        number = len(next(iter(columns.values())))
        axis = Axis(name=SAMPLE, values=tuple(map(float, range(number))), linked={})
        return dataclasses.replace(
            central,
            base={name: value for name, value in central.base.items() if name not in columns},
            axes=(axis, *central.axes),
            columns=(columns, *central.columns),
        )

    def job(self, columns: Columns, *, outputs: tuple[str, ...]) -> Job:
        """Plan the evaluation of samples."""
        return make_job(self.scenario(columns), outputs=outputs, precision=self.spec.precision)

    def evaluate(self, columns: Columns) -> dict[str, np.ndarray]:
        """Return every output at samples of the inputs."""
        arrays, _ = collect(self.job(columns, outputs=self.outputs))
        return {name: arrays[name] for name in self.outputs}


def load_uncertain(
    study: str | Path,
    *,
    method: Method | None = None,
    samples: int | None = None,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
    catalog: tuple[str | Path, ...] = (),
    precision: Precision | None = None,
) -> Uncertain:
    """Read and resolve a file of uncertain inputs.

    Parameters
    ----------
    study
        The file.
    method, samples, seed, precision
        Take precedence over the file's.
    overrides
        Values by name that replace those of ``[base]``.
    catalog
        Further catalog files.

    Raises
    ------
    InputError
        Any name or value that cannot be used.
    """
    file = read_grid(study, tables=UncertainTables)
    tables, where = file.tables, file.where
    if not isinstance(tables, UncertainTables):
        raise TypeError(f"{where} was read as {type(tables).__name__}")
    if not tables.uncertain:
        remedy = 'write, for example, sync_latency = { loguniform = ["1 us", "5 us"] }'
        raise InputError("nothing is uncertain", where=where, key="uncertain", remedy=remedy)
    for key in ("reduce", "digits"):
        if getattr(tables, key):
            raise InputError("belongs to a grid that is swept", where=where, key=key)
    found = grid_catalog(file, *catalog)
    spec = build_spec(
        *(file, found),
        overrides=overrides,
        precision=precision,
        point=True,
        beside=tables.uncertain,
    )
    inputs = {
        name: read_distribution(name, table, where=where)
        for name, table in tables.uncertain.items()
    }
    _refuse_twice(spec, inputs, where=where)
    chosen = method or tables.method
    if spec.axes and chosen != "bands":
        problem = f"{chosen} indices are of one scenario"
        remedy = "fix the axes in [base], or ask for bands"
        raise InputError(problem, where=where, key="axes", remedy=remedy)
    found_uncertain = Uncertain(
        spec=spec,
        inputs=inputs,
        outputs=_outputs(tables, spec, where=where),
        method=chosen,
        sampling=_sampling(
            tables,
            chosen,
            samples=tables.samples if samples is None else samples,
            seed=tables.seed if seed is None else seed,
            where=where if samples is None else "`samples`",
        ),
    )
    central = found_uncertain.central()
    if isinstance(tables.outputs, list):
        refuse_absent(found_uncertain.outputs, central, key="outputs")
    told = tuple(name for name in found_uncertain.outputs if not central.is_absent(name))
    return dataclasses.replace(found_uncertain, outputs=told)


def check_rows(uncertain: Uncertain, rows: int) -> None:
    """Refuse more rows than this machine's memory holds, before any is made."""
    bytes_a_row = 8 * (4 * len(uncertain.inputs) + 3 * len(uncertain.outputs) + 8)
    what = f"{rows:,} rows of {len(uncertain.inputs)} inputs"
    remedy = "take fewer samples"
    check_memory(rows * bytes_a_row, what, where=uncertain.spec.file.where, remedy=remedy)


def columns_at(inputs: Mapping[str, Distribution], shares: np.ndarray) -> dict[str, np.ndarray]:
    """Return the values of inputs at rows of the unit cube."""
    return {
        name: distribution.quantile(shares[:, place])
        for place, (name, distribution) in enumerate(inputs.items())
    }


def _refuse_twice(spec: GridSpec, inputs: Mapping[str, object], *, where: str) -> None:
    along = {name for axis in spec.axes for name in (axis.name, *axis.linked)}
    for name in inputs:
        for place, names in (("fixed in [base] or by `overrides`", spec.base), ("an axis", along)):
            if name in names:
                problem, remedy = f"is uncertain and {place}", "keep one"
                raise InputError(problem, where=where, key=f"uncertain.{name}", remedy=remedy)


def _outputs(tables: UncertainTables, spec: GridSpec, *, where: str) -> tuple[str, ...]:
    for name in tables.outputs if isinstance(tables.outputs, list) else ():
        if name in schema.FLAGS:
            remedy = "leave it out; bands keep the shares of both codes"
            raise InputError(
                f"{name} is a code, not a number", where=where, key="outputs", remedy=remedy
            )
    return tuple(name for name in spec.outputs if name not in schema.FLAGS)


def _sampling(
    tables: UncertainTables, method: Method, *, samples: int | None, seed: int, where: str
) -> Sampling:
    number = _DEFAULT_SAMPLES[method] if samples is None else samples
    shares = tuple(tables.at)
    if (
        not shares
        or any(not 0.0 < share < 1.0 for share in shares)
        or len(set(shares)) < len(shares)
    ):
        problem = "must be different shares between 0 and 1"
        raise InputError(problem, where=where, key="at", value=tables.at)
    least = _LEAST_SAMPLES[method]
    if method == "bands":
        least = max(least, round(1.0 / min(min(share, 1.0 - share) for share in shares)))
    if number < least:
        problem = f"too few samples: {method} takes at least {least}"
        raise InputError(problem, where=where, key="samples", value=number)
    if method == "sobol" and number & (number - 1):
        problem = "must be a power of two, for which a Sobol' sequence is balanced"
        remedy = f"write {1 << number.bit_length()}"
        raise InputError(problem, where=where, key="samples", value=number, remedy=remedy)
    return Sampling(
        samples=number,
        seed=seed,
        second_order=tables.second_order,
        resamples=tables.resamples,
        confidence=tables.confidence,
        levels=tables.levels,
        shares=tuple(sorted(shares)),
    )
