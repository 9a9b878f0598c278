"""Compiled loops reduce as XLA does: every reduction, every metric, however a grid is cut."""

import dataclasses
import inspect
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlimits import schema
from jaxlimits.engine.by_row import Row
from jaxlimits.engine.loop import chunks, compiled, expressions
from jaxlimits.engine.loop.split import opened
from jaxlimits.engine.program import trace
from jaxlimits.engine.reductions import REDUCTIONS
from jaxlimits.engine.stream import collect
from jaxlimits.grid.rules import Budget, Rules
from jaxlimits.grid.scenario import bind
from jaxlimits.run.job import load_grid, spec_job
from tests.helpers import slow_but

AXES = {
    "llm": ["llama3-8b", "deepseek-v3"],
    "batch_size": [1, 7, 64, 3000],
    "sync_latency": {"geometric": ["0.1 us", "20 us"], "num": 37},
    "mem_bw": {"geometric": ["1 TB/s", "9 TB/s"], "num": 7},
    "tp_size": [1, 2, 8],
}
BINS = {"first": "1 token/s", "last": "10000 token/s", "bins": 20}
ALL_OPS = {
    "most": {"op": "max", "of": "utps", "over": ["tp_size", "llm"]},
    "least": {"op": "min", "of": "stps", "over": ["sync_latency"]},
    "best": {"op": "argmax", "of": "stps", "over": ["batch_size", "tp_size"]},
    "worst": {"op": "argmin", "of": "utps"},
    "plateau": {"op": "argmax", "of": "capacity_utilisation"},
    "mean": {"op": "mean", "of": "utps", "over": ["llm", "mem_bw"]},
    "spread": {"op": "std", "of": "utps", "over": ["batch_size", "mem_bw"]},
    "spread_of_all": {"op": "std", "of": "t_step"},
    "codes": {"op": "count", "of": "limit", "over": ["mem_bw"]},
    "speeds": {"op": "histogram", "of": "utps", "over": ["llm", "sync_latency"], **BINS},
    "all_speeds": {"op": "histogram", "of": "utps", **BINS},
    "middle": {"op": "quantiles", "of": "t_step"},
    "reached": {"op": "crossing", "of": "utps", "over": ["mem_bw"], "target": "100 token/s"},
    "slow": {
        "op": "crossing",
        "of": "utps",
        "over": ["batch_size"],
        "target": "50 token/s",
        "reach": "below",
    },
    "fastest": {"op": "top", "of": "utps", "k": 9},
    "slowest": {"op": "bottom", "of": "capacity_utilisation", "k": 30},
}
EXACT = {"index", "count"}


def job_of(reductions, *, fast, memory=None, precision="float32", **tables):
    base = {"chip": "h100", "assume": "gpu"} | tables.pop("base", {})
    grid = {"base": base, "axes": AXES, "reduce": reductions, **tables}
    spec = load_grid(grid, precision=precision)
    return spec_job(dataclasses.replace(spec, fast=fast, memory=memory), bind(spec))


@pytest.fixture
def interpreted(monkeypatch):
    """Run loops as the Python that they are written in: what differs by grid need not compile."""

    def plain(text, steps, dtype):
        space = {"np": np, "math": math, "inf": math.inf, "nan": math.nan, "Row": Row}
        space |= {f"step{n}": inspect.unwrap(step) for n, step in enumerate(steps)} | {
            "F": dtype.type
        }
        space |= {helper.__name__: inspect.unwrap(helper) for helper in expressions.HELPERS}
        exec(text, space)

        def run(*arguments):
            with np.errstate(all="ignore"):
                space["loop"](*arguments)

        return run

    monkeypatch.setattr(chunks, "compiled", plain)
    chunks.loop_of.cache_clear()
    yield
    chunks.loop_of.cache_clear()


def assert_same(found, expected, precision="float32"):
    assert found.keys() == expected.keys()
    for name, state in expected.items():
        for field, array in state.items():
            message = f"{name}: {field}"
            assert found[name][field].dtype == array.dtype, message
            if field in EXACT:
                np.testing.assert_array_equal(found[name][field], array, message)
            else:
                close = 3e-6 if precision == "float32" else 1e-13
                np.testing.assert_allclose(found[name][field], array, rtol=close, err_msg=message)


