"""The page computes what the model computes: 1,000 points drawn from the whole catalog."""

import json
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.engine.exported import METRICS, UNUSED, page_rules
from jaxlimits.engine.sensitivity import point_model
from jaxlimits.errors import InputError
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.constraints import CONSTRAINTS
from jaxlimits.points.named_point import point_scenario
from tests.elementwise import at_columns

POINTS = 1000
BY_NAME = 1
"""Points that fit, at which ``jl.evaluate`` compiles a program of its own."""

TOLERANCE = 1e-9

KINDS = (
    *("num_moe_layers", "kv_lora_rank", "num_windowed_layers", "num_chunked_layers"),
    *("num_sparse_layers", "num_recurrent_layers", "num_compressed_layers", "hc_mult"),
)
"""Fields by which models differ in kind; the draw must hold some of each."""


def drawn(rng, catalog):
    """A model, a chip and settings, as `jl.evaluate` and a link take them."""
    llm, chip = (str(rng.choice(list(names))) for names in (catalog.llms, catalog.chips))
    experts = catalog.values("llm", llm)["num_experts"]
    tp, dp, pp = (int(2 ** rng.integers(0, most)) for most in (8, 3, 3))
    ranks = [n for n in (1, 2, 4, 8, 16, 32) if (tp * dp) % n == 0 and experts % n == 0]
    settings = {
        "tp_size": tp,
        "dp_size": dp,
        "pp_size": pp,
        "ep_size": int(rng.choice(ranks)),
        "batch_size": _log(rng, 1, 1024),
        "weight_bits": float(rng.choice([0.0, 4.5, 8.0, 16.0])),
        "kv_bits": float(rng.choice([0.0, 4.5, 8.0, 16.0])),
        "compute_bits": float(rng.choice([0.0, 0.0, 8.0, 16.0])),
    }
    if rng.random() < 0.4:
        settings |= {"input_len": _log(rng, 1, 1e5), "output_len": _log(rng, 1, 1e4)}
        settings |= {"prefill_batch": _log(rng, 1, 8), "prefix_share": round(rng.random(), 2)}
    else:
        settings["seq_len"] = _log(rng, 1, 1e6)
    if rng.random() < 0.3:  # chips and models that nobody has
        settings |= {"mem_bw": 1e12 * rng.uniform(1.0, 30.0), "hidden_size": _log(rng, 512, 16384)}
        settings |= {"mem_capacity": 1e9 * rng.uniform(16.0, 512.0), "cp_size": min(tp, 2)}
        settings |= {"link_bw": 1e9 * rng.uniform(50.0, 2000.0), "query_tokens": _log(rng, 1, 8)}
    if rng.random() < 0.1 and not catalog.values("llm", llm)["expert_hidden_size"]:
        settings["ffn_chips"] = settings["ep_size"] * int(2 ** rng.integers(0, 3))
        settings["ffn_micro_batches"] = int(rng.integers(1, 5))
    names = {"interconnect": str(rng.choice(list(catalog.interconnects)))}
    return llm, chip, names if rng.random() < 0.2 else {}, settings


def _log(rng, low, high):
    return int(np.exp(rng.uniform(np.log(low), np.log(high))))


@pytest.fixture(scope="module")
def points(catalog):
    rng = np.random.default_rng(20261130)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jl.AnnouncedChipWarning)
        for _ in range(POINTS):
            llm, chip, names, settings = drawn(rng, catalog)
            written = {name: _with_unit(name, value) for name, value in settings.items()}
            scenario = point_scenario(llm, chip, {**names, **written}, catalog=catalog)
            found.append((llm, chip, names, settings, scenario.base))
    return found


def _with_unit(name, value):
    unit = schema.FIELDS[name].unit
    return value if unit in ("1", "token") else f"{value!r} {unit}"


@pytest.fixture(scope="module")
def due(points):
    """The metrics by JAX, one operation after another: to compile it all would take longer."""
    parts = dict.fromkeys(schema.OPTIONAL_PARTS, True)
    static = tuple(sorted({**schema.switch_defaults(), **parts, "own_bits": ()}.items()))
    with jax.enable_x64(True):
        columns = {n: jnp.array([base[n] for *_, base in points]) for n in schema.FIELDS}
        program = point_model({n: column[0] for n, column in columns.items()}, static).only(METRICS)
        metrics = at_columns(program.traced, [columns[name] for name in program.inputs])
        return {
            name: np.asarray(column, float)
            for name, column in zip(program.outputs, metrics, strict=True)
        }


