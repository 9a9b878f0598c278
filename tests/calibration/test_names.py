"""Spellings of chips and models in tables of measurements."""

import pytest

from jaxlimits.calibration import names
from jaxlimits.errors import InputError

KINDS = [("chip", names.CHIPS, "chips"), ("chip", names.GPUS, "chips"), ("llm", names.LLMS, "llms")]


@pytest.mark.parametrize(("kind", "spellings", "entries"), KINDS)
def test_every_spelling_names_an_entry_of_the_catalog(kind, spellings, entries, catalog):
    known = catalog.entries[entries]
    for text, name in spellings.items():
        assert name in known, text
        found = names.catalog_name(
            kind, text.upper(), spellings=spellings, known=known, where="", key=""
        )
        assert found == name


def test_names_of_the_catalog_stand_for_themselves(catalog):
    for text in ("b200", "B200", "MI325X"):
        found = names.catalog_name(
            "chip", text, spellings=names.CHIPS, known=catalog.chips, where="", key=""
        )
        assert found == text.lower()


def test_an_unknown_name_is_told_with_the_nearest(catalog):
    with pytest.raises(InputError, match=r"unknown llm 'Llama-3-71B'; did you mean Llama-3-70B"):
        names.catalog_name(
            "llm", "Llama-3-71B", spellings=names.LLMS, known=catalog.llms, where="", key=""
        )
