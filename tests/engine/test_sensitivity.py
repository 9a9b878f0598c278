"""Sensitivities as outputs: closed forms, differences in float64, the identity of all of them."""

import functools
import warnings
from pathlib import Path

import numpy as np
import pytest

from jaxlimits import schema
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import make_job
from jaxlimits.errors import InputError
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.scenario import Scenario, bind, own_parts
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import spec_job
from tests.helpers import one_in

POINTS = 1000
STEP = 1e-5
FIELDS = tuple(schema.FIELDS)


def elasticity(field, metric="utps"):
    return schema.Sensitivity(metric=metric, by=(field,), kind="elasticity").name


@functools.cache
def random_fields():
    """A thousand feasible points: models and chips of the catalog, run in random ways."""
    random, catalog = np.random.default_rng(20250718), load_catalog()
    with warnings.catch_warnings(action="ignore"):  # of those that are announced
        every = {name: catalog.values("chip", name, where="", key="") for name in catalog.chips}
    chips = [name for name, row in every.items() if not np.isnan([*row.values()]).any()]
    rows = []
    for _ in range(POINTS):
        row = schema.base_defaults()
        for record, names in (("llm", catalog.llms), ("chip", chips)):
            row |= catalog.values(record, str(random.choice(list(names))), where="test", key="test")
        row |= {
            "tp_size": 2.0 ** random.integers(0, 8),
            "pp_size": float(random.integers(1, 4)),
            "dp_size": float(random.integers(1, 5)),
            "batch_size": float(random.integers(1, 512)),
            "seq_len": float(random.integers(1, 200_000)),
            "query_tokens": float(random.integers(1, 4)),
            "weight_bits": random.choice([4.25, 8.0, 16.0]),
            "kv_bits": random.choice([8.0, 16.0]),
            "compute_bits": 8.0,
            "sync_latency": 10.0 ** random.uniform(-8, -5),
            "mem_bw": 10.0 ** random.uniform(11, 15),
            "mem_capacity": 1e15,
        }
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def evaluated(fields, outputs, own=()):
    axis = Axis(name="point", values=tuple(map(float, range(len(fields["mem_bw"])))), linked={})
    scenario = Scenario(
        where="test",
        base={},
        switches=schema.switch_defaults(),
        axes=(axis,),
        columns=(fields,),
        own=own_parts(own),
    )
    return collect(make_job(scenario, outputs=outputs, precision="float64"))[0]


def grid(text, precision="float32"):
    file = parse_grid(text, where="grid", stem="grid", folder=Path())
    spec = build_spec(file, grid_catalog(file), precision=precision)
    return spec, collect(spec_job(spec, bind(spec)))[0]


PLAIN = """
elasticities = {{ of = ["utps"], by = ["mem_bw", "peak_flops", "sync_latency"{more}] }}
outputs = ["t_mem", "t_compute", "t_sync", "t_step", "utps", "stps"]
[base]
llm = "llama3-405b"
chip = "xpu-hbm3"
accounting = "layers"
vector_work = "off"
[axes]
tp_size = [16, 128]
batch_size = {{ pow2 = [1, 512] }}
mem_bw = {{ geometric = ["0.5 TB/s", "64 TB/s"], num = {bandwidths} }}
sync_latency = {{ geometric = ["0.02 us", "20 us"], num = {latencies} }}
"""


def moved(fields, names):
    """Logarithms of the speed of all points a step above and below in each field, in one run."""
    names = (*names, *FIELDS[: 8 - len(names)])  # as many rows whichever fields: one program
    rows = [{**fields, name: fields[name] * (1 + step)} for name in names for step in (STEP, -STEP)]
    columns = {name: np.concatenate([row[name] for row in rows]) for name in fields}
    return np.log(evaluated(columns, ("utps",), names)["utps"]).reshape(8, 2, POINTS)


@pytest.mark.parametrize("first", one_in(6, range(0, len(FIELDS), 8)))
def test_elasticities_by_every_field_are_those_of_central_differences(first):
    fields, some = random_fields(), FIELDS[first : first + 8]
    # Bits of a part are its own from the value on that it has at the point.
    parts = own_parts(some)
    set_by = {part: schema.SETTERS[part] for part in parts if part in schema.SETTERS}
    fields = {**fields, **{part: fields[setter] for part, setter in set_by.items()}}
    found = evaluated(fields, ("utps", *map(elasticity, some)), some)
    middle = np.log(found["utps"])
    assert np.isfinite(middle).all()
    for name, (above, below) in zip(some, moved(fields, some), strict=False):
        sides = (above - middle) / np.log1p(STEP), (below - middle) / np.log1p(-STEP)
        smooth = np.abs(sides[0] - sides[1]) < 1e-3
        # Alone, a chip or a rank has a kink at the next one, and as many chips as KV heads; the
        # tensor rate has steps. These points have the whole sequence on each chip.
        usual = {"ep_size": 0.25, "compute_bits": 0.25, "tp_size": 0.75, "cp_size": 0.1}
        assert smooth.mean() > usual.get(name, 0.85), name
        if name in ("tp_size", "cp_size"):  # one chip sends nothing, and its slope is 0 however
            smooth &= fields[name] > 1.0  # slight the kink
        expected = (above - below) / (np.log1p(STEP) - np.log1p(-STEP))
        np.testing.assert_allclose(
            found[elasticity(name)][smooth], expected[smooth], rtol=0.0, atol=1e-4, err_msg=name
        )


