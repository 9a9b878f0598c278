"""Hypothesis strategies: random scenarios that a user could write."""

import functools
import math

from hypothesis import settings
from hypothesis import strategies as st

from jaxlimits.model.precision import PARTS
from tests.helpers import COMBINATIONS, EXTENDED, Scenario, make_scenario
from tests.reference import bytes_per_chip

ARCHITECTURES = ("dense", "windowed", "moe", "chunked_moe", "mla_moe", "mla_sparse_moe")
ARCHITECTURES += ("block_sparse", "recurrent", "recurrent_moe", "compressed_moe")
WITHOUT_STATE = ARCHITECTURES[:-3]
"""Those of which a sequence keeps nothing before its first token."""
COMPUTE_BITS = (0.0, 4.0, 8.0, 16.0)
MATRICES = st.sampled_from([2.0, 3.0])
PART_BITS = (4.0, 4.25, 4.5, 8.0, 8.25, 16.0)


@functools.cache
def counts(lowest: int, highest: int) -> st.SearchStrategy[float]:
    """Whole numbers as the model takes them."""
    return st.integers(lowest, highest).map(float)


@functools.cache
def logs(lowest: float, highest: float) -> st.SearchStrategy[float]:
    """Positive numbers spread evenly over their orders of magnitude."""
    exponents = st.floats(math.log10(lowest), math.log10(highest))
    return exponents.map(lambda exponent: min(max(10.0**exponent, lowest), highest))


@functools.cache
def powers_of_two(highest: int) -> st.SearchStrategy[float]:
    """1, 2, 4, … up to ``2 ** highest``."""
    return st.integers(0, highest).map(lambda exponent: 2.0**exponent)


@st.composite
def attention_numbers(draw, *, mla: bool) -> dict[str, float]:
    """Fields of one kind of attention."""
    gate = draw(st.sampled_from([0.0, 0.0, 1.0, 128.0]))
    if mla:
        return {
            "attention_gate_dim": gate,
            "num_heads": draw(counts(1, 128)),
            "num_kv_heads": 1.0,
            "q_lora_rank": draw(st.one_of(st.just(0.0), counts(64, 2048))),
            "kv_lora_rank": draw(counts(64, 1024)),
            "qk_nope_head_dim": draw(counts(16, 256)),
            "qk_rope_head_dim": draw(counts(16, 128)),
            "v_head_dim": draw(counts(16, 256)),
        }
    kv_heads = draw(powers_of_two(4))
    return {
        "attention_gate_dim": gate,
        "num_heads": kv_heads * draw(counts(1, 16)),
        "num_kv_heads": kv_heads,
        "head_dim": draw(counts(16, 256)),
        "q_lora_rank": draw(st.sampled_from([0.0, 0.0, 0.0, 512.0])),
        "value_head_dim": draw(st.one_of(st.just(0.0), counts(16, 256))),
    }


@st.composite
def windowed_numbers(draw, layers: float) -> dict[str, float]:
    """Fields of windowed layers, with heads of their own or those of the others."""
    numbers = {
        "num_windowed_layers": draw(counts(1, int(layers))),
        "sliding_window": draw(counts(1, 8192)),
    }
    if draw(st.booleans()):
        kv_heads = draw(powers_of_two(4))
        numbers |= {
            "windowed_num_heads": draw(st.sampled_from([0.0, kv_heads * draw(counts(1, 16))])),
            "windowed_num_kv_heads": draw(st.sampled_from([0.0, kv_heads])),
            "windowed_head_dim": draw(st.one_of(st.just(0.0), counts(16, 256))),
            "windowed_value_head_dim": draw(st.one_of(st.just(0.0), counts(16, 256))),
        }
    shared = draw(counts(0, int(numbers["num_windowed_layers"])))
    return numbers | {"num_shared_kv_windowed_layers": draw(st.sampled_from([0.0, shared]))}


