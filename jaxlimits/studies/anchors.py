"""Anchors: published figures beside what this build gives.

Each anchor is a public :func:`jaxlimits.evaluate` call, a figure, and how near the call must come
to it. Figures are *published* (arXiv:2507.14397), *inferred* from published ones, or *ours* (solved
from the same model).
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jaxlimits import schema
from jaxlimits.errors import InputError, placed
from jaxlimits.grid.axes import check_name
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Metrics
from jaxlimits.points.named_point import evaluate

Settings = Mapping[str, object]
Ask = Callable[..., Metrics]
"""``evaluate`` with the caller's own settings added to each call."""

_FP8 = {"weight_bits": 8, "kv_bits": 8, "compute_bits": 8}

PAPER = {
    "vector_work": "off",
    "mla_weights": "absorbed",
    "attention_span": "full",
    "kv_sharding": "split",
    "collective_algorithm": "constant",
    **_FP8,
}
"""Conventions of the paper; its collectives are the default 3 a layer (inferred)."""

_NOMINAL = {**PAPER, "accounting": "nominal"}
_TARGET_UTPS = 2000.0

_UTPS = {
    (8, 4096): 86,
    (8, 131072): 80,
    (32, 4096): 290,
    (32, 131072): 271,
    (128, 4096): 776,
    (128, 131072): 743,
}
_PARAMETERS = {  # billions, active and total; layers only, MLA absorbed
    "llama3-8b": (7, 7),
    "llama3-70b": (68, 68),
    "llama3-405b": (402, 402),
    "llama4-scout": (15, 106),
    "llama4-maverick": (15, 399),
    "deepseek-v3": (61, 694),
    "kimi-k2": (43, 1000),
    "qwen3-4b": (4, 4),
    "qwen3-30b": (3, 30),
    "qwen3-235b": (21, 234),
    "gpt-oss-20b": (3, 20),
    "gpt-oss-120b": (5, 116),
}
_KIMI_TOTAL = 1036.6
_KV_BYTES = {"llama3-405b": 258048, "llama3-70b": 163840, "deepseek-v3": 35136}
_SYNC_PER_LAYER = {(8, "0.2 us"): 0.6, (32, "1.5 us"): 4.5, (128, "1.5 us"): 4.5}
_LAYERS_405B = 126
_SYNC_FOR_TARGET = {"xpu-hbm4": 0.899, "xpu-3d-dram": 1.068, "xpu-cows": 1.319}
_GEMV = LLM(  # one matrix of 2^28 weights, by its nominal size; nothing is cached
    num_layers=1.0,
    hidden_size=16384.0,
    vocab_size=1.0,
    num_heads=1.0,
    num_kv_heads=1.0,
    head_dim=1.0,
    nominal_params=2.0**28,
    nominal_active_params=2.0**28,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """One figure and what this build says.

    Parameters
    ----------
    name, unit, status
        What it is; ``status`` is ``published``, ``inferred`` or ``ours``.
    stated, value
        The figure as printed, and this build's.
    verdict
        ``ok``, ``OFF``, or ``known``: not the figure as printed, for the reason in the remark.
    remark
        Convention, or why the two differ.
    """

    name: str
    unit: str
    status: str
    stated: float
    value: float
    verdict: str
    remark: str = ""


def check_anchors(settings: Settings | None = None) -> Iterator[Anchor]:
    """Evaluate every anchor.

    Parameters
    ----------
    settings
        Values added to every call, to see which anchors rest on them: ``{"mem_bw_scale": 1.05}``.

    Raises
    ------
    InputError
        An unknown name, or one that each anchor has of its own.
    """
    extra = settings or {}
    for name in extra:
        check_name(name, key=name)
        if name in schema.REQUIRED:
            raise InputError("each anchor has its own", key=name)

    def ask(llm: str | LLM, chip: str, **given: Any) -> Metrics:
        with placed("validate"):
            return evaluate(llm, chip, **{**given, **extra})

    yield from _utps(ask)
    yield from _capacity_and_gemv(ask)
    yield _utilisation(ask)
    yield from _kv_cache(ask)
    yield from _sync_of_a_layer(ask)
    yield from _parameters(ask)
    yield from _sync_latencies(ask)


def _anchor(
    name: str, unit: str, status: str, stated: float, value: float, holds: bool, remark: str
) -> Anchor:
    return Anchor(
        name=name,
        unit=unit,
        status=status,
        verdict="ok" if holds else "OFF",
        stated=stated,
        value=value,
        remark=remark,
    )


def _rounded(name: str, unit: str, stated: int, value: float, remark: str) -> Anchor:
    """A published figure, met when the value rounds to it."""
    return _anchor(name, unit, "published", float(stated), value, round(value) == stated, remark)


def _near(
    name: str, unit: str, status: str, stated: float, value: float, tolerance: float, remark: str
) -> Anchor:
    """A figure met when the value lies within a tolerance."""
    return _anchor(name, unit, status, stated, value, abs(value - stated) <= tolerance, remark)


def _utps(ask: Ask) -> Iterator[Anchor]:
    for (tp_size, seq_len), stated in _UTPS.items():
        latency = "0.2 us" if tp_size == 8 else "1.5 us"
        point = ask(
            "llama3-405b",
            "xpu-hbm3",
            tp_size=tp_size,
            seq_len=seq_len,
            sync_latency=latency,
            **_NOMINAL,
        )
        name = f"utps llama3-405b xpu-hbm3 TP{tp_size} {seq_len}"
        remark = f"nominal weights, 3 × {latency} a layer (latency inferred)"
        yield _rounded(name, "token/s", stated, float(point.utps), remark)


def _capacity_and_gemv(ask: Ask) -> Iterator[Anchor]:
    point = ask("llama3-405b", "xpu-hbm3", seq_len=65536, batch_size=32, **_NOMINAL)
    stored = float(point.weight_bytes + point.kv_bytes) / 2**30
    yield _rounded("capacity llama3-405b 65536 × 32 users", "GiB", 881, stored, "nominal, FP8")
    bits = {"weight_bits": 16, "compute_bits": 16, "seq_len": 0}
    gemv = ask(_GEMV, "h100", mem_bw="3.35 TiB/s", **{**_NOMINAL, **bits})
    remark = "bf16; TB read as 2^40 (inferred)"
    yield _rounded("GEMV 1 × 16384 × 16384 on h100", "us", 146, 1e6 * float(gemv.t_mem), remark)


def _utilisation(ask: Ask) -> Anchor:
    shares = [
        float(ask("llama3-405b", "xpu-hbm3", tp_size=tp, seq_len=s, **_NOMINAL).flops_utilisation)
        for tp in (8, 32, 128)
        for s in (4096, 131072)
    ]
    name = "tensor utilisation llama3-405b xpu-hbm3 TP8–128, at most"
    remark = "one user, 4096–131072 tokens"
    value = 100.0 * max(shares)
    return _anchor(name, "%", "published", 1.0, value, value <= 1.0, remark)


def _kv_cache(ask: Ask) -> Iterator[Anchor]:
    for llm, stated in _KV_BYTES.items():
        point = ask(llm, "xpu-hbm4", seq_len=1, **_NOMINAL)
        name = f"KV cache of one token, {llm}"
        yield _rounded(name, "B", stated, float(point.kv_bytes), "FP8, all layers")


def _sync_of_a_layer(ask: Ask) -> Iterator[Anchor]:
    for (tp_size, latency), stated in _SYNC_PER_LAYER.items():
        asked = {**_NOMINAL, "tp_size": tp_size, "sync_latency": latency}
        seconds = float(ask("llama3-405b", "xpu-hbm3", **asked).t_sync) / _LAYERS_405B
        remark = f"3 collectives of {latency}"
        name = f"exposed sync of one layer at TP{tp_size}"
        yield _near(name, "us", "inferred", stated, 1e6 * seconds, 5e-4, remark)


def _parameters(ask: Ask) -> Iterator[Anchor]:
    layers = {**PAPER, "accounting": "layers"}
    for llm, stated in _PARAMETERS.items():
        point = ask(llm, "xpu-hbm4", **layers)
        counts = {"active": float(point.weight_traffic), "total": float(point.weight_bytes)}
        for (kind, elements), figure in zip(counts.items(), stated, strict=True):
            name = f"{kind} parameters {llm}"
            anchor = _rounded(name, "1e9", figure, elements / 1e9, "layers only, MLA absorbed")
            if name == "total parameters kimi-k2":
                known = "known" if abs(anchor.value - _KIMI_TOTAL) < 0.05 else "OFF"
                remark = "printed as 1T; recomputes to 1036.6"
                anchor = dataclasses.replace(anchor, verdict=known, remark=remark)
            yield anchor


def _sync_latencies(ask: Ask) -> Iterator[Anchor]:
    """The collective latency that gives 2,000 token/s, from the two ends of a straight line."""
    asked = {**_NOMINAL, "tp_size": 128, "seq_len": 4096}
    remark = "nominal, TP128, 4096 tokens, 3 a layer"
    for chip, stated in _SYNC_FOR_TARGET.items():
        at_zero = ask("llama3-405b", chip, sync_latency="0 us", **asked).t_step
        at_one = ask("llama3-405b", chip, sync_latency="1 us", **asked).t_step
        latency = float((1.0 / _TARGET_UTPS - at_zero) / (at_one - at_zero))
        name = f"sync latency for 2000 utps on {chip}"
        yield _near(name, "us", "ours", stated, latency, 6e-4, remark)
    floor = 1e6 * float(ask("llama3-405b", "xpu-hbm3", **asked).t_mem)
    name = "memory floor of xpu-hbm3, above 500 us: 2000 utps unreachable"
    yield _near(name, "us", "ours", 721.0, floor, 0.6, remark)
    filled = float(ask("llama3-405b", "xpu-sram", **asked).capacity_utilisation)
    name = "fill of xpu-sram, above 1: does not fit"
    yield _anchor(name, "1", "ours", 1.0, filled, filled > 1.0, remark)