def test_elasticities_are_the_shares_of_the_step():
    _, found = grid(PLAIN.format(more="", bandwidths=40, latencies=30), "float64")
    fits = np.isfinite(found["utps"])
    memory = found["t_mem"] > found["t_compute"]
    shares = {
        "mem_bw": np.where(memory, found["t_mem"], 0.0) / found["t_step"],
        "peak_flops": np.where(memory, 0.0, found["t_compute"]) / found["t_step"],
        "sync_latency": -found["t_sync"] / found["t_step"],
    }
    for field, share in shares.items():
        np.testing.assert_allclose(found[elasticity(field)][fits], share[fits], atol=1e-5)
        assert np.isnan(found[elasticity(field)][~fits]).all()


def test_elasticities_by_rates_less_those_by_latencies_are_one_on_a_million_points():
    _, found = grid(PLAIN.format(more="", bandwidths=250, latencies=200))
    assert found["utps"].size == 10**6
    total = sum(found[elasticity(f)] for f in ("mem_bw", "peak_flops"))
    total = total - found[elasticity("sync_latency")]
    fits = np.isfinite(found["utps"])
    assert fits.sum() > 5e5
    np.testing.assert_allclose(total[fits], 1.0, rtol=0.0, atol=1e-5)
    assert np.isnan(total[~fits]).all()


def test_a_derivative_is_in_units_of_both_and_agrees_with_the_elasticity():
    text = PLAIN.format(more="", bandwidths=5, latencies=4)
    text = text.replace("elasticities", 'derivatives = ["mem_bw"]\nelasticities', 1)
    _, found = grid(text, "float64")
    bandwidth = np.geomspace(0.5e12, 64e12, 5)[:, None]
    derivative, metric = found["utps_derivative_mem_bw"], found["utps"]
    np.testing.assert_allclose(
        derivative * bandwidth / metric, found[elasticity("mem_bw")], rtol=1e-9
    )
    assert schema.output("utps_derivative_mem_bw").unit == "token/B"


def test_the_interaction_is_the_derivative_of_an_elasticity_by_the_other():
    text = PLAIN.format(more=', "mem_bw * sync_latency"', bandwidths=4, latencies=400)
    _, found = grid(text, "float64")
    interaction = found["utps_elasticity_mem_bw_and_sync_latency"]
    logs = np.log(np.geomspace(0.02e-6, 20e-6, 400))
    slope = np.gradient(found[elasticity("mem_bw")], logs, axis=-1)
    inner = (..., slice(1, -1))
    fits = np.isfinite(interaction[inner])
    np.testing.assert_allclose(interaction[inner][fits], slope[inner][fits], atol=1e-4)
    assert np.abs(interaction[inner][fits]).max() > 0.1


def test_a_doubling_is_the_gain_from_twice_the_field():
    text = PLAIN.format(more="", bandwidths=8, latencies=4).replace(
        "elasticities", 'doublings = ["mem_bw"]\nelasticities', 1
    )  # eight bandwidths a factor two apart
    _, found = grid(text, "float64")
    gains = found["utps"][:, :, 1:, :] / found["utps"][:, :, :-1, :]
    np.testing.assert_allclose(found["utps_doubling_mem_bw"][:, :, :-1, :], gains, rtol=1e-12)


def test_sensitivities_bring_the_limit_and_reduce_like_any_output():
    spec, _ = grid(PLAIN.format(more="", bandwidths=2, latencies=2))
    assert "limit" in spec.outputs
    text = PLAIN.format(more="", bandwidths=20, latencies=10) + (
        "[reduce.steepest]\nop = 'max'\nof = 'utps_elasticity_mem_bw'\n"
    )
    spec, dense = grid(text)
    job = spec_job(spec, bind(spec))
    _, states = collect(job)
    assert states["steepest"]["value"] == np.nanmax(dense[elasticity("mem_bw")])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('elasticities = ["mem_bandwidth"]', "mem_bw"),
        ('elasticities = { of = ["limit"], by = ["mem_bw"] }', "metric 'limit'"),
        ('derivatives = ["mem_bw * seq_len * tp_size"]', "too many fields"),
        ('outputs = ["utps_elasticity_bandwidth"]', "output"),
    ],
)
def test_what_has_no_derivative_is_named(line, says):
    text = f"{line}\n[base]\nllm = 'llama3-8b'\nchip = 'h100'\n[axes]\nbatch_size = [1]\n"
    with pytest.raises(InputError, match=says):
        grid(text)
