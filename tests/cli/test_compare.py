"""``jaxlimits compare --plot``: the shares of the limit, drawn."""

from tests.command_line import run


def test_every_median_that_is_told_is_drawn(folder):
    done = run("compare", "measured", "--json", "--plot", "shares.svg")
    assert done.code == 0, done.err
    drawn = (folder / "shares.svg").read_text(encoding="utf-8")
    for each in done.json["summary"]:
        group = f"{each['system']}, {each['engine']}".rstrip(", ")
        assert f"<!-- {group} -->" in drawn
        assert f"<!-- {each['achieved']:.0%}  ({each['rows']}) -->" in drawn
    for words in ("achieved share of the limit", "predicted by its engine", "the limit", "median"):
        assert f"<!-- {words}" in drawn


def test_what_other_tools_say_is_drawn_and_never_replaced_silently(folder):
    asked = ("compare", "--peers", "--plot", "peers.svg")
    assert run(*asked).code == 0
    drawn = (folder / "peers.svg").read_text(encoding="utf-8")
    for words in ("llm_viewer", "calculon", "time of a token that a tool states", "the limit"):
        assert f"<!-- {words}" in drawn
    again = run(*asked)
    assert (again.code, "peers.svg: exists" in again.err) == (1, True)


def test_what_is_no_picture_is_refused_before_anything_is_computed(folder):
    done = run("compare", "measured", "--plot", "shares.gif")
    assert (done.code, done.out) == (2, "")
    assert "--plot = 'shares.gif': is not a kind of picture; end its name in .svg" in done.err
