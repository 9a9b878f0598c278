"""Totals beside those of transformers' own classes, which ``reference_totals.py`` builds.

The rows are committed with the version that gave them; ``.ci/run --slow`` builds them again.
"""

import csv
import json
from pathlib import Path

import pytest

from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from tests.catalog.releases import RELEASES

GOLDEN = Path(__file__).parents[1] / "golden"
_TABLE = (GOLDEN / "transformers_totals.csv").read_text(encoding="utf-8")
ROWS = {row["input"]: row for row in csv.DictReader(_TABLE.splitlines())}
HERE = sorted(name for name in ROWS if not name.startswith("aiconfigurator/"))


def file_of(name, folder):
    """The configuration of a row."""
    kind, _, inside = name.partition("/")
    if kind != "releases":
        return GOLDEN / name
    path = folder / "config.json"
    path.write_text(json.dumps(RELEASES[inside].config), encoding="utf-8")
    return path


def test_every_release_and_configuration_has_a_row():
    files = {f"configs/{path.name}" for path in (GOLDEN / "configs").iterdir()}
    assert {*files, *(f"releases/{name}" for name in RELEASES)} <= ROWS.keys()


@pytest.mark.parametrize("name", [name for name in RELEASES if RELEASES[name].card])
def test_the_published_shapes_come_to_what_their_cards_say(name):
    total = float(ROWS[f"releases/{name}"]["total_params"])
    assert total / 1e9 == pytest.approx(RELEASES[name].card, rel=0.02)


@pytest.mark.parametrize("name", HERE)
def test_totals_are_those_of_the_class_in_transformers(tmp_path, name):
    shape = shape_of(read_model_config(file_of(name, tmp_path), name="mine"))
    assert shape.total_params == pytest.approx(float(ROWS[name]["total_params"]), rel=1e-4)
    assert shape.active_params == pytest.approx(float(ROWS[name]["active_params"]), rel=1e-4)
