"""Grids to measure on: the axes of grids/billion.toml, with fewer values where time is short."""

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from jaxlimits.engine.sweep_job import Job
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.job import load_grid, spec_job

LLMS = ("llama3-70b", "llama3-405b", "deepseek-v3", "qwen3-235b", "gpt-oss-120b")

METRICS = (
    *("t_compute", "t_mem", "t_sync", "t_step", "utps", "stps", "tpot"),
    *("weight_bytes", "kv_bytes", "bytes_per_chip", "weight_traffic", "kv_traffic", "flops"),
    *("max_batch_size", "feasible", "limit", "capacity_utilisation"),
    *("bandwidth_utilisation", "flops_utilisation", "power", "energy_per_token", "stps_per_watt"),
)
"""What "every metric" means to the baselines: the limit model's, without costs and ratios."""

CODES = ("feasible", "limit")
"""Those that are codes, stored in a byte."""

BILLION: Mapping[str, Mapping[str, object]] = {
    "best": {"op": "argmax", "of": "stps", "over": ["tp_size", "batch_size"]},
    "speeds": {
        "op": "histogram",
        "of": "utps",
        "first": "1 token/s",
        "last": "100000 token/s",
        "bins": 50,
    },
    "fastest": {"op": "top", "of": "utps", "k": 10},
}
"""The reductions of grids/billion.toml; metrics at the winners, which cost nothing, left out."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Lengths of the axes; the defaults are those of grids/billion.toml, 1,024,000,000 points."""

    llm: int = len(LLMS)
    tp_size: int = 8
    batch_size: int = 64
    mem_bw: int = 400
    sync_latency: int = 500

    @property
    def points(self) -> int:
        """Points of the grid, over two contexts."""
        return 2 * self.llm * self.tp_size * self.batch_size * self.mem_bw * self.sync_latency


def grid_text(
    axes: Axes,
    *,
    outputs: tuple[str, ...] = (),
    reductions: Mapping[str, Mapping[str, object]] | None = None,
    elasticities: tuple[str, ...] = (),
) -> str:
    """Return a grid file with the axes and conventions of grids/billion.toml.

    Parameters
    ----------
    axes
        Lengths of the axes.
    outputs, reductions, elasticities
        What to keep.
    """
    tables = [
        f"[reduce.{name}]\n" + "\n".join(f"{key} = {json.dumps(v)}" for key, v in table.items())
        for name, table in (reductions or {}).items()
    ]
    by = f"elasticities = {json.dumps(list(elasticities))}" if elasticities else ""
    blocks = "\n\n".join(tables)
    return f"""\
title = "Measured by the benchmarks"
outputs = {json.dumps(list(outputs))}
{by}
[base]
chip = "xpu-hbm3"
accounting = "layers"
mla_weights = "absorbed"
attention_span = "full"
vector_work = "off"
kv_sharding = "split"
collective_algorithm = "constant"
weight_bits = 8
kv_bits = 8
compute_bits = 8

[axes]
llm = {json.dumps(list(LLMS[: axes.llm]))}
seq_len = [4096, 131072]
tp_size = {json.dumps([2 << power for power in range(axes.tp_size)])}
batch_size = {json.dumps([8 * (place + 1) for place in range(axes.batch_size)])}
mem_bw = {{ geometric = ["0.5 TiB/s", "64 TiB/s"], num = {axes.mem_bw} }}
sync_latency = {{ geometric = ["0.02 us", "20 us"], num = {axes.sync_latency} }}

{blocks}
"""


def spec_of(text: str) -> GridSpec:
    """Read a grid file given as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "measured.toml")
        path.write_text(text, encoding="utf-8")
        return load_grid(path)


def job_of(text: str, *, fast: bool = False) -> Job:
    """Plan a grid file given as text; ``fast`` for compiled loops."""
    spec = dataclasses.replace(spec_of(text), fast=fast)
    return spec_job(spec, bind(spec))
