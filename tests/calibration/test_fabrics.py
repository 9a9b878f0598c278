"""Fabrics: known latencies and rates come back from the times that they make."""

import jax
import numpy as np
import pytest

from jaxlimits.calibration.fabrics import AllReduces, fit_fabric
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.model.fabric import measured_all_reduce_time

CHANGES = {"plain": 2.0**22, "with a library's ring between": 2.0**21}
"""Payload times chips from which on an engine takes two shots: late in the second."""

KNOWN = {
    "plain": {
        "one_shot_latency": 4e-6,
        "one_shot_bw": 300e9,
        "two_shot_latency": 9e-6,
        "two_shot_bw": 320e9,
    },
    "with a library's ring between": {
        "one_shot_latency": 7e-6,
        "one_shot_bw": 400e9,
        "two_shot_latency": 18e-6,
        "two_shot_bw": 560e9,
        "library_bytes": 2.0**20,
        "library_latency": 30e-6,
        "library_hop_latency": 1e-6,
    },
}


def table(name, *, noise=0.0):
    """Times as an engine has them that changes its kind by size, not by time."""
    sizes = [(n, 2.0**k) for n in (2.0, 4.0, 8.0) for k in range(12, 26)]
    values, times = KNOWN[name], []
    for n, p in sizes:
        if n * p < CHANGES[name]:
            time = values["one_shot_latency"] + (n - 1) * p / values["one_shot_bw"]
        elif p < values.get("library_bytes", 0.0):
            time = values["library_latency"] + 2 * (n - 1) * values["library_hop_latency"]
        else:
            time = values["two_shot_latency"] + 2 * (n - 1) / n * p / values["two_shot_bw"]
        times.append(time)
    random = np.random.default_rng(7)
    return AllReduces(
        chip="b200",
        stack="mine/1",
        chips=np.array([n for n, _ in sizes]),
        payloads=np.array([p for _, p in sizes]),
        times=np.array(times) * np.exp(random.normal(0.0, noise, len(times))),
    )


@pytest.mark.parametrize("name", KNOWN)
def test_known_constants_come_back(name):
    fit = fit_fabric(table(name))
    assert fit.values == pytest.approx(KNOWN[name], rel=1e-5)
    assert fit.largest_error < 1e-5


def test_noise_is_told():
    fit = fit_fabric(table("plain", noise=0.05))
    assert 0.02 < fit.error < 0.06
    assert "library_bytes" not in fit.values
    assert fit.values["one_shot_latency"] == pytest.approx(4e-6, rel=0.05)


@pytest.mark.parametrize("name", list(load_catalog().fabrics))
def test_no_fabric_takes_less_time_for_more_bytes(name, x64):
    fabric = load_catalog().fabric(name)
    payloads = np.geomspace(256.0, 2.0**28, 400)
    for chips in (2.0, 4.0, 8.0):
        times = jax.vmap(lambda p, n=chips: measured_all_reduce_time(fabric, payload=p, chips=n))(
            payloads
        )
        assert np.all(np.diff(np.asarray(times)) >= 0.0)


def test_a_fabric_that_no_measurement_stands_behind_says_so():
    catalog = load_catalog()
    inferred = {n for n in catalog.fabrics if float(catalog.fabric(n).fabric_spread) > 0.0}
    assert inferred == {"vllm-mi325x", "vllm-mi300x"}
    for name in inferred:
        words = catalog.fabrics[name].words
        assert "No measurement" in words["note"] or "Inferred" in words["note"]
