"""The board: frontiers that no measured run beats, under their limits, on one page."""

import re

import pytest

from jaxlimits.calibration.board import Place, draw_board, frontier_of
from jaxlimits.calibration.measurements import Measurement, read_measurements
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.errors import InputError
from tests.command_line import run

HEADER = "system,precision,model,tp,concurrency,ctx_in,ctx_out,utps,engine"
ROWS = [
    "8xH100-SXM,FP8,Llama-3-70B,8,4,1024,8192,110,vllm",
    "8xH100-SXM,FP8,Llama-3-70B,8,16,1024,8192,86,trtllm",
    "8xH100-SXM,FP8,Llama-3-70B,8,32,1024,8192,40,trtllm",  # below the one before in both
    "8xB200-SXM,FP8,Llama-3-70B,8,16,1024,1024,120,lmdeploy",
    "8xB200-SXM,FP8,Llama-3-70B,8,16,512,512,120,vllm",  # of no workload of the board
]


def place(batch, utps):
    row = Measurement(
        where="x: line 2",
        system="4xH100",
        model="m",
        chip="h100",
        llm="llama3-8b",
        settings={"batch_size": batch},
        utps=utps,
    )
    return Place(row=row, limit=2 * utps, predicted=utps, binds="memory", new="")


def test_a_frontier_holds_what_no_run_beats_in_both():
    runs = [place(1.0, 100.0), place(8.0, 50.0), place(8.0, 20.0), place(2.0, 45.0)]
    # 25, 100, 40 and 22.5 token/s a chip: the third and the fourth are beaten by the second
    assert [(p.row.utps, p.row.utps * p.by_chip) for p in frontier_of(runs)] == [
        (100.0, 25.0),
        (50.0, 100.0),
    ]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n")
    return path


def test_each_cell_has_its_frontier_its_share_and_what_binds(table, tmp_path):
    page = tmp_path / "board.html"
    catalog = load_catalog()
    assert draw_board(read_measurements(table, catalog), catalog, page) == 2
    text = page.read_text(encoding="utf-8")
    captions = [re.sub("<[^>]+>", " ", found) for found in re.findall("<figcaption>.*?</fig", text)]
    assert len(captions) == 2
    (h100,) = [words for words in captions if "llama3-70b on h100" in words]
    assert "(3 rows)" in h100
    assert "of the limit, which memory sets; prediction" in h100
    (b200,) = [words for words in captions if "llama3-70b on b200" in words]
    assert "new to it: engine" in b200
    assert text.count("<svg viewBox") == 2
    assert "Without measured runs of these lengths: llama3-70b on b200." in text
    assert "http" not in text.replace("http-equiv", "")  # it stands alone
    measured = re.findall(r'<path d="M([^"]*)" fill="none" stroke="#d55e00"', text)
    assert sorted(line.count("L") for line in measured if "H33" not in line) == [0, 1]


def test_rows_of_no_workload_make_no_board(table, tmp_path):
    table.write_text("\n".join([HEADER, ROWS[-1]]) + "\n")
    catalog = load_catalog()
    with pytest.raises(InputError, match="1024 in and 8192 out"):
        draw_board(read_measurements(table, catalog), catalog, tmp_path / "board.html")


@pytest.mark.slow
def test_a_board_without_a_table_is_of_the_shipped_ones(tmp_path):
    done = run("compare", "--board", tmp_path / "board.html")
    assert done.code == 0, done.err
    frontiers = int(done.out.split(": ")[1].split()[0])
    assert frontiers > 20


def test_the_command_draws_a_board(table, tmp_path):
    page = tmp_path / "board.html"
    done = run("compare", table, "--board", page)
    assert (done.code, done.err) == (0, "")
    assert "2 frontiers" in done.out
    assert run("compare", table, "--board", page).code == 1  # it exists
    assert run("compare", table, "--board", tmp_path / "board.svg").code == 2
