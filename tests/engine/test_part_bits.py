"""Bits by part at the named level: who sets what, and what follows it."""

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.errors import InputError
from tests.helpers import one_in

PARTS = [name for name, setter in schema.SETTERS.items() if setter == "weight_bits"]
OWN = [name for name in PARTS if not name.startswith("draft_")]
POINT = ("deepseek-v3", "h200")
MACHINE = {"tp_size": 16, "batch_size": 8, "x64": True}


def read(**settings):
    return jl.evaluate(*POINT, **MACHINE, **settings).weight_traffic


def test_the_model_states_its_parts_and_weight_bits_set_all():
    released = {"attention_bits": 8 + 32 / 128**2, "ffn_bits": 8 + 32 / 128**2}
    released |= {"expert_bits": 8 + 32 / 128**2, "embedding_bits": 16, "head_bits": 16}
    assert read() == pytest.approx(read(**released), rel=1e-12)
    assert read(weight_bits=4) == pytest.approx(read(**dict.fromkeys(OWN, 4)), rel=1e-12)
    assert read(weight_bits=0) == read()


def test_a_part_set_beside_weight_bits_wins():
    expected = read(**dict.fromkeys(OWN, 16) | {"expert_bits": 4})
    assert read(weight_bits=16, expert_bits=4) == pytest.approx(expected, rel=1e-12)
    assert read(weight_bits=16) > expected


def grid(axes, *, outputs=("weight_traffic",), **base):
    machine = {"llm": POINT[0], "chip": POINT[1], "batch_size": 8, **base}
    return {"outputs": [*outputs], "precision": "float64", "base": machine, "axes": axes}


def test_axes_do_as_settings_do():
    swept = jl.sweep(grid({"weight_bits": [4, 16], "expert_bits": [4, 8]})).weight_traffic
    for given in ({"weight_bits": 4, "expert_bits": 8}, {"weight_bits": 16, "expert_bits": 4}):
        assert float(swept.sel(given)) == pytest.approx(read(**given), rel=1e-12)


def test_models_on_an_axis_have_each_its_own_bits():
    models = ["deepseek-v3", "gpt-oss-120b", "llama3-70b"]
    one = grid({"llm": models})
    del one["base"]["llm"]
    swept = jl.sweep(one).weight_traffic
    for name in models:
        alone = jl.evaluate(name, POINT[1], **MACHINE)
        assert float(swept.sel(llm=name)) == pytest.approx(alone.weight_traffic, rel=1e-12)


def test_factors_on_weight_bits_hold_for_the_parts_that_follow():
    assert read(weight_bits_scale=2) == pytest.approx(2 * read(), rel=1e-12)
    given = {"weight_bits": 8, "expert_bits": 4}
    expected = read(weight_bits=16, expert_bits=4)
    assert read(**given, weight_bits_scale=2) == pytest.approx(expected, rel=1e-12)
    assert read(weight_bits=8, expert_bits_scale=0.5) == pytest.approx(read(**given), rel=1e-12)


DRAFTED = {"speculation": "draft", "draft": "llama3-8b"}


@pytest.mark.parametrize(
    ("given", "drafted"),
    one_in(
        3,
        [({"weight_bits": 8, "expert_bits": 4}, {}), ({}, DRAFTED), ({"weight_bits": 8}, DRAFTED)],
    ),
)
def test_what_weight_bits_change_is_the_sum_of_the_parts_that_follow(given, drafted):
    one = grid({"batch_size": [1, 8]}, tp_size=16, **given, **drafted)
    del one["base"]["batch_size"], one["outputs"]
    parts_here = PARTS if drafted else OWN
    asked = {"of": ["utps"], "by": ["weight_bits", *parts_here]}
    found = jl.sweep({**one, "elasticities": asked, "derivatives": asked})
    following = [part for part in parts_here if part not in given]
    for word in ("elasticity", "derivative"):
        parts = [found[f"utps_{word}_{part}"] for part in following]
        together = found[f"utps_{word}_weight_bits"]
        assert (together < 0.0).all()
        np.testing.assert_allclose(sum(part.values for part in parts), together, rtol=1e-9)
        for part in parts_here:  # also of those that are set, each alone
            assert (found[f"utps_{word}_{part}"] <= 0.0).all()
        assert "its elasticity is the sum" in together.attrs["comment"]


