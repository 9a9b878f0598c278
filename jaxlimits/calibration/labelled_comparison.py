"""Measured rates, and other tools' answers, beside the limit: as datasets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.calibration.comparison import Comparison, LeftOut, Peers
from jaxlimits.calibration.labelled import REFERENCE, along_rows
from jaxlimits.store.answers import answer_attributes


def label_comparison(
    rows: Sequence[Comparison],
    left_out: Sequence[LeftOut],
    *,
    table: str,
    calibration: str | None = None,
) -> xr.Dataset:
    """Return a comparison along ``row``, and along ``left_out`` why other rows have no part.

    Parameters
    ----------
    rows, left_out
        What was compared, and what was not.
    table, calibration
        Names of the table and of the prediction; where none is named, each row is predicted by the
        calibration of its engine.
    """
    calibration = calibration or "its engine"
    compared = along_rows([_row(each) for each in rows], predicted_by=calibration)
    names = {"line": "left_out_line", "system": "left_out_system", "model": "left_out_model"}
    known = {
        name: ("left_out", np.array([getattr(row, own) for row in left_out], dtype=np.str_))
        for own, name in names.items()
    }
    why = np.array([row.why for row in left_out], dtype=np.str_)
    words = {"long_name": "why a row is not a point of the model"}
    attributes = answer_attributes(
        f"The table {table} beside the limit and the prediction of {calibration}",
        question=f"shares of the limit that the rows of {table} achieve",
        done=f"compared the table {table}",
    )
    found = compared.assign(why=("left_out", why, words)).assign_coords(known)
    return found.assign_attrs(**attributes, table=table, calibration=calibration)


def _row(row: Comparison) -> dict[str, Any]:
    return {
        "line": int(row.line),
        "group": f"{row.system}, {row.engine}".rstrip(", "),
        **{name: getattr(row, name) for name in ("system", "engine", "model")},
        **{name: getattr(row, name) for name in ("batch_size", "seq_len")},
        "measured_utps": row.measured,
        "calibrated_utps": row.calibrated,
        "lower_utps": row.lower,
        "upper_utps": row.upper,
        "limit_utps": row.limit,
        "error": row.error,
        "achieved": row.achieved,
        "predicted": row.calibrated / row.limit,
        "new": row.new,
    }


def label_peers(found: Peers) -> xr.Dataset:
    """Return what each tool says of each case, along ``row``: a time, and its share of the limit.

    NaN where a tool has no answer.
    """
    pairs = [(tool, case) for tool in found.assumptions for case in found.cases]
    answers = [case.answers[tool] for tool, case in pairs]
    times = [math.nan if isinstance(answer, str) else 1e-3 * answer for answer in answers]
    limits = [1e-3 * case.ours for _, case in pairs]
    seconds = {"units": "s", "si_unit": "s/token", "display_unit": "ms/token"}
    share = {"long_name": "time of a token that a tool states, over the limit", "units": "1"}
    share |= {"short_name": "time of a token that a tool states, over the limit", **REFERENCE}
    return xr.Dataset(
        {
            "ratio": ("row", np.array(times) / np.array(limits), share),
            "tpot": ("row", times, {"long_name": "time of a token that a tool states", **seconds}),
            "limit_tpot": ("row", limits, {"long_name": "limit of the time of a token", **seconds}),
        },
        {
            "group": ("row", [tool for tool, _ in pairs], {"long_name": "tool"}),
            "case": ("row", [case.name for _, case in pairs], {"long_name": "case"}),
        },
        attrs=answer_attributes(
            "What other tools answer beside the limit",
            question=f"what other tools answer to {len(found.cases)} cases",
            done="compared the answers of other tools",
        ),
    )
