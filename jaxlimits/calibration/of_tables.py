"""A table of measured decode rates: constants that are fitted to it, and how it compares."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from jaxlimits.calibration import comparison
from jaxlimits.calibration.calibrate import Calibrated
from jaxlimits.calibration.calibrate import calibrate as fit_calibration
from jaxlimits.calibration.cases import choose_fabrics
from jaxlimits.calibration.fit_entries import calibration_entries, check_name
from jaxlimits.calibration.labelled_comparison import label_comparison
from jaxlimits.calibration.measured_tables import table_path
from jaxlimits.calibration.measurements import read_measurements
from jaxlimits.calibration.priors import FITTED
from jaxlimits.calibration.selection import select
from jaxlimits.catalog.loader import Catalog, load_catalog
from jaxlimits.errors import placed
from jaxlimits.store.netcdf import check_target, renamed_when_whole, write_dataset


@placed("calibrate")
def calibrate(
    table: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    without: Mapping[str, str] | None = None,
    fields: Sequence[str] = FITTED,
    stack: str = "vllm",
    fabrics: Mapping[str, str] | None = None,
    catalog: Catalog | None = None,
    name: str = "fitted",
    source: str = "",
    force: bool = False,
) -> Calibrated:
    """Fit constants of engines to measured decode rates, with their error on unseen machines.

    Parameters
    ----------
    table
        CSV of measurements, or the name of a shipped one: ``"static_batch"``, ``"serving"``; or
        several, which are fitted together.
    output
        Catalog file to write the fit to; one whose name ends in ``.nc`` gets ``rows`` instead.
        Nothing is written where it is left out.
    without
        Leave rows out that have a value in a column.
    fields
        Constants to fit; the others keep the means of their priors.
    stack, fabrics
        Each chip's measured all-reduces are those of ``ENGINE-CHIP``, or of ``STACK-CHIP`` where
        there are none, unless they are named by chip.
    catalog
        Where names are looked up; the shipped one by default.
    name, source
        Name of the calibration in the file, and where the measurements are from.
    force
        Replace an existing file.

    Returns
    -------
    Calibrated
        ``fit`` has the constants; ``rows`` is a dataset: each measurement, what the fit and the
        limit say of it, and its error when its machine and model are left out.

    Raises
    ------
    InputError
        A table that cannot be read, unknown constants, rows of one machine and model, too few.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> fitted = jl.calibrate("static_batch", without={"model": "DeepSeek-V3.2 (DSA)"})
    >>> fitted.rows.sizes["row"], 0.04 < float(abs(fitted.rows.error).mean()) < 0.08
    (41, True)
    """
    several = [table] if isinstance(table, str | Path) else list(table)
    catalog, paths = catalog or load_catalog(), [table_path(str(each)) for each in several]
    if output is not None:
        check_target(Path(output), force=force)
    check_name(name, catalog.calibrations, where="name")
    left_out = dict(without or {})
    found = select(read_measurements(paths, catalog, without=left_out)).checked()
    named = choose_fabrics(found.kept, catalog, stack=stack, named=fabrics or {}, where="fabrics")
    fitted = fit_calibration(found.kept, catalog, fabrics=named, fields=tuple(fields))
    if output is not None:
        if Path(output).suffix == ".nc":
            write_dataset(fitted.rows, Path(output), force=force)
            return fitted
        entry = calibration_entries(
            *(name, fitted, paths), source=source, without=left_out, left_out=found.reasons
        )
        with renamed_when_whole(Path(output), force=force) as partial:
            partial.write_text(entry, encoding="utf-8")
    return fitted


@placed("compare")
def compare(
    table: str | Path = "measured",
    *,
    calibration: str | None = None,
    stack: str = "vllm",
    catalog: Catalog | None = None,
) -> xr.Dataset:
    """Put the limit, a calibrated prediction and measured rates side by side.

    Parameters
    ----------
    table
        CSV of decode rates, or the name of a shipped one: ``"measured"``, ``"static_batch"``,
        ``"serving"``.
    calibration
        Calibration to predict with, by its name in the catalog; that of each row's engine, or of
        the population of engines, where it is left out.
    stack
        Whose measured all-reduces the prediction takes for a row of no engine.
    catalog
        Where names are looked up; the shipped one by default.

    Returns
    -------
    xarray.Dataset
        Along ``row``: rates of one user [token/s], measured, predicted and of the limit; the
        prediction's error and the achieved share of the limit [1]. Along ``left_out``: why the
        other rows are not plain decode at a fixed batch.

    Raises
    ------
    InputError
        A table that cannot be read, an unknown calibration, no row that can be compared.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> rates = jl.compare("static_batch")
    >>> bool((rates.achieved < 1.0).all())
    True
    """
    found = catalog or load_catalog()
    path = table_path(str(table))
    rows, left_out = comparison.compare(path, found, calibration=calibration, stack=stack)
    return label_comparison(rows, left_out, table=path.stem, calibration=calibration)
