"""Every numeric field of every record: an axis, an override and a scale factor, by its one name."""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.catalog.loader import Catalog
from jaxlimits.grid.scenario import Scenario, bind
from jaxlimits.model.metrics import REQUESTED
from jaxlimits.points.named_point import checked_metrics, point_scenario
from jaxlimits.run.job import load_grid
from tests.helpers import slow_but

# What counts in one situation is idle in another.
pytestmark = pytest.mark.filterwarnings("ignore::jaxlimits.IdleSettingWarning")

# A model and a chip in which every field counts: dense and expert layers, heads and a latent,
# windows and chunks shorter than the context. Each field can take twice and half of its value here.
ENTRIES = """
[llms.everything]
measured_model = 0.4
measured_attention = 0.4
num_layers = 64
hidden_size = 64
vocab_size = 1000
num_heads = 8
num_kv_heads = 2
head_dim = 16
value_head_dim = 8
q_lora_rank = 24
kv_lora_rank = 32
qk_nope_head_dim = 8
qk_rope_head_dim = 4
v_head_dim = 8
attention_gate_dim = 4
shared_kv_head_dim = 16
o_groups = 2
o_lora_rank = 8
num_windowed_layers = 4
sliding_window = 128
windowed_num_heads = 4
windowed_num_kv_heads = 2
windowed_head_dim = 8
windowed_value_head_dim = 4
num_chunked_layers = 2
attention_chunk_size = 256
num_sparse_layers = 4
index_n_heads = 4
index_head_dim = 8
index_topk = 64
index_block_size = 16
num_indexer_layers = 2
num_shared_kv_layers = 2
num_shared_kv_windowed_layers = 2
num_k_eq_v_layers = 2
num_compressed_layers = 2
compression_ratio = 32
num_compressed_sparse_layers = 2
sparse_compression_ratio = 4
num_recurrent_layers = 2
recurrent_params = 10_000
recurrent_norm_params = 4_000
num_state_heads = 4
state_key_dim = 16
state_value_dim = 32
state_flops = 6
state_chunk = 8
conv_channels = 256
conv_columns = 4
num_ffn_only_layers = 2
num_mixer_only_layers = 2
intermediate_size = 128
ffn_matrices = 2
expert_matrices = 2
expert_hidden_size = 32
shared_intermediate_size = 48
num_moe_layers = 4
num_experts = 16
experts_per_token = 2
num_shared_experts = 2
moe_intermediate_size = 32
hc_mult = 2
norm_params = 1024
qk_norm_params = 512
bias_params = 512
expert_bias_params = 256
extra_params = 2000
extra_embedding_params = 10_000
extra_embedding_dim = 100
nominal_params = 10_000_000
nominal_active_params = 4_000_000
attention_bits = 8
ffn_bits = 8.25
expert_bits = 8.5
embedding_bits = 16
head_bits = 12
cache_bits = 8
state_bits = 32
operand_bits = 8
[chips.everything]
peak_flops = "1 TFLOP/s"
peak_vector_flops = "1 GFLOP/s"
mem_bw = "1 GB/s"
mem_capacity = "100 MB"
usable_fraction = 0.5
base_power = "100 W"
die_area = "800 mm^2"
mem_energy = "30 pJ/B"
chip_price = "30000 USD"
mem_price = "10 USD/GB"
measured_chip = 0.4
idle_power = "200 W"
read_energy = "30 pJ/B"
flop_energy = "1 pJ/FLOP"
[interconnects.everything]
link_bw = "1 GB/s"
sync_latency = "2 us"
hop_latency = "3 us"
all_to_all_latency = "4 us"
router_latency = "5 us"
scale_up_size = 2
scale_out_bw = "0.5 GB/s"
scale_out_latency = "6 us"
[llms.small]
num_layers = 64
hidden_size = 32
vocab_size = 1000
num_heads = 4
num_kv_heads = 2
head_dim = 8
value_head_dim = 4
q_lora_rank = 12
kv_lora_rank = 16
qk_nope_head_dim = 4
qk_rope_head_dim = 4
v_head_dim = 4
attention_gate_dim = 2
shared_kv_head_dim = 8
o_groups = 2
o_lora_rank = 4
num_windowed_layers = 4
sliding_window = 128
windowed_num_heads = 2
windowed_num_kv_heads = 2
windowed_head_dim = 4
windowed_value_head_dim = 2
num_chunked_layers = 2
attention_chunk_size = 256
num_sparse_layers = 4
index_n_heads = 2
index_head_dim = 8
index_topk = 64
num_indexer_layers = 2
num_shared_kv_layers = 2
num_shared_kv_windowed_layers = 2
num_k_eq_v_layers = 2
index_block_size = 16
num_compressed_layers = 2
compression_ratio = 32
num_compressed_sparse_layers = 2
sparse_compression_ratio = 4
num_recurrent_layers = 2
recurrent_params = 5_000
recurrent_norm_params = 2_000
num_state_heads = 4
state_key_dim = 8
state_value_dim = 16
state_flops = 6
state_chunk = 8
conv_channels = 128
conv_columns = 4
num_ffn_only_layers = 2
num_mixer_only_layers = 2
intermediate_size = 64
ffn_matrices = 2
expert_matrices = 2
expert_hidden_size = 16
shared_intermediate_size = 24
num_moe_layers = 2
num_experts = 8
experts_per_token = 2
num_shared_experts = 2
moe_intermediate_size = 16
hc_mult = 2
norm_params = 512
qk_norm_params = 256
bias_params = 256
expert_bias_params = 128
extra_params = 1000
extra_embedding_params = 5000
extra_embedding_dim = 50
nominal_params = 1_000_000
nominal_active_params = 500_000
attention_bits = 8.5
ffn_bits = 8
expert_bits = 8.25
embedding_bits = 12
head_bits = 16
cache_bits = 8
state_bits = 16
operand_bits = 8
[proposers.everything]
acceptance = 0.8
acceptance_decay = 0.9
[calibrations.everything]
mem_efficiency = 0.4
expert_efficiency = 0.4
kv_efficiency = 0.4
flops_efficiency = 0.4
kernel_latency = "5 us"
sequence_latency = "5 us"
collective_factor = 0.4
overlap_loss = 0.4
routed_passes = 16
routing_spread = 1
spread = 0.1
kernel_spread = 0.1
chip_widening = 2
model_widening = 2
attention_widening = 2
[fabrics.everything]
one_shot_latency = "4 us"
one_shot_bw = "1 GB/s"
two_shot_latency = "9 us"
two_shot_bw = "1 GB/s"
library_bytes = "700 B"
library_latency = "12 us"
library_hop_latency = "1 us"
fabric_spread = 0.1
mesh_peers = 2
"""
OVERLAY = {"calibration": "everything", "fabric": "everything", "interconnect": "everything"}
OVERLAY |= {"draft": "small", "proposer": "everything"}
BASE = {"tp_size": 4, "pp_size": 2, "dp_size": 2}
BASE |= {"batch_size": 4, "seq_len": 512, "query_tokens": 2}
BASE_OF_REQUESTS = {name: value for name, value in BASE.items() if name != "seq_len"}
REQUEST = {"input_len": "64", "output_len": "8"}
OUTPUTS = ("t_mem", "t_compute", "t_sync", "capacity_utilisation", "flops_utilisation", "power")
OUTPUTS += ("capital_cost", "cost_rate", "dollars_per_token")
OUTPUTS += ("calibrated_t_step", "calibrated_utps_upper")

