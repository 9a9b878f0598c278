"""Tables: plain lines in a pipe, lines that fit at a terminal."""

import io
import os
import re

import pytest
from rich.cells import cell_len

from jaxlimits.cli import tables
from jaxlimits.cli.tables import (
    glued,
    label,
    number,
    print_filled,
    print_table,
    text,
    unit_in_title,
)

COLUMNS = (label("name"), number("mem_bw [TB/s]"), number("count"), text("meaning"))
ROWS = [
    ("h100", "3.35", "8", "a machine that is described in rather many words, which must wrap"),
    "others",
    ("xpu-3d-dram", "27.4", "1,024", "[B] in brackets"),
]


@pytest.fixture
def at_width(monkeypatch, capsys):
    """Print at a terminal of some width; return the lines without their styles."""

    def show(width, columns, rows, **options):
        monkeypatch.setattr(
            tables.shutil, "get_terminal_size", lambda *_: os.terminal_size((width, 24))
        )
        terminal = io.StringIO()
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdout", terminal)
        monkeypatch.setenv("TERM", "xterm")
        print_table(columns, rows, **options)
        return re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()

    return show


def test_a_pipe_gets_plain_lines_as_wide_as_their_content(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_table(COLUMNS, ROWS, indent=2)
    assert capsys.readouterr().out.splitlines() == [
        "  name         mem_bw [TB/s]  count  meaning",
        "  h100                  3.35      8  a machine that is described in rather many words,"
        " which must wrap",
        "others",
        "  xpu-3d-dram           27.4  1,024  [B] in brackets",
    ]


def test_without_titles_there_is_no_line_of_titles(capsys):
    print_table((label(), number()), [("a", "1")])
    assert capsys.readouterr().out == "a  1\n"


@pytest.mark.parametrize("width", [30, 40, 60, 100, 160])
def test_no_line_is_wider_than_the_terminal_and_no_cell_is_lost(width, at_width):
    lines = at_width(width, COLUMNS, ROWS, indent=2)
    assert max(map(cell_len, lines)) <= width
    words = " ".join(lines).split()
    for cell in ("h100", "3.35", "8", "xpu-3d-dram", "27.4", "1,024", "described", "wrap", "[B]"):
        assert cell in words
    assert "others" in lines


def test_a_text_wraps_inside_its_column(at_width):
    lines = at_width(70, COLUMNS, ROWS)
    first = lines.index(next(line for line in lines if line.startswith("h100")))
    start = lines[0].index("meaning")
    assert lines[first + 1][:start].strip() == ""
    assert lines[first + 1][start] != " "


def test_two_texts_share_what_room_there_is(at_width):
    columns = (number("line"), text("measured on"), text("why"))
    lines = at_width(60, columns, [("31", "8xB200 " * 7, "drafts tokens " * 6)])
    assert lines[0].index("why") - lines[0].index("measured on") >= 24
    assert lines[0].index("why") <= 60 - 24
    assert "drafts tokens" in lines[1]


def test_columns_that_do_not_fit_follow_below_with_the_first_beside_them(at_width):
    columns = (label("chip"), *(number(f"metric_{i}") for i in range(6)))
    rows = [(name, *(f"{i}.5" for i in range(6))) for name in ("h100", "b200")]
    lines = at_width(40, columns, rows)
    blocks = "\n".join(lines).split("\n\n")
    assert [block.split("\n")[0].split() for block in blocks] == [
        ["chip", "metric_0", "metric_1", "metric_2"],
        ["chip", "metric_3", "metric_4", "metric_5"],
    ]
    assert all([line.split()[0] for line in block.split("\n")[1:]] == ["h100", "b200"]
               for block in blocks)  # fmt: skip


def test_a_heading_that_is_too_long_keeps_its_margin(at_width):
    lines = at_width(40, (label(), number()), ["\n  " + "word " * 20, ("a", "1")])
    assert lines[0] == ""
    assert all(line.startswith("  word") and len(line) <= 40 for line in lines[1:-1])


@pytest.mark.parametrize(
    ("cells", "title", "bare"),
    [
        (["1 TB/s", "2.5 TB/s"], "x [TB/s]", ["1", "2.5"]),
        (["1 TB/s", "–", "nan"], "x [TB/s]", ["1", "–", "nan"]),
        (["1,024 token/s"], "x [token/s]", ["1,024"]),
        (["900 GB/s", "1 TB/s"], "x", ["900 GB/s", "1 TB/s"]),
        (["8", "16"], "x", ["8", "16"]),
        (["1 TB/s", "memory"], "x", ["1 TB/s", "memory"]),
        (["two words", "any words"], "x", ["two words", "any words"]),
    ],
)
def test_a_unit_that_all_cells_share_moves_into_the_title(cells, title, bare):
    assert unit_in_title("x", cells) == (title, bare)


def test_a_text_that_has_no_room_beside_stands_below_its_row(at_width):
    columns = (label("name"), number("value"), text("meaning"))
    rows = [("t_step", "22.8 ms/token", "time of one decode step"), "memory", ("kv", "1 GB", "")]
    assert at_width(40, columns, rows, indent=2) == [
        "  name            value",
        "      meaning",
        "  t_step  22.8 ms/token",
        "      time of one decode step",
        "memory",
        "  kv               1 GB",
    ]
    assert at_width(60, columns, rows)[1] == "t_step  22.8 ms/token  time of one decode step"


def test_a_table_of_many_numbers_keeps_its_rows_together(at_width):
    columns = (label("chip"), *(number(f"n{i}") for i in range(5)), text("title"))
    lines = at_width(40, columns, [("h100", *"12345", "a chip of rather many words, which wrap")])
    assert lines[1].split() == ["h100", *"12345"]
    assert lines[3].startswith("chip")


def test_few_rows_become_columns_where_only_that_fits(at_width):
    columns = (number("mem_bw [TB/s]"), number("batch_size"), number("stps [token/s]"))
    rows = [("1", "128", "18,713"), ("2", "64", "9,000")]
    assert at_width(34, columns, rows, may_turn=True) == [
        "mem_bw [TB/s]        1      2",
        "batch_size         128     64",
        "stps [token/s]  18,713  9,000",
    ]
    assert at_width(60, columns, rows, may_turn=True)[0].split("  ")[0] == "mem_bw [TB/s]"
    many = at_width(34, columns, rows * 9, may_turn=True)
    assert len(many) > 20  # no more room for eighteen columns than for three


def test_a_number_stays_with_its_unit(at_width, capsys):
    words = ", ".join(glued(f"{place},000 token") for place in range(1, 8))
    lines = at_width(44, (label(), text()), [("seq_len", words)])
    assert all("token" in line.split(",")[-1] or line.endswith("token,") for line in lines)
    assert not any(line.strip().startswith("token") for line in lines)
    assert "1,000 token, " in lines[0]


def test_sentences_are_filled_by_words_at_a_terminal_only(at_width, monkeypatch, capsys):
    print_filled("one sentence of several words\nand another")
    assert capsys.readouterr().out == "one sentence of several words\nand another\n"
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr(tables.shutil, "get_terminal_size", lambda *_: os.terminal_size((16, 24)))
    print_filled("one sentence of several words\nand another")
    assert terminal.getvalue() == "one sentence of\nseveral words\nand another\n"
