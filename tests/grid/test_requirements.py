"""``[require.NAME]`` tables: what they may say, and what is wrong with them."""

from pathlib import Path

import pytest

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.requirements import default_bracket
from jaxlimits.grid.spec import build_spec, grid_catalog

GRID = "[base]\nllm = 'llama3-8b'\nchip = 'h100'\n[axes]\nseq_len = [1024, 2048]\n"


def read(table, more=""):
    text = f"{more}{GRID}[require.x]\n{table}"
    file = parse_grid(text, where="grid", stem="grid", folder=Path())
    return build_spec(file, grid_catalog(file))


def test_a_requirement_is_read_into_si_units():
    spec = read("for = 'mem_bw'\nof = 'tpot'\nat_most = '20 ms/token'\nto = '10 TB/s'")
    (asked,) = spec.requirements
    assert (asked.field, asked.metric, asked.at_least) == ("mem_bw", "tpot", False)
    assert (asked.target, asked.low, asked.high) == (0.02, 1e6, 1e13)
    assert spec.outputs == ("x", "x_tpot", "x_reason")


def test_outputs_stand_before_what_is_required_and_keep_leaves_it_out():
    table = "for = 'mem_bw'\nat_least = 100"
    assert read(table, "outputs = ['utps']\n").outputs == ("utps", "x", "x_utps", "x_reason")
    kept = read(f"{table}\nkeep = false\n[reduce.most]\nop = 'max'\nof = 'x'")
    assert kept.outputs == ()


def test_numbers_of_chips_are_tried_and_others_bisected():
    def tried(table):
        return read(f"{table}\nat_least = 100").requirements[0].candidates

    assert tried("for = 'tp_size'") == tuple(2.0**power for power in range(17))
    assert tried("for = 'tp_size'\nfrom = 6\nto = 9") == (6, 7, 8, 9)
    assert tried("for = 'tp_size'\namong = [72, 8]") == (8, 72)
    assert tried("for = 'batch_size'\npow2 = [1, 8]") == (1, 2, 4, 8)
    assert tried("for = 'compute_bits'") == (4, 8, 16)
    assert tried("for = 'batch_size'") == tried("for = 'mem_bw'") == ()


@pytest.mark.parametrize("field", schema.FIELDS)
def test_a_default_bracket_holds_values_of_its_field(field):
    low, high = default_bracket(field)
    info = schema.FIELDS[field]
    assert low < high
    if not info.allowed:
        assert info.admits(low)
        assert info.admits(high)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("for = 'mem_bandwidth'\nat_least = 1", "require.x.for: unknown field 'mem_bandwidth'"),
        ("for = 'mem_bw'\nof = 'limit'\nat_least = 1", "require.x.of = 'limit': a category"),
        ("for = 'mem_bw'\nof = 'upts'\nat_least = 1", "did you mean utps"),
        ("for = 'mem_bw'", "has no target"),
        ("for = 'mem_bw'\nat_least = 1\nat_most = 2", "two targets"),
        ("for = 'mem_bw'\nat_least = '3 GB'", "require.x.at_least: '3 GB': GB is a size"),
        ("for = 'mem_bw'\nof = 'tpot'\nat_most = 3", "bare number"),
        ("for = 'mem_bw'\nat_least = 3\nfrom = 4", "require.x.from = 4: a bare number"),
        ("for = 'mem_bw'\nat_least = 3\nfrom = '2 TB/s'\nto = '1 TB/s'", "lower end first"),
        ("for = 'mem_bw'\nat_least = 3\nfrom = '2 TB/s'\nto = '2 TB/s'", "is not a bracket"),
        ("for = 'tp_size'\nat_least = 3\namong = []", "is empty"),
        ("for = 'tp_size'\nat_least = 3\namong = [8, 8]", "twice"),
        ("for = 'tp_size'\nat_least = 3\nto = 8\npow2 = [1, 2]", "two ways"),
        ("for = 'tp_size'\nat_least = 3\nwithin = 8", "unknown key 'within'"),
        ("at_least = 3", "require.x.for"),
    ],
)
def test_what_is_wrong_with_a_requirement_is_named(table, says):
    with pytest.raises(InputError, match=says):
        read(table)


@pytest.mark.parametrize("name", ["utps", "seq_len", "'a b'", "utps_elasticity_mem_bw"])
def test_a_name_that_something_else_has_is_refused(name):
    text = f"{GRID}[require.{name}]\nfor = 'mem_bw'\nat_least = 3"
    file = parse_grid(text, where="grid", stem="grid", folder=Path())
    with pytest.raises(InputError, match="name"):
        build_spec(file, grid_catalog(file))
