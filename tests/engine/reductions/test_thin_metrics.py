"""Reductions of metrics that do not depend on every axis, or that some points lack."""

import numpy as np
import pytest

from jaxlimits.engine.findings import findings_of
from jaxlimits.engine.stream import collect
from jaxlimits.grid.scenario import bind
from jaxlimits.run.pipeline import spec_job
from tests.engine.reductions.brute_force import MEMORIES, dense, reduce, spec_of

THIN = {"t_step": "s", "t_mem": "s", "t_sync": "s", "kv_bytes": "B", "weight_bytes": "B"}
"""Metrics, all but the first of which do not depend on every axis, with their units."""

THIN_TABLES = """
[reduce.mean_{name}]
op = "mean"
of = "{name}"
[reduce.most_{name}]
op = "max"
of = "{name}"
over = ["llm", "tp_size", "mem_bw_scale"]
[reduce.best_{name}]
op = "argmin"
of = "{name}"
over = ["batch_size", "mem_bw_scale"]
[reduce.top_{name}]
op = "top"
of = "{name}"
k = 40
[reduce.bins_{name}]
op = "histogram"
of = "{name}"
first = "1e-9 {unit}"
last = "1e15 {unit}"
bins = 24
"""


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_metric_counts_as_often_as_there_are_points_with_its_value(memory):
    tables = (THIN_TABLES.format(name=name, unit=unit) for name, unit in THIN.items())
    fitting = "op = 'count'\nof = 'feasible'\nover = ['llm', 'batch_size', 'mem_bw_scale']\n"
    findings = reduce(fitting + "".join(tables), memory=memory)
    found = {name: finding.values for name, finding in findings.items()}

    arrays, labels = dense()
    fits = arrays["feasible"] == 1
    codes = [np.sum(arrays["feasible"] == code, axis=(0, 4, 5)) for code in (-1, 0, 1)]
    np.testing.assert_array_equal(found["found"], np.stack(codes, axis=-1))
    for name in THIN:
        values = arrays[name][fits].astype(np.float64)
        assert found[f"mean_{name}"] == pytest.approx(values.mean(), rel=2e-6)
        most = np.where(fits, arrays[name], -np.inf).max(axis=(0, 3, 5))
        most = np.where(most > -np.inf, most, np.nan)
        np.testing.assert_allclose(found[f"most_{name}"], most, rtol=1e-6)
        largest = np.sort(values)[::-1][:40]
        np.testing.assert_allclose(found[f"top_{name}"], largest, rtol=1e-6)
        assert found[f"bins_{name}"].sum() == values.size
        slots = np.digitize(np.unique(values), found[f"bins_{name}_bin"]) - 1
        assert set(np.flatnonzero(found[f"bins_{name}"])) == set(slots)
        rows = np.where(fits, arrays[name], np.inf).reshape(3, 2, 2, 3, 35)
        some = np.isfinite(rows).any(axis=-1)
        batch, mem_bw = np.unravel_index(np.argmin(rows, axis=-1), (7, 5))
        for axis, place in (("batch_size", batch), ("mem_bw_scale", mem_bw)):
            winner = found[f"best_{name}_{axis}"]
            np.testing.assert_array_equal(winner[some], labels[axis][place][some])
            assert np.isnan(winner[~some]).all()


REQUESTS = """
outputs = ["ttft", "feasible"]
[base]
llm = "llama3-70b"
chip = "h100"
weight_bits = 8
kv_bits = 8
compute_bits = 8
tp_size = 1
[axes]
input_len = [1024, 65536]
batch_size = [1, 8, 32]
[reduce.average]
op = "mean"
of = "ttft"
[reduce.longest]
op = "max"
of = "ttft"
"""


def test_a_request_that_does_not_fit_is_left_out():
    spec = spec_of(REQUESTS)
    job = spec_job(spec, bind(spec))
    arrays, states = collect(job)
    found = {finding.name: finding.values for finding in findings_of(job, states)}
    ttft = arrays["ttft"].astype(np.float64)
    assert np.array_equal(np.isnan(ttft), arrays["feasible"] == 0)
    assert 0 < np.isnan(ttft).sum() < ttft.size
    assert found["average"] == pytest.approx(np.nanmean(ttft), rel=2e-6)
    assert found["longest"] == pytest.approx(np.nanmax(ttft), rel=1e-6)