@st.composite
def shared_numbers(draw, numbers: dict[str, float]) -> dict[str, float]:
    """Full layers that do not project all that they attend to."""
    others = ("num_windowed_layers", "num_chunked_layers", "num_sparse_layers")
    others += ("num_recurrent_layers", "num_ffn_only_layers")
    others += ("num_compressed_layers", "num_compressed_sparse_layers")
    full = numbers["num_layers"] - sum(numbers.get(name, 0.0) for name in others)
    shared = draw(st.one_of(st.just(0.0), counts(0, int(full))))
    keyed = draw(st.one_of(st.just(0.0), counts(0, int(full - shared))))
    if numbers.get("kv_lora_rank") or numbers.get("shared_kv_head_dim"):
        keyed = 0.0  # one latent is the source of keys and values
    return {"num_shared_kv_layers": shared, "num_k_eq_v_layers": keyed}


@st.composite
def extra_numbers(draw) -> dict[str, float]:
    """Weights in none of the usual parts."""
    if not draw(st.booleans()):
        return {}
    return {
        "extra_params": draw(counts(0, 10**9)),
        "extra_embedding_params": draw(counts(0, 10**9)),
        "extra_embedding_dim": draw(counts(0, 10_000)),
    }


@st.composite
def compressed_numbers(draw, layers: float) -> dict[str, float]:
    """Heads that share one vector, layers that compress what they keep, streams of the residual."""
    dense = draw(counts(0, int(layers)))
    sparse = draw(counts(0, int(layers - dense)))
    return {
        "num_heads": draw(counts(1, 128)),
        "num_kv_heads": 1.0,
        "q_lora_rank": draw(st.one_of(st.just(0.0), counts(64, 2048))),
        "shared_kv_head_dim": draw(counts(16, 512)),
        "o_groups": draw(counts(1, 16)),
        "o_lora_rank": draw(st.one_of(st.just(0.0), counts(64, 1024))),
        "num_compressed_layers": dense,
        "compression_ratio": draw(counts(1, 256)),
        "num_compressed_sparse_layers": sparse,
        "sparse_compression_ratio": draw(counts(1, 16)),
        "num_windowed_layers": draw(counts(0, int(layers - dense - sparse))),
        "sliding_window": draw(counts(0, 8192)),
        "hc_mult": draw(counts(0, 4)),
        "state_bits": draw(st.sampled_from([16.0, 32.0])),
        **draw(indexer_numbers()),
    }


@st.composite
def indexer_numbers(draw) -> dict[str, float]:
    """Fields of an indexer."""
    return {
        "index_n_heads": draw(counts(1, 128)),
        "index_head_dim": draw(counts(16, 256)),
        "index_topk": draw(st.one_of(counts(1, 4096), counts(1, 1_000_000))),
    }


@st.composite
def recurrent_numbers(draw, layers: float) -> dict[str, float]:
    """Fields of layers with a recurrent state, perhaps all, and of layers that are halves."""
    halves = layers if draw(st.booleans()) else 0.0
    alone = draw(counts(0, int(halves)))
    return {
        "num_recurrent_layers": draw(counts(0, int(layers - alone))),
        "recurrent_params": draw(counts(10**4, 10**8)),
        "recurrent_norm_params": draw(counts(0, 20_000)),
        "num_state_heads": draw(counts(0, 128)),
        "state_key_dim": draw(counts(16, 256)),
        "state_value_dim": draw(counts(16, 256)),
        "state_flops": draw(st.sampled_from([5.0, 6.0])),
        "state_chunk": draw(st.sampled_from([64.0, 128.0, 256.0])),
        "conv_channels": draw(counts(0, 16384)),
        "conv_columns": draw(counts(0, 3)),
        "state_bits": draw(st.sampled_from([16.0, 32.0])),
        "num_ffn_only_layers": alone,
        "num_mixer_only_layers": draw(counts(0, int(min(halves, layers - alone)))),
    }


