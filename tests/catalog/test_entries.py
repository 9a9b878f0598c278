"""Names, aliases and statuses of entries."""

import shutil
import warnings
from pathlib import Path

import pytest

import jaxlimits as jl
from jaxlimits.catalog import loader
from jaxlimits.catalog.entries import collect_entries, find_entry, shipped_entries
from jaxlimits.errors import AnnouncedChipWarning, InputError
from jaxlimits.points.named_point import point_bits, point_scenario

CONFIGS = Path(__file__).parents[1] / "golden" / "configs"

TWO = {"chips": {"left": {"aliases": ["Some Chip"]}, "right": {"aliases": ["Another"]}}}


def collected(**tables):
    return collect_entries([("own.toml", tables)])


@pytest.mark.parametrize(
    "text", ["left", "LEFT", "Some Chip", "some-chip", "somechip", "SOME_CHIP", "some/chip"]
)
def test_a_name_or_an_alias_is_found_however_it_is_written(text):
    assert find_entry(collected(**TWO), "chips", text).name == "left"


@pytest.mark.parametrize("kind", ["chips", "llms", "interconnects", "fabrics", "calibrations"])
def test_entries_of_every_kind_have_aliases(kind):
    entries = collected(**{kind: {"own": {"aliases": ["meta-llama/Own-1.0-Instruct"]}}})
    assert find_entry(entries, kind, "meta-llama/own-1.0-instruct").name == "own"


def test_a_name_as_it_stands_comes_before_one_that_is_written_otherwise():
    entries = collected(chips={"a-b": {}, "ab": {}})
    assert [find_entry(entries, "chips", name).name for name in ("a-b", "ab")] == ["a-b", "ab"]


@pytest.mark.parametrize(
    "chips",
    [
        {"left": {"aliases": ["Same"]}, "right": {"aliases": ["same"]}},
        {"left": {"aliases": ["right"]}, "right": {}},
        {"left": {}, "right": {"aliases": ["LEFT"]}},
    ],
)
def test_two_entries_with_one_alias_are_refused_by_name(chips):
    with pytest.raises(InputError) as refused:
        collected(chips=chips)
    assert str(refused.value).startswith("own.toml: chips.right: ")
    assert "left" in str(refused.value)


def test_an_alias_of_ones_own_entry_may_not_be_a_shipped_chips():
    with pytest.raises(InputError, match=r"chips.mine: 'RTX 4090' is rtx-4090 too"):
        collect_entries(
            [("own.toml", {"chips": {"mine": {"aliases": ["RTX 4090"]}}})], known=shipped_entries()
        )


def test_an_entry_that_starts_from_another_has_neither_its_aliases_nor_its_status():
    chips = {"old": {"aliases": ["Old One"], "status": "announced"}, "new": {"like": "old"}}
    new = collected(chips=chips)["chips"]["new"]
    assert (new.aliases, new.is_announced) == ((), False)


def test_an_unknown_name_is_answered_with_entries_whose_aliases_are_near():
    with pytest.raises(InputError, match=r"unknown chip 'Anothr'; did you mean right\?"):
        find_entry(collected(**TWO), "chips", "Anothr")


@pytest.mark.parametrize("aliases", ["RTX", [1], {"a": 1}])
def test_aliases_that_are_no_list_of_texts_are_refused(aliases):
    with pytest.raises(InputError, match=r"chips.mine.aliases.* must be a list of texts"):
        collected(chips={"mine": {"aliases": aliases}})


def test_an_unknown_status_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown status 'anounced'; did you mean announced\?"):
        collected(chips={"mine": {"status": "anounced"}})


ANNOUNCED = "chips = { mine = { like = 'h100', status = 'announced', title = 'Mine' } }"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A file with an announced chip, of which nobody was told yet."""
    monkeypatch.setattr(loader, "_told", set())
    path = tmp_path / "own.toml"
    path.write_text(ANNOUNCED)
    return path


def test_an_announced_chip_warns_where_a_point_names_it(own):
    with pytest.warns(AnnouncedChipWarning, match="mine is announced, not delivered"):
        jl.evaluate("llama3-8b", "mine", catalog=jl.load_catalog(own))


def test_an_announced_chip_warns_once(own):
    catalog = jl.load_catalog(own)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            jl.evaluate("llama3-8b", "mine", catalog=catalog)
    assert [each.category for each in caught] == [AnnouncedChipWarning]


def test_an_announced_chip_warns_on_an_axis_too(own):
    with pytest.warns(AnnouncedChipWarning, match="mine"):
        jl.sweep(llm="llama3-8b", chip=["h100", "mine"], outputs=["utps"], catalog=(own,))


def test_delivered_chips_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jl.evaluate("llama3-8b", "b300")


def test_a_result_by_an_alias_is_made_again_from_itself(tmp_path):
    target = tmp_path / "x.nc"
    first = jl.sweep(llm="llama3-8b", chip=["RTX4090", "H100-SXM"], outputs=["utps"], output=target)
    again = jl.sweep_again(target)
    assert list(again.chip.values) == ["RTX4090", "H100-SXM"]
    assert (again.utps.values == first.utps.values).all()


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [
        ("chips", "B200-SXM-180GB", "b200"),
        ("chips", "h100_sxm", "h100"),
        ("llms", "Llama-3.3-70B", "llama3-70b"),
        ("llms", "Llama-4-Maverick-400B-A17B", "llama4-maverick"),
        ("llms", "DEEPSEEK-R1 (V3 arch)", "deepseek-v3"),
        ("llms", "DeepSeek-V3/R1", "deepseek-v3"),
        ("llms", "DeepSeek-V3.2 (DSA)", "deepseek-v3.2"),
    ],
)
def test_what_published_tables_of_measurements_write_is_found(kind, text, name):
    assert find_entry(shipped_entries(), kind, text).name == name


def words_of(llm, chip, **settings):
    catalog = jl.load_catalog()
    scenario = point_scenario(llm, chip, settings, catalog=catalog)
    return point_bits(scenario, llm, settings, catalog=catalog)


def test_the_bits_of_a_folder_come_from_its_file(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(CONFIGS / "qwen3-32b.json", folder / "config.json")
    assert "(file)" in words_of(str(folder), "h200")
    assert "(file)" in words_of(str(folder / "config.json"), "h200")
    assert "(catalog)" in words_of("llama3-8b", "h200")


@pytest.mark.parametrize(
    ("written", "name"),
    [("meta-llama/Llama-3.3-70B-Instruct", "llama3-70b"), ("openai/gpt-oss-120b", "gpt-oss-120b")],
)
def test_a_model_by_its_repository_is_the_model_wherever_it_is_named(written, name):
    point = {"chip": "h200", "tp_size": 8}
    assert jl.evaluate(written, **point).utps == jl.evaluate(name, **point).utps
    assert words_of(written, **point) == words_of(name, **point)
    target = {"solve_for": "mem_bw", "target": "utps >= 100"}
    assert jl.solve(written, **point, **target).value == jl.solve(name, **point, **target).value
    swept = jl.sweep(llm=[written, name], **point, outputs=["utps"])
    assert swept.utps.values[0] == swept.utps.values[1]
    assert written in swept.attrs["bits"]
