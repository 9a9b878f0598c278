"""The limit model as a good user of NumPy would write it for these grids.

Small arrays are kept small: volumes lie on (llm, seq_len, tp_size, batch_size), memory time on
these and mem_bw, synchronisation on these and sync_latency; only the last operations touch the full
grid, in float32, a few rows at a time, on one core. Rows that do not fit are NaN before they are
spread. Conventions and axes are those of :mod:`benchmarks.baselines.loop`.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from benchmarks.baselines.loop import AXES, CHUNK_POINTS, LLM_FIELDS, column_of, constants_of
from jaxlimits.grid.scenario import Scenario

Outputs = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Volumes:
    """What the points rest on, in float32: a value a row, or along one inner axis.

    Parameters
    ----------
    terms
        By name, one value a row (llm, seq_len, tp_size, batch_size).
    fits
        Whether each row fits in memory.
    mem_bw, sync_latency
        The inner axes.
    mem_energy
        Memory power by bandwidth.
    """

    terms: dict[str, np.ndarray]
    fits: np.ndarray
    mem_bw: np.ndarray
    sync_latency: np.ndarray
    mem_energy: float


def volumes_of(scenario: Scenario) -> Volumes:
    """Compute the volumes of every row."""

    def along(name: str, axis: int) -> np.ndarray:
        return column_of(scenario, name).reshape([-1 if i == axis else 1 for i in range(4)])

    m = {name: along(name, 0) for name in LLM_FIELDS}
    seq, tp, batch = (along(name, axis) for axis, name in enumerate(AXES[1:4], start=1))
    chip = constants_of(scenario)
    weights, expert = _weights(m)
    sparse = m["num_experts"] > m["experts_per_token"]
    share = m["experts_per_token"] / np.where(sparse, m["num_experts"], np.inf)
    touched = m["num_experts"] * np.where(sparse, 1 - (1 - share) ** batch, 1.0)
    latent = m["kv_lora_rank"] + m["qk_rope_head_dim"]
    span = seq * m["num_layers"]
    kv = batch * span * (2 * m["num_kv_heads"] * m["head_dim"] + latent) * chip["kv_bits"] / 8
    attention = 4 * m["num_heads"] * m["head_dim"]
    attention = attention + 2 * m["num_heads"] * (latent + m["kv_lora_rank"])
    flops = 2 * batch * (weights + m["experts_per_token"] * expert) + batch * span * attention
    byte = chip["weight_bits"] / 8
    stored, read = (weights + m["num_experts"] * expert) * byte, (weights + touched * expert) * byte
    capacity = tp * chip["mem_capacity"]
    terms = {
        "traffic": (read + kv) / tp,
        "t_compute": flops / (tp * chip["peak_flops"]),
        "syncs": np.where(tp > 1, m["num_layers"] * chip["collectives_per_layer"], 0.0),
        "tokens": batch,
        "weight_bytes": stored,
        "kv_bytes": kv,
        "weight_traffic": read,
        "kv_traffic": kv,
        "flops": flops,
        "chips": tp,
        "capacity": capacity,
        "stage_flops": tp * chip["peak_flops"],
        "max_batch_size": np.maximum(np.floor((capacity - stored) / (kv / batch)), 0.0),
        "chip_power": tp * chip["chip_power"],
    }
    shape = np.broadcast_shapes(*(term.shape for term in terms.values()))
    flat = {name: np.broadcast_to(term, shape).ravel() for name, term in terms.items()}
    return Volumes(
        terms={name: term.astype(np.float32) for name, term in flat.items()},
        fits=np.broadcast_to(stored + kv <= capacity, shape).ravel(),
        mem_bw=column_of(scenario, "mem_bw").astype(np.float32),
        sync_latency=column_of(scenario, "sync_latency").astype(np.float32),
        mem_energy=chip["mem_energy"],
    )


def _weights(m: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Weights that every token uses, and those of one routed expert, over all layers."""
    d, heads = m["hidden_size"], m["num_heads"]
    latent = m["kv_lora_rank"] + m["qk_rope_head_dim"]
    rows = np.where(m["q_lora_rank"] > 0, m["q_lora_rank"], d)
    attention = d * m["head_dim"] * (heads + 2 * m["num_kv_heads"])
    attention = attention + d * m["q_lora_rank"] + rows * heads * latent + d * latent
    attention = attention + heads * (m["head_dim"] + m["kv_lora_rank"]) * d
    expert = 3 * d * m["moe_intermediate_size"] * m["num_moe_layers"]
    dense = 3 * d * m["intermediate_size"] * (m["num_layers"] - m["num_moe_layers"])
    router = m["num_moe_layers"] * d * m["num_experts"]
    common = m["num_layers"] * attention + dense + router + m["num_shared_experts"] * expert
    return common, expert


