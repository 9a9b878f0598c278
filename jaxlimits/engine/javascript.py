"""A flat program as JavaScript: straight-line functions over one array of numbers.

Operations that rest on the same inputs are one *part*: a function that reads what it needs from the
array and writes its results there. After an input has changed, only the parts that rest on it have
to run again; over a map of two fields each part runs along the fields on which it rests. That is
how the engine maps the model over a grid, and why a browser can draw a map while a slider moves.
"""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from jaxlimits.engine.operations import Flat, Place

_TEXTS: Mapping[str, str] = {
    "add": "({0}+{1})", "sub": "({0}-{1})", "mul": "({0}*{1})", "div": "({0}/{1})",
    "rem": "({0}%{1})", "max": "max({0},{1})", "min": "min({0},{1})", "pow": "power({0},{1})",
    "gt": "({0}>{1})", "ge": "({0}>={1})", "lt": "({0}<{1})", "le": "({0}<={1})",
    "eq": "({0}==={1})", "ne": "({0}!=={1})", "and": "({0}&&{1})", "or": "({0}||{1})",
    "not": "(!{0})", "same": "(!{0}===!{1})", "differ": "(!{0}!==!{1})",
    "neg": "(-{0})", "abs": "abs({0})", "floor": "floor({0})",
    "sqrt": "sqrt({0})", "exp": "exp({0})", "log": "log({0})", "log1p": "log1p({0})",
    "expm1": "expm1({0})", "select_n": "({0}?{2}:{1})", "number": "({0}?1:0)",
    "mantissa": "mantissa({0})", "exponent": "exponent({0})",
}  # fmt: skip
"""What each operation is in JavaScript. A truth value in the array is 0 or 1."""

_PRELUDE = """\
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};
jaxlimits.PROGRAMS = (function () {
const {max, min, pow, abs, floor, sqrt, exp, log, log1p, expm1} = Math;
const [real, words] = (bits => [new Float64Array(bits), new Uint32Array(bits)])(new ArrayBuffer(8));
// As in C, 1 to any power is 1.
function power(x, y) { return x === 1 ? 1 : pow(x, y); }
// x = mantissa * 2^exponent, the mantissa from 1/2 to 1; of a number below 2^-1022, 0.
function exponent(x) { real[0] = x; return x ? ((words[1] >>> 20) & 2047) - 1022 : 0; }
function mantissa(x) {
  if (!x || !isFinite(x)) return x;
  real[0] = x; words[1] = (words[1] & 0x800fffff) | (1022 << 20); return real[0];
}
"""

_LONGEST = 160
"""Characters of an expression that stands where it is used; a longer one gets a name."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Operations that rest on the same inputs, with what of them others need."""

    rests_on: frozenset[str]
    places: tuple[Place, ...]


def javascript(
    programs: Sequence[tuple[Mapping[str, float], Flat]],
    *,
    together: Mapping[str, str] | None = None,
) -> str:
    """Translate some programs, which compute the same under different promises.

    Parameters
    ----------
    programs
        Programs, each after the inputs that must not exceed a bound where it is used.
    together
        For some inputs the name of a group: an operation that rests on one of a group counts as
        resting on all of it. Groups make for fewer and larger parts.

    Returns
    -------
    str
        A script that sets ``jaxlimits.PROGRAMS``. Each has the bounds (``without``), the ``size``
        of its array, the places of ``inputs`` and ``outputs`` in it, the ``group`` of each input,
        and its ``parts`` in their order: the groups on which each rests, the places that it writes
        (first, end), and its function.

    Raises
    ------
    NotImplementedError
        An operation that has no translation; the message names it.
    """
    texts = (_Script(flat, together or {}).text(without) for without, flat in programs)
    listed = ",\n".join(texts)
    return f"{_PRELUDE}return [\n{listed}\n];\n}})();\n"


