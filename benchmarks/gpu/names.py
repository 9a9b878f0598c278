"""The cases in the order in which they run: what matters most comes first."""

REDUCTIONS = {
    "argmax": {"op": "argmax", "of": "stps", "over": ["tp_size", "batch_size"]},
    "histogram": {
        "op": "histogram",
        "of": "utps",
        "first": "1 token/s",
        "last": "100000 token/s",
        "bins": 50,
    },
    "top": {"op": "top", "of": "utps", "k": 10},
    "max": {"op": "max", "of": "utps"},
    "mean": {"op": "mean", "of": "utps"},
    "std": {"op": "std", "of": "utps"},
    "quantiles": {"op": "quantiles", "of": "utps"},
    "count": {"op": "count", "of": "limit"},
    "crossing": {"op": "crossing", "of": "utps", "over": ["mem_bw"], "target": "100 token/s"},
    "frontier": {"op": "frontier", "of": ["utps", "stps"]},
}
"""Reductions that are measured alone."""

SHIPPED = ("billion", "billion_frontier", "bandwidth_sync_fine", "billion_dense")
"""Shipped grids of a billion points."""

CASES = (
    *("probe", "device_copy", "host_copy"),
    *SHIPPED,
    "dense_to_host",
    "every_metric",
    *(f"reduce_{name}" for name in REDUCTIONS),
    *("one_elasticity", "five_elasticities", "requirement", "x64"),
    *("one_device", "all_devices", "to_file"),
)
