"""Draw the gallery: ``python -m jaxlimits.examples.gallery FOLDER [GRID ...]``."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

import jaxlimits as jl
from jaxlimits.errors import unknown_name
from jaxlimits.examples.gallery.figures import ANSWERS, ENTRIES
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.pipeline import load_grid, run_spec

DPI = 88


def thinned(spec: GridSpec, every: Mapping[str, int]) -> GridSpec:
    """Keep every so many values of some axes of a grid."""
    axes = tuple(
        dataclasses.replace(axis, values=axis.values[:: every.get(axis.name, 1)])
        for axis in spec.axes
    )
    return dataclasses.replace(spec, axes=axes)


def result(name: str) -> xr.Dataset:
    """What a shipped grid, a study of uncertain inputs or another question gives."""
    if name in ANSWERS:
        make, _ = ANSWERS[name]
        return make()
    if ENTRIES[name].is_uncertain:
        return jl.sobol(name, samples=1024)
    return run_spec(thinned(load_grid(name), ENTRIES[name].every)).load()


def draw(folder: Path, *names: str) -> None:
    """Draw some pictures, or all."""
    figures = {name: entry.draw for name, entry in ENTRIES.items()}
    figures |= {name: drawn for name, (_, drawn) in ANSWERS.items()}
    for name in names or figures:
        if name not in figures:
            raise unknown_name("picture", name, figures, where="gallery")
        figure = figures[name](result(name))
        figure.savefig(folder / f"{name}.png", dpi=DPI, pil_kwargs={"optimize": True})
        print(folder / f"{name}.png")  # noqa: T201


if __name__ == "__main__":
    draw(Path(sys.argv[1]), *sys.argv[2:])
