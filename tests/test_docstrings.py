"""Every public name of the package says what it is."""

import pytest

import jaxlimits as jl
from jaxlimits.accessor import Limits
from jaxlimits.guide.python_reference import public_members, public_objects

NAMES = public_objects()
CLASSES = {name: found for name, found in NAMES.items() if isinstance(found, type)}


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_docstring(name):
    assert len((NAMES[name].__doc__ or "").split()) > 3


@pytest.mark.parametrize("name", [*CLASSES, "Limits"])
def test_public_members_have_docstrings(name):
    members = public_members(CLASSES.get(name, Limits))
    assert [own for own, member in members.items() if not (member.__doc__ or "").strip()] == []


def test_no_public_name_is_left_out():
    assert set(NAMES) == set(jl.__all__) - {"__version__", "plot"}
    assert jl.plot.__doc__
