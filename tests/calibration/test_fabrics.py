"""Fabrics: known latencies and rates come back from the times that they make."""

import numpy as np
import pytest

from jaxlimits.calibration.fabrics import AllReduces, fit_fabric
from jaxlimits.model.fabric import Fabric, measured_all_reduce_time

KNOWN = {
    "plain": {
        "one_shot_latency": 4e-6,
        "one_shot_bw": 300e9,
        "one_shot_bytes": 2.0**22,
        "two_shot_latency": 9e-6,
        "two_shot_bw": 320e9,
    },
    "with a library's ring between": {
        "one_shot_latency": 7e-6,
        "one_shot_bw": 400e9,
        "one_shot_bytes": 2.0**21,
        "two_shot_latency": 18e-6,
        "two_shot_bw": 560e9,
        "library_bytes": 2.0**20,
        "library_latency": 30e-6,
        "library_hop_latency": 1e-6,
    },
}


def table(values, *, noise=0.0):
    sizes = [(n, 2.0**k) for n in (2.0, 4.0, 8.0) for k in range(12, 26)]
    fabric = Fabric(**values)
    times = [float(measured_all_reduce_time(fabric, payload=p, chips=n)) for n, p in sizes]
    random = np.random.default_rng(7)
    return AllReduces(
        chip="b200",
        stack="mine/1",
        chips=np.array([n for n, _ in sizes]),
        payloads=np.array([p for _, p in sizes]),
        times=np.array(times) * np.exp(random.normal(0.0, noise, len(times))),
    )


@pytest.mark.parametrize("values", KNOWN.values(), ids=KNOWN)
def test_known_constants_come_back(values, x64):
    fit = fit_fabric(table(values))
    assert fit.values == pytest.approx(values, rel=1e-5)
    assert fit.largest_error < 1e-5


def test_noise_is_told(x64):
    fit = fit_fabric(table(KNOWN["plain"], noise=0.05))
    assert 0.02 < fit.error < 0.06
    assert fit.values["one_shot_bytes"] == KNOWN["plain"]["one_shot_bytes"]
    assert "library_bytes" not in fit.values
    assert fit.values["one_shot_latency"] == pytest.approx(4e-6, rel=0.05)