TWO_SHOTS = {"one_shot_latency": "90 us"}
SLOW_SHOTS = {"two_shot_latency": "90 us", **TWO_SHOTS}
RING = {"library_bytes": "1 MB", **SLOW_SHOTS}
CAPPED = {"power_model": "activity", "idle_power": "300 W"}
STATED_LENGTH = {"speculation": "draft", "draft_length": "5"}
# Fields that count under one setting only.
NEEDS = {
    "input_len": {"output_len": "8"},
    "output_len": {"input_len": "64"},
    "prefill_chunk": REQUEST,
    "prefix_share": REQUEST,
    "prefill_batch": REQUEST,
    "calls_per_answer": REQUEST,
    "draft_length": {"speculation": "draft"},
    "idle_power": {"power_model": "activity"},
    "read_energy": {"power_model": "activity"},
    "flop_energy": {"power_model": "activity"},
    "power_cap": CAPPED,
    "acceptance": {"speculation": "draft"},
    "acceptance_decay": {"speculation": "draft"},
    "acceptance_length": STATED_LENGTH,
    "sram_capacity": {"sram_bw": "10 GB/s"},
    "sram_bw": {"sram_capacity": "50000 B", "memory_tiers": "add"},
    "lpddr_capacity": {"lpddr_bw": "0.1 GB/s", "mem_capacity": "100 kB"},
    "lpddr_bw": {"lpddr_capacity": "100 MB", "mem_capacity": "100 kB"},
    "all_to_all_latency": {"ep_size": "2"},
    "redundant_experts": {"ep_size": "2"},
    "dense_tp_size": {"ep_size": "2"},
    "ffn_chips": {"ffn_micro_batches": "3"},
    "ffn_micro_batches": {"ffn_chips": "4"},
    "flops_ratio_16bit": {"compute_bits": "16"},
    "flops_ratio_4bit": {"compute_bits": "4"},
    "link_bw": {"collective_algorithm": "one-shot"},
    "activation_bits": {"collective_algorithm": "one-shot"},
    "mesh_rows": {"collective_algorithm": "one-shot", "topology": "mesh-2d"},
    "router_latency": {"collective_algorithm": "one-shot", "topology": "mesh-2d", "mesh_rows": "1"},
    "scale_up_size": {"collective_algorithm": "one-shot", "topology": "rail"},
    "scale_out_bw": {"collective_algorithm": "one-shot", "topology": "rail"},
    "scale_out_latency": {"collective_algorithm": "one-shot", "topology": "rail"},
    "library_bytes": SLOW_SHOTS,
    "library_latency": RING,
    "library_hop_latency": RING,
    "two_shot_latency": TWO_SHOTS,
    "two_shot_bw": TWO_SHOTS,
    "state_chunk": {"peak_flops": "1 GFLOP/s", **REQUEST},
    "nominal_params": {"accounting": "nominal"},
    "nominal_active_params": {"accounting": "nominal"},
}
IDLE = ("draft_state_chunk", "draft_measured_model", "draft_measured_attention")
"""Fields on which nothing rests: a draft has no prefill and no interval of its own."""
DRAFTED = {"speculation": "draft"}
NEEDS |= {f"draft_{name}": DRAFTED | NEEDS.get(name, {}) for name in schema.field_names("draft")}
NEEDS |= dict.fromkeys(IDLE, DRAFTED)