def test_twice_the_weight_bits_are_twice_those_of_every_part():
    one = grid({"batch_size": [8]}, tp_size=16)
    del one["base"]["batch_size"], one["outputs"]
    found = jl.sweep({**one, "doublings": {"of": ["weight_traffic"], "by": ["weight_bits"]}})
    assert found.weight_traffic_doubling_weight_bits.item() == pytest.approx(2.0)


@pytest.mark.parametrize("unknown", ["weight_bits", "expert_bits"])
def test_an_unknown_is_set_beside_all_that_is(unknown):
    target = read(**{"weight_bits": 8, unknown: 5})
    found = jl.solve(
        *POINT,
        solve_for=unknown,
        target=f"weight_traffic >= {target!r} B",
        tp_size=16,
        batch_size=8,
        weight_bits=8,
    )
    assert found.value == pytest.approx(5.0)
    assert found.now == 8.0
    assert found.metrics.weight_traffic == pytest.approx(target)


def test_a_required_part_in_a_grid_leaves_the_others():
    required = {"for": "expert_bits", "of": "weight_traffic", "at_least": "20 GB", "keep": True}
    one = {**grid({"weight_bits": [4, 8]}, tp_size=16), "require": {"wide": required}}
    found = jl.sweep(one)
    for bits in (4, 8):
        wide = float(found.wide.sel(weight_bits=bits))
        assert read(weight_bits=bits, expert_bits=wide) == pytest.approx(20e9, rel=1e-9)


def test_kv_bits_set_the_cache_unless_its_own_bits_are_set():
    def cache(**settings):
        return jl.evaluate(*POINT, **MACHINE, **settings).kv_bytes

    assert cache(cache_bits=16) == cache(kv_bits=16) == 2 * cache(kv_bits=8)
    with pytest.warns(jl.IdleSettingWarning, match="kv_bits is set and changes nothing here"):
        assert cache(kv_bits=8, cache_bits=16) == cache(kv_bits=16)


def test_products_are_as_wide_as_their_operands_unless_compute_bits_are_set():
    def seconds(**settings):
        settings = {"vector_work": "off", "kv_bits": 8, **settings}
        return jl.evaluate("llama3-70b", "b200", tp_size=8, x64=True, **settings).t_compute

    eight = seconds(weight_bits=8)
    assert eight == pytest.approx(seconds(weight_bits=8, compute_bits=8))
    weights_alone = seconds(weight_bits=8, operand_bits=16)
    assert eight < weights_alone < seconds(weight_bits=8, compute_bits=16)
    assert seconds(weight_bits=4.5) < eight  # a B200 has a rate of its own for 4 bits


def test_bits_below_nothing_are_refused():
    with pytest.raises(InputError, match="above 0"):
        read(expert_bits=0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["attention 8.002", "head 16 bits (catalog)", "cache: 8 bits (default)"]),
        ({"weight_bits": 8}, ["weight_bits = 8 (set)"]),
        (
            {"weight_bits": 8, "expert_bits": 4.25, "kv_bits": 16, "compute_bits": 8},
            ["expert_bits = 4.25 (set)", "kv_bits = 16 (set)", "compute_bits = 8 (set)"],
        ),
    ],
)
def test_a_result_says_which_bits_it_used(settings, words):
    said = jl.sweep(grid({"seq_len": [1024, 2048]}, outputs=["t_step"], **settings)).attrs["bits"]
    assert all(word in said for word in words), said
