"""What a field says of itself, and the values that it takes."""

import dataclasses
import math

import jax
import pytest

from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.fields import Quantity, defaults, quantities, switches
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Metrics
from jaxlimits.model.request import Request
from jaxlimits.model.site import Site
from tests.helpers import (
    ALGORITHMS,
    COMBINATIONS,
    DEFAULT,
    EXTENDED,
    MIXED_STEPS,
    NUMBERS,
    ON_TOPOLOGIES,
    named_scenario,
)

RECORDS = [Chip, LLM, Deployment, Request, Calibration, Fabric, Metrics]
ANY = Quantity(unit="1", display="1", meaning="anything from 0")
POSITIVE = Quantity(unit="B/s", display="TB/s", meaning="a rate", positive=True)
SHARE = Quantity(unit="1", display="1", meaning="a share", positive=True, upper=1.0)
COUNT = Quantity(unit="1", display="1", meaning="a count", positive=True, whole=True, upper=64.0)
CHOICE = Quantity(unit="1", display="1", meaning="a width", allowed=(4.0, 8.0))
PRICED = Quantity(unit="USD", display="USD", meaning="a price", unset=math.nan)


@pytest.mark.parametrize(
    ("quantity", "admitted", "refused"),
    [
        (ANY, [0.0, 0.5, 1e300], [-1e-9, math.inf, math.nan]),
        (POSITIVE, [1e-12, 3.35e12], [0.0, -1.0]),
        (SHARE, [0.1, 1.0], [0.0, 1.1]),
        (COUNT, [1.0, 64.0], [0.0, 1.5, 65.0]),
        (CHOICE, [4.0, 8.0], [6.0, 0.0]),
        (PRICED, [0.0, 1.0, math.nan], [-1.0, math.inf]),
    ],
)
def test_a_quantity_admits_what_its_bounds_say(quantity, admitted, refused):
    assert all(quantity.admits(value) for value in admitted)
    assert not any(quantity.admits(value) for value in refused)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        (ANY, "a number, at least 0"),
        (POSITIVE, "a number, above 0"),
        (SHARE, "a number, above 0 and at most 1"),
        (COUNT, "a whole number, at least 1 and at most 64"),
        (CHOICE, "one of 4, 8"),
        (PRICED, "a number, at least 0, or nan for none"),
    ],
)
def test_bounds_are_told_in_words(quantity, words):
    assert quantity.bounds == words


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mem_bw", 0.0, r"mem_bw = 0.0 \[B/s\]: must be a number, above 0"),
        ("usable_fraction", 1.5, "must be a number, above 0 and at most 1"),
        ("sync_latency", -1e-6, "must be a number, at least 0"),
        ("num_layers", 1.5, "must be a whole number, at least 1"),
        ("compute_bits", 12.0, "must be one of 4, 8, 16"),
        ("seq_len", math.nan, "must be a whole number, at least 0"),
        ("roofline", "both", "roofline = 'both': must be one of step, operator"),
    ],
)
def test_a_record_refuses_what_a_field_cannot_take(name, value, message):
    with pytest.raises(ValueError, match=message):
        named_scenario("llama3-8b", "h100", **{name: value})


def test_traced_values_pass():
    chip = named_scenario("llama3-8b", "h100").chip

    def twice(bandwidth):
        return 2.0 * dataclasses.replace(chip, mem_bw=bandwidth).mem_bw

    assert jax.jit(twice)(-1.0) == -2.0


@pytest.mark.parametrize("record", RECORDS)
def test_the_docstring_tells_every_field_with_its_unit(record):
    for name, info in quantities(record).items():
        assert f"{name}\n    {info.meaning} [{info.unit}]." in record.__doc__
    for name, info in switches(record).items():
        assert f"{name}\n    {info.meaning} [static]. One of" in record.__doc__


@pytest.mark.parametrize("record", RECORDS)
def test_every_default_is_a_value_that_its_field_takes(record):
    fields = quantities(record)
    for name, value in defaults(record).items():
        if name in fields:
            assert fields[name].admits(value)


