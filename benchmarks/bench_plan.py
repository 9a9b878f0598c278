"""A plan over every layout of a fleet: layouts and batches evaluated in a second, and the whole."""

import jaxlimits as jl
from jaxlimits.planning.operating import operating_points
from jaxlimits.planning.systems import (
    batches,
    decode_grid,
    make_machines,
    prefill_of,
    sizes_of_groups,
)

LLM, CHIP = "deepseek-v3", "gb200"
TARGETS = ("ttft <= 1 s", "tpot <= 20 ms/token")
MOST = 64


def workload() -> jl.Workload:
    """Ten requests a second of 8,192 tokens in and 1,024 out."""
    return jl.Workload.of_lengths([(8192, 1024)], rate="10 request/s")


def bench_plan_of_every_layout(benchmark):
    """Everything but start-up and compilation: the bound, its prices, and the least machines."""
    work = workload()
    machines = make_machines(LLM, [CHIP], most=MOST, only={}, settings={})
    tried = batches(sizes_of_groups(machines, work).largest_batch)
    benchmark.extra_info |= {
        "layouts": len(machines.layouts),
        "points": 3 * len(machines.layouts) * len(tried),
        "operating points": sum(
            len(points)
            for points in operating_points(
                decode_grid(machines, work, tried=tried, objective="num_chips"),
                tried,
                prefill_of(machines, work),
                work,
                "num_chips",
            )
        ),
    }
    found = benchmark.pedantic(
        jl.plan, (LLM, CHIP, work), {"targets": TARGETS, "most": MOST}, warmup_rounds=1, rounds=3
    )
    assert found.is_met
