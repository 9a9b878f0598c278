"""Benchmarks measure beside baselines that compute the same: one of them, on a small grid.

``python -m benchmarks`` compares all of them before it measures, for which it needs a C compiler.
"""

import numpy as np
import pytest

from benchmarks.baselines.broadcast import everything, volumes_of
from benchmarks.grids import BILLION, METRICS, Axes, grid_text, job_of, spec_of
from jaxlimits.engine.stream import collect
from jaxlimits.grid.scenario import bind
from jaxlimits.run.job import load_grid

SMALL = Axes(llm=5, tp_size=3, batch_size=2, mem_bw=3, sync_latency=2)


@pytest.fixture(scope="module")
def ours():
    arrays, _ = collect(job_of(grid_text(SMALL, outputs=tuple(METRICS))))
    return arrays


def test_a_benchmark_s_baseline_gives_what_the_model_gives(ours):
    scenario = bind(spec_of(grid_text(SMALL, outputs=("utps",))))
    found = everything(volumes_of(scenario), slice(None))
    assert set(found) == set(METRICS)
    for name, values in found.items():
        slack = 1.0 if name == "max_batch_size" else 0.0
        expected = ours[name].ravel()
        np.testing.assert_allclose(
            values.ravel(), expected, rtol=1e-5, atol=slack, equal_nan=True, err_msg=name
        )


@pytest.mark.parametrize("setting", ["base", "names", "switches", "axes", "precision"])
def test_the_grid_of_benchmarks_is_the_shipped_one(setting):
    measured, shipped = spec_of(grid_text(Axes(), reductions=BILLION)), load_grid("billion")
    assert getattr(measured, setting) == getattr(shipped, setting)