# Points at which all these fields count, together: one program serves many of them.
SITUATIONS: list[dict[str, str]] = [
    {},
    DRAFTED,
    {"ep_size": "2", "compute_bits": "16", "peak_flops": "1 GFLOP/s", **REQUEST},
    {
        "accounting": "nominal",
        **DRAFTED,
        "collective_algorithm": "one-shot",
        "topology": "mesh-2d",
        "mesh_rows": "1",
        "sram_capacity": "50000 B",
        "sram_bw": "10 GB/s",
        "memory_tiers": "add",
        "lpddr_capacity": "100 MB",
        "lpddr_bw": "0.1 GB/s",
        "mem_capacity": "100 kB",
    },
    {
        "collective_algorithm": "one-shot",
        "topology": "rail",
        "compute_bits": "4",
    },
    TWO_SHOTS,
    SLOW_SHOTS,
    RING,
    {"power_model": "activity", "ffn_chips": "4", "ffn_micro_batches": "3"},
    CAPPED,
    STATED_LENGTH,
]
MOST_AXES = 12
UNCOUNTED = ("scale_out_latency_scale", "draft_vocab_size_scale")
"""What changes nothing where chips are not joined by rails, and without a draft."""
APART = ("weight_bits", "kv_bits", "compute_bits")
"""Fields that set others, or stand for them, where these are not set beside them."""
# Where twice and half the value are not values of the field.
VALUES = {"ep_size": (2.0, 4.0), "tied_embeddings": (0.0, 1.0), "utilisation": (0.5, 1.0)}
VALUES |= {"mesh_rows": (1.0, 2.0), "power_cap": (50.0, 100.0)}
VALUES |= {"chip_hour_price": (0.0, 1e-3)}  # what is rented rests on no other price
VALUES |= {"weight_bits": (8.0, 16.0), "compute_bits": (8.0, 16.0), "kv_bits": (8.0, 16.0)}
VALUES |= {"draft_tied_embeddings": (0.0, 1.0), "acceptance": (0.4, 0.8)}
VALUES |= {"acceptance_decay": (0.4, 0.8), "acceptance_length": (2.0, 4.0)}
VALUES |= {"draft_measured_model": (0.4, 0.8), "draft_measured_attention": (0.4, 0.8)}
VALUES |= {"input_len": (64.0, 128.0), "output_len": (8.0, 16.0), "prefill_chunk": (16.0, 32.0)}
VALUES |= {"prefix_share": (0.25, 0.5), "cp_size": (2.0, 4.0), "redundant_experts": (8.0, 16.0)}
VALUES |= {"dense_tp_size": (4.0, 8.0), "ffn_chips": (4.0, 8.0), "ffn_micro_batches": (2.0, 4.0)}
VALUES |= {"prefill_batch": (2.0, 4.0), "calls_per_answer": (2.0, 4.0)}
VALUES |= {"sram_capacity": (50e3, 100e3), "lpddr_capacity": (1e8, 2e8)}
VALUES |= {"sram_bw": (10e9, 20e9), "lpddr_bw": (1e8, 2e8)}
MATRICES = ("ffn_matrices", "expert_matrices", "draft_ffn_matrices", "draft_expert_matrices")
VALUES |= dict.fromkeys(MATRICES, (2.0, 3.0))
UNSCALED = ("tied_embeddings", "draft_tied_embeddings", "mesh_rows", "dense_tp_size", "power_cap")
UNSCALED += MATRICES
FACTORS = {"pue": (1.0, 2.0), "prefill_batch": (1.0, 2.0), "calls_per_answer": (1.0, 2.0)}
FACTORS |= dict.fromkeys(UNSCALED, (1.0, 1.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("every_field")


@pytest.fixture(scope="module")
def catalog(folder) -> Catalog:
    path = folder / "catalog.toml"
    path.write_text(ENTRIES)
    return jl.load_catalog(path)


@pytest.fixture(scope="module")
def stated(catalog):
    return stated_values(catalog)


@pytest.fixture(scope="module")
def point(catalog):
    """Evaluate the base with some fields changed."""
    return functools.partial(_evaluated, catalog)


@pytest.fixture(scope="module")
def swept(folder, catalog):
    """Sweep the base over some axes."""
    assert catalog
    return functools.partial(_swept, folder)


NAMED = [name for name in schema.NAMED if name not in schema.ASSUMED]
"""What is named in the base; an assumption would say nothing of a chip that states everything."""


def fields_of(situation: dict[str, str]) -> list[str]:
    """The fields that count in a situation and in none before it."""
    first = {
        name: next(s for s in SITUATIONS if NEEDS.get(name, {}).items() <= s.items())
        for name in schema.FIELDS
    }
    return [name for name in schema.FIELDS if first[name] is situation]


def together() -> Iterator[tuple[dict[str, str], list[str]]]:
    """Situations and the fields that one sweep can have."""
    for situation in SITUATIONS:
        names = fields_of(situation)
        for some in ([n for n in names if n not in APART], [n for n in names if n in APART]):
            if some:
                yield situation, some


def dimensions() -> Iterator[tuple[dict[str, str], list[str]]]:
    """Situations and the fields that are dimensions of one sweep, related ones apart."""
    for situation, names in together():
        for place in range(num := math.ceil(len(names) / MOST_AXES)):
            yield situation, names[place::num]


def test_every_field_is_tested():
    for sweeps in (together(), dimensions()):
        tested = [name for _, names in sweeps for name in names]
        assert sorted(tested) == sorted(schema.FIELDS)


@pytest.mark.parametrize(("situation", "names"), [*together()])
def test_fields_vary_one_by_one_and_with_scale_factors(situation, names, swept, point, stated):
    base = {name: values_of(name, stated)[0] for name in names}
    changes: list[dict[str, float]] = [{}]
    for name in names:
        changes.append({name: values_of(name, stated)[1]})
        factor = FACTORS.get(name, (1.0, 0.5))[1]
        changes += [{f"{name}{schema.SCALE_SUFFIX}": factor}] if factor != 1.0 else []
    rows = [base | dict.fromkeys(scales_of(changes), 1.0) | change for change in changes]
    columns = {name: [written(name, row[name]) for row in rows] for name in rows[0]}
    lead = UNCOUNTED[situation.get("topology") == "rail"]
    axis = {"values": [float(place) for place in range(1, len(rows) + 1)], "with": columns}
    fixed = {name: text for name, text in situation.items() if name not in names}
    grid = swept({lead: axis}, fixed)
    for name in names:
        assert grid[name].values.tolist() == [row[name] for row in rows]

    for place, (change, row) in enumerate(zip(changes, rows, strict=True)):
        found = grid.isel({lead: place})
        here = {name: row[name] * row.get(f"{name}{schema.SCALE_SUFFIX}", 1.0) for name in names}
        assert_same(found, point(fixed | {name: written(name, here[name]) for name in names}))
        if name := next(iter(change.keys() & base.keys()), None):
            pairs = ((found[o].item(), grid[o].values[0]) for o in found.data_vars)
            changing = any(not math.isclose(*pair, rel_tol=0.0, abs_tol=0.0) for pair in pairs)
            assert changing != (name in IDLE), f"{name} changes nothing, or something"


def scales_of(changes: list[dict[str, float]]) -> list[str]:
    return [name for change in changes for name in change if name.endswith(schema.SCALE_SUFFIX)]


@pytest.mark.parametrize("dimensions", slow_but(dimensions(), next(iter(dimensions()))))
def test_fields_work_as_axes_and_with_scale_factors(dimensions, swept, point, stated):
    situation, names = dimensions
    values = {name: values_of(name, stated) for name in names}
    factors = {name: FACTORS.get(name, (1.0, 0.5)) for name in names}
    spare = UNCOUNTED[situation.get("topology") == "rail"]
    scaled, scales = scaled_together(factors, spare=spare)
    axes = {name: [written(name, value) for value in values[name]] for name in names}
    grid = swept(axes | scales, {n: value for n, value in situation.items() if n not in axes})
    for name in names:
        assert grid[name].values.tolist() == list(values[name])

    for factor, changed in itertools.product((0, 1), (None, *names)):
        place = {name: int(name == changed) for name in names}
        at = {name: values[name][place[name]] * factors[name][factor] for name in names}
        expected = point(situation | {name: written(name, at[name]) for name in names})
        assert_same(grid.isel({**place, scaled: factor}), expected)
    for name in names:
        pair = grid.isel({other: 0 for other in (*names, scaled) if other != name})
        changing = (np.ptp(pair[output].values) > 0.0 for output in pair.data_vars)
        assert any(changing) != (name in IDLE), f"{name} changes nothing, or something"


def scaled_together(
    factors: dict[str, tuple[float, float]], *, spare: str
) -> tuple[str, dict[str, dict]]:
    """One axis along which every field is multiplied by a factor of its own: its name and it.

    Where none can be scaled, the axis is one that changes nothing.
    """
    columns = {f"{name}{schema.SCALE_SUFFIX}": list(pair) for name, pair in factors.items()}
    lead = next((name for name, (first, last) in columns.items() if first != last), spare)
    columns.setdefault(lead, [1.0, 0.5])
    return lead, {lead: {"values": columns.pop(lead), "with": columns}}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_an_overridden_grid_has_the_numbers_of_the_point(situation, folder, stated, catalog):
    overrides = {n: written(n, values_of(n, stated)[1]) for n in fields_of(situation)}
    path = _grid_file(folder, {"roofline": ["step"]}, situation | overrides)
    grid = bind(load_grid(path, overrides=situation | overrides))
    point = _resolved(catalog, situation | overrides)
    assert grid.base == point.base
    assert grid.switches | {"roofline": "step"} == point.switches
    assert grid.own == point.own


@pytest.mark.parametrize("situation", slow_but(SITUATIONS, SITUATIONS[0]))
def test_fields_work_as_overrides(situation, swept, point, stated):
    overrides = {n: written(n, values_of(n, stated)[1]) for n in fields_of(situation)}
    grid = swept({"roofline": ["step"]}, situation | overrides)
    assert_same(grid, point(situation | overrides))


def values_of(name: str, stated: dict[str, float]) -> tuple[float, float]:
    """Two values to take: those of the base and twice it, where these are values of the field."""
    here = stated[name]
    return VALUES.get(name, (here, 2.0 * here))


def stated_values(catalog: Catalog) -> dict[str, float]:
    """Every field's value in the base."""
    records = [catalog.values(name, OVERLAY.get(name, "everything")) for name in NAMED]
    sizes = {name: float(value) for name, value in BASE.items()}
    return functools.reduce(dict.__or__, records, schema.base_defaults()) | sizes


def base_under(names: Iterable[str]) -> dict[str, float]:
    """What else is stated; a request has a context of its own."""
    return BASE_OF_REQUESTS if "input_len" in names else BASE


def written(name: str, value: float) -> str:
    """A value as a user writes it, to the last bit."""
    unit = schema.describe(name).unit
    return f"{value!r}" if unit in ("1", "token") else f"{value!r} {unit}"


def assert_same(place: xr.Dataset, expected: jl.Metrics) -> None:
    for output in place.data_vars:
        pair = place[output].item(), getattr(expected, output)
        unknown = output in schema.CALIBRATED  # where feed-forward parts are apart
        assert np.isclose(*pair, rtol=1e-6, atol=0.0, equal_nan=unknown), (output, *pair)


def _evaluated(catalog: Catalog, settings: dict) -> jl.Metrics:
    """What ``jl.evaluate`` gives, which looks in addition for settings that change nothing."""
    return checked_metrics(_resolved(catalog, settings), {*OVERLAY, *settings})


def _resolved(catalog: Catalog, settings: dict) -> Scenario:
    settings = {**base_under(settings), **OVERLAY, **settings}
    return point_scenario("everything", "everything", settings, catalog=catalog)


def _swept(folder: Path, axes: dict, overrides: dict) -> xr.Dataset:
    return jl.sweep(_grid_file(folder, axes, overrides), overrides=overrides, allow_idle=True)


def _grid_file(folder: Path, axes: dict, overrides: dict) -> Path:
    linked = {name for axis in axes.values() if isinstance(axis, dict) for name in axis["with"]}
    along = {*axes, *linked}
    named = {*along, *overrides}
    base = {name: value for name, value in base_under(named).items() if name not in along}
    outputs = [*OUTPUTS, *(REQUESTED if "input_len" in named else ())]
    lines = ["catalog = ['catalog.toml']", f"outputs = {outputs}", "[base]"]
    lines += [f"{name} = '{OVERLAY.get(name, 'everything')}'" for name in NAMED]
    lines += [f"{name} = {value}" for name, value in base.items()]
    lines += ["[axes]", *(f"{name} = {_as_toml(axis)}" for name, axis in axes.items())]
    path = folder / "grid.toml"
    path.write_text("\n".join(lines))
    return path


def _as_toml(axis: list | dict) -> str:
    if isinstance(axis, list):
        return str(axis)
    return "{ " + ", ".join(f"{key} = {_as_toml(value)}" for key, value in axis.items()) + " }"
