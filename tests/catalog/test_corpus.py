"""The configurations that aiconfigurator ships, where it is installed: read, with the totals
of transformers' own classes.

Its files are read where they lie; none is copied here. Version 0.12.0 has 89. Of two of them, which
have no class, ``test_more_families.py`` has hand counts. Rows: see ``test_reference_totals.py``.
"""

import importlib.util
import shutil
from pathlib import Path

import pytest

from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from jaxlimits.errors import InputError
from tests.catalog.test_reference_totals import ROWS

_END, _SIDE = "_config.json", "_hf_quant_config.json"


def _folder() -> Path | None:
    found = importlib.util.find_spec("aiconfigurator_core")
    places = found.submodule_search_locations if found is not None else None
    return next(
        (path for place in places or () for path in Path(place).rglob("model_configs")), None
    )


FOLDER = _folder()
FILES = sorted(FOLDER.glob(f"*{_END}")) if FOLDER is not None else []

pytestmark = pytest.mark.skipif(not FILES, reason="aiconfigurator_core is not installed")


def outcome(path, folder):
    """What it comes to, or why there is nothing; the side file lies beside, as in a release."""
    shutil.copyfile(path, folder / "config.json")
    side = path.with_name(path.name.removesuffix(_END) + _SIDE)
    if side.is_file():
        shutil.copyfile(side, folder / "hf_quant_config.json")
    try:
        return shape_of(read_model_config(folder, name=path.name))
    except InputError as error:
        return str(error)


def test_every_configuration_is_read(tmp_path):
    files = [path for path in FILES if not path.name.endswith(_SIDE)]
    found = {}
    for number, path in enumerate(files):
        (tmp_path / str(number)).mkdir()
        found[path.name] = outcome(path, tmp_path / str(number))
    assert {name: why for name, why in found.items() if isinstance(why, str)} == {}
    assert len(found) >= 86
    wrong = {
        name: (shape.total_params, row["total_params"])
        for name, shape in found.items()
        if (row := ROWS.get(f"aiconfigurator/{name}")) is not None
        if shape.total_params != pytest.approx(float(row["total_params"]), rel=1e-4)
    }
    assert wrong == {}
