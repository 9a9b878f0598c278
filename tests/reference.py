"""The whole model a second time, in plain Python, written from the specification's formulas.

Loops over single layers, so that nothing of the package's algebra over layer counts is repeated.
Only the two imbalance factors of expert parallelism come from the package; they have tests of their
own against Monte Carlo.
"""

import copy
import functools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from scipy.optimize import linprog

from jaxlimits.model.imbalance import routed_imbalance, touched_imbalance

OPERATORS = ("projections", "indexer", "compressor", "compressed_indexer", "state")
OPERATORS += ("attention", "output", "router", "experts", "ffn", "lm_head")
CODES = {"memory": 0, "compute": 1, "sync": 2, "capacity": 3}
ALGORITHMS = ("one-shot", "two-shot", "ring", "tree", "in-network")
DIMENSIONS = {"mesh-2d": 2, "torus-2d": 2, "torus-3d": 3, "wafer-mesh": 2}
VOID_IF_INFEASIBLE = (
    *("t_compute", "t_mem", "t_sync", "t_sync_latency", "t_sync_payload", "t_step"),
    *("utps", "stps", "tpot"),
    *("bandwidth_utilisation", "flops_utilisation", "energy_per_token", "stps_per_watt"),
    "stps_per_chip",
    *("dollars_per_token", "stps_per_dollar", "compute_to_memory", "sync_to_work"),
)
SCORED = {"entries": "compressor", "some entries": "compressed_indexer"}
COMPRESSED = {"entries": "compression_ratio", "some entries": "sparse_compression_ratio"}
REQUESTED = ("ttft", "request_latency", "prefill_share", "request_rate", "dollars_per_request")
REQUESTED += ("dollars_per_input_token", "dollars_per_output_token", "worst_tpot")


@dataclass
class Work:
    """What one operator does in one step of one replica."""

    weights: float = 0.0  # bytes read of what multiplies a token
    beside: float = 0.0  # bytes read of what is no matrix: norms, biases, embedding rows
    tensor: float = 0.0  # FLOP
    slow: float = 0.0  # FLOP that the 8-bit rate does in the same time
    vector: float = 0.0  # FLOP
    kv: float = 0.0  # bytes read
    slow_compute: float | None = None  # slowest rank over the mean, where that of the step's
    slow_memory: float | None = None  # tokens does not hold

    def multiply(self, flops: float, ratio: float) -> None:
        """Add tensor work, at a rate that is so much of the 8-bit one."""
        self.tensor += flops
        self.slow += flops / ratio


@dataclass(frozen=True)
class Heads:
    """The heads of one layer; widths of grouped-query heads alone."""

    queries: float
    cached: float  # KV heads; 1 under MLA
    key: float
    value: float
    shares: bool = False  # reads another layer's cache
    keyed: bool = False  # its values are its projected keys


def once(method: Callable[["Point"], Iterable[Any]]) -> Callable[["Point"], list[Any]]:
    """List what a method yields once a point: dozens of sums go through the same layers."""

    def listed(self: "Point") -> list[Any]:
        if method not in self.known:
            self.known[method] = list(method(self))
        return self.known[method]

    return listed


class Point:
    """One point's numbers and switches, as attributes."""

    def __init__(self, numbers: Mapping[str, float], switches: Mapping[str, str]):
        self.given = (dict(numbers), dict(switches))
        self.known: dict[Any, list[Any]] = {}
        self.__dict__.update(numbers)
        self.__dict__.update(switches)
        if self.collective_algorithm == "auto":
            self.collective_algorithm = "best" if self.link_bw else "constant"
        self.link_bw = self.link_bw or 450e9
        self.is_mla = self.kv_lora_rank > 0
        self.is_ep = self.ep_size > 1
        self.tokens = self.batch_size * self.query_tokens
        self.headed = numbers.get("headed", self.batch_size)  # with a token before the LM head
        self.sharing = self.dp_size if self.is_ep else 1.0
        self.cached_bits = self.kv_bits or self.cache_bits

    @property
    def sharers(self) -> float:
        """Replicas that share dense layers and the LM head."""
        return (self.dense_tp_size or self.tp_size) / self.tp_size if self.is_ep else 1.0

    @property
    def in_flight(self) -> float:
        """Micro-batches of a replica in one stage."""
        return self.ffn_micro_batches if self.ffn_chips else 1.0

    @property
    def served(self) -> "Point":
        """The point as chips for feed-forward parts alone see it: all tokens, and no replicas."""
        tokens = self.dp_size * self.batch_size
        return self.but(tp_size=self.ffn_chips, dp_size=1.0, batch_size=tokens)

    @property
    def reused(self) -> float:
        """Tokens of a prompt that a cache holds; the last one is always computed."""
        return min(self.prefix_share * self.input_len, max(self.input_len - 1, 0.0))

    @property
    def chunk(self) -> float:
        """Tokens of one chunk of the rest."""
        rest = self.input_len - self.reused
        return min(self.prefill_chunk, rest) or rest

    @property
    def chunks(self) -> float:
        """How many there are."""
        return (self.input_len - self.reused) / self.chunk

    def byte(self, part: str) -> float:
        """Bytes of one weight of a part."""
        return (self.weight_bits or getattr(self, f"{part}_bits")) / 8

    def ratio(self, stored: float, other: float) -> float:
        """Tensor rate over the 8-bit one, for operands in so many bits."""
        if self.compute_bits:
            width = self.compute_bits
        else:
            width = max(4 if stored <= 6 else 8 if stored <= 12 else 16, other)
            if width == 4 and self.flops_ratio_4bit <= 1:
                width = 16  # weights alone are narrow on a chip without the rate
        return {4: self.flops_ratio_4bit, 8: 1.0, 16: self.flops_ratio_16bit}[int(width)]

    def ratio_of(self, part: str) -> float:
        """Tensor rate over the 8-bit one, for products with the weights of a part."""
        return self.ratio(8 * self.byte(part), self.operand_bits)

    def but(self, **numbers: float) -> "Point":
        """The point with some of its numbers replaced."""
        return Point({**self.given[0], **numbers}, self.given[1])

    @once
    def kinds(self) -> list[str]:
        """What each layer attends to by itself: "none" where it has a feed-forward part alone."""
        spans = ["window"] * int(self.num_windowed_layers) + ["chunk"] * int(
            self.num_chunked_layers
        )
        last = ["none"] * int(self.num_ffn_only_layers)
        last += ["state"] * int(self.num_recurrent_layers)
        last += ["sparse"] * int(self.num_sparse_layers)
        last += ["entries"] * int(self.num_compressed_layers)
        last += ["some entries"] * int(self.num_compressed_sparse_layers)
        full = int(self.num_layers) - len(spans) - len(last)
        return spans + ["full"] * full + last

    @once
    def mixers(self) -> list[str]:
        """What each layer mixes tokens with as they are counted."""
        if self.attention_span == "full":
            return [kind if kind in {"state", "none"} else "full" for kind in self.kinds()]
        return self.kinds()

    @once
    def ffns(self) -> list[str]:
        """What each layer has after its mixer: "moe" the last of them, "none" the first."""
        left = int(self.num_mixer_only_layers)
        kinds = []
        for mixer in self.mixers():
            alone = mixer != "none" and left > 0
            left -= alone
            kinds.append("none" if alone else "dense")
        places = [i for i, kind in enumerate(kinds) if kind == "dense"]
        for i in places[len(places) - int(self.num_moe_layers) :]:
            kinds[i] = "moe"
        return kinds

    @once
    def layers(self):
        """Yield (attention span stored, span read, whether sparse, whether MoE) of each layer."""
        for mixer, ffn in zip(self.mixers(), self.ffns(), strict=True):
            stored = read = 0.0 if mixer in {"state", "none"} else self.seq_len
            if mixer == "sparse":
                read = min(self.seq_len, self.index_topk)
            elif mixer == "window":
                stored = read = min(self.seq_len, self.sliding_window)
            elif mixer == "chunk":
                stored = read = min(self.seq_len, self.attention_chunk_size)
                if self.chunk_read == "mean":
                    read = min(self.seq_len, (self.attention_chunk_size + 1) / 2)
            elif mixer in COMPRESSED:
                window, entries = min(self.seq_len, self.sliding_window), self.entries(mixer)
                stored = read = window + entries
                if mixer == "some entries":
                    read = window + min(entries, self.index_topk)
            yield stored, read, mixer == "sparse", ffn == "moe"

    @once
    def has_indexer(self) -> list[bool]:
        """Whether each layer scores the context itself; the first of the sparse ones do."""
        left = int(self.num_indexer_layers or self.num_sparse_layers)
        found = []
        for mixer in self.mixers():
            found.append(mixer == "sparse" and left > 0)
            left -= mixer == "sparse"
        return found

    def entries(self, mixer: str) -> float:
        """Compressed entries of one sequence in one layer."""
        return self.seq_len / getattr(self, COMPRESSED[mixer])

    def compressors(self, mixer: str) -> list[tuple[float, float, float]]:
        """Width of an entry, vectors of a token, and tokens an entry, for each of one layer's."""
        if mixer == "entries":
            return [(self.shared_kv_head_dim, 1.0, self.compression_ratio)]
        if mixer != "some entries":
            return []
        widths = (self.shared_kv_head_dim, self.index_head_dim)
        return [(width, 2.0, self.sparse_compression_ratio) for width in widths]

    @property
    def streams(self) -> float:
        """Streams of the residual."""
        return self.hc_mult or 1.0

    @property
    def expert_width(self) -> float:
        return self.expert_hidden_size or self.hidden_size

    @once
    def heads(self):
        """Yield the heads of each layer: of windowed and of full ones the first share a cache."""
        sharing = {"window": self.num_shared_kv_windowed_layers, "full": self.num_shared_kv_layers}
        keyed = {"full": self.num_k_eq_v_layers}
        seen = Counter()
        for kind in self.kinds():
            queries, cached = self.num_heads, 1 if self.is_mla else self.num_kv_heads
            key = self.shared_kv_head_dim or self.head_dim
            value = self.value_head_dim
            if kind == "window":
                queries = self.windowed_num_heads or queries
                cached = self.windowed_num_kv_heads or cached
                key = self.windowed_head_dim or key
                value = self.windowed_value_head_dim or value
            place, shared = seen[kind], sharing.get(kind, 0.0)
            seen[kind] += 1
            own = shared <= place < shared + keyed.get(kind, 0.0)
            yield Heads(queries, cached, key, value or key, place < shared, own)


