"""What to do with a result that was just written: commands that run as they stand."""

import importlib.util
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def next_steps(dataset: "xr.Dataset", path: Path) -> list[str]:
    """Return three commands for a result, with its own axes filled in.

    A picture is left out where nothing of the result has an axis to draw it along.
    """
    file = shlex.quote(str(path))
    return [f"jaxlimits info {file}", *_picture(dataset, file), _table(dataset, file)]


def rate(points: int, seconds: float) -> str:
    """Return points per second in words, two digits of them."""
    return f"{float(f'{points / seconds:.2g}'):,.0f} points a second"


def _picture(dataset: "xr.Dataset", file: str) -> list[str]:
    """A heat map over the first two axes of numbers, or a line over one."""
    of = _metric(dataset)
    if of is None or importlib.util.find_spec("matplotlib") is None:
        return []
    dims = [str(dim) for dim in dataset[of].dims if dataset.sizes[dim] > 1]
    numeric = [dim for dim in dims if dim in dataset and dataset[dim].dtype.kind in "fi"]
    if len(numeric) >= 2:
        x, y = numeric[:2]
        rest = _selected(dataset, set(dims) - {x, y})
        return [f"jaxlimits plot {file} heat-map --of {of} --x {x} --y {y}{rest}"]
    if numeric and len(dims) >= 2:
        x = numeric[0]
        by = next(dim for dim in dims if dim != x)
        rest = _selected(dataset, set(dims) - {x, by})
        return [f"jaxlimits plot {file} lines --of {of} --x {x} --by {by}{rest}"]
    return []


def _table(dataset: "xr.Dataset", file: str) -> str:
    of = _metric(dataset)
    if of is None:
        return f"jaxlimits export {file} --csv"
    largest = max(dataset[of].dims, key=lambda dim: dataset.sizes[dim])
    rest = _selected(dataset, {str(dim) for dim in dataset[of].dims if dim != largest})
    return f"jaxlimits export {file} --csv --var {of}{rest}"


def _metric(dataset: "xr.Dataset") -> str | None:
    """The metric that is looked at first: the speed of one user, else the first that has axes."""
    from jaxlimits.schema import OUTPUTS, is_code

    names = [str(name) for name, variable in dataset.data_vars.items() if variable.ndim]
    metrics = [name for name in names if name in OUTPUTS and not is_code(name)]
    return "utps" if "utps" in metrics else next(iter(metrics), None)


def _selected(dataset: "xr.Dataset", dims: Iterable[str]) -> str:
    """Options that keep the first value of some axes."""
    kept = {dim: dataset[dim].values[0] for dim in dataset.dims if dim in set(dims)}
    texts = [f"{dim}={_text(value)}" for dim, value in kept.items()]
    return "".join(f" --select {shlex.quote(text)}" for text in texts)


def _text(value: object) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"
