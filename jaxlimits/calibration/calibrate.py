"""Calibration: the overlay's constants from measured decode rates, with honest errors.

The error that counts is that on what a fit has not seen: each machine, model and engine is
predicted from the others, and so is each chip, engine, model and kind of attention. It stands
beside the error in sample, that of the bare limit, and that of the paper's own form, which is
fitted to the same rows.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from jaxlimits.calibration.cases import refuse_without_fabric
from jaxlimits.calibration.fit import SPARE_ROWS, Fit, fit_constants
from jaxlimits.calibration.labelled import label_report
from jaxlimits.calibration.left_out import KNOWN, Intervals, leave_out, refuse_single_rows
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.calibration.paper_form import fit_paper_form
from jaxlimits.calibration.priors import FITTED, PRIORS
from jaxlimits.calibration.report import Errors, Report, mean_error, predicted
from jaxlimits.calibration.sample import Sample, members_of, take_sample
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError, unknown_name

POPULATION = "engines"
"""The calibration of the catalog for an engine that has none of its own."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """A fit and its report.

    Parameters
    ----------
    fit
        Constants and covariance.
    intervals
        How far predictions may be off, and how the fit predicts what it has not seen.
    layer_time
        The paper's form: time a layer [s].
    fabrics
        Names of the measured all-reduces that entered, by engine and chip.
    report
        Rows and errors.
    sample
        The rows and their points.
    """

    fit: Fit
    intervals: Intervals
    layer_time: float
    fabrics: Mapping[tuple[str, str], str]
    report: Report
    sample: Sample

    @property
    def rows(self) -> xr.Dataset:
        """Along ``row``: each measurement, what fit and limit say of it; the constants beside."""
        return label_report(self.report, self.fit)

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines that have constants of their own."""
        return tuple(self.fit.factors)

    def values(self, engine: str = "") -> dict[str, float]:
        """Every field of an engine's calibration; of the population's where none is named."""
        return engine_values(self.fit, self.intervals, engine)

    def __repr__(self) -> str:
        constants = ", ".join(f"{name}={value:.4g}" for name, value in self.fit.values.items())
        errors = self.report.errors
        error = f"{errors.calibrated:.1%}, {errors.calibrated_unseen:.1%} unseen"
        return f"Calibrated({constants}; mean error {error}, {len(self.report.measurements)} rows)"


_WIDENED = ("chip", "model", "attention")


def calibrate(
    measurements: Sequence[Measurement],
    catalog: Catalog,
    *,
    fabrics: Mapping[tuple[str, str], str],
    fields: Sequence[str] = FITTED,
) -> Calibrated:
    """Fit the overlay's constants to measured decode rates.

    Parameters
    ----------
    measurements
        Rows of at least two machines or models.
    catalog
        Chips, models and fabrics that they name.
    fabrics
        Names of measured all-reduces by engine and chip.
    fields
        Constants to fit; the others keep the means of their priors.

    Raises
    ------
    InputError
        Unknown constants, one group only, too few rows, one row of a chip, an engine or a model,
        several chips without measured all-reduces, a rate beyond the limit of its machine.
    """
    _check_fields(fields)
    _check_rows(measurements, fields)
    refuse_without_fabric(measurements, fabrics)
    sample = take_sample(measurements, catalog, fabrics)
    refuse_single_rows(sample)
    parts, times = sample.parts, sample.times
    fit = fit_constants(parts, times, fields=fields, engines=sample.engines)
    intervals = leave_out(sample, fit)
    layer_time, paper, paper_unseen = fit_paper_form(sample)
    known = {engine: engine_values(fit, intervals, engine) for engine in ("", *fit.factors)}
    known |= {} if fit.factors else dict.fromkeys(sample.members("engine"), known[""])
    prediction = predicted(_as_known(sample), known)
    unseen = intervals.splits[KNOWN].times
    errors = Errors(
        calibrated=mean_error(prediction.t_step, times),
        calibrated_unseen=mean_error(unseen, times),
        limit=mean_error(sample.limit_steps, times),
        paper=mean_error(paper, times),
        paper_unseen=mean_error(paper_unseen, times),
    )
    return Calibrated(
        fit=fit,
        intervals=intervals,
        layer_time=layer_time,
        fabrics=dict(fabrics),
        report=Report(
            measurements=measurements,
            limit=sample.limit_steps,
            prediction=prediction,
            unseen=unseen,
            errors=errors,
        ),
        sample=sample,
    )