def both(reductions, **asked):
    """What loops keep of a grid, and what XLA does."""
    return (collect(job_of(reductions, fast=fast, **asked))[1] for fast in (True, False))


def test_every_reduction_is_that_of_xla():
    assert {table["op"] for table in ALL_OPS.values()} == REDUCTIONS.keys() - {"frontier"}
    assert_same(*both(ALL_OPS, base={"batch_size_scale": 1.5}))


def test_every_reduction_is_that_of_xla_in_float64(interpreted):
    assert_same(*both(ALL_OPS, precision="float64"), "float64")


def test_loops_compile_in_float64():
    some = {name: ALL_OPS[name] for name in ("best", "all_speeds")}
    assert_same(*both(some, precision="float64"), "float64")


def test_every_metric_is_that_of_xla():
    numbers = [name for name in schema.OUTPUTS if name not in schema.FLAGS]
    reductions = {
        **{f"most_{name}": {"op": "max", "of": name, "over": ["mem_bw"]} for name in numbers},
        **{f"least_{name}": {"op": "min", "of": name, "over": ["llm"]} for name in numbers},
        **{f"codes_{name}": {"op": "count", "of": name} for name in schema.FLAGS},
        "response": {"op": "mean", "of": "utps_elasticity_mem_bw"},
    }
    request = {"input_len": 1000, "output_len": 500, "calibration": "vllm"}
    found, expected = both(reductions, base=request)
    assert all(np.isfinite(state["value"]).any() for name, state in found.items() if "_t" in name)
    assert_same(found, expected)


@pytest.mark.parametrize(("number", "at_once"), [(1, True), (2, True), (3, False)])
def test_few_simple_reductions_take_each_point_and_more_a_row(interpreted, number, at_once):
    over = [[axis] for axis in ("llm", "tp_size", "mem_bw")]
    means = {f"mean{n}": {"op": "mean", "of": "utps", "over": over[n]} for n in range(number)}
    job = job_of(means, fast=True)
    loop = chunks.loop_at(job, next(iter(job.plan.chunks())))
    assert ("= step0(d[i]" not in loop.text.lines) == at_once
    assert_same(*both(means))


@pytest.mark.parametrize("kept", AXES)
def test_a_row_may_have_any_axis(interpreted, kept):
    """Whether a point fits may then differ along a row, also where XLA computes that."""
    over = [axis for axis in AXES if axis != kept]
    assert_same(*both({"most": {"op": "max", "of": "utps", "over": over}}))
    assert_same(*both({"best": {"op": "argmax", "of": "stps", "over": over}}))


@pytest.mark.parametrize("memory", [None, 12_000.0, 700.0])
def test_chunks_of_any_size_are_merged_alike(interpreted, memory):
    job = job_of(ALL_OPS, fast=True, memory=memory)
    assert (memory is None) == (job.plan.num_chunks == 1)
    assert_same(collect(job)[1], collect(job_of(ALL_OPS, fast=False))[1])


REQUEST = {"input_len": 1000, "output_len": 500, "calibration": "vllm"}
RESPONSES = (
    "utps_elasticity_mem_bw",
    "stps_elasticity_batch_size",
    "t_step_derivative_sync_latency",
    "utps_elasticity_mem_bw_and_sync_latency",
    "stps_doubling_mem_bw",
)


def wholes(outputs, *, reductions=None, close=None, **asked):
    """Outputs that loops keep whole, compared with those of XLA."""
    asked |= {"outputs": list(outputs), "base": {**REQUEST, **asked.pop("base", {})}}
    (found, kept), (expected, merged) = (
        collect(job_of(reductions or {}, fast=fast, **asked)) for fast in (True, False)
    )
    close = close or (3e-6 if asked.get("precision", "float32") == "float32" else 1e-14)
    assert found.keys() == expected.keys() == set(outputs)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        # A share of what changes: an elasticity may be the small difference of larger numbers.
        floor = close if "_elasticity_" in name else 0.0
        np.testing.assert_allclose(found[name], array, rtol=close, atol=floor, err_msg=name)
        if array.dtype.kind != "f":
            np.testing.assert_array_equal(found[name], array, name)
    assert_same(kept, merged, asked.get("precision", "float32"))
    return found


