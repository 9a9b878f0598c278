"""A quantity as a table: a row for each model, a column for each of several cases."""

from collections.abc import Mapping

import xarray as xr

from jaxlimits.results.listing import Column, Table


def table_by_model(
    values: xr.DataArray, cases: Mapping[str, Mapping[str, int]], *, title: str, unit: str
) -> Table:
    """Lay out a quantity by model.

    Parameters
    ----------
    values
        The quantity, along ``llm`` and the axes that the cases select on.
    cases
        Selections of one point by the labels of their columns.
    title
        What the table shows.
    unit
        SI unit of the quantity.
    """
    columns = (Column(label="model"), *(Column(label=label, unit=unit) for label in cases))
    rows = tuple(
        (str(llm), *(float(values.sel({"llm": llm, **case})) for case in cases.values()))
        for llm in values.llm.values
    )
    return Table(title=title, columns=columns, rows=rows)
