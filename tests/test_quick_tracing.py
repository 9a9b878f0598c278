"""What tests trace in less time is what users trace: the same operations, the same bits."""

import contextlib
import dataclasses
import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from jaxlimits.model.evaluate import evaluate
from tests.helpers import named_scenario
from tests.quick_tracing import as_users_trace

OPERATORS = (operator.add, operator.sub, operator.mul, operator.truediv)
COMPARISONS = (operator.gt, operator.lt, operator.ge, operator.le)
FUNCTIONS = (jnp.maximum, jnp.minimum)
OTHERS = {
    "traced": lambda x: x * 3.0,
    "plain": lambda _: 0.1,
    "minus zero": lambda _: -0.0,
    "whole": lambda _: 2,
    "numpy": lambda x: np.dtype(x.dtype).type(0.1),
    "array": lambda x: jnp.full((), 0.1, x.dtype),
}


def traced(function, *arguments, users):
    """A function's program, by the operators of users or those of tests."""
    own = functools.partial(function)  # JAX keeps the program of a function that it has traced
    with as_users_trace() if users else contextlib.nullcontext():
        return jax.make_jaxpr(own)(*arguments)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("operate", [*OPERATORS, *COMPARISONS, *FUNCTIONS])
def test_an_operator_gives_the_bits_and_the_type_of_jax(operate, other, turned):
    def function(x):
        pair = (x, OTHERS[other](x))
        return operate(*reversed(pair)) if turned else operate(*pair)

    for value in (np.float32(1.7), np.float32(-0.0), np.float32(np.nan)):
        quick, usual = (
            jaxpr_as_fun(traced(function, value, users=users))(value)[0] for users in (False, True)
        )
        assert quick.dtype == usual.dtype
        np.testing.assert_array_equal(np.asarray(quick), np.asarray(usual))
        assert np.signbit(quick) == np.signbit(usual)


def test_arrays_of_other_shapes_and_types_take_the_usual_way():
    def function(x, many, whole):
        chosen = jnp.where(many[None] > 1.0, many[None], many[None] / 2.0)
        return x * 2.0, chosen, whole + 1, whole.astype(np.float32) * x

    arguments = np.float32(3.0), np.arange(4, dtype=np.float32), np.int32(5)
    quick, usual = (
        jaxpr_as_fun(traced(function, *arguments, users=users))(*arguments)
        for users in (False, True)
    )
    for one, other in zip(quick, usual, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_an_operation_is_not_traced_twice():
    def function(x, y):
        return x * y + x * y, x * 2.0 - x * 2.0

    pair = np.float32(1.0), np.float32(2.0)
    quick = traced(function, *pair, users=False)
    usual = traced(function, *pair, users=True)
    assert len(quick.jaxpr.eqns) == 4
    assert len(usual.jaxpr.eqns) == 6


@pytest.mark.parametrize(
    ("llm", "settings"),
    [
        ("llama3-70b", {"tp_size": 8.0}),
        ("deepseek-v3", {"ep_size": 8.0, "dp_size": 8.0, "input_len": 4096.0, "output_len": 512.0}),
    ],
)
def test_metrics_and_slopes_have_the_bits_that_users_get(llm, settings):
    scenario = named_scenario(llm, "h200", **settings)

    def metrics(mem_bw):
        chip = dataclasses.replace(scenario.chip, mem_bw=mem_bw)
        found = evaluate(*scenario._replace(chip=chip))
        return {name: value for name, value in vars(found).items() if value is not None}

    def slope(mem_bw):
        return jax.grad(lambda bw: metrics(bw)["utps"])(mem_bw)

    bandwidth = np.float32(4.8e12)
    for function in (metrics, slope):
        quick, usual = (traced(function, bandwidth, users=users) for users in (False, True))
        assert len(quick.jaxpr.eqns) < len(usual.jaxpr.eqns)
        for one, other in zip(
            *(jaxpr_as_fun(each)(bandwidth) for each in (quick, usual)), strict=True
        ):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
