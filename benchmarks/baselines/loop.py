"""The hand-written loop, ``loop.c``, compiled for this machine and called by ctypes."""

import ctypes
import dataclasses
import functools
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxlimits.grid.scenario import Scenario

SOURCE = Path(__file__).with_name("loop.c")
COMPILE = ("cc", "-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC")

AXES = ("llm", "seq_len", "tp_size", "batch_size", "mem_bw", "sync_latency")
CONVENTIONS = {
    "accounting": "layers",
    "roofline": "step",
    "kv_sharding": "split",
    "mla_weights": "absorbed",
    "attention_span": "full",
    "vector_work": "off",
    "collectives": "fixed",
    "collective_algorithm": "constant",
}
"""What the loop is written for."""

LLM_FIELDS = (
    "num_layers", "hidden_size", "num_heads", "num_kv_heads", "head_dim", "q_lora_rank",
    "kv_lora_rank", "qk_rope_head_dim", "intermediate_size", "num_moe_layers", "num_experts",
    "experts_per_token", "num_shared_experts", "moe_intermediate_size",
)  # fmt: skip
"""Fields of a model, in the order of the loop's own record."""

_CONSTANTS = (
    "peak_flops", "mem_capacity", "collectives_per_layer", "weight_bits", "kv_bits",
    "chip_power", "mem_energy",
)  # fmt: skip
"""Numbers that the loop takes: see :func:`constants_of`."""

_CHIP = (
    "peak_flops", "mem_capacity", "usable_fraction", "collectives_per_layer", "weight_bits",
    "kv_bits", "base_power", "die_area", "power_density", "mem_energy", "server_power",
    "chips_per_server",
)  # fmt: skip

CHUNK_POINTS = 1 << 21
"""Points of a chunk of dense outputs, as the engine has on a CPU."""

ELASTICITIES = ("mem_bw", "peak_flops", "sync_latency", "batch_size", "seq_len")

_POINTER = ctypes.c_void_p


class _Grid(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("llms", "seqs", "tps", "batches", "bws", "lats")),
        *((name, _POINTER) for name in AXES),
        *((name, ctypes.c_double) for name in _CONSTANTS),
    )


@functools.cache
def library() -> ctypes.CDLL:
    """Compile the loop in a temporary folder and load it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "loop.so")
        subprocess.run([*COMPILE, "-o", str(target), str(SOURCE), "-lm"], check=True)
        loaded = ctypes.CDLL(str(target))
    loaded.reduce_max.restype = ctypes.c_float
    loaded.reduce_mean.restype = ctypes.c_double
    loaded.reduce_frontier.restype = ctypes.c_int64
    loaded.row_bytes.restype = ctypes.c_int64
    return loaded


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """A grid as the loop takes it, with room for its results, touched once.

    Parameters
    ----------
    shape
        Lengths of :data:`AXES`.
    grid, columns
        The loop's own record, and the arrays that it points to.
    rows
        Room for the terms of each row.
    """

    shape: tuple[int, ...]
    grid: _Grid
    columns: Mapping[str, np.ndarray]
    rows: np.ndarray

    @property
    def num_rows(self) -> int:
        """Rows: combinations of all axes but the last two."""
        return int(np.prod(self.shape[:4]))

    @property
    def row_points(self) -> int:
        """Points of a row."""
        return self.shape[4] * self.shape[5]

    @property
    def chunk_rows(self) -> int:
        """Rows of a chunk."""
        return max(1, min(self.num_rows, CHUNK_POINTS // self.row_points))

    def room(self, dtype: type = np.float32) -> np.ndarray:
        """Return room for one dense output of a chunk."""
        return np.ones(self.chunk_rows * self.row_points, dtype)

    def kept(self, dtype: type) -> np.ndarray:
        """Return room for what is kept of tp_size and batch_size."""
        llm, seq, _, _, *inner = self.shape
        return np.ones((llm, seq, *inner), dtype)

    def prepare(self) -> None:
        """Compute the terms of every row; part of every measured run."""
        library().make_rows(ctypes.byref(self.grid), _address(self.rows))

    def dense(self, function: str, *outputs: object):
        """Run a dense case over all chunks; yield the rows of each, whose results are in place."""
        self.prepare()
        for first in range(0, self.num_rows, self.chunk_rows):
            last = min(first + self.chunk_rows, self.num_rows)
            getattr(library(), function)(
                ctypes.byref(self.grid),
                _address(self.rows),
                ctypes.c_int64(first),
                ctypes.c_int64(last),
                *(_argument(output) for output in outputs),
            )
            yield slice(first, last)

    def reduce(self, function: str, *arguments: object) -> float | None:
        """Run a reduction over the whole grid."""
        self.prepare()
        return getattr(library(), function)(
            ctypes.byref(self.grid), _address(self.rows), *map(_argument, arguments)
        )


def make_loop(scenario: Scenario) -> Loop:
    """Hand a grid to the loop.

    Raises
    ------
    ValueError
        The grid has other axes or conventions than the loop is written for.
    """
    names = [axis.name for axis in scenario.axes]
    if names != [name for name in AXES if name in names]:
        raise ValueError(f"axes {names}: the loop has {', '.join(AXES)}, in this order")
    for name, choice in CONVENTIONS.items():
        if scenario.switches[name] != choice:
            raise ValueError(f"{name} = {scenario.switches[name]!r}: the loop has {choice!r}")
    lengths = dict(zip(names, scenario.shape, strict=True))
    shape = tuple(lengths.get(name, 1) for name in AXES)
    columns = {name: column_of(scenario, name) for name in AXES[1:]}
    models = [np.broadcast_to(column_of(scenario, name), shape[0]) for name in LLM_FIELDS]
    columns["llm"] = np.ascontiguousarray(np.stack(models, axis=1))
    constants = constants_of(scenario)
    grid = _Grid(*shape, *(columns[name].ctypes.data for name in AXES), *constants.values())
    rows = np.zeros(int(np.prod(shape[:4])) * library().row_bytes(), np.uint8)
    return Loop(shape=shape, grid=grid, columns=columns, rows=rows)


def column_of(scenario: Scenario, name: str) -> np.ndarray:
    """Return a field along the axis that it varies on, or its one value [SI]."""
    return np.ascontiguousarray(scenario.effective(name).ravel())


def constants_of(scenario: Scenario) -> dict[str, float]:
    """Return what does not vary: usable memory, and the power of a chip without its memory [SI]."""
    of = {name: float(column_of(scenario, name)[0]) for name in _CHIP}
    server = of["server_power"] / of["chips_per_server"]
    return {
        "peak_flops": of["peak_flops"],
        "mem_capacity": of["mem_capacity"] * of["usable_fraction"],
        "collectives_per_layer": of["collectives_per_layer"],
        "weight_bits": of["weight_bits"],
        "kv_bits": of["kv_bits"],
        "chip_power": of["base_power"] + of["die_area"] * of["power_density"] + server,
        "mem_energy": of["mem_energy"],
    }


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _argument(value: object) -> object:
    """What ctypes passes: arrays by address, lists of them, whole numbers as int64, or doubles."""
    if isinstance(value, np.ndarray):
        return _address(value)
    if isinstance(value, list):
        return (_POINTER * len(value))(*(array.ctypes.data for array in value))
    if isinstance(value, int):
        return ctypes.c_int64(value)
    return ctypes.c_double(value) if isinstance(value, float) else value
