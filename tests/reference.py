"""The whole model a second time, in plain Python, written from the specification's formulas.

Loops over single layers, so that nothing of the package's algebra over layer counts is repeated.
Only the two imbalance factors of expert parallelism come from the package; they have tests of their
own against Monte Carlo.
"""

import copy
import functools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np

from jaxlimits.model.imbalance import routed_imbalance, touched_imbalance

OPERATORS = ("projections", "indexer", "attention", "output", "router", "experts", "ffn", "lm_head")
CODES = {"memory": 0, "compute": 1, "sync": 2, "capacity": 3}
ALGORITHMS = ("one-shot", "two-shot", "ring", "tree", "in-network")
IN_TWO_DIMENSIONS = ("mesh-2d", "torus-2d", "wafer-mesh")
VOID_IF_INFEASIBLE = (
    *("t_compute", "t_mem", "t_sync", "t_sync_latency", "t_sync_payload", "t_step"),
    *("utps", "stps", "tpot"),
    *("bandwidth_utilisation", "flops_utilisation", "energy_per_token", "stps_per_watt"),
    *("dollars_per_token", "stps_per_dollar", "compute_to_memory", "sync_to_work"),
)


@dataclass
class Work:
    """What one operator does in one step of one replica."""

    weights: float = 0.0  # elements that multiply a token
    beside: float = 0.0  # elements read that are no matrix: norms, biases, embedding rows
    tensor: float = 0.0  # FLOP
    vector: float = 0.0  # FLOP
    kv: float = 0.0  # bytes read


class Point:
    """One point's numbers and switches, as attributes."""

    def __init__(self, numbers: Mapping[str, float], switches: Mapping[str, str]):
        self.__dict__.update(numbers)
        self.__dict__.update(switches)
        self.is_mla = self.kv_lora_rank > 0
        self.is_ep = self.ep_size > 1
        self.tokens = self.batch_size * self.query_tokens
        self.sharing = self.dp_size if self.is_ep else 1.0

    def layers(self):
        """Yield (attention span stored, span read, whether sparse, whether MoE) of each layer."""
        dense = self.num_layers - self.num_sparse_layers
        for i in range(int(self.num_layers)):
            stored = read = self.seq_len
            sparse = self.attention_span == "model" and i >= dense
            if sparse:
                read = min(self.seq_len, self.index_topk)
            elif self.attention_span == "model":
                if i < self.num_windowed_layers:
                    stored = read = min(self.seq_len, self.sliding_window)
                elif i < self.num_windowed_layers + self.num_chunked_layers:
                    stored = read = min(self.seq_len, self.attention_chunk_size)
                    if self.chunk_read == "mean":
                        read = min(self.seq_len, (self.attention_chunk_size + 1) / 2)
            yield stored, read, sparse, i >= self.num_layers - self.num_moe_layers


def attention_weights(p: Point) -> tuple[float, float]:
    """Elements of the projections and of the output projection of one layer."""
    d, h = p.hidden_size, p.num_heads
    if not p.is_mla:
        return d * h * p.head_dim + 2 * d * p.num_kv_heads * p.head_dim, h * p.head_dim * d
    c, rope, nope, v = p.kv_lora_rank, p.qk_rope_head_dim, p.qk_nope_head_dim, p.v_head_dim
    width = (c if p.mla_weights == "absorbed" else nope) + rope
    down = d * (c + rope)
    query = d * p.q_lora_rank + p.q_lora_rank * h * width if p.q_lora_rank else d * h * width
    if p.mla_weights == "absorbed":
        return query + down, h * c * d
    return query + down + c * h * (nope + v), h * v * d


