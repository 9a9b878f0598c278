"""One picture of each kind of figure, and how two pictures are compared.

Redraw the stored ones, and then look at them, with ``python -m tests.analysis.drawings``.

Pictures are small, of fixed size, and set in DejaVu Sans, which matplotlib brings along. They are
compared after a blur, which hides how another version of FreeType or Agg draws the edges of glyphs
and lines, but neither a line of another colour nor one that has moved.
"""

import functools
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import gaussian_filter

import jaxlimits as jl
from jaxlimits.analysis import plots

FOLDER = Path(__file__).parent / "pictures"

GRID = """
outputs = ["utps", "stps", "t_mem", "t_compute", "t_sync", "limit", "capacity_utilisation"]
elasticities = ["mem_bw", "sync_latency"]
[base]
llm = "llama3-405b"
tp_size = 8
vector_work = "off"
[axes]
chip = ["h200", "b200"]
sync_latency = { geometric = ["0.1 us", "100 us"], num = 13 }
seq_len = { pow2 = [4096, 131072] }
batch_size = { pow2 = [1, 512] }
"""

_DPI = 70
_BLUR = 2.0
"""Standard deviation of the blur [pixel]."""

_SEEN = 25.0
"""Difference of a blurred channel, of 255, from which a pixel is another."""

MOST_OTHER = 0.002
"""Share of the pixels that may be others."""


@functools.cache
def result() -> xr.Dataset:
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder) / "pictures.toml"
        grid.write_text(GRID, encoding="utf-8")
        return jl.sweep(grid, x64=True)


def _heat_map() -> Figure:
    chosen = result().sel(chip="h200", seq_len=4096)
    return jl.plot.heat_map(chosen, x="sync_latency", y="batch_size", levels=(20.0, 50.0))


def _panels() -> Figure:
    chosen = result().sel(seq_len=[4096, 32768])
    return jl.plot.heat_map(
        chosen, x="sync_latency", y="batch_size", rows="chip", columns="seq_len", title="Panels"
    )


def _lines() -> Figure:
    chosen = result().sel(chip="h200").isel(sync_latency=0)
    return jl.plot.lines(chosen, x="batch_size", by="seq_len")


def _frontier() -> Figure:
    return jl.plot.frontier(result())


def _breakdown() -> Figure:
    chosen = result().sel(seq_len=4096).isel(sync_latency=6)
    return jl.plot.breakdown(chosen, x="batch_size", columns="chip")


def _capacity() -> Figure:
    return jl.plot.capacity(result().sel(chip="b200").isel(sync_latency=0))


def _elasticities() -> Figure:
    chosen = result().sel(chip="h200", seq_len=4096)
    return jl.plot.elasticities(chosen, x="sync_latency", y="batch_size")


def _roofline() -> Figure:
    return jl.plot.roofline(jl.operators("deepseek-v3", "h200", tp_size=16, batch_size=64))


def _strip() -> Figure:
    places = np.array([0.2, 0.31, 0.35, 0.55, 0.6, np.nan])
    table = xr.Dataset(
        {
            "achieved": ("row", places, {"short_name": "measured", "units": "1"}),
            "predicted": ("row", places * 1.1, {"short_name": "predicted", "units": "1"}),
        },
        {"group": ("row", ["one", "one", "one", "two", "two", "three"])},
    )
    return plots.strip(
        table, of="achieved", by="group", beside="predicted", reference=("the limit", 1.0)
    )


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "heat_map": _heat_map,
    "panels": _panels,
    "lines": _lines,
    "frontier": _frontier,
    "breakdown": _breakdown,
    "capacity": _capacity,
    "elasticities": _elasticities,
    "roofline": _roofline,
    "strip": _strip,
}


def pixels(figure: Figure) -> np.ndarray:
    """A figure as red, green and blue."""
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=_DPI)
    return stored(drawn)


def stored(file: Path | io.BytesIO) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"), dtype=float)


def share_of_others(one: np.ndarray, two: np.ndarray) -> float:
    """Share of the pixels that differ once both pictures are blurred; all where sizes differ."""
    if one.shape != two.shape:
        return 1.0
    soft = [gaussian_filter(each, (_BLUR, _BLUR, 0.0)) for each in (one, two)]
    return float((np.abs(soft[0] - soft[1]).max(axis=2) > _SEEN).mean())


def redraw(*names: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in names or DRAWINGS:
        image = Image.fromarray(pixels(DRAWINGS[name]()).astype(np.uint8))
        few = image.quantize(128, dither=Image.Dither.NONE)
        few.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    redraw(*sys.argv[1:])
