"""What a field says of itself, and the values that it takes."""

import dataclasses
import math

import jax
import pytest

from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.fields import Quantity, defaults, quantities, switches
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Metrics
from jaxlimits.model.request import Request
from jaxlimits.model.site import Site
from tests.helpers import (
    ALGORITHMS,
    COMBINATIONS,
    DEFAULT,
    EXTENDED,
    NUMBERS,
    ON_TOPOLOGIES,
    named_scenario,
)

RECORDS = [Chip, LLM, Deployment, Request, Calibration, Fabric, Metrics]
ANY = Quantity(unit="1", display="1", meaning="anything from 0")
POSITIVE = Quantity(unit="B/s", display="TB/s", meaning="a rate", positive=True)
SHARE = Quantity(unit="1", display="1", meaning="a share", positive=True, upper=1.0)
COUNT = Quantity(unit="1", display="1", meaning="a count", positive=True, whole=True, upper=64.0)
CHOICE = Quantity(unit="1", display="1", meaning="a width", allowed=(4.0, 8.0))


@pytest.mark.parametrize(
    ("quantity", "admitted", "refused"),
    [
        (ANY, [0.0, 0.5, 1e300], [-1e-9, math.inf, math.nan]),
        (POSITIVE, [1e-12, 3.35e12], [0.0, -1.0]),
        (SHARE, [0.1, 1.0], [0.0, 1.1]),
        (COUNT, [1.0, 64.0], [0.0, 1.5, 65.0]),
        (CHOICE, [4.0, 8.0], [6.0, 0.0]),
    ],
)
def test_a_quantity_admits_what_its_bounds_say(quantity, admitted, refused):
    assert all(quantity.admits(value) for value in admitted)
    assert not any(quantity.admits(value) for value in refused)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        (ANY, "a number, at least 0"),
        (POSITIVE, "a number, above 0"),
        (SHARE, "a number, above 0 and at most 1"),
        (COUNT, "a whole number, at least 1 and at most 64"),
        (CHOICE, "one of 4, 8"),
    ],
)
def test_bounds_are_told_in_words(quantity, words):
    assert quantity.bounds == words


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mem_bw", 0.0, r"mem_bw = 0.0 \[B/s\]: must be a number, above 0"),
        ("usable_fraction", 1.5, "must be a number, above 0 and at most 1"),
        ("sync_latency", -1e-6, "must be a number, at least 0"),
        ("num_layers", 1.5, "must be a whole number, at least 1"),
        ("compute_bits", 12.0, "must be one of 4, 8, 16"),
        ("seq_len", math.nan, "must be a whole number, at least 0"),
        ("roofline", "both", "roofline = 'both': must be one of step, operator"),
    ],
)
def test_a_record_refuses_what_a_field_cannot_take(name, value, message):
    with pytest.raises(ValueError, match=message):
        named_scenario("llama3-8b", "h100", **{name: value})


def test_traced_values_pass():
    chip = named_scenario("llama3-8b", "h100").chip

    def twice(bandwidth):
        return 2.0 * dataclasses.replace(chip, mem_bw=bandwidth).mem_bw

    assert jax.jit(twice)(-1.0) == -2.0


@pytest.mark.parametrize("record", RECORDS)
def test_the_docstring_tells_every_field_with_its_unit(record):
    for name, info in quantities(record).items():
        assert f"{name}\n    {info.meaning} [{info.unit}]." in record.__doc__
    for name, info in switches(record).items():
        assert f"{name}\n    {info.meaning} [static]. One of" in record.__doc__


@pytest.mark.parametrize("record", RECORDS)
def test_every_default_is_a_value_that_its_field_takes(record):
    fields = quantities(record)
    for name, value in defaults(record).items():
        if name in fields:
            assert fields[name].admits(value)


def test_one_name_belongs_to_one_record():
    total = sum(len(quantities(record)) for record in (Chip, LLM, LLM, Deployment, Site, Request))
    assert len(NUMBERS) == total
    assert not set(NUMBERS) & set(quantities(Metrics))


def test_a_switch_defaults_to_its_first_choice():
    deployment = Deployment()
    for name, info in switches(Deployment).items():
        assert getattr(deployment, name) == info.choices[0]


def test_the_tests_use_every_choice_of_every_switch():
    for name, info in switches(Deployment).items():
        combinations = [*COMBINATIONS.values(), *EXTENDED.values()]
        used = {combination[name] for combination in combinations}
        if name == "collective_algorithm":
            used |= set(ALGORITHMS)
        if name == "topology":
            used |= {topology for topology, _ in ON_TOPOLOGIES}
        assert used == set(info.choices), name
    assert set(DEFAULT) == set(switches(Deployment))
