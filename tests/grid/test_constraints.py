"""What must hold between fields, on every combination that a grid makes of them."""

import numpy as np
import pytest

from jaxlimits.errors import InputError
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.constraints import CONSTRAINTS
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import GridSpec


def check(spec: GridSpec) -> None:
    check_scenario(bind(spec))


@pytest.mark.parametrize(
    ("axes", "overrides", "says"),
    [
        ("batch_size = [1]", {"ep_size": "3"}, ["tp_size * dp_size", "ep_size = 3", "tp_size = 8"]),
        ("ep_size = [1, 2, 3]", {"llm": "qwen3-30b"}, ["ep_size = 3"]),
        ("dp_size = [3]", {"llm": "qwen3-30b", "ep_size": "24"}, ["num_experts = 128"]),
        ("tp_size = [8, 4]", {"llm": "qwen3-30b", "ep_size": "8"}, ["ep_size = 8", "tp_size = 4"]),
        ("tp_size_scale = [1, 0.5]", {"llm": "qwen3-30b", "ep_size": "8"}, ["tp_size = 4"]),
        ("experts_per_token = [8, 256]", {"llm": "qwen3-30b"}, ["256", "num_experts = 128"]),
        ("llm = ['qwen3-30b', 'gpt-oss-20b']", {"experts_per_token": "64"}, ["num_experts = 32"]),
        ("num_moe_layers = [1, 100]", {}, ["num_moe_layers = 100", "num_layers = 32"]),
        (
            "num_windowed_layers = [10, 20]\nnum_chunked_layers = [10, 20]",
            {},
            ["num_windowed_layers = 20", "num_chunked_layers = 20", "num_layers = 32"],
        ),
        ("num_sparse_layers = [33]", {"index_topk": "8"}, ["num_sparse_layers = 33"]),
        (
            "num_shared_kv_layers = [0, 20]",
            {"num_windowed_layers": "13"},
            ["num_shared_kv_layers = 20", "num_windowed_layers = 13", "number of full layers"],
        ),
        (
            "num_shared_kv_windowed_layers = [5]",
            {"num_windowed_layers": "4"},
            ["num_shared_kv_windowed_layers = 5", "number of windowed layers"],
        ),
        ("value_head_dim = [64]", {"llm": "deepseek-v3"}, ["heads of MLA", "value_head_dim = 64"]),
        ("num_sparse_layers = [1]", {}, ["index_topk = 0", "at least one"]),
        ("num_indexer_layers = [62]", {"llm": "deepseek-v3.2"}, ["num_indexer_layers = 62"]),
        (
            "num_recurrent_layers = [20]",
            {"num_ffn_only_layers": "13"},
            ["recurrent and ffn-only layers", "num_ffn_only_layers = 13", "num_layers = 32"],
        ),
        (
            "num_mixer_only_layers = [20]",
            {"num_ffn_only_layers": "13"},
            ["a layer has a mixer or a feed-forward part", "num_mixer_only_layers = 20"],
        ),
        ("index_topk_scale = [0.0001]", {"llm": "deepseek-v3.2"}, ["index_topk"]),
        ("nominal_params = [0]", {"accounting": "nominal"}, ["nominal", "nominal_params = 0"]),
        ("accounting = ['full', 'nominal']", {"nominal_active_params": "9e9"}, ["9e+09"]),
        (
            "topology = ['switched', 'torus-2d']",
            {"collective_algorithm": "in-network"},
            ["torus-2d has no path", "collective_algorithm = 'in-network'", "choose one-shot"],
        ),
        (
            "mesh_rows = [1, 3]",
            {"topology": "mesh-2d"},
            ["mesh_rows must divide tp_size", "mesh_rows = 3", "tp_size = 8"],
        ),
    ],
)
def test_a_combination_that_cannot_be_is_refused_with_its_values(resolve, axes, overrides, says):
    varied = {line.partition(" =")[0] for line in axes.splitlines()}
    text = {name: f'{name} = "{v}"' for name, v in {"llm": "llama3-8b", **overrides}.items()}
    base = "\n".join(
        ['chip = "h100"', *(line for name, line in text.items() if name not in varied)]
    )
    if "tp_size" not in varied:
        base += "\ntp_size = 8"
    spec = resolve(f"[base]\n{base}\n[axes]\n{axes}\n")
    with pytest.raises(InputError) as caught:
        check(spec)
    message = str(caught.value)
    assert "grid.toml" in message
    for part in says:
        assert part in message


