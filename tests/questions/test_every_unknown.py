"""Every numeric field of every record as a solver's unknown, by one mechanism."""

import dataclasses
import functools
import itertools
import math

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import make_job
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.file import RequirementTable
from jaxlimits.grid.requirements import METRICS, read_requirement
from jaxlimits.points.named_point import point_scenario
from jaxlimits.questions.solve import _FEW as FEW
from tests.helpers import slow_but
from tests.test_every_field import (
    BASE,
    ENTRIES,
    IDLE,
    MATRICES,
    NEEDS,
    OVERLAY,
    base_under,
    stated_values,
    written,
)
from tests.test_every_field import VALUES as PAIRS

# What counts in one situation is idle in another.
pytestmark = pytest.mark.filterwarnings("ignore::jaxlimits.IdleSettingWarning")

# A value and the one to find, where that is not twice what the base has.
VALUES = {"ep_size": (4.0, 8.0), "tied_embeddings": (1.0, 0.0)}
VALUES |= {"cp_size": (2.0, 4.0), "redundant_experts": (8.0, 16.0), "dense_tp_size": (4.0, 8.0)}
VALUES |= {"ffn_chips": (4.0, 8.0), "ffn_micro_batches": (2.0, 4.0)}
VALUES |= {"mesh_rows": (2.0, 1.0), "chip_hour_price": (1e-3, 2e-3)}
VALUES |= {"usable_fraction": (0.5, 0.75), "utilisation": (1.0, 0.75)}
VALUES |= {"draft_tied_embeddings": (1.0, 0.0), "power_cap": PAIRS["power_cap"]}
# Beyond these, another collective takes less time.
VALUES |= {"one_shot_latency": (4e-6, 4.5e-6), "two_shot_latency": (9e-6, 9.5e-6)}
ACCEPTANCES = ("acceptance", "acceptance_decay", "acceptance_length")
OF_REQUESTS = ("input_len", "output_len", "prefill_chunk", "prefill_batch", "calls_per_answer")
OF_REQUESTS += ("prefix_share",)
OF_TIERS = ("sram_capacity", "lpddr_capacity", "sram_bw", "lpddr_bw")
OF_ALL_PARTS = ("weight_bits", "kv_bits", "compute_bits")
VALUES |= {
    name: PAIRS[name] for name in (*ACCEPTANCES, *OF_REQUESTS, *OF_TIERS, *OF_ALL_PARTS, *MATRICES)
}

# Where what changes most does not rise or fall throughout: entries are fewer, but those that are
# not full yet hold more.
METRIC_OF = {
    f"{draft}{sparse}compression_ratio": "flops"
    for draft in ("", "draft_")
    for sparse in ("", "sparse_")
}
# Copies of heads are fewer on each chip up to as many as chips; parameters only grow.
METRIC_OF |= {
    f"{draft}{windowed}num_kv_heads": "weight_bytes"
    for draft in ("", "draft_")
    for windowed in ("", "windowed_")
}
# A number of bytes has its own latency by the algorithm that it makes best; a layer its kernels.
METRIC_OF |= {"draft_hidden_size": "weight_bytes", "num_indexer_layers": "flops"}

# A threshold acts at once: the payload of 4 x 2 tokens x 64 x 2 B.
THRESHOLDS = {"library_bytes": 1024.0}
# From here on, what sends twice that over 1 GB/s takes less than the constant, whatever this is.
THRESHOLDS |= {"sync_latency": 2.048e-6}
# From four to seven chips a domain it takes two for the eight of a replica; four rows of one chip
# are as far apart as one row of four.
THRESHOLDS |= {"scale_up_size": 7.0, "mesh_rows": 4.0}