def test_every_output_is_that_of_xla():
    found = wholes([*schema.OUTPUTS, *RESPONSES])
    assert {found[name].dtype for name in schema.FLAGS} == {np.dtype(np.int8)}
    assert all(len(np.unique(found[name])) > 1 for name in ("feasible", "limit"))
    assert all(np.isfinite(array).any() for array in found.values())


@pytest.mark.slow
def test_every_output_is_that_of_xla_in_float64(interpreted):
    wholes([*schema.OUTPUTS, *RESPONSES], precision="float64")


@pytest.mark.parametrize("precision", slow_but(["float32", "float64"], "float32"))
def test_outputs_are_rounded_as_xla_rounds(precision):
    """What differs in the last bit before may fall on the other side of a half."""
    outputs = ["t_step", "stps", "power", "limit"]
    found = wholes(outputs, precision=precision, close=1.3e-4, digits=4)
    whole = np.dtype(found["t_step"].dtype.str.replace("f", "u"))
    bits = found["t_step"][np.isfinite(found["t_step"])].view(whole)
    kept = schema.mantissa_bits(4, precision)
    assert not np.any(bits & whole.type((1 << np.finfo(precision).nmant - kept) - 1))


@pytest.mark.parametrize("memory", slow_but([None, 12_000.0, 700.0, 90.0], None, 12_000.0))
def test_outputs_beside_reductions_in_chunks_of_any_size(interpreted, memory):
    # With masks that differ along a row, and metrics that are reduced and kept whole.
    reductions = {name: ALL_OPS[name] for name in ("best", "codes", "all_speeds", "mean")}
    outputs = ["utps", "limit", "weight_bytes", "stps_elasticity_batch_size"]
    wholes(outputs, reductions=reductions, memory=memory)


def test_layouts_that_are_not_valid_have_no_outputs(interpreted):
    axes = {name: axis for name, axis in AXES.items() if name != "tp_size"}
    found = wholes(["limit", "utps"], axes={"layout": {"all": 4}, **axes})
    assert (found["limit"] == -1).any()


@pytest.mark.parametrize("axes", [{"batch_size": [1, 8]}, {"mla_weights": ["stored", "absorbed"]}])
def test_few_points_are_kept_whole(interpreted, axes):
    wholes(["utps", "feasible"], axes=axes, base={"llm": "deepseek-v3", "tp_size": 8})


def test_what_decides_or_is_reduced_keeps_its_divisions():
    reduced = job_of({"most": {"op": "max", "of": "utps_elasticity_mem_bw"}}, fast=True)
    kept = job_of({}, fast=True, outputs=["utps_elasticity_mem_bw", "limit"])
    divisions = []
    for job in (reduced, kept):
        loop = chunks.loop_at(job, next(iter(job.plan.chunks())))
        divisions.append([one.primitive.name for one in loop.parts.rest].count("div"))
    assert divisions[0] > divisions[1]


BUDGET = Budget(of="stps_per_watt", most=False, limit=2.0)


@pytest.mark.parametrize("rules", [Rules(budgets=(BUDGET,)), Rules()])
def test_points_that_do_not_count_are_left_out_alike(interpreted, rules):
    some = {name: ALL_OPS[name] for name in ("most", "worst", "mean", "codes", "all_speeds")}
    found, expected = (
        collect(dataclasses.replace(job, scenario=dataclasses.replace(job.scenario, rules=rules)))
        for job in (job_of(some, fast=fast, memory=30_000.0) for fast in (True, False))
    )
    assert_same(found[1], expected[1])
    usable = found[1]["all_speeds"]["count"].sum()
    fitting = found[1]["codes"]["count"][..., 1:4].sum()  # bound by memory, compute or sync
    assert (usable < fitting) == bool(rules.budgets)


