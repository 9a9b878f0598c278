"""The journal: what was appended comes back, up to wherever it was cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from jaxlimits.store.journal import cut_to_whole, entries, packed

DTYPES = st.sampled_from([np.float32, np.float64, np.int8, np.int32, np.int64, np.bool_])
ARRAYS = drawn.arrays(DTYPES, drawn.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4))
NAMES = st.text("abcé_", min_size=1, max_size=5)
PARTS = st.dictionaries(NAMES, st.dictionaries(NAMES, ARRAYS, min_size=1), min_size=1, max_size=3)
THREE = [(number, {"best": {"value": np.arange(number, dtype=np.float32)}}) for number in (3, 4, 9)]


@pytest.fixture
def journal(tmp_path):
    """A journal of three entries, and where each of them ends."""
    path, ends = tmp_path / "parts.bin", []
    for number, parts in THREE:
        with path.open("ab") as file:
            file.write(packed(number, parts))
        ends.append(path.stat().st_size)
    return path, ends


def assert_same(found, expected):
    assert [number for number, _ in found] == [number for number, _ in expected]
    for (_, parts), (_, wanted) in zip(found, expected, strict=True):
        assert parts.keys() == wanted.keys()
        for name, part in wanted.items():
            assert parts[name].keys() == part.keys()
            for field, values in part.items():
                assert parts[name][field].dtype == values.dtype
                assert parts[name][field].shape == values.shape
                assert parts[name][field].tobytes() == values.tobytes()


@given(st.lists(st.tuples(st.integers(0, 10**12), PARTS), max_size=4))
def test_what_was_appended_comes_back_bit_for_bit(tmp_path_factory, appended):
    path = tmp_path_factory.mktemp("journal") / "parts.bin"
    path.write_bytes(b"".join(packed(number, parts) for number, parts in appended))
    assert_same(list(entries(path)), appended)


def test_no_journal_has_no_entries(tmp_path):
    assert list(entries(tmp_path / "parts.bin")) == []
    cut_to_whole(tmp_path / "parts.bin")
    assert not (tmp_path / "parts.bin").exists()


def test_a_journal_that_is_cut_anywhere_keeps_its_whole_entries_and_takes_more(journal):
    path, ends = journal
    content = path.read_bytes()
    for size in range(len(content) + 1):
        whole = sum(end <= size for end in ends)
        path.write_bytes(content[:size])
        assert_same(list(entries(path)), THREE[:whole])
        cut_to_whole(path)
        assert path.stat().st_size == ([0, *ends][whole])
        with path.open("ab") as file:
            file.write(packed(*THREE[2]))
        assert_same(list(entries(path)), [*THREE[:whole], THREE[2]])


def test_zeros_that_a_power_cut_left_are_no_entry(journal):
    path, ends = journal
    path.write_bytes(path.read_bytes()[: ends[1]] + bytes(100))
    assert_same(list(entries(path)), THREE[:2])


def test_a_changed_byte_ends_the_journal(journal):
    path, ends = journal
    content = path.read_bytes()
    for place in range(ends[0], ends[1]):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        assert_same(list(entries(path)), THREE[:1])
