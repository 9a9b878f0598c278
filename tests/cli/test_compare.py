"""``jaxlimits compare --plot``: the shares of the limit, drawn."""

import re

import pytest

from tests.command_line import run


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("measured",), ("achieved share of the limit", "8xB200-SXM, vLLM", "predicted by vllm")),
        (("--peers",), ("llm_viewer", "time of a token that a tool states")),
    ],
    ids=["measured", "peers"],
)
def test_shares_of_the_limit_are_drawn(folder, asked, words):
    done = run("compare", *asked, "--plot", "shares.svg")
    assert done.code == 0, done.err
    drawn = (folder / "shares.svg").read_text(encoding="utf-8")
    for each in (*words, "the limit", "median"):
        assert f"<!-- {each}" in drawn, each
    again = run("compare", *asked, "--plot", "shares.svg")
    assert (again.code, "shares.svg: exists" in again.err) == (1, True)


def test_every_median_of_the_picture_is_that_of_the_table(folder):
    done = run("compare", "measured", "--plot", "shares.svg")
    told = re.findall(r"^ +([\d.]+)% +[\d.]+% +(\d+) rows", done.out, flags=re.MULTILINE)
    drawn = (folder / "shares.svg").read_text(encoding="utf-8")
    assert len(told) > 10
    for share, rows in told:
        assert f"<!-- {float(share):.0f}%  ({rows}) -->" in drawn


def test_what_is_no_picture_is_refused_before_anything_is_computed(folder):
    done = run("compare", "measured", "--plot", "shares.gif")
    assert (done.code, done.out) == (2, "")
    assert "--plot = 'shares.gif': is no kind of picture; end its name in .svg" in done.err
