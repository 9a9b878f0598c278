"""One name means one thing: fields, switches, metrics and names of records do not collide."""

import inspect

import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.grid.file import GridTables
from jaxlimits.model.fields import Quantity

PLAIN = Quantity(unit="1", display="1", meaning="")
KINDS = {
    "field": schema.FIELDS,
    "switch": schema.SWITCHES,
    "metric": schema.OUTPUTS,
    "name of a record": schema.NAMED,
}


def test_two_records_with_a_field_of_one_name_are_refused_by_both_names():
    tables = {"chip": {"mem_bw": PLAIN, "efficiency": PLAIN}, "calibration": {"efficiency": PLAIN}}
    with pytest.raises(ValueError, match="'efficiency' is one of 'chip' and of 'calibration'"):
        schema.merged(tables)


def test_every_field_of_every_record_is_there():
    fields = [name for record in schema.RECORDS for name in schema.field_names(record).values()]
    assert list(schema.FIELDS) == fields


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_a_name_of_one_kind_cannot_be_of_another(kind, other):
    if kind == other:
        schema.refuse_shared_names({kind: KINDS[kind]})
        return
    name = next(iter(KINDS[kind]))
    with pytest.raises(ValueError, match=f"{name!r} is a {kind} and a {other}"):
        schema.refuse_shared_names({kind: KINDS[kind], other: [name]})


@pytest.mark.parametrize("function", [jl.sweep, jl.evaluate, jl.operators, jl.solve])
def test_no_field_is_named_as_a_parameter_beside_it(function):
    own = {"llm", "chip"}
    assert not (set(inspect.signature(function).parameters) - own) & set(schema.writable())


def test_no_field_is_named_as_a_key_of_a_grid_file():
    assert not set(GridTables.model_fields) & set(schema.writable())
