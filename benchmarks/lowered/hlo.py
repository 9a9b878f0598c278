"""Optimised HLO as records: computations, and the instructions of each with their shapes."""

import dataclasses
import math
import re
from collections.abc import Mapping

_BITS = {
    "pred": 8,
    "s4": 4,
    "u4": 4,
    "s8": 8,
    "u8": 8,
    "s16": 16,
    "u16": 16,
    "f16": 16,
    "bf16": 16,
    "s32": 32,
    "u32": 32,
    "f32": 32,
    "s64": 64,
    "u64": 64,
    "f64": 64,
    "token": 0,
}

_COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) \(.*\{\s*$")
_INSTRUCTION = re.compile(r"^\s+(?P<root>ROOT )?%?(?P<name>[\w.\-]+) = (?P<rest>.+)$")
_ARRAY = re.compile(r"(?P<type>[a-z][a-z0-9]*)\[(?P<sizes>[0-9,]*)\]")
_NAME = re.compile(r"%([\w.\-]+)")
_COMMENT = re.compile(r"/\*.*?\*/")
_CALLED = re.compile(r"(?:calls|to_apply|body)=%?([\w.\-]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"([0-9]+)"')


@dataclasses.dataclass(frozen=True, slots=True)
class Array:
    """Type and sizes of one array."""

    type: str
    sizes: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return math.prod(self.sizes)

    @property
    def bytes(self) -> float:
        """Memory that it takes [B]."""
        return self.elements * _BITS[self.type] / 8.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One instruction of a computation.

    Parameters
    ----------
    name, operation
        Its own name, and what it does, as ``fusion``.
    results
        Its arrays; several where it returns a tuple.
    operands
        Names of the instructions whose results it takes.
    called
        Name of the computation that it runs, or nothing.
    trips
        How often a loop runs that computation; 1 where the compiler does not know.
    text
        Its attributes as they are written.
    is_root
        Whether it is the result of its computation.
    """

    name: str
    operation: str
    results: tuple[Array, ...]
    operands: tuple[str, ...]
    called: str
    trips: int
    text: str
    is_root: bool

    @property
    def bytes(self) -> float:
        """Memory that its results take [B]."""
        return sum(array.bytes for array in self.results)

    @property
    def elements(self) -> int:
        """Numbers of its largest result."""
        return max((array.elements for array in self.results), default=0)


Computation = Mapping[str, Instruction]
"""Instructions by name, in their order."""


@dataclasses.dataclass(frozen=True, slots=True)
class Module:
    """A compiled program.

    Parameters
    ----------
    computations
        By name.
    entry
        Name of the one that runs first.
    """

    computations: Mapping[str, Computation]
    entry: str


def read_module(text: str) -> Module:
    """Read a program as the compiler prints it.

    Raises
    ------
    ValueError
        It has no entry computation.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    entry, inside = "", None
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            inside = computations.setdefault(head["name"], {})
            entry = head["name"] if head["entry"] else entry
        elif inside is not None and (found := _INSTRUCTION.match(line)):
            one = _instruction(found["name"], found["rest"], is_root=bool(found["root"]))
            inside[one.name] = one
    if not entry:
        raise ValueError("the text has no ENTRY computation: it is no compiled program")
    return Module(computations, entry)


def _instruction(name: str, rest: str, *, is_root: bool) -> Instruction:
    kind, rest = _split_type(_COMMENT.sub("", rest))
    operation, _, rest = rest.partition("(")
    operands, text = _split_operands(rest)
    called, trips = _CALLED.search(text), _TRIPS.search(text)
    results = (Array(m["type"], _sizes(m["sizes"])) for m in _ARRAY.finditer(kind))
    return Instruction(
        name=name,
        operation=operation.strip(),
        results=tuple(results),
        operands=tuple(_NAME.findall(operands)),
        called=called[1] if called else "",
        trips=int(trips[1]) if trips else 1,
        text=text,
        is_root=is_root,
    )


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)


def _split_type(rest: str) -> tuple[str, str]:
    """The type of an instruction, which may be a tuple, and what follows it."""
    if not rest.startswith("("):
        kind, _, after = rest.partition(" ")
        return kind, after
    place = _closing(rest, 1)
    return rest[:place], rest[place:].lstrip()


def _split_operands(rest: str) -> tuple[str, str]:
    place = _closing(rest, 1)
    return rest[: place - 1], rest[place:]


def _closing(text: str, depth: int) -> int:
    """Place behind the parenthesis that closes the one before, or before, the text."""
    start = 1 if text.startswith("(") and depth == 1 else 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    return len(text)
