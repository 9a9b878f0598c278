"""The folder of the page: its own files, the model's program and the data that it looks up."""

import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jaxlimits._version import __version__
from jaxlimits.catalog.loader import Catalog
from jaxlimits.engine.exported import page_script
from jaxlimits.errors import ResultError
from jaxlimits.static_page.page_data import page_data

FILES = Path(__file__).with_name("files")
"""What is written as it stands."""

MARK = ".jaxlimits-page"
"""A file of each such folder, by which one that may be replaced is told from any other."""


def build_page(catalog: Catalog, target: Path, *, force: bool) -> list[Path]:
    """Write the page.

    Parameters
    ----------
    catalog
        Models and chips that can be chosen.
    target
        The folder to write.
    force
        Whether an earlier page is replaced.

    Returns
    -------
    list of Path
        The files of the folder that a browser loads.

    Raises
    ------
    ResultError
        The folder exists, or cannot be written.
    """
    _check_target(target, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".jaxlimits-page-", dir=target.parent) as scratch:
            whole = Path(scratch, "page")
            _write(catalog, whole)
            if target.exists():
                shutil.rmtree(target)
            whole.rename(target)
    except OSError as error:
        raise ResultError(f"{target}: cannot be written: {error.strerror}") from None
    return sorted(path for path in target.iterdir() if path.name != MARK)


def _check_target(target: Path, *, force: bool) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() and not (target / MARK).exists():
        raise ResultError(f"{target}: exists and is not a page of jaxlimits; name another folder")
    if target.exists() and not force:
        raise ResultError(f"{target}: exists already; replace it with `force=True`")


def _write(catalog: Catalog, folder: Path) -> None:
    folder.mkdir()
    for path in FILES.iterdir():
        shutil.copyfile(path, folder / path.name)
    (folder / "model.js").write_text(page_script(), encoding="utf-8")
    (folder / "data.js").write_text(data_script(catalog), encoding="utf-8")
    (folder / MARK).touch()


def data_script(catalog: Catalog) -> str:
    """Return the script that holds what the page looks up, in ``jaxlimits.DATA``."""
    data = page_data(catalog, __version__)
    text = json.dumps(_plain(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    head = '"use strict";\nvar jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};\n'
    return f"{head}jaxlimits.DATA = {text};\n"


def _plain(value: Any) -> Any:
    """Data without what JSON lacks: a number that is not stated is null."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    return value