@pytest.mark.parametrize(
    ("axes", "overrides"),
    [
        ("ep_size = [1, 2, 4, 8]", {"llm": "qwen3-30b"}),
        ("ep_size = { values = [2, 3], with = { num_experts = [128, 129] } }", {"dp_size": "3"}),
        ("nominal_params = [0]", {"accounting": "full"}),
        ("accounting = ['full', 'layers']", {"nominal_params": "0"}),
        ("num_experts_scale = [1, 2]", {"llm": "qwen3-30b"}),
        ("batch_size_scale = [1, 512]", {}),
        ("topology = ['rail', 'wafer-mesh']", {"collective_algorithm": "in-network"}),
        ("topology = ['mesh-2d', 'torus-2d']", {"collective_algorithm": "best"}),
        ("mesh_rows = [0, 1, 2, 8]", {"topology": "torus-2d"}),
        ("mesh_rows = [3]", {"topology": "rail"}),
        ("compute_bits_scale = [0.5, 1, 2]", {"compute_bits": "8"}),
        ("tp_size_scale = [0.125, 8192]", {}),
    ],
)
def test_a_combination_that_can_be_passes(sweep_of, axes, overrides):
    check(sweep_of(axes, **overrides))


@pytest.mark.parametrize(
    ("axes", "overrides", "says"),
    [
        ("batch_size_scale = [1, 0.5]", {}, ["batch_size_scale", "batch_size 0.5", "whole"]),
        ("tp_size_scale = [16384]", {}, ["tp_size 131072", "65536"]),
        ("compute_bits_scale = [3]", {"compute_bits": "8"}, ["compute_bits 24", "4, 8, 16"]),
        ("usable_fraction_scale = [2]", {}, ["usable_fraction 2", "at most 1"]),
        ("seq_len = [3]", {"seq_len_scale": "0.5"}, ["seq_len_scale", "seq_len 1.5"]),
    ],
)
def test_a_scale_factor_may_not_carry_a_field_out_of_its_bounds(sweep_of, axes, overrides, says):
    with pytest.raises(InputError) as caught:
        check(sweep_of(axes, **overrides))
    for part in says:
        assert part in str(caught.value)


def test_a_whole_field_may_be_scaled_by_a_fraction_that_leaves_it_whole(sweep_of):
    # In floats 100 * 0.57 is 56.99999999999999 and 100 * 1.1 is 110.00000000000001.
    check(sweep_of("batch_size_scale = [0.57, 1, 1.1]", batch_size="100"))


APART_FROM = ("weight_placement", "speculation", "mixed_steps")
"""Switches of which chips for feed-forward parts alone allow one setting."""