def attention_weights(p: Point, heads: Heads) -> tuple[float, float]:
    """Elements of the projections and of the output projection of one layer."""
    d, h = p.hidden_size, heads.queries
    gate = d * h * p.attention_gate_dim
    if p.shared_kv_head_dim:
        width, rank = p.shared_kv_head_dim, p.q_lora_rank or d
        before = (d * rank if p.q_lora_rank else 0.0) + rank * h * width + gate
        before += 0.0 if heads.shares else d * width
        if not p.o_lora_rank:
            return before, h * width * d
        group = h / p.o_groups * width * p.o_lora_rank + p.o_lora_rank * d
        return before, p.o_groups * group
    if not p.is_mla:
        own = 0.0
        if not heads.shares:
            own += d * heads.cached * heads.key
        if not heads.shares and not heads.keyed:
            own += d * heads.cached * heads.value
        rank = p.q_lora_rank or d
        latent = d * p.q_lora_rank
        return latent + rank * h * heads.key + own + gate, h * heads.value * d
    c, rope, nope, v = p.kv_lora_rank, p.qk_rope_head_dim, p.qk_nope_head_dim, p.v_head_dim
    width = (c if p.mla_weights == "absorbed" else nope) + rope
    down = 0.0 if heads.shares else d * (c + rope)
    down += gate
    query = d * p.q_lora_rank + p.q_lora_rank * h * width if p.q_lora_rank else d * h * width
    if p.mla_weights == "absorbed":
        return query + down, h * c * d
    return query + down + c * h * (nope + v), h * v * d


def mixer_matrices(p: Point, mixer: str, heads: Heads, *, indexer: bool) -> dict[str, float]:
    """Elements before and after what mixes the tokens of one layer."""
    if mixer == "none":
        return {}
    if mixer == "state":
        return {"projections": p.recurrent_params}
    projections, output = attention_weights(p, heads)
    if indexer or mixer == "some entries":
        rows = p.q_lora_rank or p.hidden_size
        projections += rows * p.index_n_heads * p.index_head_dim
        if not p.index_block_size:
            projections += p.hidden_size * p.index_n_heads  # weights of the heads
    if indexer:
        projections += p.hidden_size * p.index_head_dim
    for width, vectors, _ in p.compressors(mixer):
        projections += p.hidden_size * 2 * vectors * width  # each vector with its gates
    return {"projections": projections, "output": output}


def ffn_matrices(p: Point, ffn: str) -> dict[str, float]:
    """Elements of the feed-forward part of one layer; ``expert`` is one routed expert."""
    if ffn == "none":
        return {}
    if ffn == "dense":
        return {"ffn": p.ffn_matrices * p.hidden_size * p.intermediate_size}
    width = p.shared_intermediate_size or p.moe_intermediate_size
    shared = p.expert_matrices * p.hidden_size * width
    down_and_up = 2 * p.hidden_size * p.expert_hidden_size
    return {
        "router": p.hidden_size * p.num_experts,
        "ffn": p.num_shared_experts * shared + down_and_up,
        "expert": p.expert_matrices * p.expert_width * p.moe_intermediate_size,
    }


def dense_matrices(p: Point) -> tuple[float, float]:
    """Elements of all dense feed-forward layers, and of the LM head."""
    alone = sum(ffn_matrices(p, ffn)["ffn"] for ffn in p.ffns() if ffn == "dense")
    if p.accounting != "nominal":
        return alone, p.vocab_size * p.hidden_size if p.accounting == "full" else 0.0
    counts, _ = counted_matrices(p)
    layers, _ = counted_matrices(Point(p.given[0], {**p.given[1], "accounting": "layers"}))
    return alone * (counts["ffn"] / layers["ffn"] if layers["ffn"] else 0.0), 0.0


def left_to_sharers(p: Point) -> tuple[float, float]:
    """Bytes of dense layers and of the LM head that other replicas of a group keep."""
    dense, head = dense_matrices(p)
    share = 1 - 1 / p.sharers
    return share * dense * p.byte("ffn"), share * head * p.byte("head")


def counted_matrices(p: Point) -> tuple[dict[str, float], dict[str, float]]:
    """Elements by operator over all layers, and what is counted beside them."""
    counts = dict.fromkeys(("projections", "output", "router", "ffn", "expert"), 0.0)
    for mixer, ffn, indexer, heads in zip(
        p.mixers(), p.ffns(), p.has_indexer(), p.heads(), strict=True
    ):
        for half in (mixer, ffn):
            counts["router"] += mapping_weights(p) if half != "none" else 0.0
        matrices = mixer_matrices(p, mixer, heads, indexer=indexer) | ffn_matrices(p, ffn)
        for name, elements in matrices.items():
            counts[name] += elements
    beside = {"norms": 0.0, "head": 0.0, "embedding": 0.0}
    if p.accounting == "full":
        beside["head"] = p.vocab_size * p.hidden_size
        beside["embedding"] = 0.0 if p.tied_embeddings else p.vocab_size * p.hidden_size
        beside["embedding"] += p.extra_embedding_params
        counts["ffn"] += p.extra_params
        beside["norms"] = final_norm(p)
        own = {"state": p.recurrent_norm_params, "none": 0.0}
        for mixer, ffn in zip(p.mixers(), p.ffns(), strict=True):
            beside["norms"] += p.norm_params + p.bias_params + own.get(mixer, p.qk_norm_params)
            counts["expert"] += p.expert_bias_params if ffn == "moe" else 0.0
            for width, vectors, tokens in p.compressors(mixer):
                beside["norms"] += width + tokens * vectors * width  # and biases of gates
    if p.accounting == "nominal":
        spare = p.num_experts - p.experts_per_token
        expert = (p.nominal_params - p.nominal_active_params) / spare if spare else 0.0
        rest = p.nominal_active_params - p.experts_per_token * expert
        whole = sum(elements for name, elements in counts.items() if name != "expert")
        counts = {name: elements * rest / whole for name, elements in counts.items()}
        counts["expert"] = expert
    return counts, beside


def mapping_weights(p: Point) -> float:
    """Weights that read all streams before one mixer or one feed-forward part."""
    if not p.hc_mult:
        return 0.0
    given = p.hc_mult**2 + 2 * p.hc_mult
    return given * p.hc_mult * p.hidden_size + given + 3


def final_norm(p: Point) -> float:
    """The last norm, and the mapping that makes one stream of several before it."""
    last = p.hc_mult * p.hc_mult * p.hidden_size + p.hc_mult + 1 if p.hc_mult else 0.0
    return p.hidden_size + last


PARTS = {"projections": "attention", "output": "attention", "router": "head", "ffn": "ffn"}


def expert_bytes(p: Point, elements: float) -> float:
    """Bytes of one expert in all MoE layers; biases are stored as the head is."""
    biases = p.expert_bias_params * p.num_moe_layers if p.accounting == "full" else 0.0
    return (elements - biases) * p.byte("expert") + biases * p.byte("head")


def touched(p: Point) -> float:
    """Expected distinct experts of the step's tokens in one layer."""
    if p.num_experts in {0, p.experts_per_token}:
        return p.num_experts
    untouched = (1 - p.experts_per_token / p.num_experts) ** (p.tokens * p.sharing)
    return p.num_experts * (1 - untouched)


def embedded_elements(p: Point) -> float:
    """Elements that one token looks up; a mean layer has its share of those of further tables."""
    share = p.num_layers if isinstance(p, MeanLayer) else 1.0
    return p.hidden_size + p.extra_embedding_dim / share


def kv_bytes_per_token(p: Point, heads: Heads) -> float:
    """Bytes of one token in one layer, all copies that the TP chips hold."""
    latent = p.kv_lora_rank + p.qk_rope_head_dim
    elements = latent if p.is_mla else heads.cached * (heads.key + heads.value)
    elements = p.shared_kv_head_dim or elements
    chips = p.tp_size / p.cp_size  # each of them has its heads' share of every token
    copies = chips / min(chips, heads.cached) if p.kv_sharding == "heads" else 1.0
    return elements * p.cached_bits / 8 * copies


