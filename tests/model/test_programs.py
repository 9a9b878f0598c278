"""Programs of the bare model: unused parts are not traced, a new number compiles nothing."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxlimits.catalog.loader import load_catalog
from jaxlimits.model import imbalance, operators, step
from jaxlimits.model.attention import KINDS, sparse
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.evaluate import evaluate
from jaxlimits.model.fields import optional_parts
from jaxlimits.model.metrics import REQUESTED
from jaxlimits.model.records import named_records
from jaxlimits.model.request import Request
from jaxlimits.model.site import DEFAULT_SITE
from jaxlimits.schema import FIELDS, OUTPUTS, SWITCHES
from tests.quick_tracing import as_users_trace

DENSE, SPARSE = "llama3-70b", "deepseek-v3.2"
NINE = ("utps", "stps", "tpot", "t_mem", "t_step", "power", "energy_per_token", "flops", "t_sync")
BW = np.float32(4e12)


def records(llm=DENSE, **deployment):
    catalog = load_catalog()
    return catalog.chip("h200"), catalog.llm(llm), Deployment(**{"tp_size": 8.0} | deployment)


def by_bandwidth(chip, *others, of=("utps",)):
    """Metrics as a function of the memory bandwidth alone."""

    def metrics(mem_bw):
        found = evaluate(dataclasses.replace(chip, mem_bw=mem_bw), *others)
        return [getattr(found, name) for name in of]

    return metrics


def count(function, *arguments):
    """Operations of a function's program, those of inner programs with them."""
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr):
    inner = (one for each in jaxpr.eqns for one in jaxprs_in_params(each.params))
    return len(jaxpr.eqns) + sum(map(_count, inner))


@pytest.fixture(autouse=True)
def counted_as_users_trace():
    with as_users_trace():
        yield


@pytest.fixture
def called(monkeypatch):
    """Names of the functions of optional parts that were called."""
    names = []

    def watch(module, name):
        original = getattr(module, name)

        def watched(*arguments, **settings):
            names.append(name)
            return original(*arguments, **settings)

        monkeypatch.setattr(module, name, watched)

    watch(operators, "touched_experts")
    watch(operators, "touched_imbalance")
    watch(sparse, "index_bytes")
    watch(step, "model_data")
    watch(step, "prefill_operators")
    watch(imbalance, "_max_over_mean")
    return names


def test_the_slope_of_a_dense_model_on_one_chip_is_a_small_program():
    slope = jax.grad(lambda bw: by_bandwidth(*records(tp_size=1.0))(bw)[0])
    assert count(slope, BW) < 1200  # 6608 with every part


def test_nine_slopes_share_one_program_of_the_model():
    one = count(jax.jacrev(by_bandwidth(*records())), BW)
    nine = count(jax.jacrev(by_bandwidth(*records(), of=NINE)), BW)
    assert nine < 4 * one


def test_nothing_of_an_optional_part_is_traced_for_a_dense_model_on_plain_chips(called):
    jax.make_jaxpr(by_bandwidth(*records()))(BW)
    assert called == []


@pytest.mark.parametrize(
    ("llm", "changes", "traced"),
    [
        (SPARSE, {}, {"touched_experts", "index_bytes"}),
        (
            "deepseek-v3",
            {"ep_size": 8.0},
            {"touched_experts", "touched_imbalance", "_max_over_mean"},
        ),
    ],
)
def test_the_parts_that_a_model_uses_are_traced(called, llm, changes, traced):
    jax.make_jaxpr(by_bandwidth(*records(llm, **changes)))(BW)
    assert set(called) == traced


def test_tiers_and_requests_are_traced_where_the_point_has_them(called):
    chip, *others = records()
    tiered = dataclasses.replace(chip, sram_capacity=1e9, sram_bw=1e14)
    jax.make_jaxpr(by_bandwidth(tiered, *others))(BW)
    assert set(called) == {"model_data"}
    called.clear()
    asked = jax.make_jaxpr(lambda bw: evaluate(*records(), request=Request(input_len=bw)).ttft)
    asked(np.float32(100.0))
    assert set(called) == {"prefill_operators"}


def test_a_traced_record_is_traced_whole_unless_the_deployment_promises_otherwise():
    chip, llm, deployment = jax.tree.map(np.float32, records())
    promises = dict.fromkeys(optional_parts(Deployment), False)
    spared = dataclasses.replace(deployment, **promises)
    assert count(evaluate, chip, llm, spared) < count(evaluate, chip, llm, deployment) / 2