def layer_matrices(p: Point, *, sparse: bool, moe: bool) -> dict[str, float]:
    """Elements of each operator's matrices in one layer; ``expert`` is one routed expert."""
    projections, output = attention_weights(p)
    if sparse:
        rows = p.q_lora_rank or p.hidden_size
        projections += rows * p.index_n_heads * p.index_head_dim
        projections += p.hidden_size * p.index_head_dim + p.hidden_size * p.index_n_heads
    counts = {"projections": projections, "output": output, "router": 0.0, "expert": 0.0}
    if not moe:
        return counts | {"ffn": 3 * p.hidden_size * p.intermediate_size}
    expert = 3 * p.hidden_size * p.moe_intermediate_size
    return counts | {
        "router": p.hidden_size * p.num_experts,
        "ffn": p.num_shared_experts * expert,
        "expert": expert,
    }


def counted_matrices(p: Point) -> tuple[dict[str, float], dict[str, float]]:
    """Elements by operator over all layers, and what is counted beside them."""
    kinds = [moe for _, _, _, moe in p.layers()]
    counts = dict.fromkeys(("projections", "output", "router", "ffn", "expert"), 0.0)
    for _, _, sparse, moe in p.layers():
        for name, elements in layer_matrices(p, sparse=sparse, moe=moe).items():
            counts[name] += elements
    beside = {"norms": 0.0, "head": 0.0, "embedding": 0.0}
    if p.accounting == "full":
        beside["head"] = p.vocab_size * p.hidden_size
        beside["embedding"] = 0.0 if p.tied_embeddings else p.vocab_size * p.hidden_size
        beside["norms"] = p.hidden_size  # the final one
        for moe in kinds:
            beside["norms"] += p.norm_params + p.qk_norm_params + p.bias_params
            counts["expert"] += p.expert_bias_params if moe else 0.0
    if p.accounting == "nominal":
        spare = p.num_experts - p.experts_per_token
        expert = (p.nominal_params - p.nominal_active_params) / spare if spare else 0.0
        rest = p.nominal_active_params - p.experts_per_token * expert
        whole = sum(elements for name, elements in counts.items() if name != "expert")
        counts = {name: elements * rest / whole for name, elements in counts.items()}
        counts["expert"] = expert
    return counts, beside


def touched(p: Point) -> float:
    """Expected distinct experts of the step's tokens in one layer."""
    if p.num_experts in {0, p.experts_per_token}:
        return p.num_experts
    untouched = (1 - p.experts_per_token / p.num_experts) ** (p.tokens * p.sharing)
    return p.num_experts * (1 - untouched)


def kv_bytes_per_token(p: Point) -> float:
    """Bytes of one token in one layer, all copies that the TP chips hold."""
    latent = p.kv_lora_rank + p.qk_rope_head_dim
    elements = latent if p.is_mla else 2 * p.num_kv_heads * p.head_dim
    heads = 1 if p.is_mla else p.num_kv_heads
    copies = p.tp_size / min(p.tp_size, heads) if p.kv_sharding == "heads" else 1.0
    return elements * p.kv_bits / 8 * copies


def index_bytes_per_token(p: Point) -> float:
    """Bytes of one token's key in one sparse layer, all copies that the TP chips hold."""
    copies = p.tp_size if p.kv_sharding == "heads" else 1.0
    return p.index_head_dim * p.index_bits / 8 * copies


def step_work(p: Point) -> dict[str, Work]:
    """Volumes of each operator."""
    counts, beside = counted_matrices(p)
    work = {name: Work() for name in OPERATORS}
    for name in ("projections", "output", "router", "ffn"):
        work[name].weights = counts[name]
        work[name].tensor = 2 * p.tokens * counts[name]
    work["projections"].beside = beside["norms"]
    work["lm_head"].weights = beside["head"]
    work["lm_head"].tensor = 2 * p.tokens * beside["head"]
    if p.accounting == "full":
        work["lm_head"].beside = p.tokens * p.hidden_size
    work["experts"].weights = counts["expert"] * touched(p) / p.sharing
    work["experts"].tensor = 2 * p.tokens * p.experts_per_token * counts["expert"]
    if p.is_mla:
        pair = 2 * p.num_heads * (2 * p.kv_lora_rank + p.qk_rope_head_dim)
    else:
        pair = 4 * p.num_heads * p.head_dim
    for _, read, sparse, _ in p.layers():
        if sparse:
            products = 2 * p.index_n_heads * p.index_head_dim
            work["indexer"].tensor += p.tokens * p.seq_len * products
            work["indexer"].kv += p.batch_size * p.seq_len * index_bytes_per_token(p)
        work["attention"].tensor += p.tokens * read * pair
        work["attention"].kv += p.batch_size * read * kv_bytes_per_token(p)
    if p.vector_work == "on":
        add_vector_work(p, work)
    return work


