"""Options of the form ``name=value``."""

import pytest

from jaxlimits.cli.pairs import pairs
from jaxlimits.errors import InputError

EXAMPLE = "mem_bw='8 TB/s'"


def test_names_and_values_are_split_at_the_first_equals_sign():
    given = ["mem_bw = 8 TB/s", "llm=a=b"]
    assert pairs(given, "--set", example=EXAMPLE) == {"mem_bw": "8 TB/s", "llm": "a=b"}
    assert pairs(None, "--set", example=EXAMPLE) == {}


@pytest.mark.parametrize("text", ["", "tp_size", "tp_size=", "=8", " = "])
def test_a_text_that_lacks_a_name_or_a_value_is_refused_with_how_to_write_it(text):
    with pytest.raises(InputError, match=r"--set name=value, as --set mem_bw='8 TB/s'"):
        pairs([text], "--set", example=EXAMPLE)


def test_a_name_given_twice_is_refused():
    with pytest.raises(InputError, match=r"--set: tp_size = '16': is set twice"):
        pairs(["tp_size=8", "tp_size=16"], "--set", example=EXAMPLE)
