"""What uncertain inputs do to a result: bands, variances, effects, from a file to a dataset."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from jaxlimits.errors import placed
from jaxlimits.store.netcdf import check_target, write_dataset
from jaxlimits.uncertainties.bands import bands_dataset
from jaxlimits.uncertainties.morris import morris_dataset
from jaxlimits.uncertainties.sobol import sobol_dataset
from jaxlimits.uncertainties.uncertain import Method, Uncertain, load_uncertain
from jaxlimits.values import override_texts

_METHODS: Mapping[Method, Callable[[Uncertain], xr.Dataset]] = {
    "bands": bands_dataset,
    "sobol": sobol_dataset,
    "morris": morris_dataset,
}


def uncertainty(study: str | Path, output: str | Path | None = None, **settings: Any) -> xr.Dataset:
    """Turn distributions of inputs into bands of every output, along the axes that a file has.

    Parameters
    ----------
    study
        A file with ``[base]``, ``[uncertain]``, and ``[axes]`` where there are any.
    output
        NetCDF file to write; nothing is written where it is left out.
    **settings
        ``samples``, ``seed``, ``x64``, ``overrides``, ``catalog``, ``force``, as on the command
        line.

    Returns
    -------
    xarray.Dataset
        ``utps(quantile, …)``, ``utps_mean(…)``, ``share_feasible(…)``,
        ``share_by_limit(limit, …)``.

    Raises
    ------
    InputError
        Something in the file cannot be used.
    ResultError
        The file cannot be written.

    Warns
    -----
    IdleSettingWarning
        An uncertain input that changes no output, with what would give it effect.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> bands = jl.uncertainty("uncertain_machine", samples=64)
    >>> bands.utps.dims
    ('quantile',)
    """
    return _run("bands", study, output, **settings)


def sobol(study: str | Path, output: str | Path | None = None, **settings: Any) -> xr.Dataset:
    """Estimate which uncertain inputs the variance of each output comes from.

    Parameters
    ----------
    study, output, **settings
        As for :func:`uncertainty`; the file has no axes.

    Returns
    -------
    xarray.Dataset
        ``first_order(metric, input)``, ``total_order(metric, input)``,
        ``second_order(metric, input, other_input)``, each with ``_conf``;
        ``share_dropped(metric)``.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> shares = jl.sobol("uncertain_machine", samples=64)
    >>> shares.first_order.dims
    ('metric', 'input')
    """
    return _run("sobol", study, output, **settings)


def morris(study: str | Path, output: str | Path | None = None, **settings: Any) -> xr.Dataset:
    """Screen uncertain inputs by the elementary effects of each on every output.

    Parameters
    ----------
    study, output, **settings
        As for :func:`sobol`.

    Returns
    -------
    xarray.Dataset
        ``utps_mu(input)``, ``utps_mu_star(input)``, ``utps_sigma(input)``,
        ``utps_mu_star_conf(input)``; ``share_dropped(metric)``.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> effects = jl.morris("uncertain_machine", samples=8)
    >>> effects.utps_mu_star.dims
    ('input',)
    """
    return _run("morris", study, output, **settings)


def run_uncertain(
    uncertain: Uncertain, output: Path | None = None, *, force: bool = False
) -> xr.Dataset:
    """Answer a study by its method and write the answer where an output is given."""
    if output is not None:
        check_target(output, force=force)
    uncertain.warn_of_idle()
    dataset = _METHODS[uncertain.method](uncertain)
    if output is not None:
        write_dataset(dataset, output, force=force)
    return dataset


@placed("uncertainty")
def _run(
    method: Method,
    study: str | Path,
    output: str | Path | None,
    *,
    samples: int | None = None,
    seed: int | None = None,
    x64: bool = False,
    overrides: Mapping[str, object] | None = None,
    catalog: tuple[str | Path, ...] = (),
    force: bool = False,
) -> xr.Dataset:
    uncertain = load_uncertain(
        study,
        method=method,
        samples=samples,
        seed=seed,
        overrides=override_texts(overrides),
        catalog=catalog,
        precision="float64" if x64 else None,
    )
    return run_uncertain(uncertain, None if output is None else Path(output), force=force)