@pytest.mark.parametrize("llm", [DENSE, SPARSE])
def test_a_traced_record_gives_what_plain_numbers_give(llm):
    chip, model, deployment = records(llm)
    plain = by_bandwidth(chip, model, deployment, of=OUTPUTS)
    with jax.enable_x64(True):
        whole = jax.jit(evaluate)(chip, model, deployment)
        for name, value in zip(OUTPUTS, jax.jit(plain)(chip.mem_bw), strict=True):
            if name not in REQUESTED:
                np.testing.assert_allclose(getattr(whole, name), value, rtol=1e-12, err_msg=name)


def test_the_slope_by_a_capacity_of_zero_is_that_of_its_tier():
    chip, llm, deployment = records()

    def filled(capacity):
        tiered = dataclasses.replace(chip, lpddr_capacity=capacity, lpddr_bw=1e11)
        return evaluate(tiered, llm, deployment).capacity_utilisation

    with jax.enable_x64(True):
        slope = jax.grad(filled)(0.0)
        capacity = chip.mem_capacity * chip.usable_fraction
        np.testing.assert_allclose(slope, -filled(0.0) / capacity, rtol=1e-12)


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, np.array, jnp.float32])
@pytest.mark.parametrize("compiled", [jax.jit, eqx.filter_jit])
def test_a_new_number_compiles_nothing_whatever_its_kind(kind, compiled):
    traces = 0

    @compiled
    def doubled(chip, deployment):
        nonlocal traces
        traces += 1
        return 2.0 * chip.mem_bw * deployment.batch_size

    for bandwidth in (1e12, 2e12, 3e12):
        chip = Chip(
            peak_flops=kind(1e15),
            peak_vector_flops=kind(3e13),
            mem_bw=kind(bandwidth),
            mem_capacity=kind(192e9),
        )
        assert doubled(chip, Deployment(batch_size=kind(4.0))) == np.float32(8.0 * bandwidth)
    assert traces == 1


def test_python_and_numpy_numbers_share_a_program():
    sizes = (8, 8.0, np.float32(8), np.float64(8), np.int32(8), np.array(8))
    kinds = {type(Deployment(tp_size=size).tp_size) for size in sizes}
    assert kinds == {np.float64}


def test_whole_numbers_of_jax_become_real():
    assert Deployment(tp_size=jnp.asarray(8)).tp_size.dtype == np.float32


def test_records_map_over_arrays():
    chip, llm, deployment = records()
    rates = jnp.asarray([2e12, 4e12], np.float32)
    (found,) = jax.vmap(by_bandwidth(chip, llm, deployment, of=["t_mem"]))(rates)
    np.testing.assert_allclose(found[0], 2.0 * found[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ([1, 0, 2], "chip is of type LLM: must be Chip"),
        ([0, 2, 1], "llm is of type Deployment: must be LLM"),
        ([0, 1, 3], "deployment is of type Site: must be Deployment"),
        ([0, 1, 2, 4], "site is of type NoneType: must be Site"),
    ],
)
def test_records_in_the_wrong_order_are_refused_with_the_right_one(order, says):
    given = [*records(), DEFAULT_SITE, None]
    right = r"evaluate\(chip, llm, deployment, site, request, draft, calibration, fabric\)"
    with pytest.raises(TypeError, match=f"{says}; .*{right}"):
        named_records(*(given[place] for place in order))
    with pytest.raises(TypeError):
        evaluate(*(given[place] for place in order))


def test_a_result_keeps_what_the_model_gives():
    found = evaluate(*records())
    assert (found.limit.dtype, found.feasible.dtype) == (np.int8, np.bool_)


def test_a_promise_is_true_or_false():
    assert Deployment(sram_tier=np.float64(0.0) > 1.0).sram_tier is False
    with pytest.raises(ValueError, match="sram_tier = 'no': must be True or False"):
        Deployment(sram_tier="no")


def test_parts_rest_on_fields_and_share_no_name_with_what_users_write():
    for name, part in optional_parts(Deployment).items():
        assert name not in {*FIELDS, *SWITCHES, *OUTPUTS}
        assert part.rests_on, name


def test_the_flag_of_a_kind_of_layer_rests_on_its_number_of_layers():
    flags = {kind.flag: kind.layers for kind in KINDS if kind.flag is not None}
    assert flags
    for flag, layers in flags.items():
        found = optional_parts(Deployment)[flag].rests_on
        assert {("llm", layers), ("draft", layers)} <= set(found)
