"""One picture of each kind of figure, and how two pictures are compared.

Redraw the stored ones, and then look at them, with ``python -m tests.plot.drawings``.

Pictures are small, of fixed size, and set in DejaVu Sans, which matplotlib brings along. Where the
axes lie stands in the file: the insides of axes are compared, brought to one size and blurred, so
that another version of FreeType, whose glyphs differ by a pixel and move the axes by a few, changes
little, and a line of another colour, or one that has moved, is seen.
"""

import functools
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import gaussian_filter

import jaxlimits as jl
from jaxlimits import plot
from tests.helpers import PAPER_SHARING

FOLDER = Path(__file__).parent / "pictures"

GRID = """
outputs = ["utps", "stps", "t_mem", "t_compute", "t_sync", "limit", "capacity_utilisation"]
elasticities = ["mem_bw", "sync_latency"]
[base]
llm = "llama3-405b"
weight_bits = 8
kv_bits = 8
compute_bits = 8
tp_size = 8
vector_work = "off"
kv_sharding = "split"
collective_algorithm = "constant"
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

_MOVED = 12
"""Pixels by which the edges of axes may move."""

MOST_OTHER = 0.003
"""Share of the pixels that may be others: some of those under words."""


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
    stated = {"weight_bits": 8, "kv_bits": 8, "compute_bits": 8, **PAPER_SHARING}
    point = jl.operators("deepseek-v3", "h200", tp_size=16, batch_size=64, **stated)
    return jl.plot.roofline(point)


@functools.cache
def indices_of_inputs() -> xr.Dataset:
    """Sobol indices by hand, in the form of ``jaxlimits uncertainty``."""
    inputs = ["mem_bw", "sync_latency", "batch_size", "seq_len", "weight_bits"]
    total = np.array([[0.2, 0.12, 0.7, 0.0001, np.nan], [0.3, 0.02, 0.6, 0.1, np.nan]])
    pair = np.full((2, 5, 5), np.nan)
    pair[:, *np.triu_indices(5, k=1)] = np.linspace(-0.02, 0.1, 20).reshape(2, 10)
    dims = ("metric", "input")
    return xr.Dataset(
        {
            "total_order": (dims, total),
            "total_order_conf": (dims, 0.2 * total),
            "first_order": (dims, 0.8 * total),
            "first_order_conf": (dims, 0.3 * total),
            "second_order": ((*dims, "other_input"), pair),
            "second_order_conf": ((*dims, "other_input"), abs(pair)),
        },
        {
            "metric": ["utps", "stps"],
            "input": inputs,
            "other_input": inputs,
            "distribution": ("input", [f"uniform [{place}, 9]" for place in range(5)]),
        },
    )


def _indices() -> Figure:
    return jl.plot.indices(indices_of_inputs(), of="utps", most=3)


def _strip() -> Figure:
    places = np.array([0.2, 0.31, 0.35, 0.55, 0.6, np.nan])
    table = xr.Dataset(
        {
            "achieved": ("row", places, {"short_name": "measured", "units": "1"}),
            "predicted": ("row", places * 1.1, {"short_name": "predicted", "units": "1"}),
        },
        {"group": ("row", ["one", "one", "one", "two", "two", "three"])},
    )
    return plot.strip(
        table, of="achieved", by="group", beside="predicted", reference=("the limit", 1.0)
    )


def points_of_a_question() -> xr.Dataset:
    """What ``best`` finds: points along ``point``, with what tells them apart."""
    rate = {"long_name": "tokens per second", "si_unit": "token/s", "display_unit": "token/s"}
    bandwidth = {"long_name": "bandwidth", "si_unit": "B/s", "display_unit": "TB/s"}
    return xr.Dataset(
        {
            "stps": ("point", [900.0, 700.0, 420.0], rate),
            "utps": ("point", [9.0, 30.0, 55.0], rate),
        },
        {
            "mem_bw": ("point", [4e12, 4e12, 8e12], bandwidth),
            "batch_size": ("point", [64, 32, 8]),
            "tp_size": ("point", [8, 8, 8]),
        },
        attrs={"maximised": "stps", "question": "maximise stps where utps >= 5 token/s"},
    )


def frontier_of_a_plan() -> xr.Dataset:
    """What ``plan -o`` writes: choices, and the least machines by target of the time of a token."""
    time = {"long_name": "time of a token", "si_unit": "s/token", "display_unit": "ms/token"}
    count = {"long_name": "chips of the system"}
    levels = np.geomspace(4e-3, 40e-3, 8)
    apart = np.array([np.nan, 60, 40, 30, 24, 24, 22, 22])
    return xr.Dataset(
        {
            "num_chips": ("choice", [18.0, 20.0, 24.0], count),
            "tpot": ("choice", [0.019, 0.015, 0.018], time),
            "least_bound": ("tpot_target", [80.0, 36, 25, 20, 17, 15, 14, 14], count),
            "least_aggregated": ("tpot_target", [np.nan, np.nan, 90, 44, 26, 18, 16, 15], count),
            "least_disaggregated": ("tpot_target", apart, count),
        },
        {
            "tpot_target": ("tpot_target", levels, time),
            "built": ("choice", ["9 x a", "10 x a", "6 x b"]),
        },
        attrs={"minimised": "num_chips", "tpot_limit": 20e-3, "question": "tpot <= 20 ms/token"},
    )


def _points() -> Figure:
    return jl.plot.points(points_of_a_question())


def _fleet() -> Figure:
    return jl.plot.fleet(frontier_of_a_plan())


def steps_of_measures() -> xr.Dataset:
    """Speeds with and without two measures, of which one works only with the other."""
    rate = {"long_name": "tokens per second", "si_unit": "token/s", "display_unit": "token/s"}
    return xr.Dataset(
        {"utps": (("speculation", "weight_bits"), [[100.0, 180.0], [100.0, 270.0]], rate)},
        {"speculation": ["off", "mtp"], "weight_bits": [8.0, 4.0]},
    )


def ways_of_searches() -> xr.Dataset:
    """What ``optimise -o`` writes of three searches: the objective and the misses of budgets."""
    rate = {"long_name": "utps at each round", "si_unit": "token/s", "display_unit": "token/s"}
    goals = [[10.0, 60, 90, 100, 100], [5.0, 30, 70, 95, 100], [300.0, 200, 80, 80, 80]]
    misses = [[0.0, 0, 0, 0, 0], [0.3, 0.2, 0, 0, 0], [2.0, 1.0, 0, 0, 0]]
    along = ("search", "round")
    return xr.Dataset({"search_objective": (along, goals, rate), "search_miss": (along, misses)})


def _ratio() -> Figure:
    chosen = result().isel(sync_latency=0)
    return jl.plot.ratio(chosen, vs="h200", x="batch_size", by="seq_len")


def _tornado() -> Figure:
    return jl.plot.tornado(
        result().sel(chip="h200", seq_len=4096, batch_size=1).isel(sync_latency=6)
    )


def _waterfall() -> Figure:
    return jl.plot.waterfall(steps_of_measures())


def _trajectories() -> Figure:
    return jl.plot.trajectories(ways_of_searches())


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "heat_map": _heat_map,
    "panels": _panels,
    "lines": _lines,
    "frontier": _frontier,
    "breakdown": _breakdown,
    "capacity": _capacity,
    "elasticities": _elasticities,
    "roofline": _roofline,
    "indices": _indices,
    "strip": _strip,
    "points": _points,
    "fleet": _fleet,
    "ratio": _ratio,
    "tornado": _tornado,
    "waterfall": _waterfall,
    "trajectories": _trajectories,
}


class Picture(NamedTuple):
    """A drawn figure, and where on it the axes lie: left, upper, right, lower [pixel]."""

    image: Image.Image
    boxes: list[list[int]]


def drawn(figure: Figure) -> Picture:
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_DPI)
    image = Image.open(file).convert("RGB")
    shares = [axes.get_position().extents for axes in figure.axes]
    wide, high = image.size
    boxes = [[x0 * wide, (1 - y1) * high, x1 * wide, (1 - y0) * high] for x0, y0, x1, y1 in shares]
    return Picture(image, [[round(end) for end in box] for box in boxes])


def stored(path: Path) -> Picture:
    with Image.open(path) as image:
        return Picture(image.convert("RGB"), json.loads(image.info["axes"]))


def share_of_others(one: Picture, two: Picture) -> float:
    """Largest share of the pixels inside of any axes that differ; all where the axes do."""
    if one.image.size != two.image.size or len(one.boxes) != len(two.boxes):
        return 1.0
    if np.abs(np.subtract(one.boxes, two.boxes)).max() > _MOVED:
        return 1.0
    pairs = zip(one.boxes, two.boxes, strict=True)
    return max(_differing(one.image.crop(a), two.image.crop(b)) for a, b in pairs)


def _differing(one: Image.Image, two: Image.Image) -> float:
    soft = [
        gaussian_filter(np.asarray(each.resize(one.size), float), (_BLUR, _BLUR, 0.0))
        for each in (one, two)
    ]
    return float((np.abs(soft[0] - soft[1]).max(axis=2) > _SEEN).mean())


def redraw(*names: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in names or DRAWINGS:
        write(drawn(DRAWINGS[name]()), FOLDER / f"{name}.png")


def write(picture: Picture, path: Path) -> None:
    facts = PngInfo()
    facts.add_text("axes", json.dumps(picture.boxes))
    picture.image.save(path, pnginfo=facts, optimize=True)


if __name__ == "__main__":
    redraw(*sys.argv[1:])
