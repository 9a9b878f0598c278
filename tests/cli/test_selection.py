"""``--select``: the nearest value with its unit, all values of an axis, what is not on one."""

import numpy as np
import pytest
import xarray as xr

from jaxlimits.cli.selection import selection
from jaxlimits.errors import InputError
from tests.command_line import run

RATE = {"si_unit": "B/s", "display_unit": "TB/s"}


@pytest.fixture
def dataset():
    axes = {
        "mem_bw": ("mem_bw", np.geomspace(1e12, 16e12, 9), RATE),
        "llm": ["llama3-8b", "llama3-70b", "deepseek-v3"],
        "kv_bits": ("kv_bits", [0, 4, 8], {"si_unit": "1"}),
        "rank": [0, 1],
    }
    shape = tuple(len(values[1]) if isinstance(values, tuple) else len(values)
                  for values in axes.values())  # fmt: skip
    return xr.Dataset({"utps": (tuple(axes), np.zeros(shape))}, axes)


@pytest.mark.parametrize(
    ("text", "axis", "value", "says"),
    [
        ("mem_bw=4 TB/s", "mem_bw", 4e12, ""),
        ("mem_bw=4e12", "mem_bw", 4e12, ""),
        ("mem_bw=5 TB/s", "mem_bw", 4e12 * 2**0.5, "mem_bw = 5 TB/s: 5.657 TB/s is the nearest"),
        ("mem_bw=1.18 TB/s", "mem_bw", 1e12, "1 TB/s is the nearest"),
        ("mem_bw=1.20 TB/s", "mem_bw", 2**0.5 * 1e12, "1.414 TB/s is the nearest"),
        ("kv_bits=3", "kv_bits", 4, "kv_bits = 3: 4 is the nearest value and is taken"),
        ("kv_bits=0", "kv_bits", 0, ""),
        ("llm=llama3-70b", "llm", "llama3-70b", ""),
        ("rank=1", "rank", 1, ""),
    ],
)
def test_the_nearest_value_is_taken_and_said(dataset, capsys, text, axis, value, says):
    kept = selection(dataset, [text], ())[axis]
    assert kept.size == 1
    if isinstance(value, str):
        assert kept.item() == value
    else:
        assert kept.item() == pytest.approx(value)
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert bool(said.err) == bool(says)


def test_several_nearest_values_are_kept_each(dataset, capsys):
    kept = selection(dataset, ["mem_bw=2.1 TB/s", "mem_bw=15 TB/s"], ())
    assert kept.mem_bw.values == pytest.approx([2e12, 16e12])
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "mem_bw=17 TB/s",
            "mem_bw = '17 TB/s': is not on this axis; it has 9 values: 1 TB/s, 1.41",
        ),
        ("mem_bw=0.5 TB/s", "5.657 TB/s, 8 TB/s, 11.31 TB/s, 16 TB/s"),
        ("mem_bw=5 GiB", "a rate such as '18 TB/s' is due"),
        (
            "mem_bw",
            "mem_bw: names an axis without a value; write name=value; it has 9 values: 1 TB",
        ),
        ("mem_bw=", "it has 9 values: 1 TB/s"),
        ("llm", "it has 3 values: llama3-8b, llama3-70b, deepseek-v3"),
        ("llm=llama3-7b", "did you mean llama3-70b or llama3-8b? it has 3 values: llama3-8b, llam"),
        ("llm=gpt", "is not on this axis; known: deepseek-v3, llama3-70b, llama3-8b"),
        ("batch=1", "unknown axis 'batch'"),
        ("kv_bits=nan", "kv_bits = 'nan': is not on this axis; it has 3 values: 0, 4, 8"),
    ],
)
def test_what_is_not_on_an_axis_lists_its_values(dataset, text, says):
    with pytest.raises(InputError) as caught:
        selection(dataset, [text], ())
    assert says in str(caught.value)


def test_of_very_many_values_the_ends_are_listed(dataset):
    many = dataset.isel(rank=0, drop=True).expand_dims(seq_len=np.arange(1, 1001))
    with pytest.raises(InputError, match=r"1000 values: 1, 2, .*, 32, …, 969, .*, 1000$"):
        selection(many, ["seq_len"], ())


def test_a_command_says_what_it_took_beside_its_output(made):
    selected = ("--select", "mem_bw=3 TB/s", "--var", "utps")
    done = run("export", made, "--csv", "-o", "-", *selected)
    assert done.code == 0
    assert (
        done.err
        == "jaxlimits: --select: mem_bw = 3 TB/s: 4 TB/s is the nearest value and is taken\n"
    )
    assert len(done.out.splitlines()) == 5
