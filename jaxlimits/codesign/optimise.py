"""Co-design: the best mix of a machine's numbers under budgets, from problem to file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from jaxlimits.codesign.designs import label_optimum
from jaxlimits.codesign.problem import build_problem
from jaxlimits.codesign.problem_file import read_problem
from jaxlimits.codesign.search import search
from jaxlimits.errors import placed
from jaxlimits.grid.mapping import plain
from jaxlimits.store.netcdf import check_target, write_dataset


@placed("optimise")
def optimise(
    problem: str | Path | None = None,
    output: str | Path | None = None,
    *,
    base: Mapping[str, object] | None = None,
    vary: Mapping[str, Any] | None = None,
    maximise: str | None = None,
    minimise: str | None = None,
    at_most: Mapping[str, Any] | None = None,
    at_least: Mapping[str, Any] | None = None,
    starts: int | None = None,
    seed: int | None = None,
    catalog: Sequence[str | Path] = (),
    force: bool = False,
) -> xr.Dataset:
    """Find the best design under budgets.

    Continuous fields by gradients from many starts, whole-number fields by trying them all.

    Parameters
    ----------
    problem
        Path of a problem file, or the name of a shipped one (``"speed_by_die"``); without one the
        other arguments state the problem.
    output
        NetCDF file to write; nothing is written where it is left out.
    base, vary
        Values that are fixed, and what may vary: ``{"mem_bw": ("1 TB/s", "20 TB/s")}`` for anything
        between two values, a list for one of several. They win over the file's.
    maximise, minimise
        Metric, field or price: the objective.
    at_most, at_least
        Budgets by what they bound; a list of limits gives a frontier.
    starts, seed
        Searches in each promising combination of whole numbers, and what they start from.
    catalog
        TOML files with models and chips of your own.
    force
        Replace an existing file.

    Returns
    -------
    xarray.Dataset
        The design, its metrics, budgets with shares and shadow prices, along a swept budget.

    Raises
    ------
    InputError
        Something in the problem cannot be used.
    ResultError
        The file cannot be written.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> design = jl.optimise(
    ...     base={"llm": "llama3-8b", "chip": "h100"},
    ...     vary={"batch_size": [1, 8, 64]},
    ...     maximise="stps",
    ...     at_least={"utps": "100 token/s"},
    ... )
    >>> int(design.batch_size)
    64
    """
    target = None if output is None else Path(output)
    if target is not None:
        check_target(target, force=force)
    options = problem_options(
        base=base,
        vary={name: _ranged(raw) for name, raw in (vary or {}).items()},
        maximise=maximise,
        minimise=minimise,
        at_most=at_most,
        at_least=at_least,
        starts=starts,
        seed=seed,
    )
    stated = {key: plain(value, key=key) for key, value in options.items()}
    resolved = build_problem(read_problem(problem, stated), *catalog)
    dataset = label_optimum(resolved, search(resolved))
    if target is not None:
        write_dataset(dataset, target, force=force)
    return dataset


def problem_options(
    *,
    base: Mapping[str, object] | None = None,
    vary: Mapping[str, Any] | None = None,
    maximise: str | None = None,
    minimise: str | None = None,
    at_most: Mapping[str, Any] | None = None,
    at_least: Mapping[str, Any] | None = None,
    starts: int | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return what was given as keys of a problem file; nothing for what was left out."""
    objective = {"maximise": maximise, "minimise": minimise}
    budgets = [
        {"of": name, side: limit}
        for side, limits in (("at_most", at_most), ("at_least", at_least))
        for name, limit in (limits or {}).items()
    ]
    given = {
        "base": dict(base or {}),
        "vary": dict(vary or {}),
        "objective": {way: name for way, name in objective.items() if name is not None},
        "budget": budgets,
        "starts": starts,
        "seed": seed,
    }
    return {key: value for key, value in given.items() if value not in (None, {}, [])}


def _ranged(raw: Any) -> Any:
    """A pair is the ends of a range; a list, the values that there are."""
    return {"from": raw[0], "to": raw[1]} if isinstance(raw, tuple) and len(raw) == 2 else raw