def utps_only(v: Volumes, rows: slice) -> Outputs:
    """Speed of one user, (row, mem_bw, sync_latency)."""
    _, _, busy, sync = _times(v, rows)
    return {"utps": 1 / (busy[:, :, None] + sync[:, None, :])}


def three(v: Volumes, rows: slice) -> Outputs:
    """Speed, throughput and what binds."""
    t_compute, t_mem, busy, sync = _times(v, rows)
    utps = 1 / (busy[:, :, None] + sync[:, None, :])
    stps = v.terms["tokens"][rows, None, None] * utps
    return {"utps": utps, "stps": stps, "limit": _limit(v, rows, t_compute, t_mem, sync)}


def everything(v: Volumes, rows: slice) -> Outputs:
    """Every output of the model, each in an array of its own."""
    t_compute, t_mem, busy, sync = _times(v, rows)
    row = {name: term[rows, None, None] for name, term in v.terms.items()}
    t_step = busy[:, :, None] + sync[:, None, :]
    utps = 1 / t_step
    stps = row["tokens"] * utps
    bw = v.mem_bw[None, :, None]
    stored = row["weight_bytes"] + row["kv_bytes"]
    traffic = row["weight_traffic"] + row["kv_traffic"]
    power = row["chip_power"] + row["chips"] * np.float32(v.mem_energy) * bw
    fits = v.fits[rows, None]
    small = {
        "t_compute": np.where(fits, t_compute[:, None], np.nan)[:, :, None],
        "t_mem": np.where(fits, t_mem, np.nan)[:, :, None],
        "t_sync": np.where(fits, sync, np.nan)[:, None, :],
        "weight_bytes": row["weight_bytes"],
        "kv_bytes": row["kv_bytes"],
        "bytes_per_chip": stored / row["chips"],
        "weight_traffic": row["weight_traffic"],
        "kv_traffic": row["kv_traffic"],
        "flops": row["flops"],
        "max_batch_size": row["max_batch_size"],
        "feasible": fits[:, :, None].astype(np.int8),
        "capacity_utilisation": stored / row["capacity"],
        "power": power,
    }
    return {
        **{name: np.broadcast_to(array, t_step.shape).copy() for name, array in small.items()},
        "t_step": t_step,
        "tpot": t_step.copy(),
        "utps": utps,
        "stps": stps,
        "limit": _limit(v, rows, t_compute, t_mem, sync),
        "bandwidth_utilisation": traffic / (row["chips"] * bw) * utps,
        "flops_utilisation": row["flops"] / row["stage_flops"] * utps,
        "energy_per_token": power / stps,
        "stps_per_watt": stps / power,
    }


def _times(v: Volumes, rows: slice) -> tuple[np.ndarray, ...]:
    """Compute and memory time, the larger of them with NaN where it does not fit, and sync."""
    t_compute = v.terms["t_compute"][rows]
    t_mem = v.terms["traffic"][rows, None] / v.mem_bw
    busy = np.where(v.fits[rows, None], np.maximum(t_compute[:, None], t_mem), np.nan)
    sync = v.terms["syncs"][rows, None] * v.sync_latency
    return t_compute, t_mem, busy.astype(np.float32), sync


def _limit(
    v: Volumes, rows: slice, t_compute: np.ndarray, t_mem: np.ndarray, sync: np.ndarray
) -> np.ndarray:
    slower = (t_compute[:, None] > t_mem).astype(np.int8)
    synced = sync[:, None, :] > np.maximum(t_compute[:, None], t_mem)[:, :, None]
    limit = np.where(synced, np.int8(2), slower[:, :, None])
    limit[~v.fits[rows]] = 3
    return limit


def chunks(v: Volumes) -> Iterator[slice]:
    """Yield a few rows at a time, as many points as a chunk of the engine has on a CPU."""
    points = len(v.mem_bw) * len(v.sync_latency)
    step = max(1, CHUNK_POINTS // points)
    for first in range(0, len(v.fits), step):
        yield slice(first, min(first + step, len(v.fits)))
