"""The grid file as text: found by path or name, parsed, and checked for its shape."""

from pathlib import Path

import pytest

from jaxlimits.errors import InputError
from jaxlimits.grid.file import parse_grid, read_grid, shipped_grids

AXES = "[axes]\nbatch_size = [1, 2]\n"


def parsed(text):
    return parse_grid(text, where="g.toml", stem="g", folder=Path())


def refused(text):
    with pytest.raises(InputError) as caught:
        parsed(text)
    return str(caught.value)


def test_the_shipped_grids_are_found_by_name():
    assert {"smoke", "paper", "bandwidth_sync", "collectives"} <= set(shipped_grids())


@pytest.mark.parametrize(
    "name",
    [
        *("smoke", "paper", "bandwidth_sync", "requests", "speculation", "tiers"),
        *("fsdp", "kv260", "tokens_by_dollar"),
    ],
)
def test_a_shipped_grid_says_what_it_is_for(name):
    tables = read_grid(name).tables
    assert tables.title
    assert tables.description


def test_a_file_in_the_folder_wins_over_a_shipped_name(tmp_path, monkeypatch):
    (tmp_path / "smoke").write_text(AXES)
    monkeypatch.chdir(tmp_path)
    assert list(read_grid("smoke").tables.axes) == ["batch_size"]


def test_a_grid_keeps_its_text_name_and_folder(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"# a remark\n{AXES}")
    file = read_grid(path)
    assert (file.text, file.stem, file.folder) == (f"# a remark\n{AXES}", "mine", tmp_path)
    assert file.where == str(path)


def test_axes_keep_the_order_of_the_file():
    text = "[axes]\nseq_len = [1]\nbatch_size = [1]\nmem_bw = ['1 TB/s']\n"
    assert list(parsed(text).tables.axes) == ["seq_len", "batch_size", "mem_bw"]


def test_all_outputs_in_float32_are_the_default():
    tables = parsed(AXES).tables
    assert (tables.outputs, tables.precision) == (None, "float32")


def test_text_with_windows_line_ends_is_read(tmp_path):
    path = tmp_path / "g.toml"
    path.write_bytes(AXES.replace("\n", "\r\n").encode())
    assert list(read_grid(path).tables.axes) == ["batch_size"]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a remark\n"])
def test_an_empty_file_is_refused_with_what_a_grid_needs(text):
    message = refused(text)
    assert "g.toml" in message
    assert "[base]" in message
    assert "[axes]" in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[axes]\nbatch_size = [1, 2\nseq_len = 3", 3),
        ("[axes]\nbatch_size = \n", 2),
        ("[axes]\nbatch_size = [1]\nbatch_size = [2]\n", 3),
        ("[axes\n", 1),
        ("title = 'a\n", 1),
        ("[axes]\nbatch_size = [1, 2", 2),
    ],
)
def test_malformed_toml_is_refused_with_its_line(text, line):
    message = refused(text)
    assert "malformed TOML" in message
    assert f"line {line}" in message


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("output = ['utps']", "outputs"),
        ("titel = 'x'", "title"),
        ("[axis]\nbatch_size = [1]", "axes"),
        ("[axes]\nbatch_size = { geomtric = [1, 2], num = 2 }", "geometric"),
        ("[axes]\nbatch_size = { values = [1], wiht = { seq_len = [1] } }", "with"),
        ("[chip.mine]\nmem_bw = '1 TB/s'", "chips"),
        ("[require.bw]\nfor = 'mem_bw'\nat_mots = 1", "at_most"),
        (
            "[elasticities]\nbyy = ['mem_bw']",
            "elasticities.byy: unknown key 'byy'; did you mean by",
        ),
        ("[doublings]\nby = ['mem_bw']\nfo = ['utps']", "known: by, of"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(text, near):
    message = refused(text)
    assert "unknown key" in message
    assert near in message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[axes]\nbatch_size = 1", "axes.batch_size"),
        ("[axes]\nbatch_size = [[1], [2]]", "axes.batch_size"),
        ("[axes]\nbatch_size = [1979-05-27]", "axes.batch_size"),
        ("[axes]\nbatch_size = { linear = [1], num = 2 }", "axes.batch_size.linear"),
        ("[axes]\nbatch_size = { linear = [1, 2, 3], num = 2 }", "axes.batch_size.linear"),
        ("[axes]\nbatch_size = { linear = [1, 2], num = 0 }", "axes.batch_size.num"),
        ("[axes]\nbatch_size = { linear = [1, 2], num = 1.5 }", "axes.batch_size.num"),
        ("[base]\nllm = ['a', 'b']", "base.llm"),
        ("[base]\ntp_size = { a = 1 }", "base.tp_size"),
        ("precision = 'float16'", "precision"),
        ("outputs = 'utps'", "outputs"),
        ("outputs = [1]", "outputs"),
        ("catalog = 'mine.toml'", "catalog"),
        ("derivatives = 3", "derivatives = 3"),
        ("[elasticities]\nby = 3", "elasticities.by = 3"),
        ("axes = 3", "axes"),
        ("llms = 3", "llms"),
        ("[llms]\nmine = 3", "llms.mine"),
    ],
)
def test_a_misshapen_value_is_refused_by_its_key_in_a_users_words(text, key):
    message = refused(text)
    assert message.startswith(f"g.toml: {key}")
    for word in ("Table", "pydantic", "dictionary", "instance of", "validation", ".str"):
        assert word not in message


@pytest.mark.parametrize("grid", ["missing.toml", "folder/missing", "folder/missing.toml"])
def test_a_missing_file_is_refused_with_the_shipped_names(grid, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"{grid}: no such file.*paper"):
        read_grid(grid)


def test_a_mistyped_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown grid 'papr'.*did you mean paper"):
        read_grid("papr")


@pytest.mark.parametrize("name", ["folder", "folder.toml"])
def test_a_folder_is_refused_as_such(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is a folder"):
        read_grid(name)


def test_a_name_too_long_for_a_file_is_refused():
    with pytest.raises(InputError):
        read_grid("a" * 300 + ".toml")


def test_binary_is_refused(tmp_path):
    path = tmp_path / "g.toml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="UTF-8"):
        read_grid(path)
