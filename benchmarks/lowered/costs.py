"""What a compiled program moves, computes and starts, counted from its instructions.

Every instruction outside a fusion is one kernel. It reads its operands and writes its results once;
of an operand that a fusion only slices or gathers from it reads what it takes, and an update in
place writes what is new. Work is counted by what a streaming multiprocessor issues: one slot a
number for an addition, more for what it computes in several steps.
"""

import dataclasses
from collections.abc import Iterator

from benchmarks.lowered.hlo import Computation, Instruction, Module

_FREE = {
    *("parameter", "constant", "bitcast", "get-tuple-element", "tuple", "after-all", "iota"),
    *("partition-id", "replica-id", "opt-barrier"),
}
"""Instructions that start no kernel."""

_SLICES = {"dynamic-slice", "gather", "slice"}

_MOVES = {*_FREE, *_SLICES, "broadcast", "reshape", "transpose", "copy", "concatenate", "pad"}
"""Instructions whose numbers come from elsewhere: addresses alone."""

_SLOTS = {
    "divide": 8,
    "remainder": 12,
    "exponential": 8,
    "log": 8,
    "log-plus-one": 12,
    "exponential-minus-one": 12,
    "power": 24,
    "sqrt": 6,
    "rsqrt": 4,
    "tanh": 16,
}
"""Issue slots of one number where they are not one; from the sequences that ptxas makes of them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Cost of one kernel, or of several.

    Parameters
    ----------
    kernels
        How many are started.
    bytes
        Read and written in memory [B].
    slots
        Instructions issued for all numbers [1].
    atomics
        Updates of shared counters.
    sorts
        Kernels that sort.
    transfers
        Copies to or from the host.
    """

    kernels: float = 0.0
    bytes: float = 0.0
    slots: float = 0.0
    atomics: float = 0.0
    sorts: float = 0.0
    transfers: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            **{
                field.name: getattr(self, field.name) + getattr(other, field.name)
                for field in dataclasses.fields(Cost)
            }
        )

    def __mul__(self, times: float) -> "Cost":
        return Cost(
            **{field.name: times * getattr(self, field.name) for field in dataclasses.fields(Cost)}
        )


def kernels_of(module: Module) -> Iterator[tuple[str, Cost]]:
    """Yield every kernel of a program by name, those of a loop as often as it runs."""
    yield from _kernels(module, module.entry, 1.0)


def cost_of(module: Module) -> Cost:
    """Sum the costs of a program's kernels."""
    return sum((cost for _, cost in kernels_of(module)), start=Cost())


def _kernels(module: Module, name: str, times: float) -> Iterator[tuple[str, Cost]]:
    computation = module.computations[name]
    for one in computation.values():
        if one.operation in ("while", "call", "async-start") and one.called:
            yield from _kernels(module, one.called, times * one.trips)
        elif one.operation not in _FREE:
            yield one.name, _cost(module, computation, one) * times


def _cost(module: Module, computation: Computation, one: Instruction) -> Cost:
    inner = module.computations.get(one.called, {}) if one.operation == "fusion" else {}
    within = inner.values() if inner else [one]

    def count(*names: str) -> float:
        return float(sum(each.operation in names for each in within))

    return Cost(
        kernels=1.0,
        bytes=_read(computation, one, inner) + _written(one, inner),
        slots=sum(_slots(each, inner) for each in within),
        atomics=sum(_updates(each, inner or computation) for each in within),
        sorts=count("sort"),
        transfers=float(one.operation in ("infeed", "outfeed", "send", "recv", "copy-start")),
    )


def _read(computation: Computation, one: Instruction, inner: Computation) -> float:
    """Bytes that a kernel reads of its operands."""
    whole = [computation[name].bytes for name in one.operands if name in computation]
    if not inner:
        return sum(whole) if one.operation not in _SLICES else one.bytes
    parameters = [each for each in inner.values() if each.operation == "parameter"]
    return sum(_taken(each.name, inner) for each in parameters)


def _taken(name: str, inner: Computation) -> float:
    """Bytes of a parameter that a fusion uses: slices alone where nothing else reads it."""
    users = [each for each in inner.values() if name in each.operands]
    if users and all(each.operation in _SLICES and each.operands[0] == name for each in users):
        return sum(each.bytes for each in users)
    updated = [each for each in users if each.operation == "dynamic-update-slice"]
    if users and len(updated) == len(users) and all(u.operands[0] == name for u in updated):
        return 0.0  # in place: what is old stays where it is
    return inner[name].bytes


def _written(one: Instruction, inner: Computation) -> float:
    roots = [each for each in inner.values() if each.is_root]
    if roots and roots[0].operation == "dynamic-update-slice":
        return inner[roots[0].operands[1]].bytes
    return one.bytes


def _slots(one: Instruction, inner: Computation) -> float:
    if one.operation in _MOVES or one.operation in ("fusion", "custom-call", "scatter"):
        return 0.0
    if one.operation.startswith("reduce") and one.operands and one.operands[0] in inner:
        return float(inner[one.operands[0]].elements * max(1, len(one.operands) // 2))
    return float(one.elements * _SLOTS.get(one.operation, 1))


def _updates(one: Instruction, around: Computation) -> float:
    """Updates of a scatter: one for each of its indices."""
    if one.operation != "scatter":
        return 0.0
    place = 1 if len(one.operands) == 3 else len(one.operands) // 2  # operands, indices, updates
    indices = around.get(one.operands[place])
    return float(indices.elements) if indices else 0.0