@st.composite
def expert_numbers(draw, layers: float) -> dict[str, float]:
    """Fields of a mixture of experts, and totals that its name could state."""
    experts = draw(st.sampled_from([8.0, 16.0, 60.0, 128.0, 256.0]))
    used = draw(counts(1, 8))
    common, expert = draw(counts(10**8, 10**10)), draw(counts(10**6, 10**9))
    return {
        "num_moe_layers": draw(counts(min(1, int(layers)), int(layers))),
        "num_experts": experts,
        "experts_per_token": used,
        "num_shared_experts": draw(counts(0, 2)),
        "moe_intermediate_size": draw(counts(64, 8192)),
        "expert_matrices": draw(MATRICES),
        "expert_hidden_size": draw(st.one_of(st.just(0.0), counts(64, 4096))),
        "shared_intermediate_size": draw(st.one_of(st.just(0.0), counts(64, 8192))),
        "expert_bias_params": draw(counts(0, 10_000)),
        "nominal_params": common + experts * expert,
        "nominal_active_params": common + used * expert,
    }


@st.composite
def llm_numbers(draw, architectures=ARCHITECTURES) -> dict[str, float]:
    """Fields of a model of one of the architectures."""
    kind = draw(st.sampled_from(architectures))
    layers = draw(counts(1, 100))
    numbers = {
        "num_layers": layers,
        "hidden_size": draw(counts(64, 16384)),
        "vocab_size": draw(counts(1000, 250_000)),
        "intermediate_size": draw(counts(64, 53248)),
        "ffn_matrices": draw(MATRICES),
        "tied_embeddings": draw(counts(0, 1)),
        "norm_params": draw(counts(0, 40_000)),
        "qk_norm_params": draw(counts(0, 2048)),
        "bias_params": draw(counts(0, 20_000)),
        **draw(attention_numbers(mla=kind.startswith("mla"))),
        **{part: draw(st.sampled_from(PART_BITS)) for part in PARTS},
        "cache_bits": draw(st.sampled_from([8.0, 16.0])),
        "operand_bits": draw(st.sampled_from([4.0, 8.0, 16.0])),
    }
    if kind == "windowed":
        numbers |= draw(windowed_numbers(layers))
    if kind.startswith("chunked"):
        numbers["num_chunked_layers"] = draw(counts(1, int(layers)))
        numbers["attention_chunk_size"] = draw(counts(1, 16384))
    if "sparse" in kind:
        numbers["num_sparse_layers"] = draw(counts(1, int(layers)))
        numbers |= draw(indexer_numbers())
        numbers["num_indexer_layers"] = draw(counts(0, int(numbers["num_sparse_layers"])))
    if kind == "block_sparse":
        numbers["index_block_size"] = draw(counts(1, 256))
    if kind.startswith("compressed"):
        numbers |= {"head_dim": 0.0, "value_head_dim": 0.0, **draw(compressed_numbers(layers))}
    if kind.startswith("recurrent"):
        numbers |= draw(recurrent_numbers(layers))
    numbers |= draw(shared_numbers(numbers)) | draw(extra_numbers())
    if kind.endswith("moe"):
        return numbers | draw(expert_numbers(layers - numbers.get("num_mixer_only_layers", 0.0)))
    total = draw(counts(10**8, 10**12))
    return numbers | {"nominal_params": total, "nominal_active_params": total}


