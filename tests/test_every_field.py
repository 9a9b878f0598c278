"""Every numeric field of every record: an axis, an override and a scale factor, by its one name."""

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.catalog.loader import Catalog
from jaxlimits.grid.file import read_grid
from jaxlimits.grid.spec import grid_catalog

# A model and a chip in which every field counts: dense and expert layers, heads and a latent,
# windows and chunks shorter than the context, all three kinds of parallelism. Twice and half of
# each value are values that the field can take.
EVERYTHING = """
outputs = [
    "t_mem", "t_compute", "t_sync", "capacity_utilisation", "flops_utilisation", "power",
]
[llms.everything]
num_layers = 16
hidden_size = 64
vocab_size = 1000
num_heads = 8
num_kv_heads = 2
head_dim = 16
q_lora_rank = 24
kv_lora_rank = 32
qk_nope_head_dim = 8
qk_rope_head_dim = 4
v_head_dim = 8
num_windowed_layers = 2
sliding_window = 128
num_chunked_layers = 2
attention_chunk_size = 256
intermediate_size = 128
num_moe_layers = 4
num_experts = 16
experts_per_token = 2
num_shared_experts = 2
moe_intermediate_size = 32
norm_params = 1024
qk_norm_params = 512
bias_params = 512
expert_bias_params = 256
nominal_params = 10_000_000
nominal_active_params = 2_000_000
[chips.everything]
peak_flops = "1 TFLOP/s"
peak_vector_flops = "1 GFLOP/s"
mem_bw = "1 GB/s"
mem_capacity = "100 MB"
usable_fraction = 0.5
base_power = "100 W"
[base]
llm = "everything"
chip = "everything"
tp_size = 4
pp_size = 2
ep_size = 2
dp_size = 2
batch_size = 4
seq_len = 512
query_tokens = 2
"""
# Fields that count under one setting only.
NEEDS = {
    "flops_ratio_16bit": {"compute_bits": "16"},
    "flops_ratio_4bit": {"compute_bits": "4"},
    "nominal_params": {"accounting": "nominal"},
    "nominal_active_params": {"accounting": "nominal"},
}
# What "twice" and "half" cannot say.
VALUES = {"tied_embeddings": (0.0, 1.0)}
FACTORS = {"tied_embeddings": (1.0,)}
OUTPUTS = ("t_mem", "t_compute", "t_sync", "capacity_utilisation", "flops_utilisation", "power")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("every_field")
    (folder / "everything.toml").write_text(f"{EVERYTHING}[axes]\nroofline = ['step']\n")
    return folder


@pytest.fixture(scope="module")
def catalog(folder) -> Catalog:
    return grid_catalog(read_grid(folder / "everything.toml"))


@pytest.fixture(scope="module")
def point(catalog):
    """Evaluate the base with some fields changed."""
    deployment = {"tp_size": 4, "pp_size": 2, "ep_size": 2, "dp_size": 2}
    base = {**deployment, "batch_size": 4, "seq_len": 512, "query_tokens": 2}

    def evaluated(**settings):
        return jl.evaluate("everything", "everything", catalog=catalog, **{**base, **settings})

    return evaluated


@pytest.fixture(scope="module")
def base_values(catalog):
    deployment = schema.record_defaults("deployment")
    changed = read_grid_base(catalog)
    return {
        **deployment,
        **catalog.values("llm", "everything"),
        **catalog.values("chip", "everything"),
        **changed,
    }


def read_grid_base(_catalog):
    sizes = {"tp_size": 4.0, "pp_size": 2.0, "ep_size": 2.0, "dp_size": 2.0}
    return {**sizes, "batch_size": 4.0, "seq_len": 512.0, "query_tokens": 2.0}


def written(name: str, value: float) -> str:
    """A value as a user writes it; read back it is the same float."""
    unit = schema.FIELDS[name].unit
    return f"{value!r}" if unit in ("1", "token") else f"{value!r} {unit}"


def assert_same(found: float, expected: float, name: str) -> None:
    assert np.isclose(found, expected, rtol=1e-6, atol=0.0), (name, found, expected)


@pytest.mark.parametrize("name", schema.FIELDS)
def test_a_field_works_as_an_axis_an_override_and_a_scale_factor(name, folder, point, base_values):
    here = base_values[name]
    values = VALUES.get(name, (here, 2.0 * here))
    factors = FACTORS.get(name, (1.0, 0.5))
    needs = NEEDS.get(name, {})
    as_axes(name, values, factors, folder, point, needs)
    as_override(name, values[1], folder, point, needs)


def as_axes(name, values, factors, folder, point, needs):
    scale = f"{name}{schema.SCALE_SUFFIX}"
    grid = folder / f"{name}.toml"
    text = [line for line in EVERYTHING.splitlines() if line.partition(" =")[0] != name]
    if schema.RECORDS["deployment"].__dataclass_fields__.get(name) is None:
        text = EVERYTHING.splitlines()  # a field of an entry gives way by itself
    listed = ", ".join(f'"{written(name, value)}"' for value in values)
    axes = [f"{name} = [{listed}]", f"{scale} = [{', '.join(map(str, sorted(factors)))}]"]
    grid.write_text("\n".join([*text, "[axes]", *axes]))
    swept = jl.sweep(grid, overrides=needs)

    assert swept.sizes == {name: len(values), scale: len(factors)}
    assert np.allclose(swept[name], values, rtol=0.0, atol=0.0)
    for value in values:
        for factor in factors:
            here = swept.sel({name: value, scale: factor})
            expected = point(**needs, **{name: written(name, value * factor)})
            for output in OUTPUTS:
                assert_same(float(here[output]), getattr(expected, output), output)
    changed = [output for output in OUTPUTS if np.ptp(swept[output].sel({scale: 1.0})) > 0.0]
    assert changed, f"{name} changes nothing"


def as_override(name, value, folder, point, needs):
    swept = jl.sweep(folder / "everything.toml", overrides={**needs, name: written(name, value)})
    expected = point(**needs, **{name: written(name, value)})
    for output in OUTPUTS:
        assert_same(swept[output].item(), getattr(expected, output), output)