def add_vector_work(p: Point, work: dict[str, Work]) -> None:
    """Operations beside the tensor units, by the constants of ``jaxlimits.model.vector``."""
    d = p.hidden_size
    rotated = p.qk_rope_head_dim if p.is_mla else p.head_dim
    for _, read, sparse, moe in p.layers():
        if sparse:
            rotated_in_index = (p.index_n_heads + 1) * p.qk_rope_head_dim
            work["projections"].vector += p.tokens * (4 * p.index_head_dim + 3 * rotated_in_index)
            work["indexer"].vector += p.tokens * p.seq_len * (3 * p.index_n_heads + 1)
        work["projections"].vector += p.tokens * (
            4 * d + 3 * (p.num_heads + p.num_kv_heads) * rotated
        )
        work["attention"].vector += p.tokens * 5 * p.num_heads * read
        work["output"].vector += p.tokens * d
        work["ffn"].vector += p.tokens * 5 * d  # norm and residual, in every layer
        if not moe:
            work["ffn"].vector += p.tokens * 6 * p.intermediate_size
            continue
        work["router"].vector += p.tokens * 5 * p.num_experts
        work["ffn"].vector += p.tokens * 6 * p.num_shared_experts * p.moe_intermediate_size
        work["experts"].vector += (
            p.tokens * p.experts_per_token * (6 * p.moe_intermediate_size + 2 * d)
        )
    if p.accounting == "full":
        work["lm_head"].vector = p.tokens * (4 * d + 5 * p.vocab_size)


@dataclass(frozen=True)
class Side:
    """One level of a network: its chips, how they are joined, and what its links cost."""

    size: float
    kind: str
    alpha: float
    rho: float
    rate: float


