"""Totals beside those of transformers' own classes, which ``reference_totals.py`` builds.

The rows are committed with the version that gave them; ``.ci/run --slow`` builds them again.
"""

import csv
import json
from pathlib import Path

import pytest

from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from jaxlimits.errors import InputError
from tests.catalog.releases import RELEASES

GOLDEN = Path(__file__).parents[1] / "golden"
_TABLE = (GOLDEN / "transformers_totals.csv").read_text(encoding="utf-8")
ROWS = {row["input"]: row for row in csv.DictReader(_TABLE.splitlines())}
HERE = sorted(name for name in ROWS if not name.startswith("aiconfigurator/"))

NOT_YET = {
    "model_files/hybrid_delta.json",
    "model_files/hybrid_mamba.json",
    "model_files/two_head_kinds.json",
    *(
        f"releases/{name}"
        for name in (
            *("bloom-176b", "falcon-h1-7b", "gemma-3n-e4b", "gemma-4-26b-a4b", "gemma-4-e2b"),
            *("gpt-neox-20b", "gpt2-xl", "granite-4.0-h-small", "granite-4.0-micro", "hy-3"),
            *("jamba-v0.1", "kimi-linear-48b-a3b", "lfm2-1.2b", "lfm2-8b-a1b", "ling-3.0-flash"),
            *("minimax-text-01", "mistral-small-4", "nemotron-3-super", "nemotron-h-8b"),
            *("opt-6.7b", "qwen3.5-27b", "qwen3.5-35b-a3b", "starcoder2-15b", "step-3.5-flash"),
        )
    ),
}


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


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_families_that_are_not_read_yet_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="write an entry by hand"):
        read_model_config(file_of(name, tmp_path), name="mine")


@pytest.mark.parametrize("name", [name for name in HERE if name not in NOT_YET])
def test_totals_are_those_of_the_class_in_transformers(tmp_path, name):
    shape = shape_of(read_model_config(file_of(name, tmp_path), name="mine"))
    assert shape.total_params == pytest.approx(float(ROWS[name]["total_params"]), rel=1e-3)
    # Router rows of experts that compute nothing are left out: 1.6e-3 of LongCat's active ones.
    assert shape.active_params == pytest.approx(float(ROWS[name]["active_params"]), rel=2e-3)
