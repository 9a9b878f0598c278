"""Draw the gallery: ``python -m jaxlimits.examples.gallery FOLDER [GRID ...]``."""

import dataclasses
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr
from PIL import Image

import jaxlimits as jl
from jaxlimits.errors import unknown_name
from jaxlimits.examples.gallery.figures import ANSWERS, ENTRIES
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.pipeline import load_grid, run_spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 176

_COLOURS = 256
"""Colours of a picture: it has few, and its file is a third as large."""


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


def write(figure: "Figure", path: Path) -> None:
    """Write a figure as a small picture of pixels."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    with Image.open(file) as image:
        image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def draw(folder: Path, *names: str) -> None:
    """Draw some pictures, or all."""
    figures = {name: entry.draw for name, entry in ENTRIES.items()}
    figures |= {name: drawn for name, (_, drawn) in ANSWERS.items()}
    for name in names or figures:
        if name not in figures:
            raise unknown_name("picture", name, figures, where="gallery")
        figure = figures[name](result(name))
        write(figure, folder / f"{name}.png")
        print(folder / f"{name}.png")  # noqa: T201


if __name__ == "__main__":
    draw(Path(sys.argv[1]), *sys.argv[2:])
