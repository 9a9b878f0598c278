"""The families of systems of the limit study: one entry each."""

from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits import plot
from jaxlimits.studies.claim import Picture, Results
from jaxlimits.studies.family import Family
from jaxlimits.studies.prices import at_stated_prices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALONE = {"seq_len": 4096, "batch_size": 1}


def _frontier_of(grid: str, llm: str, by: str, title: str) -> Picture:
    """Throughput over the speed of one user, chips and users free."""

    def draw(results: Results) -> "Figure":
        chosen = at_stated_prices(results[grid]).sel(llm=llm, seq_len=4096)
        return plot.frontier(chosen, by=by, title=title)

    caption = "Throughput of the system over the speed of one user, chips and users free."
    return Picture(name=f"{grid}_frontier", caption=caption, draw=draw)


def _users_by_chips(results: Results) -> "Figure":
    chosen = (
        at_stated_prices(results["hbm4"]).sel(llm="llama3-405b", seq_len=4096).isel(mem_capacity=-1)
    )
    title = "Llama 3.1 405B with HBM4 (192 GiB a chip), 4 Ki tokens"
    levels = (50.0, 100.0, 200.0, 500.0, 1000.0)
    return plot.heat_map(chosen, x="tp_size", y="batch_size", of="utps", levels=levels, title=title)


def _speed_by_latency(results: Results) -> "Figure":
    chosen = at_stated_prices(results["stacked_dram"]).sel({"llm": "llama3-405b", **_ALONE})
    title = "Llama 3.1 405B with 3D-stacked DRAM, 4 Ki tokens, one user"
    return plot.lines(chosen, x="tp_size", by="sync_latency", title=title)


def _times_by_chips(results: Results) -> "Figure":
    chosen = at_stated_prices(results["cluster"]).sel(
        {"llm": "llama3-405b", "chip": "xpu-hbm4", "pp_size": 1, **_ALONE}
    )
    chosen = chosen.sel(interconnect="nvlink5-xdr", tp_size=slice(4, None))
    title = "Llama 3.1 405B on HBM4, 72 in a domain, 4 Ki tokens, one user"
    return _breakdown(chosen, along="tp_size", title=title)


def _speed_by_interconnect(results: Results) -> "Figure":
    chosen = at_stated_prices(results["cluster"]).sel(
        {"llm": "llama3-405b", "chip": "xpu-hbm4", "pp_size": 1, **_ALONE}
    )
    title = "Llama 3.1 405B on HBM4 in one stage, 4 Ki tokens, one user"
    return plot.lines(chosen, x="tp_size", by="interconnect", title=title)


def _throughput_by_experts(results: Results) -> "Figure":
    chosen = at_stated_prices(results["cluster_experts"]).sel(
        llm="deepseek-v3", chip="xpu-hbm3", tp_size=8, dp_size=32, seq_len=4096
    )
    chosen = chosen.sel(interconnect="nvlink5-xdr")
    title = "DeepSeek-V3, 32 replicas of 8 HBM3, 72 in a domain, 4 Ki tokens"
    return plot.lines(chosen, of="stps", x="batch_size", by="ep_size", title=title)


def _times_on_a_wafer(results: Results) -> "Figure":
    chosen = at_stated_prices(results["wafer_mesh"]).sel(
        {"chip": "xpu-cows-die", "pp_size": 64, **_ALONE}
    )
    title = "One user on 64 wafers of 25 dies as stages, 4 Ki tokens"
    return _breakdown(chosen, along="llm", title=title)


def _breakdown(chosen: xr.Dataset, *, along: str, title: str) -> "Figure":
    """What a step is made of, its synchronisation in latency and payload."""
    beyond = (chosen.t_compute - chosen.t_mem).clip(0.0).assign_attrs(chosen.t_compute.attrs)
    parts = {
        "memory": "t_mem",
        "compute beyond memory": "beyond",
        "latency of collectives": "t_sync_latency",
        "their payload": "t_sync_payload",
    }
    return plot.breakdown(chosen.assign(beyond=beyond), x=along, parts=parts, title=title)


FAMILIES = (
    Family(
        name="hbm3",
        title="HBM3 GPU and TPU-class chips",
        grid="hbm3",
        remark=(
            "The paper's machine beside chips one can buy, each at its own latency of a collective."
        ),
        pictures=(
            _frontier_of("hbm3", "llama3-70b", "chip", "Llama 3.1 70B on HBM3 chips, 4 Ki tokens"),
        ),
    ),
    Family(
        name="hbm4",
        title="HBM4",
        grid="hbm4",
        remark="The paper's machine, and the same with the HBM3 machine's capacity.",
        pictures=(
            Picture(
                name="hbm4_users",
                caption="What binds, over chips and users.",
                draw=_users_by_chips,
            ),
        ),
    ),
    Family(
        name="stacked_dram",
        title="Advanced 3D-stacked DRAM",
        grid="stacked_dram",
        remark="36 GiB a chip: many chips for a large model, so that collectives decide.",
        pictures=(
            Picture(
                name="stacked_dram_latency",
                caption="Speed over the number of chips at three latencies.",
                draw=_speed_by_latency,
            ),
        ),
    ),
    Family(
        name="sram",
        title="SRAM-only designs",
        grid="sram",
        remark="Half a gigabyte a chip: capacity sets the number of chips, stages share the model.",
        pictures=(
            _frontier_of("sram", "llama3-70b", "chip", "Llama 3.1 70B from SRAM, 4 Ki tokens"),
        ),
    ),
    Family(
        name="cluster",
        title="Clusters: tensor parallelism and pipeline stages",
        grid="cluster",
        remark=(
            "1 to 1,024 chips inside one scale-up domain and across several, by up to 16 stages. "
            "The domains that the chips span set the time of a collective, by the quickest "
            "algorithm (α–β model, ours), over three interconnects: latencies that fit the paper's "
            "results (inferred), and two that one can buy (measured inside a domain, ours across)."
        ),
        pictures=(
            Picture(
                name="cluster_speeds",
                caption="Speed of one user over the number of chips, by how they are joined.",
                draw=_speed_by_interconnect,
            ),
            Picture(
                name="cluster_times",
                caption="Time of one step over the chips that share it.",
                draw=_times_by_chips,
            ),
        ),
    ),
    Family(
        name="cluster_experts",
        title="Clusters: expert parallelism over replicas",
        grid="cluster_experts",
        remark=(
            "Experts split over each replica (ep_size 1), or placed on ranks across replicas. "
            "All-to-alls take the time of the domains that the ranks span, as in the family above."
        ),
        pictures=(
            Picture(
                name="cluster_experts",
                caption="Throughput over users, by the ranks that experts are placed on.",
                draw=_throughput_by_experts,
            ),
        ),
    ),
    Family(
        name="wafer",
        title="Wafer-scale integration",
        grid="wafer",
        remark="One wafer is one chip: collectives inside it cost nothing, which flatters it.",
        pictures=(
            _frontier_of("wafer", "llama3-70b", "chip", "Llama 3.1 70B on wafers, 4 Ki tokens"),
        ),
    ),
    Family(
        name="wafer_mesh",
        title="Wafer-scale integration, die by die",
        grid="wafer_mesh",
        remark=(
            "The dies of one wafer share each stage over the wafer's mesh, whose routers sum on "
            "the way (α–β model, ours); wafers are stages. What a collective takes inside a wafer "
            "is what the family above leaves out. Chips are dies here."
        ),
        pictures=(
            Picture(
                name="wafer_mesh_times",
                caption="Time of one step over one wafer's mesh a stage, by model.",
                draw=_times_on_a_wafer,
            ),
        ),
    ),
)
