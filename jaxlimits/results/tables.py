"""Results as tables: one row a point, axes as columns, SI units."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from jaxlimits.errors import InputError
from jaxlimits.results.records import WAY


def table(dataset: xr.Dataset) -> pd.DataFrame:
    """Return a result as rows, one a point; a result without axes is a single row.

    The ways of the searches of a co-design are not points and are left out.
    """
    dataset = dataset.drop_dims(WAY, errors="ignore")
    return dataset.to_dataframe() if dataset.sizes else dataset.expand_dims("row").to_dataframe()


def worded_table(dataset: xr.Dataset) -> pd.DataFrame:
    """Return a result as rows for people: units in the heads of columns, codes as their names."""
    dataset = dataset.drop_dims(WAY, errors="ignore")
    frame = table(dataset)
    for name in map(str, dataset.data_vars):
        words = _words(dataset[name])
        if words:
            frame[name] = frame[name].map(words.get)
    heads = {str(name): _head(str(name), dataset[name].attrs) for name in dataset.variables}
    along = [heads.get(str(name), str(name)) for name in frame.index.names]
    return frame.rename(columns=heads).rename_axis(index=along)


def _words(variable: xr.DataArray) -> dict[Any, str]:
    """The names of codes; nothing where values are not codes."""
    meanings = str(variable.attrs.get("flag_meanings", "")).split()
    if "flag_masks" in variable.attrs:  # several may hold at once
        masks = np.atleast_1d(variable.attrs["flag_masks"]).tolist()
        pairs = list(zip(masks, meanings, strict=True))
        found = np.unique(variable.to_numpy()).tolist()
        return {code: " ".join(word for mask, word in pairs if code & mask) for code in found}
    if "flag_values" in variable.attrs:
        flags = np.atleast_1d(variable.attrs["flag_values"]).tolist()
        return dict(zip(flags, meanings, strict=True))
    return {}


def _head(name: str, attributes: Mapping[str, Any]) -> str:
    """A name with the unit of the numbers below it, which are in SI units."""
    unit = attributes.get("si_unit", "1")
    return name if unit == "1" else f"{name} [{unit}]"


def write_csv(dataset: xr.Dataset, path: Path) -> int:
    """Write comma-separated text; return the number of rows."""
    frame = worded_table(dataset)
    frame.to_csv(path)
    return len(frame)


def write_parquet(dataset: xr.Dataset, path: Path) -> int:
    """Write Parquet; return the number of rows.

    Raises
    ------
    InputError
        The optional library for it is not installed.
    """
    frame = table(dataset).reset_index()
    try:
        frame.to_parquet(path, index=False)
    except ImportError:
        remedy = "pip install 'jaxlimits[parquet]'"
        raise InputError("Parquet needs pyarrow", where="export", remedy=remedy) from None
    return len(frame)