@pytest.fixture(scope="module")
def computed(scripts, points):
    """The metrics by the page, from the same names and settings."""
    code = """
        return arguments[0].map(([llm, chip, names, set]) => {
          const state = {...jaxlimits.link.initial(), interconnect: "", ...names, llm, chip, set};
          const {metrics, broken} = jaxlimits.point.evaluate(jaxlimits.point.all_fields(state));
          if (broken.length) throw new Error(broken[0]);
          return arguments[1].map(name => String(metrics[name]));
        })"""
    asked = json.loads(json.dumps([point[:4] for point in points]))
    return np.array(scripts(code, asked, list(METRICS)), dtype=float).T


@pytest.mark.parametrize("name", METRICS)
def test_the_page_equals_the_model_at_a_thousand_points(name, computed, due):
    found, expected = computed[METRICS.index(name)], due[name]
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=0.0, equal_nan=True)


def test_the_points_are_of_all_kinds(points, due):
    assert len(points) == POINTS
    for field in KINDS:
        assert 0 < sum(base[field] > 0.0 for *_, base in points) < POINTS, field
    for name, values in due.items():
        assert np.isfinite(values).any(), name
    assert 0.2 < due["feasible"].mean() < 0.95
    assert {0.0, 1.0, 2.0, 3.0} == set(due["limit"])
    assert 0.1 < np.mean([base["ep_size"] > 1.0 for *_, base in points]) < 0.9


def test_the_page_equals_a_point_by_name(points, computed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = np.flatnonzero(computed[METRICS.index("feasible")])
        for place in fits[:BY_NAME]:
            llm, chip, names, settings, _ = points[place]
            written = {name: _with_unit(name, value) for name, value in settings.items()}
            metrics = jl.evaluate(llm, chip, x64=True, **names, **written)
            for name, value in zip(METRICS, computed[:, place], strict=True):
                expected = float(getattr(metrics, name))
                close = math.isclose(value, expected, rel_tol=TOLERANCE)
                assert close or (math.isnan(value) and math.isnan(expected)), name


@pytest.mark.parametrize("program", range(len(UNUSED)))
def test_every_program_of_the_page_equals_the_others_where_it_serves(program, scripts, points):
    """The quick programs, which lack a part, at points that do not use it."""
    code = """
        const [full, quick] = [jaxlimits.PROGRAMS.at(-1), jaxlimits.PROGRAMS[arguments[1]]];
        const both = [full, quick].map(each => new jaxlimits.Evaluator(each));
        let differ = 0, served = 0;
        for (const [llm, chip, names, set] of arguments[0]) {
          const state = {...jaxlimits.link.initial(), interconnect: "", ...names, llm, chip, set};
          const fields = jaxlimits.point.all_fields(state);
          if (Object.entries(quick.without).some(([field, most]) => fields[field] > most)) continue;
          served++;
          const [a, b] = both.map(each => each.at(fields));
          for (const name in a) {
            const near = Math.abs(a[name] - b[name]) <= 1e-12 * Math.abs(a[name]);
            if (!near && !Object.is(a[name], b[name])) differ++;
          }
        }
        return [differ, served]"""
    differ, served = scripts(code, json.loads(json.dumps([p[:4] for p in points[:200]])), program)
    assert differ == 0
    assert served > 20


def broken(scripts, llm, **settings):
    code = """
        const [llm, set] = arguments, state = {...jaxlimits.link.initial(), llm, set};
        return jaxlimits.point.evaluate(jaxlimits.point.all_fields(state)).broken"""
    return scripts(code, llm, settings)


@pytest.mark.parametrize(
    ("field", "llm", "settings"),
    [
        ("ep_size must divide tp_size", "mixtral-8x7b", {"tp_size": 2, "ep_size": 8}),
        (
            "ep_size must divide num_experts",
            "llama3-8b",
            {"tp_size": 7, "num_experts": 8, "ep_size": 7},
        ),
        ("cp_size must divide", "llama3-8b", {"tp_size": 3, "cp_size": 2}),
        ("tp_size must divide dense_tp_size", "llama3-8b", {"tp_size": 4, "dense_tp_size": 6}),
        ("ep_size must divide ffn_chips", "mixtral-8x7b", {"ffn_chips": 6, "ep_size": 4}),
        ("more experts than there are", "mixtral-8x7b", {"experts_per_token": 9}),
        ("SRAM needs a bandwidth", "llama3-8b", {"sram_capacity": 1e9}),
        ("more MoE layers", "mixtral-8x7b", {"num_moe_layers": 33}),
    ],
)
def test_the_page_refuses_what_the_package_refuses(field, llm, settings, scripts):
    assert any(field in words for words in broken(scripts, llm, **settings))
    written = {name: _with_unit(name, value) for name, value in settings.items()}
    with pytest.raises(InputError):
        check_scenario(point_scenario(llm, "h100", written))


def test_every_condition_of_the_default_switches_is_on_the_page(scripts):
    assert scripts("return jaxlimits.DATA.rules.length") == len(page_rules(CONSTRAINTS)) > 10
    assert broken(scripts, "llama3-8b", tp_size=4) == []
