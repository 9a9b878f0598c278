"""What is written as TOML reads back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlimits.catalog.text_files import parse_toml, read_text, toml_text
from jaxlimits.errors import InputError

SCALARS = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
NAMES = st.text(st.characters(codec="utf-8"))
TABLES = st.recursive(
    st.dictionaries(NAMES, VALUES, max_size=3),
    lambda inner: st.dictionaries(NAMES, VALUES | inner, max_size=3),
    max_leaves=8,
)


@given(TABLES)
def test_tables_read_back_as_they_were_written(content):
    assert parse_toml(toml_text(content), where="test") == content


def test_lists_keep_their_order_and_come_before_tables():
    text = toml_text({"axes": {"b": {"num": 3}, "c": [2], "a": [1]}})
    assert list(parse_toml(text, where="test")["axes"]) == ["c", "a", "b"]


def test_what_is_no_text_is_refused_by_the_name_that_the_user_gave(tmp_path):
    (tmp_path / "latin").write_bytes(b"\xe9")
    for path, why in ((tmp_path / "latin", "not text in UTF-8"), (tmp_path, "directory")):
        with pytest.raises(InputError, match=rf"^mine: .*{why}"):
            read_text(path, where="mine")