def test_layouts_that_are_not_valid_are_left_out_alike(interpreted):
    reductions = {name: ALL_OPS[name] for name in ("worst", "codes", "all_speeds", "fastest")}
    reductions["codes"] = {"op": "count", "of": "limit"}
    axes = {name: axis for name, axis in AXES.items() if name != "tp_size"}
    grid = {"axes": {"layout": {"all": 4}, **axes}, "base": {"chip": "h100"}}
    assert_same(*both(reductions, **grid))


@pytest.mark.parametrize("kept", [True, False])
def test_a_loop_is_kept_where_there_is_a_private_folder(tmp_path, monkeypatch, kept):
    folder = tmp_path / "loops"
    folder.mkdir()
    monkeypatch.setattr(compiled, "private_folder", lambda _: folder if kept else None)
    monkeypatch.setattr(compiled, "_MOST_LOOPS", 1)
    dtype = np.dtype("float32")
    for number in (1.0, 2.0, 2.0):
        text = f"def loop(n, m, w, c, r, s):\n    s[0] = where(m > 0, F({number}), F(0.0))\n"
        state = np.zeros(1, dtype)
        compiled.compiled(text, [], dtype)(0, 1, 0, 0, 0, state)
        assert state[0] == number
    assert len(list(folder.glob("loop_*.py"))) == kept
    assert len(list(folder.glob("__pycache__/*.nbi"))) == kept


def test_operations_mean_what_they_mean_to_xla():
    """Each expression, by itself, on numbers that tell them apart."""
    numbers = np.float32([0.5, 2.25, 1.5, np.nan])
    binary = (
        *(jnp.add, jnp.subtract, jnp.multiply, jnp.divide, jnp.maximum, jnp.minimum, jnp.power),
        *(jnp.greater, jnp.greater_equal, jnp.less, jnp.less_equal, jnp.equal, jnp.not_equal),
        lambda x, y: (x > 1.0) & (y > 1.0),
        lambda x, y: (x > 1.0) | (y > 1.0),
        lambda x, y: jnp.where(x > 1.0, x, y),
    )
    unary = (
        *(jnp.square, jnp.negative, jnp.abs, jnp.sqrt, jnp.exp, jnp.log, jnp.log1p, jnp.expm1),
        *(jnp.floor, jnp.ceil, jnp.isfinite, lambda x: x**3, lambda x: x**-2),
        *(lambda x: x.astype(bool), lambda x: ~(x > 1.0), lambda x: (x > 1.0).astype(jnp.int32)),
    )
    for arity, functions in ((1, unary), (2, binary)):
        for function, chosen in itertools.product(
            functions, itertools.product(numbers, repeat=arity)
        ):
            expected = np.asarray(function(*map(jnp.asarray, chosen)))
            found = interpreted_value(function, chosen)
            message = f"{function}{chosen}"
            np.testing.assert_allclose(found, expected, rtol=3e-7, err_msg=message)


def interpreted_value(function, chosen):
    shapes = {f"x{n}": jax.ShapeDtypeStruct((), np.float32) for n in range(len(chosen))}
    program = trace(lambda values: {"y": function(*values.values())}, shapes)
    jaxpr = trace(opened(program), shapes).traced.jaxpr
    space = {"np": np, "math": math, "F": np.float32, "inf": math.inf, "nan": math.nan}
    space |= {helper.__name__: inspect.unwrap(helper) for helper in expressions.HELPERS}
    names = {one: f"x{n}" for n, one in enumerate(jaxpr.invars)}
    values = {f"x{n}": value for n, value in enumerate(chosen)}
    with np.errstate(all="ignore"):
        for n, operation in enumerate(jaxpr.eqns):
            values[f"v{n}"] = eval(expressions.expression(operation, names), space, values)
            names[operation.outvars[0]] = f"v{n}"
    return values[names[jaxpr.outvars[0]]]