class _Script:
    """The script of one program."""

    def __init__(self, flat: Flat, together: Mapping[str, str]):
        self.flat = flat
        self.together = together
        self.parts = _parts(flat, together)
        self.part_of = {place: n for n, part in enumerate(self.parts) for place in part.places}
        self.inputs = [n for n, each in enumerate(flat.operations) if each.name == "input"]
        self.slots: dict[Place, int] = {place: n for n, place in enumerate(self.inputs)}
        self.size = len(self.slots)
        self.uses = Counter(one for each in flat.operations for one in each.operands)
        self.kept = self._kept()

    def _kept(self) -> set[Place]:
        """Values that another part needs, outputs, and elements of vectors."""
        kept = set(self.flat.outputs.values())
        for place, each in enumerate(self.flat.operations):
            for one in each.operands:
                apart = self.part_of.get(one) != self.part_of.get(place)
                if one in self.part_of and (apart or each.name == "element"):
                    kept.add(one)
        return kept

    def slot(self, place: Place) -> int:
        """Return where a value stands in the array."""
        if place not in self.slots:
            self.slots[place] = self.size
            self.size += max(self.flat.operations[place].lanes, 1)
        return self.slots[place]

    def text(self, without: Mapping[str, float]) -> str:
        """Return the program as an object of JavaScript."""
        operations = self.flat.operations
        functions = []
        for part in self.parts:
            first = self.size
            body = _Function(self, part.places).text()
            functions.append((sorted(part.rests_on), first, self.size, body))
        groups = {name: n for n, name in enumerate(dict.fromkeys(map(self._group, self.inputs)))}
        listed = (
            f"[{json.dumps([groups[name] for name in rests_on], separators=(',', ':'))},"
            f"{first},{end},function(v){{{body}}}]"
            for rests_on, first, end, body in functions
        )
        facts = {
            "without": dict(without),
            "inputs": {operations[place].setting: self.slots[place] for place in self.inputs},
            "group": {operations[p].setting: groups[self._group(p)] for p in self.inputs},
            "outputs": {name: self.slots[place] for name, place in self.flat.outputs.items()},
            "size": self.size,
        }
        head = json.dumps(facts, separators=(",", ":"))[1:-1]
        parts = ",\n".join(listed)
        return f'{{{head},"parts":[\n{parts}\n]}}'

    def _group(self, place: Place) -> str:
        name = self.flat.operations[place].setting
        return self.together.get(name, name)


def _parts(flat: Flat, together: Mapping[str, str]) -> list[_Part]:
    """Group operations by the inputs on which they rest, each group after those that it needs."""
    rests_on: list[frozenset[str]] = []
    groups: dict[frozenset[str], list[Place]] = {}
    for place, each in enumerate(flat.operations):
        if each.name == "input":
            rests_on.append(frozenset({together.get(each.setting, each.setting)}))
            continue
        rests_on.append(frozenset().union(*(rests_on[one] for one in each.operands)))
        if each.name != "constant" or place in flat.outputs.values():
            groups.setdefault(rests_on[-1], []).append(place)
    # An operand rests on no more than what is computed of it.
    ordered = sorted(groups.items(), key=lambda group: (len(group[0]), group[1][0]))
    return [_Part(rests_on=names, places=tuple(places)) for names, places in ordered]


