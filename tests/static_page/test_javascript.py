"""Each operation in JavaScript does what it does in JAX, one by one and together."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlimits.engine import javascript as translating
from jaxlimits.engine.javascript import javascript
from jaxlimits.engine.operations import ELEMENTWISE, Flat, Operation, flatten
from jaxlimits.engine.program import trace
from jaxlimits.static_page.build import FILES

INF, NAN = math.inf, math.nan
AT = [
    *((x, y) for x in (-2.5, -1.0, 0.0, 0.5, 3.0) for y in (-1.5, 0.0, 2.0, 3.0)),
    *((1e-300, 1e300), (1e300, 1e300), (INF, 2.0), (2.0, INF), (-INF, INF), (INF, INF)),
    *((NAN, 1.0), (1.0, NAN), (1e-17, 1.0), (65536.0, 7.0), (0.999, -0.999)),
]


class Point(NamedTuple):
    """Two numbers, of which a case may use one."""

    x: Any
    y: Any


def _vector(x):
    return jnp.broadcast_to(x, (5,)) * (jnp.arange(5, dtype=jnp.float64) + 0.5)


FUNCTIONS = {
    "add": lambda at: at.x + at.y,
    "sub": lambda at: at.x - at.y,
    "mul": lambda at: at.x * at.y,
    "div": lambda at: at.x / at.y,
    "rem": lambda at: jax.lax.rem(at.x, at.y),
    "modulo": lambda at: at.x % at.y,
    "max": lambda at: jnp.maximum(at.x, at.y),
    "min": lambda at: jnp.minimum(at.x, at.y),
    "pow": lambda at: jnp.where(at.x > 0, at.x, 1.0) ** jnp.minimum(at.y, 9.0),
    "square": lambda at: at.x**2,
    "cube": lambda at: (at.x + at.y) ** 3,
    "inverse square": lambda at: at.x**-2,
    "neg": lambda at: -at.x - at.y,
    "abs": lambda at: jnp.abs(at.x) - jnp.abs(at.y),
    "floor": lambda at: jnp.floor(at.x) + jnp.floor(at.y),
    "sqrt": lambda at: jnp.sqrt(at.x),
    "exp": lambda at: jnp.exp(at.x),
    "log": lambda at: jnp.log(at.x),
    "log1p": lambda at: jnp.log1p(at.x),
    "expm1": lambda at: jnp.expm1(at.x),
    "gt": lambda at: at.x > at.y,
    "ge": lambda at: at.x >= at.y,
    "lt": lambda at: at.x < at.y,
    "le": lambda at: at.x <= at.y,
    "eq": lambda at: at.x == at.y,
    "ne": lambda at: at.x != at.y,
    "and": lambda at: (at.x > 0) & (at.y > 0),
    "or": lambda at: (at.x > 0) | (at.y > 0),
    "same": lambda at: (at.x > 0) == (at.y > 0),
    "differ": lambda at: (at.x > 0) != (at.y > 0),
    "not": lambda at: ~(at.x > at.y),
    "number": lambda at: (at.x > at.y).astype(jnp.float64) + 1.0,
    "code": lambda at: jnp.where(at.x > at.y, 2, 3).astype(jnp.int8),
    "select_n": lambda at: jnp.where(at.x > at.y, at.x, at.y),
    "clip": lambda at: jnp.clip(at.x, -1.0, 1.0),
    "frexp": lambda at: jnp.frexp(at.x)[0] + 10.0 * jnp.frexp(at.x)[1].astype(float),
    "custom_jvp": lambda at: jax.nn.relu(at.x) + at.y,
    "constant": lambda _: jnp.float64(2.5),
    "input": lambda at: at.y,
    "dot": lambda at: jnp.dot(_vector(at.x), _vector(at.y)),
    "dot of ones": lambda at: jnp.dot(_vector(at.x), jnp.ones(5)),
    "element": lambda at: _vector(at.x)[2] + (_vector(at.y) * 2.0)[0],
    "two loops": lambda at: jnp.dot(
        _vector(at.x) * jnp.dot(_vector(at.y), jnp.ones(5)), _vector(at.x)
    ),
}
"""What each case computes of two numbers."""


def traced(functions):
    kind = jax.ShapeDtypeStruct((), np.float64)
    with jax.enable_x64(True):
        return trace(
            lambda at: {name: each(Point(**at)) for name, each in functions.items()},
            {"x": kind, "y": kind},
        )


def run(scripts, source, points):
    """The outputs of a program at some points; JSON has no NaN, so numbers go as text."""
    code = """
        eval?.(arguments[0]);
        const evaluator = new jaxlimits.Evaluator(jaxlimits.PROGRAMS[0]);
        return arguments[1].map(point => {
          const each = (table, change) => Object.fromEntries(
            Object.entries(table).map(([name, value]) => [name, change(value)]));
          return each(evaluator.at(each(point, Number)), String);
        })"""
    asked = [{name: js(value) for name, value in point.items()} for point in points]
    return [{k: float(v) for k, v in each.items()} for each in scripts(code, source, asked)]


def js(value):
    return {INF: "Infinity", -INF: "-Infinity"}.get(
        value, "NaN" if math.isnan(value) else repr(value)
    )


@pytest.fixture(scope="module")
def bare(browser):
    """A window with the evaluator alone."""
    browser.open("about:blank")
    evaluator = (FILES / "evaluator.js").read_text(encoding="utf-8")
    browser.driver.execute_script("eval?.(arguments[0])", evaluator)
    return browser.driver.execute_script


@pytest.fixture(scope="module")
def computed(bare):
    program = traced(FUNCTIONS)
    points = [{"x": x, "y": y} for x, y in AT]
    found = run(bare, javascript([({}, flatten(program))]), points)
    with jax.enable_x64(True):
        columns = {name: jnp.array([point[name] for point in points]) for name in ("x", "y")}
        due = jax.vmap(program)(columns)
    return found, {name: np.broadcast_to(each, len(AT)) for name, each in due.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_operation_is_that_of_jax(name, computed):
    found, due = computed
    for each, expected, at in zip(found, due[name], AT, strict=True):
        assert each[name] == pytest.approx(float(expected), rel=1e-14, abs=0.0, nan_ok=True), at


def test_every_operation_is_among_the_cases():
    operations = {each.name for each in flatten(traced(FUNCTIONS)).operations}
    assert operations >= set(translating._TEXTS) | ELEMENTWISE


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("primitive sin ", lambda at: jnp.sin(at.x)),
        ("primitive sort ", lambda at: jnp.sort(_vector(at.x))[0]),
        ("primitive and of int64", lambda at: (at.x > 0).astype(int) & 1),
        ("from 'f' to 'i'", lambda at: at.x.astype(int)),
        ("slice of several", lambda at: jnp.dot(_vector(at.x)[1:3], _vector(at.y)[1:3])),
        ("dot_general of matrices", lambda at: (jnp.full((2, 2), at.x) @ jnp.ones(2))[0]),
    ],
)
def test_what_has_no_translation_is_named(name, function):
    with pytest.raises(NotImplementedError, match=name):
        flatten(traced({"f": function}))


def test_an_operation_without_javascript_is_named():
    flat = Flat((Operation("input", setting="x"), Operation("gamma", (0,))), {"f": 1})
    with pytest.raises(NotImplementedError, match="operation gamma"):
        javascript([({}, flat)])


def test_what_is_computed_twice_is_one_operation():
    flat = flatten(
        traced({"f": lambda at: (at.x + at.y) * (at.x + at.y), "g": lambda at: at.x + at.y})
    )
    assert [each.name for each in flat.operations].count("add") == 1
    unused = flatten(traced({"f": lambda at: at.x * 2.0}).only(["f"]))
    assert {each.setting for each in unused.operations if each.name == "input"} == {"x"}


def parts_that_run(bare, source, first, second):
    """How many functions a second point runs after a first one."""
    code = """
        eval?.(arguments[0]);
        let runs = 0;
        for (const part of jaxlimits.PROGRAMS[0].parts) {
          const own = part[3];
          part[3] = v => { runs++; own(v); };
        }
        const evaluator = new jaxlimits.Evaluator(jaxlimits.PROGRAMS[0]);
        evaluator.at(arguments[1]); runs = 0; evaluator.at(arguments[2]);
        return runs"""
    return bare(code, source, first, second)


def test_only_what_rests_on_a_changed_field_runs_again(bare):
    functions = {
        "f": lambda at: at.x * 3.0,
        "g": lambda at: at.y + 1.0,
        "h": lambda at: at.x * at.y,
    }
    flat = flatten(traced(functions))
    apart, joined = (
        javascript([({}, flat)]),
        javascript([({}, flat)], together={"x": "xy", "y": "xy"}),
    )
    start = {"x": 1.0, "y": 1.0}
    assert parts_that_run(bare, apart, start, start) == 0
    assert parts_that_run(bare, apart, start, {"x": 2.0, "y": 1.0}) == 2
    assert parts_that_run(bare, joined, start, {"x": 2.0, "y": 1.0}) == 1
    # What was set last is what counts, whatever ran before.
    found = run(bare, apart, [start, {"x": 2.0, "y": 1.0}, {"x": 2.0, "y": 5.0}])
    assert [each["h"] for each in found] == [1.0, 2.0, 10.0]


def test_a_map_is_its_points(bare):
    functions = {"f": FUNCTIONS["two loops"], "g": FUNCTIONS["modulo"], "h": lambda at: at.x**2}
    source = javascript([({}, flatten(traced(functions)))])
    code = """
        eval?.(arguments[0]);
        const evaluator = new jaxlimits.Evaluator(jaxlimits.PROGRAMS[0]);
        const [x, y] = [{name: "x", values: [1, 2, 5]}, {name: "y", values: [0.5, 3]}];
        const names = ["f", "g", "h"], found = evaluator.map({x: 7, y: 8}, x, y, names);
        const due = y.values.flatMap(b => x.values.map(a => evaluator.at({x: a, y: b})));
        return names.map(name => [[...found[name]], due.map(each => each[name])])"""
    for found, due in bare(code, source):
        assert found == due


def test_a_program_of_nothing_but_constants_has_its_outputs(bare):
    assert run(bare, javascript([({}, flatten(traced({"f": lambda _: 4.0})))]), [{}]) == [
        {"f": 4.0}
    ]