PARTS = tuple(f"{part}_bits" for part in ("attention", "ffn", "expert", "embedding", "head"))
EFFICIENCIES = tuple(f"{what}_efficiency" for what in ("mem", "expert", "kv", "flops"))
WIDENINGS = tuple(f"{what}_widening" for what in ("chip", "model", "attention"))
NOT_WHOLE = {
    Chip: {"flops_ratio_16bit", "flops_ratio_4bit", "usable_fraction", "measured_chip"},
    LLM: {*PARTS, "cache_bits", "state_bits", "operand_bits"}
    | {"measured_model", "measured_attention"}
    | {"intermediate_size", "ffn_matrices", "expert_matrices"},
    Deployment: {"collectives_per_layer", "acceptance"}
    | {"acceptance_decay", "acceptance_length"}
    | {f"{what}_bits" for what in ("weight", "kv", "compute", "index", "activation")},
    Site: {"utilisation", "pue"},
    Request: {"prefix_share"},
    Calibration: {*EFFICIENCIES, "overlap_loss", "collective_factor"}
    | {"routed_passes", "routing_spread", "spread", "kernel_spread", *WIDENINGS},
    Fabric: {"fabric_spread"},
}
POSITIVE_FIELDS = {
    Chip: {"peak_flops", "peak_vector_flops", "mem_bw", "mem_capacity", "usable_fraction"}
    | {"flops_ratio_16bit", "flops_ratio_4bit", "link_bw", "scale_out_bw"}
    | {"scale_up_size", "chips_per_server", "chip_hour_price", "power_cap"},
    LLM: {"num_layers", "hidden_size", "vocab_size", "num_heads", "num_kv_heads"}
    | {*PARTS, "cache_bits", "state_bits", "state_chunk"}
    | {"compression_ratio", "sparse_compression_ratio"},
    Deployment: {"tp_size", "pp_size", "ep_size", "dp_size", "cp_size", "batch_size"}
    | {"query_tokens", "ffn_micro_batches"}
    | {"weight_bits", "kv_bits", "index_bits", "activation_bits"},
    Site: {"depreciation_time", "utilisation"},
    Request: {"output_len", "prefill_batch", "calls_per_answer"},
    Calibration: set(EFFICIENCIES),
    Fabric: {"one_shot_bw", "two_shot_bw", "mesh_peers"} | {"one_shot_latency", "two_shot_latency"},
}
LOWER = dict.fromkeys(("pue", "acceptance_length", *WIDENINGS), 1.0)
UPPER = {
    **dict.fromkeys(("usable_fraction", "tied_embeddings", "acceptance", "utilisation"), 1.0),
    **dict.fromkeys((*EFFICIENCIES, "overlap_loss", "acceptance_decay"), 1.0),
    **dict.fromkeys(("measured_chip", "measured_model", "measured_attention"), 1.0),
    **dict.fromkeys(("tp_size", "pp_size", "ep_size", "dp_size", "cp_size"), 65536.0),
    **dict.fromkeys(("dense_tp_size", "redundant_experts"), 65536.0),
    **dict.fromkeys(("ffn_chips", "ffn_micro_batches"), 65536.0),
    "prefix_share": 1.0,
    "mesh_rows": 256.0,
}
ALLOWED = {
    **dict.fromkeys(("compute_bits", "operand_bits"), (4.0, 8.0, 16.0)),
    **dict.fromkeys(("ffn_matrices", "expert_matrices"), (2.0, 3.0)),
}
STATED = {
    Chip: {"flops_ratio_16bit": 0.5, "flops_ratio_4bit": 1.0, "usable_fraction": 1.0}
    | {"scale_up_size": 8.0, "scale_out_bw": 50e9, "scale_out_latency": 5e-6}
    | dict.fromkeys(("sync_latency", "hop_latency", "all_to_all_latency"), 1.5e-6)
    | {"router_latency": 0.2e-6, "die_area": 800e-6, "power_density": 1.1e6, "mem_energy": 30e-12}
    | {"idle_power": 390.0, "read_energy": 100e-12, "flop_energy": 1.1e-12}
    | {"server_power": 300.0, "chips_per_server": 8.0, "chip_price": 30e3, "server_price": 80e3}
    | {"network_price": 4e3},
    LLM: dict.fromkeys((*PARTS, "cache_bits"), 8.0)
    | {"operand_bits": 4.0, "state_bits": 32.0, "state_flops": 6.0, "state_chunk": 64.0}
    | {"ffn_matrices": 3.0, "expert_matrices": 3.0}
    | {"compression_ratio": 1.0, "sparse_compression_ratio": 1.0},
    Deployment: dict.fromkeys(("tp_size", "pp_size", "ep_size", "dp_size", "batch_size"), 1.0)
    | {"seq_len": 4096.0, "query_tokens": 1.0, "collectives_per_layer": 3.0, "draft_length": 4.0}
    | {"index_bits": 8.0, "activation_bits": 16.0, "acceptance": 0.8}
    | {"acceptance_decay": 1.0, "cp_size": 1.0, "ffn_micro_batches": 2.0},
    Site: {"depreciation_time": 4 * 365.25 * 86400.0, "utilisation": 1.0, "pue": 1.2}
    | {"electricity_price": 0.08 / 3.6e6},
    Request: dict.fromkeys(("output_len", "prefill_batch", "calls_per_answer"), 1.0),
    Calibration: dict.fromkeys((*EFFICIENCIES, *WIDENINGS, "collective_factor"), 1.0),
    Fabric: {"one_shot_bw": 1e18, "two_shot_bw": 1e18, "mesh_peers": 1.0},
}
"""Defaults that are not zero."""