EDGES = {
    # One row a point: values of the constraint's fields in their order. The rows of the first list
    # just hold, those of the second just do not.
    "mesh_rows must divide": ([(8, 8), (2, 8), (0, 8)], [(3, 8), (16, 8)]),
    "ep_size must divide tp_size": (
        [(8, 4, 2, 0), (1, 4, 2, 0), (6, 4, 2, 12)],
        [(6, 4, 2, 0), (16, 4, 2, 0)],
    ),
    "ep_size must divide ffn": ([(8, 8), (8, 2), (0, 4)], [(8, 3), (4, 8)]),
    "tokens cannot go straight": ([(8, 1, 64), (0, 8, 64), (8, 8, 0)], [(8, 2, 64)]),
    **dict.fromkeys(
        (f"chips for feed-forward parts alone {rest}" for rest in ("and d", "and a tier")),
        ([(8, 0), (0, 8), (0, 0)], [(8, 1)]),
    ),
    **dict.fromkeys(
        (f"chips for feed-forward parts alone and {switch} =" for switch in APART_FROM),
        ([(0,)], [(1,)]),
    ),
    "ep_size must divide num": (
        [(8, 128, 0), (128, 128, 0), (3, 128, 1), (36, 128, 16)],
        [(3, 128, 0), (256, 128, 0), (8, 128, 1)],
    ),
    "tp_size must divide dense": (
        [(0, 4, 2), (4, 4, 2), (8, 4, 2)],
        [(2, 4, 2), (6, 4, 3), (16, 4, 2)],
    ),
    "cp_size must divide": ([(1, 6), (3, 6), (6, 6)], [(4, 6), (12, 6)]),
    "a token cannot use more": ([(8, 8), (7, 8)], [(9, 8)]),
    "there cannot be more MoE": ([(8, 0, 8), (7, 1, 8)], [(9, 0, 8), (7, 2, 8)]),
    "a layer has a mixer": ([(3, 5, 8), (0, 8, 8)], [(4, 5, 8)]),
    "there cannot be more indexers": ([(3, 3), (0, 3), (0, 0)], [(4, 3)]),
    "there cannot be more windowed": (
        [(1, 2, 3, 0, 0, 4, 5, 15), (0, 0, 1, 3, 2, 0, 0, 6)],
        [(1, 2, 3, 0, 0, 4, 6, 15), (0, 0, 1, 3, 2, 0, 1, 6)],
    ),
    # Of 9 or 8 layers 6 are of other kinds.
    "num_shared_kv_layers and": (
        [(1, 2, 9, 1, 2, 0, 1, 2, 0, 0), (1, 2, 9, 0, 0, 1, 0, 0, 2, 3), (0,) * 10],
        [
            (2, 2, 9, 1, 2, 0, 1, 2, 0, 0),
            (1, 3, 9, 1, 2, 0, 0, 0, 1, 2),
            (1, 2, 8, 1, 2, 3, *(0,) * 4),
        ],
    ),
    "num_shared_kv_windowed_layers": ([(2, 2), (0, 0)], [(3, 2)]),
    "heads of MLA": ([(0, 0, 0, 0), (1, 1, 1, 1)], [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0)]),
    "a sparse layer": ([(1, 5), (0, 0)], [(0.5, 5), (0, 1)]),
    "a compressed layer": ([(1, 5), (0, 0)], [(0, 1)]),
    "a compressed-sparse layer c": ([(1, 5), (0, 0)], [(0, 1)]),
    "a compressed-sparse layer s": ([(1, 5), (0, 0)], [(0, 1)]),
    "nominal accounting": ([(1, 1), (1, 2)], [(0, 1), (2, 1), (-1, 1)]),
    # With 2 of 10 experts in use, of A active and P parameters: 8 A >= 2 (P - A).
    "the experts in use": ([(20, 100, 10, 2), (1, 5, 10, 2)], [(19, 100, 10, 2), (1, 6, 10, 2)]),
    "a step gives at most": ([(5, 4), (0, 0), (1, 0)], [(5.5, 4), (1.5, 0)]),
    "speculation = 'draft'": ([(1,)], [(0,)]),
    # Totals count where both are stated, else layers * width^2: 2 * 3^2 = 18.
    "a draft must not": (
        [(5, 9, 9, 5, 1, 1), (0, 2, 3, 5, 18, 1), (9, 2, 3, 0, 18, 1), (0, 18, 1, 0, 2, 3)],
        [(6, 1, 1, 5, 9, 9), (0, 2, 3, 5, 17, 1), (9, 2, 3, 0, 17, 1), (0, 19, 1, 0, 2, 3)],
    ),
    "sharded weights": ([(1,)], [(2,)]),
    "a tier of SRAM": ([(1, 1), (0, 0), (1, 0)], [(0, 1)]),
    "a tier of LPDDR": ([(1, 1), (0, 0), (1, 0)], [(0, 1)]),
}


@pytest.mark.parametrize("constraint", [c for c in CONSTRAINTS if c.fields], ids=lambda c: c.says)
def test_a_constraint_holds_up_to_its_edge_and_not_beyond(constraint):
    (edges,) = (edges for says, edges in EDGES.items() if constraint.says.startswith(says))
    for rows, expected in zip(edges, (True, False), strict=True):
        columns = np.array(rows, dtype=np.float64).T
        holds = constraint.holds(dict(zip(constraint.fields, columns, strict=True)))
        assert holds.tolist() == [expected] * len(rows)


def test_only_what_must_divide_forbids_values_between_those_that_it_admits():
    for constraint in CONSTRAINTS:
        assert constraint.ordered == ("must divide" not in constraint.says)