def index_bytes_per_token(p: Point) -> float:
    """Bytes of one token's key in one sparse layer, all copies that the TP chips hold."""
    copies = p.tp_size / p.cp_size if p.kv_sharding == "heads" else 1.0
    return p.index_head_dim * p.index_bits / 8 * copies


def state_bytes(p: Point) -> float:
    """Bytes that one sequence keeps in one recurrent layer, all copies of the TP chips."""
    state = p.num_state_heads * p.state_key_dim * p.state_value_dim * p.state_bits / 8
    columns = p.conv_channels * p.conv_columns * p.activation_bits / 8
    copied = p.kv_sharding == "heads" and p.num_state_heads > 0
    return (state + columns) * (max(1.0, p.tp_size / p.num_state_heads) if copied else 1.0)


def kept_by_compressors(p: Point, mixer: str) -> tuple[float, float]:
    """Bytes of states that one sequence keeps in one layer, and of what one token gives to them."""
    copies = p.tp_size / p.cp_size if p.kv_sharding == "heads" else 1.0
    kept = given = 0.0
    for width, vectors, tokens in p.compressors(mixer):
        row = 2 * vectors * width * copies * p.state_bits / 8
        kept, given = kept + vectors * tokens * row, given + row
    return kept, given


def step_work(p: Point) -> dict[str, Work]:
    """Volumes of each operator."""
    counts, beside = counted_matrices(p)
    work = {name: Work() for name in OPERATORS}
    for name in ("projections", "output", "router", "ffn"):
        work[name].weights = counts[name] * p.byte(PARTS[name])
        work[name].multiply(2 * p.tokens * counts[name], p.ratio_of(PARTS[name]))
    work["projections"].beside = beside["norms"] * p.byte("head")
    work["lm_head"].weights = beside["head"] * p.byte("head")
    work["lm_head"].multiply(2 * p.tokens * beside["head"], p.ratio_of("head"))
    if p.accounting == "full":
        work["lm_head"].beside = p.tokens * embedded_elements(p) * p.byte("embedding")
    dense, head = left_to_sharers(p)
    work["ffn"].weights -= dense
    work["lm_head"].weights -= head
    work["experts"].weights = expert_bytes(p, counts["expert"]) * touched(p) / p.sharing
    routed = 2 * p.tokens * p.experts_per_token * counts["expert"]
    work["experts"].multiply(routed, p.ratio_of("expert"))
    for mixer, indexer, (_, read, _, _), heads in zip(
        p.mixers(), p.has_indexer(), p.layers(), p.heads(), strict=True
    ):
        width = heads.key + heads.value
        if p.is_mla:
            width = 2 * p.kv_lora_rank + p.qk_rope_head_dim
        pair = 2 * heads.queries * width
        if mixer == "state":
            work["state"].kv += 2 * p.batch_size * state_bytes(p)  # out of memory and back
        if mixer in COMPRESSED:  # a token's row is written, and read when its entry is complete
            _, given = kept_by_compressors(p, mixer)
            work[SCORED[mixer]].kv += 2 * p.tokens * given
        if mixer == "some entries":
            add_scores(p, work[SCORED[mixer]], keys=p.entries(mixer))
        if indexer:
            add_scores(p, work["indexer"], keys=p.seq_len)
        work["attention"].multiply(p.tokens * read * pair, p.ratio(p.cached_bits, 8))
        work["attention"].kv += p.batch_size * read * kv_bytes_per_token(p, heads)
    if p.vector_work == "on":
        add_vector_work(p, work)
    return work


def add_scores(p: Point, work: Work, *, keys: float) -> None:
    """Scores of a step's tokens against so many keys in one layer."""
    products = 2 * p.index_n_heads * p.index_head_dim
    work.multiply(p.tokens * keys * products, p.ratio(p.index_bits, 8))
    work.kv += p.batch_size * keys * index_bytes_per_token(p)
    if p.vector_work == "on":
        work.vector += p.tokens * keys * selecting(p)


def selecting(p: Point) -> float:
    """Operations on the scores of one key."""
    if p.index_block_size:
        return p.index_n_heads * (1 + 1 / p.index_block_size)
    return 3 * p.index_n_heads + 1


def head_vector_work(p: Point, heads: Heads) -> float:
    """Rotations of queries and of keys that a layer has itself, and the gate of its output."""
    rotated, value = (p.qk_rope_head_dim, p.v_head_dim) if p.is_mla else (heads.key, heads.value)
    if p.is_mla and p.mla_weights == "absorbed":
        value = p.kv_lora_rank
    keys = 0 if heads.shares else p.num_kv_heads if p.is_mla else heads.cached
    gate = 4 * p.attention_gate_dim + value if p.attention_gate_dim else 0.0
    return 3 * (heads.queries + keys) * rotated + heads.queries * gate


def add_vector_work(p: Point, work: dict[str, Work]) -> None:
    """Operations beside the tensor units, by the constants of ``jaxlimits.model.vector``."""
    d = p.hidden_size
    for mixer, indexer, (_, read, _, _), heads in zip(
        p.mixers(), p.has_indexer(), p.layers(), p.heads(), strict=True
    ):
        if mixer == "none":
            continue
        work["output"].vector += p.tokens * d
        work["router"].vector += p.tokens * mixing_of_streams(p)
        if mixer == "state":
            elements = p.num_state_heads * p.state_key_dim * p.state_value_dim
            work["state"].vector += p.tokens * p.state_flops * elements
            work["projections"].vector += p.tokens * (4 * d + 5 * p.conv_channels)
            continue
        own = selecting_and_pooling(p, mixer, indexer=indexer)
        work["projections"].vector += p.tokens * (4 * d + head_vector_work(p, heads) + own)
        work["attention"].vector += p.tokens * 5 * heads.queries * read
    gated = {2: 5, 3: 6}
    for ffn in p.ffns():
        if ffn == "none":
            continue
        work["ffn"].vector += p.tokens * 5 * d  # norm and residual
        work["router"].vector += p.tokens * mixing_of_streams(p)
        if ffn == "dense":
            work["ffn"].vector += p.tokens * gated[p.ffn_matrices] * p.intermediate_size
            continue
        each = gated[p.expert_matrices]
        width = p.shared_intermediate_size or p.moe_intermediate_size
        work["router"].vector += p.tokens * 5 * p.num_experts
        work["ffn"].vector += p.tokens * each * p.num_shared_experts * width
        one = each * p.moe_intermediate_size + 2 * p.expert_width
        work["experts"].vector += p.tokens * p.experts_per_token * one
    if p.accounting == "full":
        work["lm_head"].vector = p.tokens * (4 * d + 5 * p.vocab_size)


def selecting_and_pooling(p: Point, mixer: str, *, indexer: bool) -> float:
    """What one token costs an indexer and compressors of a layer, scores apart."""
    of_heads = p.shared_kv_head_dim or (p.qk_rope_head_dim if p.is_mla else p.head_dim)
    rotated = min(p.index_head_dim, of_heads)
    found = 0.0
    if indexer:
        found += 4 * p.index_head_dim + 3 * rotated  # of its key
    if indexer or mixer == "some entries":
        found += 3 * p.index_n_heads * rotated
    for width, vectors, tokens in p.compressors(mixer):
        found += 8 * vectors * width + (4 + 3) * width / tokens
    return found


def mixing_of_streams(p: Point) -> float:
    """Norm, sum, share to each, and mixing of the streams around one part, but for a plain sum."""
    if not p.hc_mult:
        return 0.0
    elements = p.hc_mult * p.hidden_size
    return 4 * elements + 2 * elements + 2 * elements + 2 * p.hc_mult * elements - p.hidden_size


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
        kind = "loop" if p.topology.startswith("torus") else "line"
        rate = p.link_bw / (2 * DIMENSIONS[p.topology])
        found = [Side(n, kind, alpha, p.router_latency, rate) for n in shape_of(p, int(size))]
    return [side for side in found if side.size > 1]


def shape_of(p: Point, size: int) -> list[int]:
    """Sides of a mesh: rows as asked for, the rest as nearly equal as powers of two make them."""
    found, left = [], size
    for order in range(DIMENSIONS[p.topology], 1, -1):
        if not found and p.mesh_rows and size % p.mesh_rows == 0:
            side = int(p.mesh_rows)
        else:
            side = max(2**k for k in range(9) if left % 2**k == 0 and 2 ** (order * k) <= left)
        found.append(side)
        left //= side
    return [left, *found]


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
    if p.topology in DIMENSIONS:
        passed = min(shape_of(p, int(p.tp_size)))
        each = 2 * DIMENSIONS[p.topology] * payload / p.link_bw
        return p.hop_latency + (passed - 1) * p.router_latency + passed * each
    return p.hop_latency + payload / p.link_bw


