"""Draw the README's picture from the results of two shipped grids.

Run ``jaxlimits sweep paper`` and ``jaxlimits sweep bandwidth_sync``, then
``python -m jaxlimits.examples.paper_figure paper.nc bandwidth_sync.nc picture.png``
(needs ``pip install 'jaxlimits[plot]'``).
"""

import sys

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import jaxlimits as jl
from jaxlimits.plot.scales import plain_numbers
from jaxlimits.plot.style import styles_of

MODEL = "llama3-405b"
LEVELS = (200, 500, 1000, 2000, 5000)
WIDTHS = (1.6, 4.0, 1.6, 1.6, 1.6)  # lines that coincide stay visible


def draw_frontier(axes: Axes, paper: xr.Dataset) -> None:
    """System throughput over user speed, the batch along the lines, one line a machine."""
    chosen = paper.sel(llm=MODEL, tp_size=128, seq_len=4096)
    looks = styles_of(paper.chip)
    for look, width, chip in zip(looks, WIDTHS, paper.chip.values, strict=True):
        colour = look["color"]
        line = chosen.sel(chip=chip)
        if not line.feasible.values.any():
            axes.plot([], [], color=colour, marker="x", linestyle="", label=f"{chip}: does not fit")
            continue
        style = {"color": colour, "linewidth": width, "marker": "o", "markersize": 2.5 + width}
        axes.plot(line.utps, line.stps, label=chip, **style)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="speed of one user (utps) [token/s]",
        ylabel="system throughput (stps) [token/s]",
        title=f"{MODEL}, TP128, 4,096 tokens, batch 1 to 512",
    )
    axes.set_xticks([300, 500, 1000, 2000], minor=False)
    axes.set_xticks([], minor=True)
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    axes.set_xlim(280.0, 2100.0)  # the legend stands left of the lines
    axes.legend(frameon=False, loc="lower left", fontsize=9)
    axes.grid(which="major", color="0.9")


def draw_bandwidth_sync(axes: Axes, result: xr.Dataset) -> None:
    """User speed over bandwidth and sync latency, with the line where sync takes over."""
    chosen = result.sel(llm=MODEL, seq_len=4096, batch_size=1)
    bandwidth = chosen.mem_bw.values / 1e12
    latency = chosen.sync_latency.values * 1e6
    utps = chosen.utps.transpose("sync_latency", "mem_bw").values
    mesh = axes.pcolormesh(bandwidth, latency, utps, norm=LogNorm(), cmap="cividis", shading="auto")
    lines = axes.contour(bandwidth, latency, utps, levels=LEVELS, colors="white", linewidths=0.9)
    spots = [(bandwidth[-40], latency[row]) for row in _rows_of(utps[:, -40])]
    axes.clabel(lines, fmt=lambda level: f"{level:,.0f}", fontsize=8, manual=spots)
    synced = chosen.limit.transpose("sync_latency", "mem_bw").values == jl.Limit.SYNC
    axes.contour(bandwidth, latency, synced.astype(float), levels=[0.5], colors="k", linewidths=2.0)
    axes.text(9.0, 19.0, "sync binds", color="white", ha="center", fontsize=9)
    axes.text(1.0, 0.04, "memory binds", color="white", ha="center", fontsize=9)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="memory bandwidth of one chip [TB/s]",
        ylabel="exposed latency of one collective [µs]",
        title=f"{MODEL}, TP128, 4,096 tokens, one user",
    )
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    colours = axes.figure.colorbar(mesh, ax=axes, label="speed of one user (utps) [token/s]")
    plain_numbers(colours.ax.yaxis)


def _rows_of(column: np.ndarray) -> list[int]:
    """Rows in which a falling column of speeds crosses the levels, for their labels."""
    rows = [int(np.argmin(np.abs(column - level))) for level in LEVELS]
    return [row for row in rows if 0 < row < len(column) - 1]


def draw(paper: xr.Dataset, bandwidth_sync: xr.Dataset) -> Figure:
    """Draw both panels."""
    figure = Figure(figsize=(12.0, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
    draw_frontier(left, paper)
    draw_bandwidth_sync(right, bandwidth_sync)
    return figure


def main(paper: str, bandwidth_sync: str, picture: str) -> None:
    """Read two results and save the picture."""
    with jl.open(paper) as study, jl.open(bandwidth_sync) as trade, np.errstate(all="ignore"):
        draw(study, trade).savefig(picture, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