def sides(p: Point, *, size: float, chips: float, alpha: float) -> list[Side]:
    """The levels of a group, those of one chip left out."""
    if p.topology == "switched":
        found = [Side(size, "switch", alpha, 0.0, p.link_bw)]
    elif p.topology == "rail":
        domains = min(-(-chips // p.scale_up_size), size)
        found = [
            Side(size / domains, "switch", alpha, 0.0, p.link_bw),
            Side(domains, "switch", p.scale_out_latency, 0.0, p.scale_out_bw),
        ]
    else:
        kind = "loop" if p.topology == "torus-2d" else "line"
        rows = shape_rows(p, int(size))
        both = (size // rows, rows)
        found = [Side(n, kind, alpha, p.router_latency, p.link_bw / 4) for n in both]
    return [side for side in found if side.size > 1]


def shape_rows(p: Point, size: int) -> int:
    """Rows of a mesh: as asked for, or the nearest to a square by powers of two."""
    if p.mesh_rows and size % p.mesh_rows == 0:
        return int(p.mesh_rows)
    return max(2**k for k in range(9) if size % 2**k == 0 and 4**k <= size)


def farthest(side: Side) -> float:
    """Hops to the farthest chip."""
    return {"switch": 1, "line": side.size - 1, "loop": side.size // 2}[side.kind]


def carried(side: Side) -> float:
    """Parts on the busiest link where each chip's goes to all others."""
    return (side.size - 1) / 2 if side.kind == "loop" else side.size - 1


def all_reduce_seconds(p: Point, algorithm: str, payload: float) -> float:
    """One tensor-parallel collective of so many bytes."""
    if algorithm == "constant":
        return p.sync_latency
    seconds = 0.0
    for side in sides(p, size=p.tp_size, chips=p.tp_size, alpha=p.sync_latency):
        n, alpha, whole, hops = side.size, side.alpha, payload / side.rate, farthest(side)
        passing = alpha + (hops - 1) * side.rho
        shares = carried(side) / n * whole
        rounds = (math.ceil(n) - 1).bit_length()
        seconds += {
            "one-shot": passing + n * shares,
            "two-shot": hops * alpha + passing + 2 * shares,
            "ring": 2 * (hops if side.kind == "loop" else n - 1) * alpha + 2 * shares,
            "tree": 2 * sum(alpha + whole + (2**k - 1) * side.rho for k in range(rounds)),
            "in-network": (2 * alpha if side.kind == "switch" else passing) + whole,
        }[algorithm]
        if algorithm in {"two-shot", "ring"}:
            payload /= n
    return seconds


def all_to_all_seconds(p: Point, payload: float) -> float:
    """One expert-parallel exchange of so many bytes a chip."""
    if p.collective_algorithm == "constant":
        return p.all_to_all_latency
    chips, seconds = p.tp_size * p.dp_size, 0.0
    for side in sides(p, size=p.ep_size, chips=chips, alpha=p.all_to_all_latency):
        n, hops = side.size, farthest(side)
        # What a link carries in each step: parts for the chips still ahead.
        if side.kind == "loop":
            opposite = 0.5 if n % 2 == 0 else 1.0  # half of it takes the other way
            parts = sum(range(int(hops))) + opposite * hops
        else:
            parts = n - 1 if side.kind == "switch" else sum(range(int(n)))
        seconds += side.alpha + (hops - 1) * side.rho + parts * payload / n / side.rate
    return seconds


def hop_seconds(p: Point, stage: int, payload: float) -> float:
    """The hop from one stage to the next."""
    if p.collective_algorithm == "constant":
        return p.hop_latency
    if p.topology == "rail":
        stages = -(-p.tp_size * p.pp_size // p.scale_up_size)
        if stage < min(p.pp_size - 1, stages - 1):
            return p.scale_out_latency + payload / p.scale_out_bw
    if p.topology in IN_TWO_DIMENSIONS:
        rows = shape_rows(p, int(p.tp_size))
        passed = min(rows, p.tp_size // rows)
        each = 4 * payload / p.link_bw
        return p.hop_latency + (passed - 1) * p.router_latency + passed * each
    return p.hop_latency + payload / p.link_bw


def sync_parts(p: Point) -> tuple[float, float, float]:
    """All exposed time, that without any payload, and that without any latency."""
    resolved, silent = copy.copy(p), copy.copy(p)
    if p.collective_algorithm == "best":
        payload = p.tokens * p.hidden_size * p.activation_bits / 8
        sums_on_the_way = p.topology not in {"mesh-2d", "torus-2d"}
        names = [name for name in ALGORITHMS if name != "in-network" or sums_on_the_way]
        best = min(names, key=lambda name: all_reduce_seconds(p, name, payload))
        resolved.collective_algorithm = silent.collective_algorithm = best
    for name in ("sync", "hop", "all_to_all", "router", "scale_out"):
        setattr(silent, f"{name}_latency", 0.0)
    return sync_seconds(resolved), sync_seconds(resolved, payload=0.0), sync_seconds(silent)


def sync_seconds(p: Point, *, payload: float = 1.0) -> float:
    """Exposed time of every collective, layer by layer; ``payload`` is a factor on the bytes."""
    whole = payload * p.tokens * p.hidden_size * p.activation_bits / 8
    reduced = all_reduce_seconds(p, p.collective_algorithm, whole)
    seconds = sum(hop_seconds(p, stage, whole) for stage in range(int(p.pp_size) - 1))
    for _, _, _, moe in p.layers():
        if moe and p.is_ep:
            seconds += 2 * all_to_all_seconds(p, whole * p.experts_per_token / p.tp_size)
        if p.tp_size > 1:
            seconds += collectives_of(p, moe=moe) * reduced
    return seconds


def collectives_of(p: Point, *, moe: bool) -> float:
    """Tensor-parallel collectives of one layer."""
    each = p.collectives_per_layer
    if p.collectives == "derived":
        heads = 1 if p.is_mla else p.num_kv_heads
        each = 3.0 if p.kv_sharding == "split" and p.tp_size > heads else 2.0
    return max(each - 1, 0.0) if moe and p.is_ep else each


def exchanged(p: Point) -> dict[str, float]:
    """Collectives of one step, and the bytes that all chips send for one token, layer by layer."""
    a, found = p.hidden_size * p.activation_bits / 8, Counter()
    for _, _, _, moe in p.layers():
        if p.tp_size > 1:
            found["tp_collectives"] += collectives_of(p, moe=moe)
        found["ep_collectives"] += 2 if moe and p.is_ep else 0
    return {
        "tp_collectives": found["tp_collectives"],
        "ep_collectives": found["ep_collectives"],
        "pp_hops": p.pp_size - 1,
        # Each of tp chips sends (tp - 1)/tp of the activations twice.
        "tp_volume": found["tp_collectives"] * p.tp_size * 2 * (p.tp_size - 1) / p.tp_size * a,
        "ep_volume": found["ep_collectives"] * p.experts_per_token * (1 - 1 / p.ep_size) * a,
        "pp_volume": (p.pp_size - 1) * p.tp_size * a,
    }


@functools.cache
def _compiled(function):
    return jax.jit(lambda *four: function(**dict(zip(_FACTOR_ARGUMENTS, four, strict=True))))


_FACTOR_ARGUMENTS = ("tokens", "num_experts", "experts_per_token", "ep_size")


def factor(function, p: Point) -> float:
    """An imbalance factor of the package, 1 without expert parallelism."""
    if not p.is_ep:
        return 1.0
    four = (p.tokens * p.dp_size, p.num_experts, p.experts_per_token, p.ep_size)
    with jax.enable_x64(True):
        return float(_compiled(function)(*map(np.float64, four)))


def stage_times(p: Point, work: dict[str, Work]) -> tuple[float, float, float]:
    """Compute time, memory time, and their overlap by the chosen roofline."""
    ratio = {4.0: p.flops_ratio_4bit, 8.0: 1.0, 16.0: p.flops_ratio_16bit}[p.compute_bits]
    rows = []
    for name, one in work.items():
        slow_compute = factor(routed_imbalance, p) if name == "experts" else 1.0
        slow_memory = factor(touched_imbalance, p) if name == "experts" else 1.0
        traffic = (one.weights + one.beside) * p.weight_bits / 8 + one.kv
        rows.append(
            (
                one.tensor * slow_compute / (p.tp_size * p.peak_flops * ratio),
                one.vector * slow_compute / (p.tp_size * p.peak_vector_flops),
                traffic * slow_memory / (p.tp_size * p.mem_bw),
            )
        )
    if p.roofline == "operator":
        compute = sum(max(tensor, vector) for tensor, vector, _ in rows)
        overlap = sum(max(row) for row in rows)
        return compute, sum(row[2] for row in rows), overlap
    tensor, vector, memory = (sum(column) for column in zip(*rows, strict=True))
    return max(tensor, vector), memory, max(tensor, vector, memory)


def reference(numbers: Mapping[str, float], switches: Mapping[str, str]) -> dict[str, float]:
    """Return every metric of one point."""
    p = Point(numbers, switches)
    work = step_work(p)
    counts, beside = counted_matrices(p)
    dense = sum(counts[name] for name in ("projections", "output", "router", "ffn"))
    experts = counts["expert"] * p.num_experts / p.sharing
    stored = (dense + experts + sum(beside.values())) * p.weight_bits / 8
    sequence = sum(kept for kept, _, _, _ in p.layers()) * kv_bytes_per_token(p)
    indexed = sum(p.seq_len for _, _, sparse, _ in p.layers() if sparse)
    sequence += indexed * index_bytes_per_token(p)
    stored_kv = p.pp_size * p.batch_size * sequence
    room = p.tp_size * p.pp_size * p.mem_capacity * p.usable_fraction
    feasible = stored + stored_kv <= room
    if sequence > 0:
        filled = max(0.0, (room - stored) / (p.pp_size * sequence))
        largest = math.floor(filled)
    else:
        filled = largest = math.inf if stored <= room else 0.0

    compute, memory, overlap = stage_times(p, work)
    sync, sync_latency, sync_payload = sync_parts(p)
    step = overlap + sync
    stps = p.dp_size * p.pp_size * p.batch_size / step
    ratio = {4.0: p.flops_ratio_4bit, 8.0: 1.0, 16.0: p.flops_ratio_16bit}[p.compute_bits]
    weight_traffic = sum(one.weights + one.beside for one in work.values()) * p.weight_bits / 8
    kv_traffic = sum(one.kv for one in work.values())
    flops = sum(one.tensor for one in work.values())
    chip_power = (
        p.base_power
        + p.die_area * p.power_density
        + p.mem_energy * p.mem_bw
        + p.server_power / p.chips_per_server
    )
    power = p.tp_size * p.pp_size * p.dp_size * chip_power
    price = (
        p.chip_price
        + p.mem_price * p.mem_capacity
        + p.network_price
        + p.server_price / p.chips_per_server
    )
    capital = p.tp_size * p.pp_size * p.dp_size * price
    dollars_per_second = capital / p.depreciation_time + p.electricity_price * p.pue * power
    times = {"memory": memory, "compute": compute, "sync": sync}
    slowest, second, _ = sorted(times, key=times.__getitem__, reverse=True)
    ahead = times[slowest] / times[second] if times[second] > 0 else math.inf
    metrics = {
        "t_compute": compute,
        "t_mem": memory,
        "t_sync": sync,
        "t_sync_latency": sync_latency,
        "t_sync_payload": sync_payload,
        "t_step": step,
        "utps": 1 / step,
        "stps": stps,
        "tpot": step,
        "weight_bytes": stored,
        "kv_bytes": stored_kv,
        "bytes_per_chip": (stored + stored_kv) / (p.tp_size * p.pp_size),
        "weight_traffic": weight_traffic,
        "kv_traffic": kv_traffic,
        "flops": flops,
        **exchanged(p),
        "batch_capacity": filled,
        "max_batch_size": largest,
        "feasible": feasible,
        "limit": CODES[slowest if feasible else "capacity"],
        "next_limit": CODES[second if feasible else slowest],
        "limit_factor": ahead if feasible else (stored + stored_kv) / room,
        "compute_to_memory": compute / memory,
        "sync_to_work": sync / max(compute, memory),
        "capacity_utilisation": (stored + stored_kv) / room,
        "bandwidth_utilisation": (weight_traffic + kv_traffic) / (p.tp_size * p.mem_bw * step),
        "flops_utilisation": flops / (p.tp_size * p.peak_flops * ratio * step),
        "power": power,
        "energy_per_token": power / stps,
        "stps_per_watt": stps / power,
        "capital_cost": capital,
        "cost_rate": dollars_per_second,
        "dollars_per_token": dollars_per_second / (p.utilisation * stps),
        "stps_per_dollar": p.utilisation * stps / dollars_per_second,
    }
    if not feasible:
        metrics |= dict.fromkeys(VOID_IF_INFEASIBLE, math.nan)
    return metrics