def sync_parts(p: Point) -> tuple[float, float, float]:
    """All exposed time, that without any payload, and that without any latency."""
    resolved, silent = copy.copy(p), copy.copy(p)
    resolved.asked = silent.asked = p
    if p.collective_algorithm == "best":
        payload = p.tokens * p.hidden_size * p.activation_bits / 8
        sums_on_the_way = p.topology not in {"mesh-2d", "torus-2d", "torus-3d"}
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
    seconds = sum(hop_seconds(p, stage, p.streams * whole) for stage in range(int(p.pp_size) - 1))
    routed = whole / p.hidden_size * p.expert_width * p.experts_per_token / p.tp_size
    seconds += shared_seconds(p, payload)
    for mixer, ffn, heads in zip(p.mixers(), p.ffns(), p.heads(), strict=True):
        if ffn == "moe" and exchanges_tokens(p):
            seconds += 2 * all_to_all_seconds(p, routed)
        if p.tp_size > 1:
            seconds += collectives_of(p, mixer, ffn, heads) * reduced
    return seconds


def shared_seconds(p: Point, payload: float) -> float:
    """An all-gather before and a reduce-scatter after each part that replicas share."""
    if p.sharers == 1:
        return 0.0
    of_each = p.sharers * p.hidden_size * p.activation_bits / 8
    of_layers = p.ffns().count("dense") * one_gather(p, of_each * p.tokens, payload)
    of_head = one_gather(p, of_each * p.headed, payload) if p.accounting == "full" else 0.0
    return 2 * (of_layers + of_head)


def one_gather(p: Point, whole: float, factor: float) -> float:
    """One all-gather among the chips of a group, by what is quickest for the whole payload."""
    if p.collective_algorithm == "constant":
        return p.sync_latency
    group = {"size": p.sharers * p.tp_size, "chips": p.sharers * p.tp_size}
    asked = getattr(p, "asked", p)  # before latencies were taken away
    names = gathering_algorithms(asked)
    best = min(names, key=lambda name: all_gather_seconds(asked, name, whole, **group))
    return all_gather_seconds(p, best, factor * whole, **group)


def collectives_of(p: Point, mixer: str, ffn: str, heads: Heads) -> float:
    """Tensor-parallel collectives of one layer."""
    each = p.collectives_per_layer
    if p.collectives == "derived":
        each = (mixer != "none") + (ffn != "none")
        split = p.kv_sharding == "split" and p.tp_size > heads.cached
        if mixer not in {"state", "none"} and split:
            each += 1
    elsewhere = (ffn == "moe" and exchanges_tokens(p)) or (ffn == "dense" and p.sharers > 1)
    each = max(each - 1, 0.0) if elsewhere else each
    in_parts = p.kv_sharding == "heads" and p.cp_size > 1  # of the sequence
    return each + 1 if in_parts and mixer not in {"state", "none"} else each


def exchanges_tokens(p: Point) -> bool:
    """Whether tokens are sent to their experts' ranks: in one replica only if nobody reduces."""
    return p.is_ep and (p.expert_exchange != "all-reduce" or p.dp_size > 1)


def exchanged(p: Point) -> dict[str, float]:
    """Collectives of one step, and the bytes that all chips send for one token of a user."""
    if p.ffn_chips:
        return exchanged_apart(p)
    verified, tokens = p.query_tokens + (p.draft_length if drafted(p) else 0.0), tokens_of_a_step(p)
    found = Counter(pass_exchanged(p, passes=1.0, tokens=verified / tokens))
    if drafted(p):
        proposed = p.draft_length * p.query_tokens / tokens
        found.update(pass_exchanged(proposing(p), passes=p.draft_length, tokens=proposed))
    return found


def pass_exchanged(p: Point, *, passes: float, tokens: float) -> dict[str, float]:
    """Those of so many passes over so many tokens, layer by layer."""
    a, found = tokens * p.hidden_size * p.activation_bits / 8, Counter()
    share = p.num_layers if isinstance(p, MeanLayer) else 1.0
    routed = a / p.hidden_size * p.expert_width
    for mixer, ffn, heads in zip(p.mixers(), p.ffns(), p.heads(), strict=True):
        if p.tp_size > 1:
            found["tp_collectives"] += collectives_of(p, mixer, ffn, heads) / share
        found["ep_collectives"] += (2 if ffn == "moe" and exchanges_tokens(p) else 0) / share
        found["shared"] += (2 if ffn == "dense" and p.sharers > 1 else 0) / share
    found["shared"] += 2 if p.accounting == "full" and p.sharers > 1 else 0
    return {
        "tp_collectives": passes * (found["tp_collectives"] + found["shared"]),
        "ep_collectives": passes * found["ep_collectives"],
        "pp_hops": passes * (p.pp_size - 1),
        # Each of tp chips sends (tp - 1)/tp of the activations twice.
        "tp_volume": found["tp_collectives"] * p.tp_size * 2 * (p.tp_size - 1) / p.tp_size * a
        + found["shared"] * (p.sharers * p.tp_size - 1) * a,
        "ep_volume": found["ep_collectives"] * p.experts_per_token * (1 - 1 / p.ep_size) * routed,
        "pp_volume": (p.pp_size - 1) * p.tp_size * p.streams * a,
    }


@functools.cache
def _compiled(function):
    return jax.jit(lambda *four: function(**dict(zip(_FACTOR_ARGUMENTS, four, strict=True))))


_FACTOR_ARGUMENTS = ("tokens", "num_experts", "experts_per_token", "ep_size")


def factor(function, p: Point, share: float = 1.0) -> float:
    """An imbalance factor of the package, 1 without expert parallelism.

    The factor is of a share of the tokens, where the others are spread evenly.
    """
    if not p.is_ep:
        return 1.0
    four = (p.tokens * p.dp_size, p.num_experts, p.experts_per_token, p.ep_size)
    with jax.enable_x64(True):
        bound = 1.0 - share + share * float(_compiled(function)(*map(np.float64, four)))
    copied = min(p.redundant_experts, p.num_experts) / p.num_experts if p.num_experts else 0.0
    return max(1.0, bound - bound * copied)


def paces(p: Point, name: str, work: Work) -> tuple[float, float]:
    """Slowest rank over the mean, of an operator's work and of its traffic."""
    if work.slow_compute is not None and work.slow_memory is not None:
        return work.slow_compute, work.slow_memory
    if name != "experts":
        return 1.0, 1.0
    return factor(routed_imbalance, p), factor(touched_imbalance, p)


def stage_times(p: Point, work: dict[str, Work], mem_bw: float) -> tuple[float, float, float]:
    """Compute time, memory time, and their overlap by the chosen roofline."""
    rows = []
    for name, one in work.items():
        slow_compute, slow_memory = paces(p, name, one)
        traffic = one.weights + one.beside + one.kv
        rows.append(
            (
                one.slow * slow_compute / (p.tp_size * p.peak_flops),
                one.vector * slow_compute / (p.tp_size * p.peak_vector_flops),
                traffic * slow_memory / (p.tp_size * mem_bw),
            )
        )
    if p.roofline == "operator":
        compute = sum(max(tensor, vector) for tensor, vector, _ in rows)
        overlap = sum(max(row) for row in rows)
        return compute, sum(row[2] for row in rows), overlap
    tensor, vector, memory = (sum(column) for column in zip(*rows, strict=True))
    return max(tensor, vector), memory, max(tensor, vector, memory)


def kept_experts(p: Point) -> float:
    """Experts in one MoE layer that a replica has room for, copies on ranks with them."""
    return (p.num_experts + (p.redundant_experts if p.is_ep else 0.0)) / p.sharing


def stored_bytes(p: Point, *, tables: bool = True) -> tuple[float, float]:
    """Weights that one replica stores, and what one sequence does."""
    counts, beside = counted_matrices(p)
    dense = sum(counts[name] * p.byte(part) for name, part in PARTS.items())
    experts = expert_bytes(p, counts["expert"]) * kept_experts(p)
    own = beside["norms"] * p.byte("head")
    if tables:
        own += beside["head"] * p.byte("head") + beside["embedding"] * p.byte("embedding")
    of_others, head_of_others = left_to_sharers(p)
    weights = dense + experts + own - of_others - (head_of_others if tables else 0.0)
    sequence = sum(p.seq_len for own in p.has_indexer() if own) * index_bytes_per_token(p)
    for (kept, _, _, _), heads in zip(p.layers(), p.heads(), strict=True):
        sequence += 0.0 if heads.shares else kept * kv_bytes_per_token(p, heads)
    sequence += p.mixers().count("state") * state_bytes(p)
    for mixer in p.mixers():
        sequence += kept_by_compressors(p, mixer)[0]
        if mixer == "some entries":
            sequence += p.entries(mixer) * index_bytes_per_token(p)
    return weights, sequence


def proposing(p: Point) -> Point:
    """The point with the draft in the model's place; an MTP layer is the mean of all layers."""
    if p.speculation == "mtp":
        return MeanLayer(*p.given)
    numbers = p.given[0]
    shape = [name for name in numbers if f"draft_{name}" in numbers]
    return p.but(**{name: numbers[f"draft_{name}"] for name in shape})


class MeanLayer(Point):
    """A point of one layer that is the mean of all: volumes of the whole over their number."""


def drafted(p: Point) -> bool:
    return p.speculation != "off"


def pass_work(p: Point) -> dict[str, Work]:
    """Volumes of one pass; those of a mean layer are its share, the LM head apart."""
    work = step_work(p)
    if not isinstance(p, MeanLayer):
        return work
    for name, one in work.items():
        if name == "lm_head":
            continue
        has_norm = name == "projections" and p.accounting == "full"
        final = final_norm(p) * p.byte("head") if has_norm else 0.0
        one.beside = (one.beside - final) / p.num_layers + final  # with its own last norm
        for volume in ("weights", "tensor", "slow", "vector", "kv"):
            setattr(one, volume, getattr(one, volume) / p.num_layers)
    return work


