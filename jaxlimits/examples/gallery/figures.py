"""What is drawn of each shipped grid, by its name."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import jaxlimits as jl
from jaxlimits import plot
from jaxlimits.planning.plan import plan as find_plan
from jaxlimits.planning.workload import Workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[xr.Dataset], "Figure"]

_LARGE = {"llm": "llama3-405b", "seq_len": 4096, "batch_size": 1}
_DRAM = ["xpu-hbm3", "xpu-hbm4", "xpu-3d-dram"]
_SOME = ["llama3-70b", "llama3-405b", "deepseek-v3", "qwen3-235b", "gpt-oss-120b", "llama4-scout"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One picture.

    Parameters
    ----------
    draw
        From the result to the figure.
    every
        Axes of which only every so many values are swept.
    is_uncertain
        Whether it is a study of uncertain inputs.
    """

    draw: Draw
    every: Mapping[str, int] = dataclasses.field(default_factory=dict)
    is_uncertain: bool = False


def _smoke(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(seq_len=4096, batch_size=[1, 32, 128])
    return plot.heat_map(
        chosen, x="mem_bw", y="sync_latency", columns="batch_size", levels=(50, 100, 200),
        title="Llama 3.1 405B on eight H100-class chips, 4 Ki tokens",
    )  # fmt: skip


def _paper(ds: xr.Dataset) -> "Figure":
    title = "The limit study's machines, 4 Ki tokens: 8, 32 or 128 chips, 1 to 512 users"
    return plot.frontier(ds.sel(seq_len=4096, llm=_SOME), columns="llm", title=title)


def _bandwidth_sync(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(llm="llama3-405b", seq_len=4096, batch_size=[1, 32, 512])
    return plot.heat_map(
        chosen, x="mem_bw", y="sync_latency", columns="batch_size", levels=(200, 1000, 5000),
        title="Llama 3.1 405B on 128 chips, 4 Ki tokens",
    )  # fmt: skip


def _bandwidth_sync_fine(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(seq_len=4096, batch_size=[1, 32, 512])
    return plot.lines(
        chosen, of="knee", x="sync_latency", by="llm", columns="batch_size", missing="no knee here",
        title="The knee: bandwidth from which half of a step no longer answers to it",
    )  # fmt: skip


def _billion(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(seq_len=4096, llm=["llama3-70b", "llama3-405b", "deepseek-v3"])
    return plot.heat_map(
        chosen, of="best", x="mem_bw", y="sync_latency", columns="llm",
        title="Highest throughput over all batches and numbers of chips",
    )  # fmt: skip


def _billion_frontier(ds: xr.Dataset) -> "Figure":
    sizes = np.unique(ds["frontier_tp_size"])
    along = xr.DataArray(sizes, dims="tp_size", name="tp_size")
    both = ds[["frontier_utps", "frontier_stps"]]
    parted = xr.concat([both.where(ds["frontier_tp_size"] == size) for size in sizes], along)
    return plot.frontier(
        parted,
        x="frontier_utps",
        y="frontier_stps",
        by="tp_size",
        title="What no other of a billion designs beats, by its number of chips",
    )


def _billion_dense(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(llm="llama3-405b", seq_len=4096).isel(mem_bw=[0, 8, 16], sync_latency=6)
    return plot.lines(
        chosen, x="batch_size", by="tp_size", columns="mem_bw",
        title="Llama 3.1 405B, 4 Ki tokens, one latency of the grid",
    )  # fmt: skip


def _requests(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(output_len=1024, prefill_chunk=0, calls_per_answer=1, chip_price_scale=1)
    title = "Time to the first token, prompts prefilled whole, eight chips, 16 at once"
    return plot.lines(chosen, of="ttft", x="input_len", by="chip", columns="llm", title=title)


def _speculation(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(batch_size=1, draft_length=4)
    title = "Four drafted tokens, one user, eight H200"
    return plot.lines(chosen, x="acceptance", by="speculation", columns="llm", title=title)


def _tiers(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(memory_tiers="overlap", llm="llama3-405b")
    chosen = chosen.sel(batch_size=[1, 16]).isel(lpddr_capacity=0)
    title = "Llama 3.1 405B on eight H200 with stacked SRAM, 32 Ki tokens"
    return plot.lines(chosen, x="sram_capacity", by="sram_bw", columns="batch_size", title=title)


def _collectives(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(batch_size=1, collective_algorithm="best")
    title = "Llama 3.1 405B on HBM4 machines, one user, the best algorithm"
    return plot.lines(chosen, x="tp_size", by="topology", columns="interconnect", title=title)


def _communication(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(pp_size=1, ep_size=[1, 64], tp_size=slice(2, None))
    title = "Bytes that tensor parallelism sends for a token, one stage"
    return plot.lines(chosen, of="tp_volume", x="tp_size", by="llm", columns="ep_size", title=title)


def _fsdp(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(weight_placement="sharded", batch_size=1)
    title = "Llama 3.1 70B in 16 bits, weights in shares over replicas of one H100 each"
    return plot.lines(
        chosen, of="ttft", x="input_len", by="dp_size", columns="link_bw", title=title
    )


def _kv260(ds: xr.Dataset) -> "Figure":
    return plot.lines(ds, x="seq_len", by="mem_bw_scale", title="Llama 2 7B on a KV260")


def _tokens_by_dollar(ds: xr.Dataset) -> "Figure":
    chosen = ds.isel(electricity_price=1).min("batch_size", keep_attrs=True)
    return plot.ranges(
        chosen[["dollars_per_token"]], of="dollars_per_token", rows="chip", by="llm",
        spread="chip_price_scale", title="A token at the best batch; bars: prices halved, doubled",
    )  # fmt: skip


def _hbm3(ds: xr.Dataset) -> "Figure":
    title = "HBM3 chips, 4 Ki tokens: chips and users free"
    return plot.frontier(ds.sel(seq_len=4096, chip_price_scale=1), columns="llm", title=title)


def _hbm4(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(llm="llama3-405b", seq_len=4096, chip_price_scale=1)
    title = "Llama 3.1 405B with HBM4, 4 Ki tokens"
    return plot.heat_map(
        chosen, x="tp_size", y="batch_size", columns="mem_capacity", levels=(100, 500), title=title
    )


def _stacked_dram(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(seq_len=4096, batch_size=1, chip_price_scale=1)
    title = "3D-stacked DRAM, one user, 4 Ki tokens"
    return plot.lines(chosen, x="tp_size", by="sync_latency", columns="llm", title=title)


def _sram(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(seq_len=4096, batch_size=1, chip_price_scale=1, chip="xpu-sram")
    title = "Serving from SRAM alone, one user, 4 Ki tokens"
    return plot.lines(chosen, x="tp_size", by="pp_size", columns="llm", title=title)


def _cluster(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(**_LARGE, chip="xpu-hbm4", pp_size=1, chip_price_scale=1)
    title = "Llama 3.1 405B on HBM4, one stage, one user, 4 Ki tokens"
    return plot.breakdown(
        chosen.sel(tp_size=slice(8, None)), x="tp_size", columns="interconnect", title=title
    )


def _cluster_experts(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(chip="xpu-hbm3", tp_size=8, dp_size=32, seq_len=4096, chip_price_scale=1)
    chosen = chosen.sel(interconnect="nvlink5-xdr")
    title = "Throughput of 256 HBM3 chips, 32 replicas of 8, 4 Ki tokens"
    return plot.lines(chosen, of="stps", x="batch_size", by="ep_size", columns="llm", title=title)


def _wafer(ds: xr.Dataset) -> "Figure":
    title = "Wafers, 4 Ki tokens: wafers, stages and users free"
    return plot.frontier(ds.sel(seq_len=4096, chip_price_scale=1), columns="llm", title=title)


def _wafer_mesh(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(pp_size=64, seq_len=4096, batch_size=1, chip_price_scale=1)
    title = "64 wafers as stages, one user, 4 Ki tokens: the mesh inside"
    return plot.breakdown(chosen, x="llm", columns="chip", title=title)


def _needed_capacity(ds: xr.Dataset) -> "Figure":
    stored = (ds.weight_bytes + ds.kv_bytes).assign_attrs(
        ds.kv_bytes.attrs, long_name="weights and cache of one instance"
    )
    some = ["llama3-8b", "llama3-70b", "llama3-405b", "deepseek-v3", "kimi-k2", "gpt-oss-120b"]
    chosen = stored.rename("stored").to_dataset().sel(llm=some, batch_size=[1, 32, 512])
    title = "What one instance stores, weights and cache, by model and users"
    return plot.lines(chosen, of="stored", x="seq_len", by="llm", columns="batch_size", title=title)


def _drivers(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(llm="llama3-405b", tp_size=128, chip=["xpu-hbm3", "xpu-hbm4", "xpu-3d-dram"])
    title = "Llama 3.1 405B on 128 chips: what the speed of one user answers to"
    return plot.elasticities(chosen, x="seq_len", y="batch_size", rows="chip", title=title)


def _sync_knee(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(tp_size=128, seq_len=4096, batch_size=1)
    title = "Share of the bandwidth that is used, 128 chips, one user, 4 Ki tokens"
    return plot.lines(
        chosen, of="bandwidth_utilisation", x="sync_latency", by="chip", columns="llm", title=title
    )


def _throughput_per_cost(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(seq_len=4096, chip_price_scale=1)
    title = "Throughput per watt, 4 Ki tokens: chips, stages and users free"
    return plot.frontier(chosen, y="stps_per_watt", by="chip", columns="llm", title=title)


def _top_speed(ds: xr.Dataset) -> "Figure":
    best = ds[["utps"]].max("tp_size", keep_attrs=True).sel(seq_len=4096)
    title = "One user, 4 Ki tokens, 8, 32 or 128 chips"
    return plot.cells(best, of="utps", rows="llm", columns="chip", title=title)


def _needed_latency(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(llm=_SOME)
    title = "Latency of a collective at which one user gets 2,000 tokens a second, 128 chips"
    return plot.lines(
        chosen, of="latency_for_2000", x="seq_len", by="chip", columns="llm", title=title
    )


def _more_bandwidth(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(seq_len=4096, batch_size=1, llm=_SOME)
    title = "The HBM3 machine with more bandwidth and all else as it is, one user, 4 Ki tokens"
    return plot.lines(chosen, x="mem_bw", by="tp_size", columns="llm", title=title)


def _ways_to_10000(ds: xr.Dataset) -> "Figure":
    measures = ("speculation", "attention_span", "weight_bits", "sram_capacity")
    best = ds[["utps"]].max(measures, keep_attrs=True).sel(seq_len=4096)
    title = "One user, 128 chips, 4 Ki tokens, the best of all measures"
    return plot.cells(best, of="utps", rows="llm", columns="chip", title=title)


def _better_collectives(ds: xr.Dataset) -> "Figure":
    some = ["llama3-8b", "llama3-405b", "deepseek-v3"]
    chosen = ds.sel(seq_len=4096, llm=some)
    title = "3D-stacked DRAM, one user, 4 Ki tokens"
    return plot.lines(
        chosen.sel(tp_size=[8, 32, 128, 512]), x="sync_latency", by="tp_size", columns="llm",
        title=title,
    )  # fmt: skip


def _uncertain_machine(ds: xr.Dataset) -> "Figure":
    title = "What the speed of DeepSeek-V3 on sixteen H200 depends on"
    return plot.indices(ds, of="utps", title=title)


ENTRIES: Mapping[str, Entry] = {
    "smoke": Entry(draw=_smoke),
    "paper": Entry(draw=_paper),
    "bandwidth_sync": Entry(draw=_bandwidth_sync, every={"mem_bw": 4, "sync_latency": 5}),
    "bandwidth_sync_fine": Entry(
        draw=_bandwidth_sync_fine, every={"mem_bw": 10, "sync_latency": 50}
    ),
    "billion": Entry(draw=_billion, every={"batch_size": 3, "mem_bw": 8, "sync_latency": 10}),
    "billion_frontier": Entry(
        draw=_billion_frontier, every={"batch_size": 3, "mem_bw": 8, "sync_latency": 10}
    ),
    "billion_dense": Entry(
        draw=_billion_dense, every={"batch_size": 3, "mem_bw": 24, "sync_latency": 50}
    ),
    "requests": Entry(draw=_requests),
    "speculation": Entry(draw=_speculation),
    "tiers": Entry(draw=_tiers),
    "collectives": Entry(draw=_collectives),
    "communication": Entry(draw=_communication),
    "fsdp": Entry(draw=_fsdp),
    "kv260": Entry(draw=_kv260),
    "tokens_by_dollar": Entry(draw=_tokens_by_dollar),
    "hbm3": Entry(draw=_hbm3),
    "hbm4": Entry(draw=_hbm4),
    "stacked_dram": Entry(draw=_stacked_dram),
    "sram": Entry(draw=_sram),
    "cluster": Entry(draw=_cluster),
    "cluster_experts": Entry(draw=_cluster_experts),
    "wafer": Entry(draw=_wafer),
    "wafer_mesh": Entry(draw=_wafer_mesh),
    "needed_capacity": Entry(draw=_needed_capacity),
    "drivers": Entry(draw=_drivers),
    "sync_knee": Entry(draw=_sync_knee),
    "throughput_per_cost": Entry(draw=_throughput_per_cost),
    "top_speed": Entry(draw=_top_speed),
    "needed_latency": Entry(draw=_needed_latency),
    "more_bandwidth": Entry(draw=_more_bandwidth),
    "ways_to_10000": Entry(draw=_ways_to_10000),
    "better_collectives": Entry(draw=_better_collectives),
    "uncertain_machine": Entry(draw=_uncertain_machine, is_uncertain=True),
}
"""Every shipped grid."""


def _plan() -> xr.Dataset:
    work = Workload.of_lengths([(8192, 1024)], rate="40 request/s")
    targets = ("ttft <= 1 s", "tpot <= 20 ms/token")
    asked = {"targets": targets, "most": 8, "weight_bits": 8, "frontier": True}
    return find_plan("llama3-70b", "h200", work, **asked).dataset


def _plan_figure(ds: xr.Dataset) -> "Figure":
    return plot.fleet(ds, title="Llama 3.1 70B in FP8 on H200: 40 requests/s of 8 Ki + 1 Ki tokens")


def _ratio_figure(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(llm=_SOME, seq_len=4096, batch_size=1, tp_size=128, chip=_DRAM)
    title = "One user, 128 chips, 4 Ki tokens: over HBM3"
    return plot.ratio(chosen, vs="xpu-hbm3", x="llm", by="chip", title=title)


def _tornado_figure(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(llm="llama3-405b", chip="xpu-hbm4", tp_size=128, seq_len=4096)
    title = "Llama 3.1 405B on 128 HBM4 chips, 4 Ki tokens: 1, 64 and 512 users"
    return plot.tornado(chosen.sel(batch_size=[1, 64, 512]), columns="batch_size", title=title)


def _waterfall_figure(ds: xr.Dataset) -> "Figure":
    chosen = ds.sel(llm="llama3-405b", seq_len=4096, chip="xpu-hbm3", attention_span="full")
    return plot.waterfall(chosen, title="Llama 3.1 405B on 128 HBM3 chips, one user")


def _trajectories_figure(ds: xr.Dataset) -> "Figure":
    title = "Llama 3.1 405B, the fastest user that a die of 800 mm² allows"
    return plot.trajectories(ds, title=title)


ANSWERS: Mapping[str, tuple[Callable[[], xr.Dataset], Draw]] = {
    "plan": (_plan, _plan_figure),
    "ratio": (functools.partial(jl.sweep, "paper"), _ratio_figure),
    "tornado": (functools.partial(jl.sweep, "drivers"), _tornado_figure),
    "waterfall": (functools.partial(jl.sweep, "ways_to_10000"), _waterfall_figure),
    "trajectories": (functools.partial(jl.optimise, "speed_by_die"), _trajectories_figure),
}
"""What is drawn beside the picture of each grid: how it is made, and its figure."""