@pytest.mark.parametrize("record", NOT_WHOLE)
def test_what_is_counted_is_whole_and_what_must_be_there_is_positive(record):
    fields = quantities(record)
    plain = {name for name, info in fields.items() if info.unit in ("1", "token")}
    assert {name for name in plain if not fields[name].whole} == NOT_WHOLE[record]
    assert {name for name, info in fields.items() if info.positive} == POSITIVE_FIELDS[record]
    for name, info in fields.items():
        assert info.upper == UPPER.get(name, math.inf)
        assert info.lower == LOWER.get(name, 0.0)
        assert info.allowed == ALLOWED.get(name, ())
        of_all = name.startswith(("nominal_", "extra_")) or name.endswith("_layers")
        assert info.of_all_layers == of_all


@pytest.mark.parametrize("record", STATED)
def test_what_nobody_states_is_as_documented_or_zero(record):
    found = {name: value for name, value in defaults(record).items() if name in quantities(record)}
    assert {name: value for name, value in found.items() if value} == STATED[record]
    required = set(quantities(record)) - set(found)
    assert required <= POSITIVE_FIELDS[record]
    assert len(required) == {Chip: 4, LLM: 5}.get(record, 0)


def test_every_part_is_traced_unless_somebody_says_that_it_is_not_used():
    parts = [value for value in defaults(Deployment).values() if isinstance(value, bool)]
    assert parts == [True] * 31


def test_one_name_belongs_to_one_record():
    total = sum(len(quantities(record)) for record in (Chip, LLM, LLM, Deployment, Site, Request))
    assert len(NUMBERS) == total
    assert not set(NUMBERS) & set(quantities(Metrics))


def test_a_switch_defaults_to_its_first_choice():
    deployment = Deployment()
    for name, info in switches(Deployment).items():
        assert getattr(deployment, name) == info.choices[0]


def test_the_tests_use_every_choice_of_every_switch():
    for name, info in switches(Deployment).items():
        combinations = [*COMBINATIONS.values(), *EXTENDED.values()]
        used = {combination[name] for combination in combinations}
        if name == "collective_algorithm":
            used |= set(ALGORITHMS)
        if name == "mixed_steps":
            used |= set(MIXED_STEPS)
        if name == "topology":
            used |= {topology for topology, _ in ON_TOPOLOGIES}
        assert used == set(info.choices), name
    assert set(DEFAULT) == set(switches(Deployment))
