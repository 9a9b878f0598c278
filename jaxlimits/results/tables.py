"""Results as tables: one row a point, axes as columns, SI units."""

from pathlib import Path

import pandas as pd
import xarray as xr

from jaxlimits.errors import InputError


def table(dataset: xr.Dataset) -> pd.DataFrame:
    """Return a result as rows, one a point; a result without axes is a single row."""
    return dataset.to_dataframe() if dataset.sizes else dataset.expand_dims("row").to_dataframe()


def write_csv(dataset: xr.Dataset, path: Path) -> int:
    """Write comma-separated text; return the number of rows."""
    frame = table(dataset)
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