SWITCHED = {
    name: {k: v for k, v in NEEDS.get(name, {}).items() if k in schema.SWITCHES}
    for name in schema.FIELDS
}
"""Switches under which each field counts."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    path = tmp_path_factory.mktemp("every_unknown") / "catalog.toml"
    path.write_text(ENTRIES)
    return jl.load_catalog(path)


@pytest.fixture(scope="module")
def stated(catalog):
    return stated_values(catalog)


def evaluated(catalog, **settings):
    point = {**BASE, **OVERLAY, **settings}
    return jl.evaluate("everything", "everything", catalog=catalog, x64=True, **point)


@pytest.fixture(scope="module")
def ends(catalog, stated):
    """Metrics at both values of each field, those of one choice of switches from one program."""

    @functools.cache
    def under(switches):
        names = [name for name in schema.FIELDS if SWITCHED[name] == dict(switches)]
        points = [
            point_scenario("everything", "everything", settings, catalog=catalog)
            for name in names
            for settings in ends_of(name, stated)
        ]
        columns = {key: np.array([point.base[key] for point in points]) for key in points[0].base}
        axis = Axis(name="point", values=tuple(map(float, range(len(points)))), linked={})
        together = dataclasses.replace(points[0], base={}, axes=(axis,), columns=(columns,))
        found, _ = collect(make_job(together, outputs=METRICS, precision="float64"))
        rows = [
            {metric: found[metric][row].item() for metric in METRICS} for row in range(len(points))
        ]
        return dict(zip(names, zip(rows[::2], rows[1::2], strict=True), strict=True))

    return lambda name: under(tuple(SWITCHED[name].items()))[name]


def ends_of(name, stated):
    """The settings of the points at a field's present value and at the one to find."""
    needs = NEEDS.get(name, {})
    settings = {**base_under({name, *needs}), **OVERLAY, **needs}
    return [settings | {name: written(name, value)} for value in values_of(name, stated)]


def values_of(name, stated):
    here = stated[name]
    return VALUES.get(name, (here, 2.0 * here))


def kind_of_search(name):
    """What the search for a field depends on: where it looks, whether optional parts may run."""
    table = RequirementTable.model_validate({"for": name, "of": "utps", "at_least": "1 token/s"})
    asked = read_requirement("value", table, where="test")
    promised = any(name in schema.part_fields(part) for part in schema.OPTIONAL_PARTS)
    num = len(asked.candidates)
    how = "bracket" if num == 0 else "one by one" if num <= FEW else "along an axis"
    return (how, asked.is_whole, asked.is_constrained, promised)


def by_kind():
    """Every field; each is a program of its own, and those with a new pair of traits not slow."""
    seen = set()
    for name in (name for name in schema.FIELDS if name not in IDLE):
        pairs = {*itertools.combinations(enumerate(kind_of_search(name)), 2)}
        yield pytest.param(name, marks=[pytest.mark.slow] if pairs <= seen else [])
        seen |= pairs


@pytest.mark.parametrize("name", [*by_kind()])
def test_a_field_is_found_from_a_metric_that_depends_on_it(name, ends, stated, catalog):
    (other, wanted), needs = values_of(name, stated), NEEDS.get(name, {})
    now, there = ends(name)
    changes = {
        metric: abs(there[metric] / now[metric] - 1.0)
        for metric in METRICS
        if metric not in {"max_batch_size", "limit_factor"} and now[metric]
    }
    metric = METRIC_OF.get(
        name, max(changes, key=lambda key: 0.0 if math.isnan(changes[key]) else changes[key])
    )
    target = there[metric]
    settings = {**base_under({name, *needs}), **OVERLAY, **needs}
    if name in ("sram_bw", "lpddr_bw"):  # a tier has some bandwidth
        settings[name] = written(name, other)
    found = jl.solve(
        *("everything", "everything"),
        solve_for=name,
        target=f"{metric} >= {written_metric(metric, target)}",
        catalog=catalog,
        **settings,
    )
    assert found.reason == "met", metric
    assert found.value == pytest.approx(THRESHOLDS.get(name, wanted), rel=1e-9), metric
    assert found.reached == pytest.approx(target, rel=1e-9), metric


def written_metric(metric, value):
    unit = schema.OUTPUTS[metric].unit
    return f"{value!r}" if unit == "1" else f"{value!r} {unit}"


IDLE_HERE = ["chip_price", "electricity_price", "die_area", "pue", *IDLE]


@pytest.mark.parametrize("name", slow_but(IDLE_HERE, "chip_price", *IDLE))
def test_a_field_that_does_not_count_is_met_everywhere_or_unreachable(name, catalog):
    now = evaluated(catalog)
    point = ("everything", "everything")
    easy = f"utps={now.utps / 2}"
    hard = f"utps={now.utps * 2}"
    settings = {"catalog": catalog, **BASE, **OVERLAY}
    met = jl.solve(*point, solve_for=name, target=easy, **settings)
    unmet = jl.solve(*point, solve_for=name, target=hard, **settings)
    assert (met.reason, met.reached) == ("met_everywhere", now.utps)
    limit = jl.Limit(now.limit).name.lower()
    assert (unmet.reason, unmet.reached) == (f"unreachable_{limit}", now.utps)
    assert math.isnan(unmet.value)