def pass_stored(p: Point) -> tuple[float, float]:
    """Weights and one sequence of the draft; a mean layer shares the tables of its model."""
    if not isinstance(p, MeanLayer):
        return stored_bytes(p)
    weights, sequence = stored_bytes(p, tables=False)
    final = final_norm(p) * p.byte("head") if p.accounting == "full" else 0.0
    return (weights - final) / p.num_layers + final, sequence / p.num_layers


def pass_sync(p: Point) -> tuple[float, ...]:
    """Exposed synchronisation and its parts; a mean layer has its share, but every hop."""
    if not isinstance(p, MeanLayer):
        return sync_parts(p)
    hops = sync_parts(p.but(**dict.fromkeys((n for n in p.given[0] if n.endswith("_layers")), 0.0)))
    whole = sync_parts(Point(*p.given))
    return tuple((all_ - hop) / p.num_layers + hop for all_, hop in zip(whole, hops, strict=True))


def tokens_of_a_step(p: Point) -> float:
    """Mean number of tokens: every proposal so far accepted, and one more."""
    if not drafted(p):
        return 1.0
    if p.acceptance_length:
        return p.acceptance_length
    tokens, accepted = 1.0, 1.0
    for place in range(int(p.draft_length)):
        accepted *= p.acceptance * p.acceptance_decay**place
        tokens += accepted
    return tokens


def all_sequences(p: Point, sequence: float) -> float:
    """Bytes of all sequences of a replica, each of which takes so many: a common prefix once."""
    alone = pass_stored(without_prefix(p))[1]
    return p.pp_size * p.batch_size * alone + sequence - alone


def without_prefix(p: Point) -> Point:
    """The point at the context that is left beside the prefix, as is its request."""
    return type(p)({**p.given[0], "seq_len": p.seq_len - p.reused}, p.given[1])


def kinds_of_data(p: Point, work: dict[str, Work], times: float) -> list[tuple[float, float]]:
    """Bytes stored and read of each kind of data that streams with its own frequency."""
    weights, sequence = pass_stored(p)
    counts, beside = counted_matrices(p)
    share = p.num_layers if isinstance(p, MeanLayer) else 1.0
    experts = expert_bytes(p, counts["expert"]) * kept_experts(p) / share
    embedding = 0.0 if isinstance(p, MeanLayer) else beside["embedding"] * p.byte("embedding")
    _, pace = paces(p, "experts", work["experts"])
    read = sum(w.weights + w.beside for name, w in work.items() if name != "experts")
    return [
        (weights - experts - embedding, times * read),
        (experts, times * work["experts"].weights * pace),
        (all_sequences(p, sequence), times * sum(w.kv for w in work.values())),
        (embedding, 0.0),
    ]


def effective_bandwidth(p: Point, data: list[tuple[float, float]]) -> float:
    """Bandwidth of one chip over all its tiers, from a linear program over placements."""
    tiers = [
        (p.mem_capacity * p.usable_fraction, p.mem_bw),
        (p.sram_capacity, p.sram_bw),
        (p.lpddr_capacity, p.lpddr_bw),
    ]
    tiers = [(size, rate) for size, rate in tiers if size > 0]
    if len(tiers) == 1:
        return p.mem_bw
    time = placement_time(
        data,
        [(p.tp_size * p.pp_size * size, p.tp_size * rate) for size, rate in tiers],
        overlap=p.memory_tiers == "overlap",
    )
    return sum(read for stored, read in data if stored > 0) / (p.tp_size * time)


def placement_time(data, tiers, *, overlap: bool) -> float:
    """Least streaming time over all placements: a linear program in the shares of each kind."""
    data = [(stored, read) for stored, read in data if stored > 0]
    stored = sum(s for s, _ in data)
    scale = sum(read for _, read in data) / sum(rate for _, rate in tiers)
    shares = len(data) * len(tiers)
    cost, above, most = np.zeros(shares + 1), [], []
    for k, (size, rate) in enumerate(tiers):
        row = np.zeros(shares + 1)
        row[k : shares : len(tiers)] = [s / stored for s, _ in data]
        above.append(row)
        most.append(size / stored)
        streams = np.zeros(shares + 1)
        streams[k : shares : len(tiers)] = [read / rate / scale for _, read in data]
        if overlap:
            streams[-1] = -1.0
            above.append(streams)
            most.append(0.0)
        else:
            cost += streams
    if overlap:
        cost[-1] = 1.0
    whole = np.zeros((len(data), shares + 1))
    for i in range(len(data)):
        whole[i, i * len(tiers) : (i + 1) * len(tiers)] = 1.0
    exactly = {"A_ub": above, "b_ub": most, "A_eq": whole, "b_eq": np.ones(len(data))}
    # At the solver's own tolerances times that a fast tier takes would be lost beside a slow one's.
    names = ("primal_feasibility_tolerance", "dual_feasibility_tolerance")
    found = linprog(cost, **exactly, options=dict.fromkeys(names, 1e-10))
    return found.fun * scale if found.status == 0 else math.nan


def gathered_bandwidth(
    p: Point, work: dict[str, Work], bandwidth: float, times: float = 1.0
) -> float:
    """Bandwidth of one chip where the other replicas' weights come over its links."""
    if p.weight_placement == "resident":
        return bandwidth
    _, streaming, _ = stage_times(p, work, bandwidth)
    return bandwidth * min(1.0, streaming / (times * gathered_seconds(p) or 1e-300))


def gathered_seconds(p: Point) -> float:
    """All-gathers of every layer among the replicas, one after another."""
    layer = stored_bytes(p)[0] / p.tp_size / p.num_layers
    if p.collective_algorithm == "constant":
        return p.num_layers * layer * (p.dp_size - 1) / p.dp_size / p.link_bw
    group = {"size": p.dp_size, "chips": p.tp_size * p.dp_size}
    names = gathering_algorithms(p)
    return p.num_layers * min(all_gather_seconds(p, name, layer, **group) for name in names)


def gathering_algorithms(p: Point) -> list[str]:
    """Those among which an all-gather takes the quickest."""
    tree = p.topology in {"switched", "rail"}
    names = ["one-shot", "ring", *(["tree"] if tree else [])]
    if p.collective_algorithm == "best":
        return names
    return [p.collective_algorithm if p.collective_algorithm in names else "one-shot"]


def all_gather_seconds(
    p: Point, algorithm: str, payload: float, *, size: float, chips: float
) -> float:
    """One all-gather among some chips that ends with so many bytes."""
    seconds = 0.0
    for side in sides(p, size=size, chips=chips, alpha=p.sync_latency):
        hops, n = farthest(side), side.size
        seconds += {
            "one-shot": side.alpha + (hops - 1) * side.rho,
            "ring": (hops if side.kind == "loop" else n - 1) * side.alpha,
            "tree": (math.ceil(n) - 1).bit_length() * side.alpha,
        }[algorithm]
        seconds += carried(side) / n * payload / side.rate
        payload /= n
    return seconds


def whole_step(p: Point, *, worst: bool = False, prompts: float = 0) -> dict[str, float]:
    """Times and volumes of one decode step: the model's pass, then those of the draft.

    The worst one carries the last chunk of a prompt, whatever the others carry in the mean. One
    with prompts carries so many of them, or such a part of one.
    """
    if p.input_len and p.mixed_steps == "chunks" and not (worst or prompts):
        return mean_step(p)
    if p.ffn_chips:
        return step_apart(p, worst=worst)
    passes = [(p, 1.0)]
    if drafted(p):
        verifying = p.but(query_tokens=p.query_tokens + p.draft_length)
        passes = [(verifying, 1.0), (proposing(p), p.draft_length)]
    work = [pass_work(q) for q, _ in passes]
    exchanging = [q for q, _ in passes]
    if worst:
        work[0], exchanging[0] = with_last_chunk(passes[0][0], work[0])
    elif prompts:
        tokens = prompts * (p.input_len - p.reused)
        work[0], exchanging[0] = with_prompts(passes[0][0], work[0], prompts, tokens)
    elif p.input_len and p.mixed_steps in {"even", "bound"}:
        work[0], exchanging[0] = mixed_work(passes[0][0], work[0])
    data = []
    for (q, times), one in zip(passes, work, strict=True):
        data += kinds_of_data(q, one, times)
    bandwidth = effective_bandwidth(p, data)
    names = ("compute", "memory", "sync", "latency", "payload", "step", "weights", "kv")
    names += ("flops", "slow")
    total = dict.fromkeys(names, 0.0)
    for (q, times), one, seen in zip(passes, work, exchanging, strict=True):
        rate = bandwidth if q is not passes[0][0] else gathered_bandwidth(q, one, bandwidth)
        parts = step_parts(seen, one, rate)
        total = {name: value + times * parts[name] for name, value in total.items()}
    if not worst and p.input_len and p.mixed_steps == "stalls":
        parts, times = prefill_parts(p), prompts_of_a_step(p) / p.prefill_batch
        total = {name: value + times * parts[name] for name, value in total.items()}
    return total


