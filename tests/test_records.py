"""Records below the files: values that nobody changes, given by name."""

import dataclasses
import importlib
import pkgutil

import equinox as eqx

from jaxlimits import engine, grid, model
from jaxlimits.engine.reduction import Reduction


def records(room):
    """Every dataclass of a room that is none of equinox's, which are frozen by themselves."""
    for file in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        module = importlib.import_module(file.name)
        for found in vars(module).values():
            own = isinstance(found, type) and found.__module__ == module.__name__
            if own and dataclasses.is_dataclass(found) and not issubclass(found, eqx.Module):
                yield found


def test_records_are_frozen_take_their_fields_by_name_and_hold_nothing_else():
    found = [record for room in (model, grid, engine) for record in records(room)]
    assert len(found) > 20
    for record in found:
        assert record.__dataclass_params__.frozen, record
        assert all(field.kw_only for field in dataclasses.fields(record)), record
        assert "__slots__" in vars(record) or issubclass(record, Reduction), record
