"""The registry: every reduction is in the documentation, and each name is one reduction's."""

import re

import pytest

from jaxlimits.engine import reductions
from jaxlimits.engine.reductions import REDUCTIONS, reduction_table
from jaxlimits.guide.reference import reductions_page

ANOTHER = '''
from jaxlimits.engine.reductions.mean import Mean

class Another(Mean):
    """As the mean."""

    ops = ("{op}",)
    keeps = "the mean again"
'''


def test_the_guide_has_the_table_of_all_reductions():
    assert reduction_table() in reductions_page()


def test_every_reduction_has_a_row_with_its_names_and_keys():
    rows = reduction_table().splitlines()
    for op, kind in REDUCTIONS.items():
        (row,) = [row for row in rows if f"`{op}`" in row.split("|")[1]]
        assert re.findall(r"`(\w+)`", row.split("|")[3]) == list(kind.keys.model_fields)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Files that are put here are taken for reductions."""
    monkeypatch.setattr(reductions, "__path__", [*reductions.__path__, str(tmp_path)])
    return tmp_path


def test_a_file_in_the_folder_is_a_reduction(folder):
    (folder / "another_mean.py").write_text(ANOTHER.format(op="again"))
    assert set(reductions._registry()) == {*REDUCTIONS, "again"}


def test_two_reductions_of_one_name_are_refused(folder):
    (folder / "second_mean.py").write_text(ANOTHER.format(op="mean"))
    with pytest.raises(TypeError, match=r"two reductions are called 'mean': .*Mean.*Another"):
        reductions._registry()
