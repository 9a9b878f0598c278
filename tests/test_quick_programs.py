"""What tests run by NumPy gives the bits of JAX, operation by operation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

import jaxlimits as jl
from jaxlimits.engine.program import trace
from jaxlimits.model.evaluate import evaluate
from tests.elementwise import ELEMENTWISE, NUMPY, SHAPED, at_columns, run
from tests.helpers import NUMBERS, named_scenario
from tests.quick_programs import RUNS, ByNumpy
from tests.quick_tracing import as_users_trace

NUMBER = np.array([1.7, -2.5, 0.0, -0.0, np.inf, -np.inf, np.nan, 3.0], np.float32)
OTHER = np.roll(NUMBER, 3)
WHOLE = np.array([7, -7, 3, 0], np.int32)
TRUTH = np.array([True, False, True, False])
BLOCK = np.linspace(-1.0, 3.0, 24, dtype=np.float32).reshape(2, 3, 4)

OF_ONE = {
    "abs": lax.abs,
    "ceil": lax.ceil,
    "convert_element_type": lambda x: lax.convert_element_type(x > 1.0, np.float32),
    "exp": lax.exp,
    "exp2": lax.exp2,
    "expm1": lax.expm1,
    "floor": lax.floor,
    "is_finite": lax.is_finite,
    "log": lax.log,
    "log1p": lax.log1p,
    "neg": lax.neg,
    "sign": lax.sign,
    "sqrt": lax.sqrt,
    "square": lax.square,
    "stop_gradient": lax.stop_gradient,
    **{f"integer_pow {n}": lambda x, n=n: lax.integer_pow(x, n) for n in (-3, -1, 0, 2, 3, 5)},
}
OF_TWO = {
    "add": lax.add,
    "add_any": lambda x, y: jax.vjp(lambda z: (z * 1.0, z * 2.0), x)[1]((x, y))[0],
    "div": lax.div,
    "eq": lax.eq,
    "ge": lax.ge,
    "gt": lax.gt,
    "le": lax.le,
    "lt": lax.lt,
    "max": lax.max,
    "min": lax.min,
    "mul": lax.mul,
    "ne": lax.ne,
    "pow": lax.pow,
    "rem": lax.rem,
    "select_n": lambda x, y: lax.select(x > y, x, y),
    "sub": lax.sub,
}
OF_TRUTHS = {
    "and": lambda: lax.bitwise_and(jnp.asarray(TRUTH), TRUTH[::-1].copy()),
    "not": lambda: lax.bitwise_not(jnp.asarray(TRUTH)),
    "or": lambda: lax.bitwise_or(jnp.asarray(TRUTH), TRUTH[::-1].copy()),
}
OF_BLOCKS = {
    "broadcast_in_dim": lambda x: lax.broadcast_in_dim(x[0], (3, 5, 4), (0, 2)),
    "concatenate": lambda x: lax.concatenate([x, x[:, :1]], 1),
    "reduce_and": lambda x: jnp.all(x > 0.0, axis=(0, 2)),
    "reduce_max": lambda x: jnp.max(x, axis=1),
    "reduce_min": lambda x: jnp.min(x, axis=(0, 2)),
    "reduce_or": lambda x: jnp.any(x > 2.9, axis=0),
    "reduce_sum": lambda x: jnp.sum(x, axis=1),
    "reshape": lambda x: x.reshape(4, 6),
    "slice": lambda x: lax.slice(x, (0, 1, 0), (2, 3, 4), (1, 1, 2)),
    "squeeze": lambda x: lax.squeeze(x[:, :1], [1]),
    "transpose": lambda x: lax.transpose(x, (2, 0, 1)),
}


def assert_same_bits(function, *given):
    traced = jax.make_jaxpr(function)(*given)
    jax_gives = map(np.asarray, jaxpr_as_fun(traced)(*given))
    for mine, usual in zip(run(traced, given), jax_gives, strict=True):
        assert (mine.dtype, mine.shape) == (usual.dtype, usual.shape)
        np.testing.assert_array_equal(mine, usual)
        if usual.dtype.kind == "f":
            numbers = ~np.isnan(usual)
            np.testing.assert_array_equal(np.signbit(mine)[numbers], np.signbit(usual)[numbers])


def test_every_operation_is_tried_here():
    tried = {name.split()[0] for name in (*OF_ONE, *OF_TWO, *OF_TRUTHS)}
    assert tried == ELEMENTWISE >= NUMPY.keys()
    assert OF_BLOCKS.keys() == SHAPED.keys()


@pytest.mark.parametrize("name", OF_ONE)
def test_an_operation_of_one_number_has_the_bits_of_jax(name):
    assert_same_bits(OF_ONE[name], NUMBER)


@pytest.mark.parametrize("name", OF_TWO)
def test_an_operation_of_two_numbers_has_the_bits_of_jax(name):
    assert_same_bits(OF_TWO[name], NUMBER, OTHER)


@pytest.mark.parametrize("name", OF_TRUTHS)
def test_an_operation_of_truths_has_the_bits_of_jax(name):
    assert_same_bits(OF_TRUTHS[name])


@pytest.mark.parametrize("operate", [lax.div, lax.rem, lax.add, lax.max])
def test_whole_numbers_are_divided_as_jax_divides(operate):
    assert_same_bits(operate, WHOLE, np.array([2, 2, -2, 5], np.int32))


@pytest.mark.parametrize("name", OF_BLOCKS)
def test_an_operation_of_shapes_has_the_bits_of_jax(name):
    assert_same_bits(OF_BLOCKS[name], BLOCK)
    columns = [column.copy() for column in BLOCK.reshape(6, 4).T]
    traced = jax.make_jaxpr(lambda *x: OF_BLOCKS[name](jnp.stack(x * 6).reshape(2, 3, 4)))
    program = traced(*(np.float32(0.0),) * 4)
    (found,) = at_columns(program, columns)
    for place in range(6):
        (one,) = run(program, [column[place] for column in columns])
        np.testing.assert_array_equal(found[place], one)


@pytest.mark.parametrize(
    ("llm", "settings"),
    [
        ("llama3-70b", {"tp_size": 8.0}),
        ("deepseek-v3", {"ep_size": 8.0, "dp_size": 8.0, "input_len": 4096.0, "output_len": 512.0}),
    ],
)
def test_a_point_has_the_bits_of_jax_alone_and_in_columns(llm, settings):
    scenario = named_scenario(llm, "h200", **settings)
    structure = jax.tree.structure(scenario)

    def metrics(values):
        point = jax.tree.unflatten(structure, [values[name] for name in NUMBERS])
        return {name: value for name, value in vars(evaluate(*point)).items() if value is not None}

    values = {name: np.float32(scenario[name]) for name in NUMBERS}
    program = trace(metrics, {name: jax.ShapeDtypeStruct((), np.float32) for name in values})
    given = [values[name] for name in program.inputs]
    alone = run(program.traced, given)
    usual = jaxpr_as_fun(program.traced)(*given)
    columns = at_columns(program.traced, [np.full(3, one) for one in given])
    for name, mine, other, column in zip(program.outputs, alone, usual, columns, strict=True):
        np.testing.assert_array_equal(mine, np.asarray(other), name)
        np.testing.assert_array_equal(column, np.full(3, mine), name)


def test_a_program_that_runs_often_is_compiled_after_all():
    usual = jax.jit(lambda values: {"twice": values["x"] * 2.0})
    quick = ByNumpy(usual)
    for runs in range(RUNS + 2):
        found = quick({"x": np.float32(runs)})
        assert found["twice"] == 2.0 * runs
        assert usual._cache_size() == (runs >= RUNS)


def test_a_point_by_name_is_that_which_users_get():
    few = jl.evaluate("llama3-8b", "h200", batch_size=3.0, query_tokens=2.0)
    with as_users_trace():
        users = jl.evaluate("llama3-8b", "h200", batch_size=3.0, query_tokens=2.0)
    for name, value in vars(few).items():
        np.testing.assert_allclose(float(value), float(getattr(users, name)), 1e-6, err_msg=name)
