"""What ``--help`` shows under each command: command lines that run as they stand, in this order.

They read the files that those before them write, in one folder.
"""

from collections.abc import Mapping

MAP = (
    "jaxlimits plot smoke.nc heat-map --x mem_bw --y sync_latency"
    " --select seq_len=4096 --select batch_size=1"
)
POINT = "jaxlimits point --llm llama3-405b --chip h200 --tp-size 8"
FIRST = ("jaxlimits sweep smoke", MAP, POINT)
"""What a newcomer needs: a result, a picture of it, one point."""

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "sweep": (
        "jaxlimits sweep smoke",
        "jaxlimits sweep smoke -o h200.nc --set chip=h200 --set kv_bits=16 --x64",
        "jaxlimits sweep --again h200.nc",
        "jaxlimits sweep bandwidth_sync -o long.nc --memory '64 MB' --plan",
    ),
    "info": ("jaxlimits info smoke.nc", "jaxlimits info smoke.nc --json"),
    "plot": (
        MAP,
        "jaxlimits plot smoke.nc frontier --by mem_bw -o frontier.svg",
        "jaxlimits plot smoke.nc roofline --select mem_bw='4 TB/s' --select sync_latency='10 us'"
        " --select seq_len=4096 --columns batch_size -o roofs.svg",
    ),
    "report": ("jaxlimits report smoke.nc -o report.html",),
    "explore": (
        "jaxlimits explore",
        "jaxlimits explore smoke.nc --no-browser",
        "jaxlimits explore paper --port 5010",
    ),
    "export": (
        "jaxlimits export smoke.nc --csv --select batch_size=8 --var utps --var limit",
        "jaxlimits export smoke.nc --zarr",
    ),
    "point": (
        f"{POINT} --batch-size 16 --seq-len 32768",
        "jaxlimits point --llm kimi-k2 --chip b200 --tp-size 16 --set weight_bits=4.25 --json",
    ),
    "solve": (
        "jaxlimits solve --for sync_latency --target utps=2000 --llm llama3-405b"
        " --chip xpu-hbm4 --tp-size 128",
        "jaxlimits solve --for batch_size --target 'tpot <= 20 ms/token' --llm llama3-70b"
        " --chip h100 --tp-size 8 --json",
        "jaxlimits solve --for tp_size --among '8, 16, 32, 72' --target utps=100"
        " --llm deepseek-v3 --chip b200",
    ),
    "best": (
        "jaxlimits best smoke.nc --where 'utps >= 50' --maximise stps",
        "jaxlimits best paper --where 'utps >= 100' --maximise stps_per_watt --frontier --near 1.2",
    ),
    "optimise": ("jaxlimits optimise speed_by_die -o design.nc",),
    "uncertainty": ("jaxlimits uncertainty uncertain_machine -o bands.nc",),
    "calibrate": (
        "jaxlimits calibrate static_batch --without 'model=DeepSeek-V3.2 (DSA)'"
        " --name mine -o mine.toml",
    ),
    "compare": (
        "jaxlimits compare measured",
        "jaxlimits compare measured --plot achieved.svg",
        "jaxlimits compare --peers",
    ),
    "study": ("jaxlimits study --list",),
    "catalog": (
        "jaxlimits catalog",
        "jaxlimits catalog chips",
        "jaxlimits catalog llms deepseek-v3",
    ),
    "pack": ("jaxlimits pack billion_dense.nc one_file.nc",),
    "validate": ("jaxlimits validate",),
}
"""Command lines by command."""


def shown(lines: tuple[str, ...], title: str) -> str:
    """Return lines as the end of a help page; an empty line keeps each on its own."""
    return "\n\n".join([title, *lines])