class _Function:
    """The body of one part's function, statement by statement."""

    def __init__(self, script: _Script, places: Sequence[Place]):
        self.script = script
        self.operations = script.flat.operations
        self.places = places
        self.statements: list[str] = []
        self.read: dict[int, None] = {}
        self.texts: dict[Place, str] = {}
        self.done: set[Place] = set()

    def text(self) -> str:
        """Return the body."""
        for batch, is_loop in self._batches():
            if is_loop:
                self._loop(batch)
            else:
                for place in batch:
                    self._scalar(place)
        # By name, since the array may be written between two uses.
        reads = "".join(f"const x{slot}=v[{slot}];" for slot in self.read)
        return reads + "".join(self.statements)

    def _batches(self) -> Iterator[tuple[list[Place], bool]]:
        """Scalars that are ready, then vectors that are ready, until all are."""
        left, is_loop = list(self.places), False
        own = set(self.places)
        while left:
            batch = []
            for place in left:
                needed = own.intersection(self.operations[place].operands)
                if self._in_loop(place) == is_loop and needed <= self.done | {*batch}:
                    if is_loop and self._of_a_sum(place, batch):
                        continue
                    batch.append(place)
            self.done |= {*batch}
            left = [place for place in left if place not in self.done]
            if batch:
                yield batch, is_loop
            is_loop = not is_loop

    def _in_loop(self, place: Place) -> bool:
        return bool(self.operations[place].lanes) or self.operations[place].name == "dot"

    def _of_a_sum(self, place: Place, batch: Sequence[Place]) -> bool:
        """Whether an operand is a sum over the very loop."""
        sums = {
            one for one in self.operations[place].operands if self.operations[one].name == "dot"
        }
        return not sums.isdisjoint(batch)

    def _scalar(self, place: Place) -> None:
        text = self._written(place)
        if place in self.script.kept:
            slot = self.script.slot(place)
            self.statements.append(f"const a{place}=v[{slot}]={text};")
            # What is stored is a number, also where it is a truth value.
            self.texts[place] = f"a{place}"
        elif self.script.uses[place] == 1 and len(text) <= _LONGEST and self._used_once(place):
            self.texts[place] = text
        else:
            self.statements.append(f"const a{place}={text};")
            self.texts[place] = f"a{place}"

    def _used_once(self, place: Place) -> bool:
        """Whether its one use is a scalar's: in a loop it would be computed again and again."""
        user = next(one for one in self.places if place in self.operations[one].operands)
        return not self._in_loop(user)

    def _loop(self, batch: Sequence[Place]) -> None:
        by_lanes: dict[int, list[Place]] = {}
        for place in batch:
            each = self.operations[place]
            by_lanes.setdefault(each.lanes or each.setting, []).append(place)
        if len(by_lanes) > 1:
            raise NotImplementedError(f"vectors of {sorted(by_lanes)} elements in one loop")
        ((lanes, places),) = by_lanes.items()
        body = []
        for place in places:
            each = self.operations[place]
            if each.name == "dot":
                self.statements.append(f"let a{place}=0;")
                left, right = (self._operand(one) for one in each.operands)
                body.append(f"a{place}+={left}*{right};")
            else:
                kept = place in self.script.kept or self._needed_later(place, batch)
                store = f"v[{self.script.slot(place)}+i]=" if kept else ""
                body.append(f"const a{place}={store}{self._written(place)};")
            self.texts[place] = f"a{place}"
        self.statements.append(f"for(let i=0;i<{lanes};i++){{{''.join(body)}}}")
        for place in places:
            if self.operations[place].name != "dot":
                self.texts.pop(place)  # its name ends with the loop
            elif place in self.script.kept:
                self.statements.append(f"v[{self.script.slot(place)}]=a{place};")

    def _needed_later(self, place: Place, batch: Sequence[Place]) -> bool:
        later = set(self.places) - self.done
        return any(place in self.operations[one].operands for one in later - {*batch})

    def _written(self, place: Place) -> str:
        """Return the expression of an operation."""
        each = self.operations[place]
        if each.name == "constant":
            return _number(each.setting)
        if each.name == "iota":
            return "i"
        if each.name == "element":
            return f"v[{self.script.slot(each.operands[0]) + each.setting}]"
        operands = [self._operand(one) for one in each.operands]
        if each.name == "integer_pow":
            return _power(operands[0], each.setting)
        if each.name not in _TEXTS:
            raise NotImplementedError(f"the operation {each.name} has no JavaScript")
        return _TEXTS[each.name].format(*operands)

    def _operand(self, place: Place) -> str:
        """Return the expression of a value: a number, a name, a place in the array."""
        each = self.operations[place]
        if each.name == "constant":
            return _number(each.setting)
        if place in self.texts:
            return self.texts[place]
        slot = self.script.slots[place]
        if each.lanes:
            return f"v[{slot}+i]"
        self.read[slot] = None
        return f"x{slot}"


def _number(value: float | int | bool) -> str:
    """A constant; with parentheses where a sign would join another."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "(-Infinity)"
    text = repr(value).removesuffix(".0")
    return f"({text})" if text.startswith("-") else text


def _power(operand: str, power: int) -> str:
    """A whole power, which the compiler too makes of products."""
    if power == 2 and operand.isalnum():
        return f"({operand}*{operand})"
    return f"pow({operand},{power})"