@st.composite
def deployment_numbers(draw, experts: float) -> dict[str, float]:
    """Fields of a deployment; ``ep_size`` divides the chips of a stage and the experts."""
    tp, dp = draw(powers_of_two(7)), draw(powers_of_two(4))
    shared = math.gcd(int(tp * dp), int(experts)) if experts else 1
    ranks = [float(n) for n in range(1, shared + 1) if shared % n == 0]
    return {
        "tp_size": tp,
        "dp_size": dp,
        "pp_size": draw(counts(1, 4)),
        "ep_size": (ep := draw(st.sampled_from(ranks))),
        "cp_size": draw(st.sampled_from([1.0, *[n for n in (2.0, 4.0, 8.0) if tp % n == 0.0]])),
        "dense_tp_size": tp
        * draw(st.sampled_from([0.0, *[n for n in (1.0, 2.0, 4.0) if dp % n == 0.0]])),
        "redundant_experts": ep * draw(counts(0, 2)) if experts else 0.0,
        "batch_size": draw(st.one_of(counts(1, 8), counts(1, 1024))),
        "seq_len": draw(st.one_of(st.just(0.0), counts(1, 8192), counts(1, 1_000_000))),
        "query_tokens": draw(st.one_of(st.just(1.0), counts(1, 8))),
        "collectives_per_layer": draw(st.sampled_from([0.0, 0.5, 2.0, 3.0])),
        "weight_bits": draw(st.sampled_from([0.0, 4.0, 4.25, 8.0, 16.0])),
        "kv_bits": draw(st.sampled_from([0.0, 4.0, 8.0, 16.0])),
        "compute_bits": draw(st.sampled_from(COMPUTE_BITS)),
        "index_bits": draw(st.sampled_from([8.0, 8.25])),
        "activation_bits": draw(st.sampled_from([8.0, 16.0])),
        "mesh_rows": draw(st.sampled_from([0.0, 1.0, *[s for s in (2.0, 4.0) if tp % s == 0.0]])),
    }


@st.composite
def apart_numbers(draw, ranks: float) -> dict[str, float]:
    """Chips for feed-forward parts alone, among which so many ranks of experts divide."""
    direct = {"expert_hidden_size": 0.0} if ranks > 1.0 else {}
    return {
        "ffn_chips": ranks * draw(powers_of_two(5)),
        "ffn_micro_batches": draw(counts(1, 4)),
        "dense_tp_size": 0.0,
        **direct,
    }


@st.composite
def chip_numbers(draw) -> dict[str, float]:
    """Fields of a chip, the capacity apart."""
    return {
        "peak_flops": draw(logs(1e13, 1e17)),
        "peak_vector_flops": draw(logs(1e12, 1e15)),
        "mem_bw": draw(logs(1e11, 1e16)),
        "flops_ratio_16bit": draw(st.sampled_from([0.5, 1.0])),
        "flops_ratio_4bit": draw(st.sampled_from([1.0, 2.0])),
        "usable_fraction": draw(st.floats(0.5, 1.0)),
        "link_bw": draw(logs(1e9, 1e14)),
        "sync_latency": draw(st.one_of(st.just(0.0), logs(1e-8, 1e-4))),
        "hop_latency": draw(logs(1e-8, 1e-4)),
        "all_to_all_latency": draw(logs(1e-8, 1e-4)),
        "router_latency": draw(st.one_of(st.just(0.0), logs(1e-9, 1e-5))),
        "scale_up_size": draw(counts(1, 72)),
        "scale_out_bw": draw(logs(1e9, 1e12)),
        "scale_out_latency": draw(logs(1e-8, 1e-4)),
        "base_power": draw(st.floats(0.0, 1500.0)),
        "die_area": draw(st.floats(0.0, 1e-3)),
        "power_density": draw(st.floats(0.0, 2e6)),
        "mem_energy": draw(st.floats(0.0, 1e-10)),
        "server_power": draw(st.floats(1.0, 3000.0)),
        "idle_power": draw(st.floats(0.0, 500.0)),
        "read_energy": draw(st.floats(0.0, 2e-10)),
        "flop_energy": draw(st.floats(0.0, 2e-12)),
        "power_cap": draw(st.one_of(st.just(0.0), st.floats(100.0, 2000.0))),
        "chips_per_server": draw(counts(1, 72)),
        "chip_price": draw(logs(10.0, 1e7)),
        "mem_price": draw(st.one_of(st.just(0.0), logs(1e-9, 1e-6))),
        "server_price": draw(st.floats(0.0, 1e6)),
        "network_price": draw(st.floats(0.0, 1e5)),
    }


