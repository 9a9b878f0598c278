"""What to do with a result that was just written: commands that run as they stand.

Each command proposes its own step (``Command.next_step``); here they are collected, with what the
proposals have in common.
"""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from jaxlimits.cli.registry import commands

if TYPE_CHECKING:
    import xarray as xr


def next_steps(dataset: "xr.Dataset", path: Path) -> list[str]:
    """Return the command lines that commands propose for a result, with its own axes filled in."""
    file = shlex.quote(str(path))
    proposals = [command.next_step for command in commands().values() if command.next_step]
    steps = (propose(dataset, file) for propose in proposals)
    return [step for step in steps if step is not None]


def rate(points: int, seconds: float) -> str:
    """Return points per second in words, two digits of them."""
    return f"{float(f'{points / seconds:.2g}'):,.0f} points a second"


def shown_metric(dataset: "xr.Dataset") -> str | None:
    """Return the metric to look at first: the speed of one user, else the first that has axes."""
    from jaxlimits.schema import OUTPUTS, is_code

    names = [str(name) for name, variable in dataset.data_vars.items() if variable.ndim]
    metrics = [name for name in names if name in OUTPUTS and not is_code(name)]
    return "utps" if "utps" in metrics else next(iter(metrics), None)


def first_values(dataset: "xr.Dataset", dims: Iterable[str]) -> str:
    """Return options that keep the first value of some axes."""
    kept = {dim: dataset[dim].values[0] for dim in dataset.dims if dim in set(dims)}
    texts = [f"{dim}={_text(value)}" for dim, value in kept.items()]
    return "".join(f" --select {shlex.quote(text)}" for text in texts)


def _text(value: object) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"