def mean_step(p: Point) -> dict[str, float]:
    """The mean of steps with whole chunks of prompts and of steps without."""
    arriving = prompts_of_a_step(p)
    together = max(arriving, p.prefill_batch / p.chunks)
    apart = Point(p.given[0], {**p.given[1], "mixed_steps": "off"})
    plain, carrying = whole_step(apart), whole_step(p, prompts=together)
    share = arriving / together
    return {name: (1 - share) * plain[name] + share * carrying[name] for name in plain}


def step_parts(
    q: Point, work: dict[str, Work], mem_bw: float, chunks: float = 1
) -> dict[str, float]:
    """Times and volumes of one pass, which waits so often for its collectives."""
    compute, memory, overlap = stage_times(q, work, mem_bw)
    sync, latency, payload = (chunks * each for each in pass_sync(q))
    return {
        "compute": compute,
        "memory": memory,
        "step": overlap + sync,
        "sync": sync,
        "latency": latency,
        "payload": payload,
        "weights": sum((w.weights + w.beside) * slow for w, (_, slow) in paced(q, work)),
        "kv": sum(w.kv * slow for w, (_, slow) in paced(q, work)),
        "flops": sum(w.tensor * slow for w, (slow, _) in paced(q, work)),
        "slow": sum(w.slow * slow for w, (slow, _) in paced(q, work)),
    }


def paced(q: Point, work: dict[str, Work]) -> list[tuple[Work, tuple[float, float]]]:
    """Operators with the slowest rank's share of their work and traffic over the mean."""
    return [(one, paces(q, name, one)) for name, one in work.items()]


def prompts_of_a_step(p: Point) -> float:
    """Prompts whose answers end in one step of one micro-batch in the mean."""
    return p.batch_size * tokens_of_a_step(p) / (p.calls_per_answer * p.output_len)


def mixed_work(q: Point, decoded: dict[str, Work]) -> tuple[dict[str, Work], Point]:
    """Volumes of a step with its share of prompts, and the point that exchanges so much."""
    prompts = prompts_of_a_step(q)
    work, even = with_prompts(q, decoded, prompts, prompts * (q.input_len - q.reused))
    if q.mixed_steps == "even":
        return work, even
    alone, whole = decoded["experts"], work["experts"]
    whole.weights = alone.weights
    share = alone.tensor / whole.tensor if whole.tensor else 0.0
    whole.slow_compute = factor(routed_imbalance, q, share)
    whole.slow_memory = factor(touched_imbalance, q)
    return work, q


def with_last_chunk(q: Point, decoded: dict[str, Work]) -> tuple[dict[str, Work], Point]:
    """Those of a step with the last chunk of each prompt that is prefilled together."""
    size = q.chunk
    last = q.but(prefix_share=(q.input_len - size) / q.input_len)
    return with_prompts(last, decoded, q.prefill_batch, q.prefill_batch * size)


def with_prompts(
    q: Point, decoded: dict[str, Work], prompts: float, tokens: float
) -> tuple[dict[str, Work], Point]:
    """Those of a step that computes so many tokens of so many prompts beside what it decodes."""
    batch = q.batch_size + tokens / q.query_tokens
    even = q.but(batch_size=batch, headed=q.batch_size + prompts)
    work = step_work(even)
    one = {name: Work() for name in OPERATORS}
    add_prompts(q.but(batch_size=1.0, query_tokens=q.chunk, seq_len=q.input_len), one)
    for name in ("attention", "indexer", "compressor", "compressed_indexer", "state"):
        for volume in ("tensor", "slow", "vector", "kv"):
            own = getattr(decoded[name], volume) + prompts * getattr(one[name], volume)
            setattr(work[name], volume, own)
    scored = (q.tokens + prompts) / even.tokens
    for volume in ("tensor", "slow", "vector"):
        setattr(work["lm_head"], volume, scored * getattr(work["lm_head"], volume))
    experts = work["experts"]
    experts.slow_compute, experts.slow_memory = paces(even, "experts", experts)
    return work, even


def whole_stored(p: Point) -> tuple[float, float]:
    """Weights of a replica and bytes of a sequence, the draft's with them."""
    weights, sequence = stored_bytes(p)
    if p.weight_placement == "sharded":
        weights = weights / p.dp_size + (p.dp_size - 1) / p.dp_size * 2 * weights / p.num_layers
    if not drafted(p):
        return weights, sequence
    more, also = pass_stored(proposing(p))
    return weights + more, sequence + also


def prefill_parts(p: Point) -> dict[str, float]:
    """The whole prefill on all stages in turn, chunk by chunk and layer by layer."""
    chunk, chunks = p.chunk, p.chunks
    q = p.but(batch_size=p.prefill_batch, query_tokens=chunk, seq_len=p.input_len)
    if p.ffn_chips:
        return prefill_apart(p, q)
    work = prefill_work(p, q)
    bandwidth = effective_bandwidth(p, kinds_of_data(q, work, 1.0))
    return step_parts(q, work, gathered_bandwidth(q, work, bandwidth, chunks), chunks)


def prefill_work(p: Point, q: Point) -> dict[str, Work]:
    """Volumes of it, of which ``q`` has one chunk of each prompt."""
    chunk, chunks, work = p.chunk, p.chunks, step_work(q)
    tokens = q.batch_size * (p.input_len - p.reused)
    for name, one in work.items():
        one.kv = 0.0
        if name == "lm_head":
            for volume in ("tensor", "slow", "vector"):
                setattr(one, volume, getattr(one, volume) / chunk)
            rows = tokens * embedded_elements(p) if p.accounting == "full" else 0.0
            one.beside = rows * p.byte("embedding")
            continue
        for volume in ("weights", "beside", "tensor", "slow", "vector"):
            setattr(one, volume, chunks * getattr(one, volume))
    for name in ("attention", "indexer", "compressor", "compressed_indexer", "state"):
        work[name].tensor = work[name].slow = work[name].vector = 0.0
    add_prompts(q, work)
    return work


def add_prompts(q: Point, work: dict[str, Work]) -> None:
    """What the prompts that are prefilled together compute and read of what sequences keep."""
    layers = zip(q.mixers(), q.has_indexer(), q.heads(), strict=True)
    for mixer, indexer, heads in layers:
        if mixer == "state":
            add_scan(q, work["state"])
        elif mixer != "none":
            add_causal_attention(q, work["attention"], mixer, heads)
        if indexer:
            add_index_scores(q, work["indexer"], ratio=1.0)
        if mixer in COMPRESSED:
            add_compression(q, work[SCORED[mixer]], mixer)


def add_causal_attention(q: Point, work: Work, kind: str, heads: Heads) -> None:
    """Scores and values of the prompts in one layer, each chunk's reads one by one."""
    prompts = q.batch_size
    pairs = prompts * (causal_pairs(q, kind, q.input_len) - causal_pairs(q, kind, q.reused))
    each = 2 * heads.queries * (heads.key + heads.value)
    if q.is_mla:
        each = 2 * heads.queries * (q.qk_nope_head_dim + q.qk_rope_head_dim + q.v_head_dim)
        if q.mla_weights == "absorbed":
            width = heads.queries * (q.qk_nope_head_dim + q.v_head_dim)
            decompressed = prompts * (q.input_len - q.reused) * 2 * q.kv_lora_rank * width
            work.multiply(decompressed, q.ratio_of("attention"))
    work.multiply(pairs * each, q.ratio(q.cached_bits, 8))
    if q.vector_work == "on":
        work.vector += pairs * 5 * heads.queries
    if kind == "chunk":  # a mean over all chunks from the first one on
        cached = mean_spans(q, q.input_len) - mean_spans(q, q.reused)
    else:
        cached = sum(chunk_span(q, kind, end) for end in chunk_ends(q))
    work.kv += prompts * cached * kv_bytes_per_token(q, heads)


def add_compression(q: Point, work: Work, mixer: str) -> None:
    """States of one layer's compressors, in and out once a chunk, and scores of its entries."""
    kept, _ = kept_by_compressors(q, mixer)
    work.kv += len(chunk_ends(q)) * 2 * q.batch_size * kept
    if mixer == "some entries":
        add_index_scores(q, work, ratio=q.sparse_compression_ratio)


def add_index_scores(q: Point, work: Work, *, ratio: float) -> None:
    """Scores of the prompts in one layer against the keys so far, one for so many tokens."""
    square = q.batch_size * (q.input_len**2 - q.reused**2) / 2 / ratio
    work.multiply(square * 2 * q.index_n_heads * q.index_head_dim, q.ratio(q.index_bits, 8))
    if q.vector_work == "on":
        work.vector += square * selecting(q)
    keys = sum(end / ratio for end in chunk_ends(q))
    work.kv += q.batch_size * keys * index_bytes_per_token(q)


def add_scan(q: Point, work: Work) -> None:
    """The prompts through the states of one recurrent layer, in 16 bits, token by token."""
    heads, rows, columns = q.num_state_heads, q.state_key_dim, q.state_value_dim
    within = min(q.state_chunk, q.query_tokens)
    each = q.state_flops * heads * rows * columns + 2 * within * heads * (rows + columns)
    work.multiply(q.batch_size * (q.input_len - q.reused) * each, q.ratio(16, 16))
    work.kv += len(chunk_ends(q)) * 2 * q.batch_size * state_bytes(q)