def engine_values(fit: Fit, intervals: Intervals, engine: str = "") -> dict[str, float]:
    """Every field of an engine's calibration; of the population's for one that is not known."""
    widening = intervals.widening
    known = engine in fit.factors or not fit.factors
    widened = 1.0 if known else widening.get("engine", 1.0)
    return {
        **fit.of_engine(engine),
        "spread": widened * intervals.spread,
        "kernel_spread": widened * intervals.kernel_spread,
        **{f"{what}_widening": widening.get(what, 1.0) for what in _WIDENED},
    }


def assess(
    measurements: Sequence[Measurement],
    catalog: Catalog,
    calibration: str | None = None,
    *,
    fabrics: Mapping[tuple[str, str], str],
) -> Report:
    """Put calibrations of the catalog beside measured decode rates; nothing is fitted to them.

    Parameters
    ----------
    measurements
        Rows, of one machine or several.
    catalog
        Chips, models, fabrics and the calibrations.
    calibration
        Name of one for all rows; where it is left out, each row has that of its engine's name, and
        that of :data:`POPULATION` where there is none.
    fabrics
        As for :func:`calibrate`.
    """
    sample = take_sample(measurements, catalog, fabrics)
    prediction = predicted(sample, _known(sample, catalog, calibration))
    nothing = float("nan")
    return Report(
        measurements=measurements,
        limit=sample.limit_steps,
        prediction=prediction,
        unseen=np.full_like(sample.times, np.nan),
        errors=Errors(
            calibrated=mean_error(prediction.t_step, sample.times),
            calibrated_unseen=nothing,
            limit=mean_error(sample.limit_steps, sample.times),
            paper=nothing,
            paper_unseen=nothing,
        ),
    )


def _known(
    sample: Sample, catalog: Catalog, calibration: str | None
) -> dict[str, dict[str, float]]:
    """Constants by engine."""
    engines = sample.members("engine")
    if calibration is not None:
        values = catalog.values("calibration", calibration)
        return {"": values, **dict.fromkeys(engines, values)}
    known = {e: catalog.values("calibration", e) for e in engines if e in catalog.calibrations}
    return {"": catalog.values("calibration", POPULATION), **known}


def _as_known(sample: Sample) -> Sample:
    """The rows, whose chips and models a fit to them has seen."""
    chip = dataclasses.replace(sample.cases.chip, measured_chip=np.ones_like(sample.times))
    known = {"measured_model": np.ones_like(sample.times)}
    known |= {"measured_attention": np.ones_like(sample.times)}
    llm = dataclasses.replace(sample.cases.llm, **known)
    return dataclasses.replace(sample, cases=dataclasses.replace(sample.cases, chip=chip, llm=llm))


def _check_fields(fields: Sequence[str]) -> None:
    for name in fields:
        if name not in PRIORS:
            raise unknown_name("constant", name, PRIORS, where="`fields`")
    if not fields or len(set(fields)) != len(fields):
        raise InputError("names no constant, or one twice", where="`fields`", value=list(fields))


def _check_rows(measurements: Sequence[Measurement], fields: Sequence[str]) -> None:
    """Refuse rows from which the error on unseen machines cannot be told."""
    where = measurements[0].where.rpartition(": line")[0]
    members = members_of(measurements)
    if len(members) < 2:
        remedy = "give rows of at least two, so that each can be predicted from the other"
        problem = f"all rows are of one machine and model, {measurements[0].group}"
        raise InputError(problem, where=where, remedy=remedy)
    needed = len(fields) + SPARE_ROWS
    for group, own in members.items():
        if (rest := int((~own).sum())) < needed:
            problem = (
                f"{len(measurements)} rows, {rest} without {group}, "
                f"are too few for {len(fields)} constants"
            )
            raise InputError(problem, where=where, remedy=f"leave at least {needed} in each case")
