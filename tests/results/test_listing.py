"""Tables as people and programs read them."""

import csv

import numpy as np
import pytest
import xarray as xr

from jaxlimits.results.listing import Column, Table, markdown, write_csv, written
from jaxlimits.results.tables import worded_table

TABLE = Table(
    title="Knees",
    columns=(
        Column(label="chip"),
        Column(label="latency", unit="s", display="us"),
        Column(label="tokens", unit="USD/token", display="USD/Mtoken"),
    ),
    rows=(("h100", 1.5e-6, 2.949e-6), ("xpu-sram", float("nan"), 0.5e-3)),
)


def test_markdown_has_units_and_three_digits():
    assert markdown(TABLE) == (
        "**Knees**\n\n"
        "| chip | latency [µs] | tokens [USD/Mtoken] |\n"
        "| :-- | --: | --: |\n"
        "| h100 | 1.50 | 2.95 |\n"
        "| xpu-sram | — | 500 |\n"
    )


def test_csv_keeps_every_digit_and_leaves_out_what_is_not_there(tmp_path):
    write_csv(TABLE, tmp_path / "knees.csv")
    with (tmp_path / "knees.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["chip", "latency [µs]", "tokens [USD/Mtoken]"]
    assert float(rows[1][1]) == pytest.approx(1.5, rel=1e-15)
    assert float(rows[1][2]) == pytest.approx(2.949, rel=1e-15)
    assert rows[2][1] == ""


def test_a_table_in_dollars_is_priced():
    assert TABLE.is_priced
    assert not Table(title="", columns=TABLE.columns[:2], rows=()).is_priced


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(1234.5, "1,234"), (123.4, "123"), (1.0, "1"), (0.01234, "0.0123"), (float("inf"), "∞")],
)
def test_numbers_are_written_for_people(cell, expected):
    assert written(cell) == expected


def test_a_table_for_people_has_units_in_its_heads_and_codes_as_words():
    codes = {"flag_values": np.array([-1, 0], np.int8), "flag_meanings": "not_computed memory"}
    masks = {"flag_masks": np.array([1, 2], np.int32), "flag_meanings": "power die_area"}
    result = xr.Dataset(
        {
            "utps": ("llm", [2.5, np.nan], {"si_unit": "token/s"}),
            "limit": ("llm", np.array([0, -1], np.int8), codes),
            "unmet": ("llm", np.array([3, 0], np.int32), masks),
        },
        {"llm": ["a", "b"]},
    )
    assert worded_table(result).to_csv() == (
        "llm,utps [token/s],limit,unmet\na,2.5,memory,power die_area\nb,,not_computed,\n"
    )
    single = worded_table(result.isel(llm=0, drop=True))
    assert single.to_csv().splitlines()[0] == "row,utps [token/s],limit,unmet"