def chunk_ends(q: Point) -> list[float]:
    """Where the chunks end that are computed; those before are whole ones too."""
    before, all_ = (round(tokens / q.query_tokens) for tokens in (q.reused, q.input_len))
    return [place * q.query_tokens for place in range(before + 1, all_ + 1)]


def mean_spans(q: Point, length: float) -> float:
    """Cached tokens that chunks up to a length read within their chunk of attention."""
    inside = max(min(q.attention_chunk_size, length), q.query_tokens)
    return length / q.query_tokens * (inside + q.query_tokens) / 2


def causal_pairs(p: Point, kind: str, length: float) -> float:
    """Area under what each position so far attends to."""
    if kind == "chunk":
        size = p.attention_chunk_size
        return (length // size) * size**2 / 2 + (length % size) ** 2 / 2
    if kind in COMPRESSED:
        # Of position t: the window, and t/m entries or as many of them as are selected.
        ratio = getattr(p, COMPRESSED[kind])
        most = p.index_topk * ratio if kind == "some entries" else length
        return under_a_ramp(length, p.sliding_window) + under_a_ramp(length, most) / ratio
    return under_a_ramp(
        length, {"window": p.sliding_window, "sparse": p.index_topk}.get(kind, length)
    )


def under_a_ramp(length: float, most: float) -> float:
    """Area under what grows with the position as far as it may."""
    ramp = min(most, length)
    return ramp**2 / 2 + (length - ramp) * most


def chunk_span(p: Point, kind: str, so_far: float) -> float:
    """Cached tokens that the chunk which ends at a position reads in one layer."""
    window = min(so_far, p.sliding_window + p.query_tokens)
    if kind == "window":
        return window
    if kind in COMPRESSED:
        return window + so_far / getattr(p, COMPRESSED[kind])
    return so_far


def request_metrics(p: Point, step: float, dollars_per_second: float) -> dict[str, float]:
    """Metrics of a request that fits, by the time of a step at its mean context."""
    decode = (p.output_len - 1) * step / tokens_of_a_step(p)
    prefill = prefill_parts(p)["step"]
    ttft = prefill / p.pp_size / p.chunks * (p.chunks + p.pp_size - 1)
    lanes = p.in_flight * p.dp_size * p.pp_size
    users = lanes * p.batch_size
    latency = ttft + decode * max(1.0, p.calls_per_answer / users)
    first = prefill / p.prefill_batch
    alone = decode
    if p.mixed_steps != "off":
        apart = Point(p.given[0], {**p.given[1], "mixed_steps": "off"})
        alone = (p.output_len - 1) * whole_step(apart)["step"] / tokens_of_a_step(p)
    each = first + alone * p.calls_per_answer / p.batch_size
    share = first / each
    if p.mixed_steps != "off":
        each = p.calls_per_answer * p.output_len * step / tokens_of_a_step(p) / p.batch_size
    first = share * each

    def by_token(seconds: float, tokens: float) -> float:
        return seconds / lanes / tokens

    rate = lanes / each
    return {
        "ttft": ttft,
        "request_latency": latency,
        "prefill_share": ttft / latency,
        "request_rate": rate,
        "dollars_per_request": dollars_per_second / (p.utilisation * rate),
        "dollars_per_input_token": dollars_per_second
        / p.utilisation
        * by_token(first, p.input_len),
        "dollars_per_output_token": dollars_per_second
        / p.utilisation
        * by_token(each - first, p.calls_per_answer * p.output_len),
        "worst_tpot": whole_step(p, worst=True)["step"] / tokens_of_a_step(p),
    }


FFN = ("experts", "ffn")
"""Operators of chips for feed-forward parts alone."""


def work_apart(p: Point) -> tuple[dict[str, Work], dict[str, Work]]:
    """Volumes on the chips of attention of one replica, and on those of feed-forward parts."""
    own = {name: one for name, one in step_work(p.but(ep_size=1.0)).items() if name not in FFN}
    return own, {name: one for name, one in step_work(p.served).items() if name in FFN}


def layers_apart(p: Point):
    """Yield of each layer its collectives on either kind of chips, and copies sent of a token."""
    for mixer, ffn, heads in zip(p.mixers(), p.ffns(), p.heads(), strict=True):
        placed = ffn == "moe" and p.is_ep
        after = 0.0 if ffn == "none" else 1.0
        if p.collectives == "fixed":
            after = min(after, p.collectives_per_layer)
        own = collectives_of(p.but(ep_size=1.0), mixer, ffn, heads) - after
        copies = 0.0 if ffn == "none" else 1.0
        if placed:
            copies = min(p.experts_per_token, p.ep_size) + (p.num_shared_experts > 0)
        yield own if p.tp_size > 1 else 0.0, 0.0 if placed or p.ffn_chips == 1 else after, copies


def exchanged_apart(p: Point) -> dict[str, float]:
    """What the chips exchange in one step, layer by layer; messages count with the hops."""
    a = p.hidden_size * p.activation_bits / 8
    rows = [*layers_apart(p)]
    own, beside, copies = (sum(column) for column in zip(*rows, strict=True))
    return {
        "tp_collectives": own + beside,
        "ep_collectives": 0.0,
        "pp_hops": p.pp_size - 1 + 2 * sum(1 for row in rows if row[2]),
        "tp_volume": 2 * a * p.query_tokens * ((p.tp_size - 1) * own + (p.ffn_chips - 1) * beside),
        "ep_volume": 0.0,
        "pp_volume": p.query_tokens * a * ((p.pp_size - 1) * p.tp_size * p.streams + 2 * copies),
    }


def message_seconds(p: Point, copies: float) -> float:
    """One message of so many copies of all tokens between the two kinds of chips."""
    if p.collective_algorithm == "constant":
        return p.hop_latency
    attention = p.tp_size * p.dp_size
    tokens = p.dp_size * p.batch_size * p.query_tokens
    payload = copies * tokens * p.hidden_size * p.activation_bits / 8
    each = payload / min(attention, p.ffn_chips)
    if p.topology == "rail" and attention + p.ffn_chips > p.scale_up_size:
        return p.scale_out_latency + each / p.scale_out_bw
    if p.topology in DIMENSIONS:
        passed = min(shape_of(p, int(attention)))
        links = 2 * DIMENSIONS[p.topology]
        return p.hop_latency + (passed - 1) * p.router_latency + passed * links * each / p.link_bw
    return p.hop_latency + each / p.link_bw


def quickest_reduce(q: Point, *, factor: float = 1.0, silent: bool = False) -> float:
    """One all-reduce, by what is quickest for the whole payload."""
    whole = q.tokens * q.hidden_size * q.activation_bits / 8
    names = [q.collective_algorithm]
    if names == ["best"]:
        sums_on_the_way = q.topology not in {"mesh-2d", "torus-2d", "torus-3d"}
        names = [name for name in ALGORITHMS if name != "in-network" or sums_on_the_way]
    best = min(names, key=lambda name: all_reduce_seconds(q, name, whole))
    return all_reduce_seconds(without_latency(q) if silent else q, best, factor * whole)


def without_latency(q: Point) -> Point:
    names = ("sync", "hop", "all_to_all", "router", "scale_out")
    return q.but(**{f"{name}_latency": 0.0 for name in names})


def waits_apart(p: Point, **how: float) -> tuple[float, float, float]:
    """Collectives on either kind of chips, and what else a micro-batch waits for."""
    factor = how.get("factor", 1.0)
    seen = without_latency(p) if how.get("silent") else p
    own = beside = 0.0
    whole = p.tokens * p.hidden_size * p.activation_bits / 8
    hops = (hop_seconds(seen, at, factor * p.streams * whole) for at in range(int(p.pp_size) - 1))
    sent = sum(hops)
    for collectives, of_ffn, copies in layers_apart(p):
        own += collectives * quickest_reduce(p, **how) if collectives else 0.0
        beside += of_ffn * quickest_reduce(p.served, **how) if of_ffn else 0.0
        sent += 2 * message_seconds(seen, factor * copies) if copies else 0.0
    return own, beside, sent


def step_apart(p: Point, *, worst: bool = False) -> dict[str, float]:
    """Those of a decode step; the worst one has the last chunk of prompts in each micro-batch."""
    own, beside = work_apart(p)
    if not worst:
        return parts_apart(p, own, beside)
    alone = step_work(p.but(ep_size=1.0))
    whole, even = with_last_chunk(p.but(ep_size=1.0), alone)
    own = {name: one for name, one in whole.items() if name not in FFN}
    even = p.but(batch_size=even.batch_size)
    return parts_apart(even, own, work_apart(even)[1])


def prefill_apart(p: Point, q: Point) -> dict[str, float]:
    """Those of the whole prefill, chunk by chunk, with one chunk of each prompt in ``q``."""
    whole = prefill_work(p, q.but(ep_size=1.0))
    own = {name: one for name, one in whole.items() if name not in FFN}
    beside = work_apart(q)[1]
    for one in beside.values():
        for volume in ("weights", "beside", "tensor", "slow", "vector"):
            setattr(one, volume, p.chunks * getattr(one, volume))
    return parts_apart(q, own, beside, p.chunks)


def parts_apart(
    p: Point, own: dict[str, Work], beside: dict[str, Work], chunks: float = 1.0
) -> dict[str, float]:
    """Times and volumes of a step with feed-forward parts on chips of their own."""
    sides_of = [(p.but(ep_size=1.0), own), (p.served, beside)]
    waiting = [
        [chunks * each for each in waits_apart(p, **how)]
        for how in ({}, {"factor": 0.0}, {"silent": True})
    ]
    rows = []
    for side, (q, work) in enumerate(sides_of):
        compute, memory, overlap = stage_times(q, work, p.mem_bw)
        sync = [times[side] for times in waiting]
        rows.append([compute, memory, *sync, overlap + sync[0]])
    alone = [sum(pair) for pair in zip(*rows, strict=True)]
    for place, times in ((2, waiting[0]), (3, waiting[1]), (4, waiting[2]), (5, waiting[0])):
        alone[place] += times[2]
    hopping = sum(
        hop_seconds(
            without_latency(p), at, p.streams * p.tokens * p.hidden_size * p.activation_bits / 8
        )
        for at in range(int(p.pp_size) - 1)
    )
    m, link = p.in_flight, (waiting[2][2] - chunks * hopping) / 2
    if p.collective_algorithm == "constant":
        link = 0.0
    links = [alone[0], alone[1], m * link, 0.0, m * link, m * link]
    candidates = [alone, *([m * each for each in row] for row in rows), links]
    names = ("compute", "memory", "sync", "latency", "payload", "step")
    times = dict(zip(names, max(candidates, key=lambda row: row[5]), strict=True))
    volumes = dict.fromkeys(("weights", "kv", "flops", "slow"), 0.0)
    shares = []
    for (q, work), replicas in zip(sides_of, (1.0, p.dp_size), strict=True):
        found = paced(q, work)
        own = {
            "weights": sum((w.weights + w.beside) * slow for w, (_, slow) in found),
            "kv": sum(w.kv * slow for w, (_, slow) in found),
            "flops": sum(w.tensor * slow for w, (slow, _) in found),
            "slow": sum(w.slow * slow for w, (slow, _) in found),
        }
        volumes = {name: value + own[name] / replicas for name, value in volumes.items()}
        shares.append(own)
    return times | volumes | {"sides": shares}


def memory_apart(p: Point) -> tuple[float, float]:
    """Weights of one replica on the chips of attention, and of all on those of the others."""
    counts, beside = counted_matrices(p)
    own = sum(counts[n] * p.byte(part) for n, part in PARTS.items() if n != "ffn")
    own += (beside["norms"] + beside["head"]) * p.byte("head")
    own += beside["embedding"] * p.byte("embedding")
    experts = expert_bytes(p, counts["expert"]) * kept_experts(p.served)
    return own, counts["ffn"] * p.byte("ffn") + experts


def in_memory(p: Point, sequences: float) -> float:
    """Bytes of so many sequences whose prompts begin with the same tokens."""
    whole, rest = whole_stored(p)[1], whole_stored(without_prefix(p))[1]
    return whole - rest + sequences * rest


@dataclass
class Fill:
    """What chips of one kind store."""

    weights: float
    room: float
    chips: float
    held: float


def fills(p: Point, stored: float) -> list[Fill]:
    """Of one replica's chips, and of chips for feed-forward parts alone, before any sequence."""
    each = p.mem_capacity * p.usable_fraction + p.sram_capacity + p.lpddr_capacity
    weights = memory_apart(p) if p.ffn_chips else [stored]
    sizes = (p.tp_size * p.pp_size, p.ffn_chips * p.pp_size)
    return [Fill(own, size * each, size, own) for own, size in zip(weights, sizes, strict=False)]


def filled_batch(p: Point, kinds: list[Fill], prompts: float) -> float:
    """The micro-batch that fills the memory beside what all sequences share."""
    own, *others = kinds
    common, sequence = in_memory(p, 0.0), in_memory(p, 1.0) - in_memory(p, 0.0)
    free = own.room - own.weights - common
    if own.weights + prompts > own.room or any(kind.held > kind.room for kind in others):
        return 0.0
    if sequence > 0:
        return max(0.0, free / (p.in_flight * p.pp_size * sequence))
    return math.inf if own.weights + common <= own.room else 0.0


def power_of(p: Point, parts: dict) -> float:
    """Power of all chips with their servers."""
    server = p.server_power / p.chips_per_server
    if p.power_model == "provisioned":
        each = p.base_power + p.die_area * p.power_density + p.mem_energy * p.mem_bw + server
        return p.pp_size * (p.tp_size * p.dp_size + p.ffn_chips) * each
    kinds = [(p.tp_size, p.dp_size, parts)]
    if p.ffn_chips:
        of_attention, of_ffn = parts["sides"]
        kinds = [(p.tp_size, p.dp_size, of_attention), (p.ffn_chips, 1.0, of_ffn)]
    power = 0.0
    for size, times, done in kinds:
        energy = p.read_energy * (done["weights"] + done["kv"]) + p.flop_energy * done["flops"]
        busy = p.idle_power + p.in_flight * energy / (size * parts["step"])
        busy = min(busy, p.power_cap) if p.power_cap else busy
        power += p.pp_size * times * size * (busy + server)
    return power


@dataclass
class Filled:
    """What a point stores, and what it has room for."""

    weights: float
    kv: float
    batch: float
    full: Fill  # of the kinds of chips the one with the least room


def filled(p: Point) -> Filled:
    """What a point stores when its requests are longest."""
    prompts = 0.0  # of a request, as many as are prefilled together
    if p.input_len:
        held = p.but(seq_len=p.input_len)
        prompts = in_memory(held, p.in_flight * p.pp_size * p.prefill_batch)
        p = p.but(seq_len=p.input_len + p.output_len)
    stored, _ = whole_stored(p)
    stored_kv = max(in_memory(p, p.in_flight * p.pp_size * p.batch_size), prompts)
    kinds = fills(p, stored)
    if p.ffn_chips:
        stored = kinds[0].weights + kinds[1].weights / p.dp_size
    batch = filled_batch(p, kinds, prompts)
    kinds[0].held += stored_kv
    return Filled(stored, stored_kv, batch, max(kinds, key=lambda kind: kind.held / kind.room))


def bytes_per_chip(numbers: Mapping[str, float], switches: Mapping[str, str]) -> float:
    """What the fullest chip of a point stores."""
    full = filled(Point(numbers, switches)).full
    return full.held / full.chips


def reference(numbers: Mapping[str, float], switches: Mapping[str, str]) -> dict[str, float]:
    """Return every metric of one point."""
    p = Point(numbers, switches)
    found = filled(p)
    full, batch = found.full, found.batch
    largest = math.floor(batch) if batch < math.inf else batch
    feasible = full.held <= full.room

    if p.input_len:
        p = p.but(seq_len=p.input_len + p.output_len / 2)
    step_parts = whole_step(p)
    compute, memory, sync = (step_parts[name] for name in ("compute", "memory", "sync"))
    sync_latency, sync_payload = (step_parts[name] for name in ("latency", "payload"))
    step, tokens = step_parts["step"], tokens_of_a_step(p)
    users = p.in_flight * p.dp_size * p.pp_size * p.batch_size
    stps = users * tokens / step
    chips = p.pp_size * (p.tp_size * p.dp_size + p.ffn_chips)
    weight_traffic, kv_traffic, flops = (step_parts[n] for n in ("weights", "kv", "flops"))
    streams = p.mem_bw + sum(
        rate
        for size, rate in ((p.sram_capacity, p.sram_bw), (p.lpddr_capacity, p.lpddr_bw))
        if size > 0
    )
    power = power_of(p, step_parts)
    price = (
        p.chip_price
        + p.mem_price * p.mem_capacity
        + p.network_price
        + p.server_price / p.chips_per_server
    )
    capital = chips * price
    dollars_per_second = capital / p.depreciation_time + p.electricity_price * p.pue * power
    at_work = (p.tp_size + p.ffn_chips / p.dp_size) / p.in_flight
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
        "utps": tokens / step,
        "stps": stps,
        "tpot": step / tokens,
        "weight_bytes": found.weights,
        "kv_bytes": found.kv,
        "bytes_per_chip": full.held / full.chips,
        "weight_traffic": weight_traffic,
        "kv_traffic": kv_traffic,
        "flops": flops,
        **exchanged(p),
        "batch_capacity": batch,
        "max_batch_size": largest,
        "feasible": feasible,
        "limit": CODES[slowest if feasible else "capacity"],
        "next_limit": CODES[second if feasible else slowest],
        "limit_factor": ahead if feasible else full.held / full.room,
        "compute_to_memory": compute / memory,
        "sync_to_work": sync / max(compute, memory),
        "capacity_utilisation": full.held / full.room,
        "bandwidth_utilisation": (weight_traffic + kv_traffic) / (at_work * streams * step),
        "flops_utilisation": step_parts["slow"] / (at_work * p.peak_flops * step),
        "num_chips": chips,
        "users": users,
        "stps_per_chip": stps / chips,
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
    if not (p.input_len and feasible):
        return metrics | dict.fromkeys(REQUESTED, math.nan)
    return metrics | request_metrics(p, step, dollars_per_second)