@st.composite
def site_numbers(draw) -> dict[str, float]:
    """Fields of a site."""
    return {
        "depreciation_time": draw(logs(1e7, 1e9)),
        "utilisation": draw(st.floats(0.01, 1.0)),
        "electricity_price": draw(st.one_of(st.just(0.0), logs(1e-9, 1e-6))),
        "pue": draw(st.floats(1.0, 3.0)),
    }


@st.composite
def request_numbers(draw) -> dict[str, float]:
    """Fields of a request whose prompt is a whole number of chunks, and so is its prefix."""
    chunk, chunks = draw(counts(1, 5000)), draw(counts(1, 40))
    before = draw(st.one_of(st.just(0.0), counts(0, 40)))
    return {
        "input_len": chunk * (chunks + before),
        "prefix_share": before / (chunks + before),
        "output_len": draw(counts(1, 5000)),
        "prefill_chunk": 0.0 if chunks == 1.0 else chunk,
        "prefill_batch": draw(counts(1, 8)),
        "calls_per_answer": draw(st.one_of(st.just(1.0), counts(1, 500))),
    }


SLOPED = tuple(COMBINATIONS) if settings.default.max_examples > 20 else ("default", "engine")
"""Combinations in which slopes and unusual switches are checked; each is traced anew."""


@st.composite
def scenarios(
    draw,
    *,
    combinations=tuple(COMBINATIONS),
    architectures=ARCHITECTURES,
    feasible: bool | None = True,
    requested: bool = False,
    tiered: bool = False,
    apart: bool = False,
    **fixed: float,
) -> Scenario:
    """Draw a scenario: a point that fits by at least 1 %, one that does not, or (None) either.

    ``requested`` adds a request, which sets the context; ``tiered``
    divides the memory among three tiers; ``apart`` has chips for feed-forward parts alone.
    """
    chosen = {**COMBINATIONS, **EXTENDED}[draw(st.sampled_from(combinations))]
    numbers = draw(llm_numbers(architectures))
    numbers |= draw(chip_numbers()) | draw(deployment_numbers(numbers.get("num_experts", 0.0)))
    numbers |= draw(site_numbers())
    if requested:
        numbers |= draw(request_numbers())
    if chosen["speculation"] != "off":
        numbers |= {f"draft_{name}": value for name, value in draw(llm_numbers()).items()}
        numbers["draft_length"] = draw(counts(0, 8))
        numbers["acceptance"] = draw(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0)))
        numbers["acceptance_decay"] = draw(st.one_of(st.just(1.0), st.floats(0.1, 1.0)))
        most = numbers["draft_length"] + 1.0
        numbers["acceptance_length"] = draw(st.one_of(st.just(0.0), st.floats(1.0, most)))
    if chosen["weight_placement"] == "sharded":
        numbers["ep_size"] = 1.0
    if apart:
        numbers |= draw(apart_numbers(numbers["ep_size"]))
    numbers |= fixed
    fits = draw(st.booleans()) if feasible is None else feasible
    fill = draw(st.floats(0.01, 0.99) if fits else st.floats(1.01, 10.0))
    scenario = make_scenario(numbers | {"mem_capacity": 1.0}, chosen)
    needed = bytes_per_chip(scenario.numbers, scenario.switches)
    if not tiered:
        return scenario.but(mem_capacity=needed / (fill * scenario["usable_fraction"]))
    sram, lpddr = (draw(st.one_of(st.just(0.0), st.floats(1e-3, 0.45))) for _ in range(2))
    return scenario.but(
        mem_capacity=(1.0 - sram - lpddr) * needed / (fill * scenario["usable_fraction"]),
        sram_capacity=sram * needed / fill,
        sram_bw=scenario["mem_bw"] * draw(logs(0.1, 100.0)),
        lpddr_capacity=lpddr * needed / fill,
        lpddr_bw=scenario["mem_bw"] * draw(logs(0.01, 10.0)),
    )
