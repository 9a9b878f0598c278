"""Which modules of a checkpoint a quantisation names, and the bits of each part that follow.

The modules are data: see ``quantisation.toml``. A part of which only some modules are quantised has
the mean of their bits by elements. Dense layers are taken to come before the others, as in every
family that has both and quantises one of them (inferred).
"""

import dataclasses
import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlimits.catalog.expressions import evaluated
from jaxlimits.errors import InputError

_FILE = Path(__file__).with_name("quantisation.toml")


@dataclasses.dataclass(frozen=True, slots=True)
class Module:
    """Modules of one name, one a layer or one in the model.

    Parameters
    ----------
    part
        Field of the record that states its bits.
    names
        What it is called.
    elements
        Weights of one, an expression over fields.
    layers
        ``all``, ``dense`` or ``moe``; empty where the model has one.
    module
        Its class.
    """

    part: str
    names: Sequence[str]
    elements: str
    layers: str = ""
    module: str = "Linear"


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """How the weights of a module are stored.

    Parameters
    ----------
    bits
        Of one weight, scales included [1].
    operand
        Least width of its products [1].
    """

    bits: float
    operand: int


class Patterns:
    """Names of modules as quantisation methods write them.

    Parameters
    ----------
    written
        ``re:…`` is a regular expression of the whole name from its start; ``Linear`` a class; what
        has a ``*`` stands for any text there; all else names a module and what is within it.
    where, key
        Place for the error of an expression that is none.
    """

    def __init__(self, written: Iterable[str], *, where: str, key: str):
        texts = list(written)
        expressions = [text[3:] for text in texts if text.startswith("re:")]
        others = [text.strip(".") for text in texts if not text.startswith("re:")]
        globs = [_as_expression(text) for text in others if "*" in text]
        self.plain = {text for text in others if "*" not in text}
        self.by_layer = any(re.search(r"\d", text) for text in texts)
        self._expressions = [_compiled(text, where, key) for text in expressions + globs]

    def name(self, names: Iterable[str]) -> bool:
        """Whether one of the names of a module is meant."""
        return any(
            not self.plain.isdisjoint(_within(name))
            or any(e.match(name) for e in self._expressions)
            for name in names
        )

    def is_class(self, module: str) -> bool:
        """Whether the class of a module is meant."""
        return module in self.plain


@dataclasses.dataclass(frozen=True, slots=True)
class Scheme:
    """What is quantised, and how; modules that none of its rules names stay as they were.

    Parameters
    ----------
    method
        Its name, for the words.
    rules
        Patterns with a format, ``None`` for what stays; a name goes before a class, and of these
        the first.
    """

    method: str
    rules: Sequence[tuple[Patterns, Format | None]]

    def format_of(self, names: Sequence[str], module: str) -> Format | None:
        """How a module is stored, ``None`` where it is not quantised."""
        for patterns, how in self.rules:
            if patterns.name(names):
                return how
        return next((how for patterns, how in self.rules if patterns.is_class(module)), None)

    @property
    def by_layer(self) -> bool:
        """Whether layers may differ."""
        return any(patterns.by_layer for patterns, _ in self.rules)


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """How one part of a model is stored.

    Parameters
    ----------
    bits
        Of one weight, the mean by elements where its modules differ [1].
    operands
        Least widths of products with what of it is quantised [1].
    mixed
        Whether its modules differ.
    """

    bits: float
    operands: frozenset[int]
    mixed: bool


def stored_parts(scheme: Scheme, fields: Mapping[str, int], *, kept: float) -> dict[str, Stored]:
    """Return how each part that a model has is stored.

    Parameters
    ----------
    scheme
        What is quantised.
    fields
        Fields of the model's record.
    kept
        Bits of what is not.
    """
    found: dict[str, dict[Format | None, int]] = {}
    for module, names, size in _modules_of(fields, each_layer=scheme.by_layer):
        sizes = found.setdefault(module.part, {})
        how = scheme.format_of(names, module.module)
        sizes[how] = sizes.get(how, 0) + size
    return {part: _stored(sizes, kept) for part, sizes in found.items()}


def _stored(sizes: Mapping[Format | None, int], kept: float) -> Stored:
    bits = {how: kept if how is None else how.bits for how in sizes}
    mixed = len(set(bits.values())) > 1
    mean = sum(bits[how] * size for how, size in sizes.items()) / sum(sizes.values())
    operands = frozenset(how.operand for how in sizes if how is not None)
    return Stored(mean if mixed else next(iter(bits.values())), operands, mixed)


@functools.cache
def stated() -> Mapping[str, Any]:
    """Return the content of ``quantisation.toml``."""
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


@functools.cache
def _modules() -> tuple[Module, ...]:
    return tuple(Module(**table) for table in stated()["modules"])


def _modules_of(
    fields: Mapping[str, int], *, each_layer: bool
) -> Iterator[tuple[Module, tuple[str, ...], int]]:
    """Modules with their names and elements; with one layer of a kind for all unless ``each``."""
    last, moe = fields["num_layers"], fields.get("num_moe_layers", 0)
    ranges = {"all": range(last), "dense": range(last - moe), "moe": range(last - moe, last)}
    for module in _modules():
        size = evaluated(module.elements, lambda name: fields.get(name, 0))
        layers = ranges.get(module.layers, (0,))
        shown = layers if each_layer else layers[:1]
        for layer in shown if size else ():
            yield module, _names(module, layer), size * (1 if each_layer else len(layers))


def _names(module: Module, layer: int) -> tuple[str, ...]:
    if not module.layers:
        return tuple(module.names)
    before = [prefix.format(layer) for prefix in stated()["prefixes"]]
    return tuple(prefix + name for prefix in before for name in module.names)


@functools.lru_cache(maxsize=100_000)
def _within(name: str) -> frozenset[str]:
    """Every run of whole words in a dotted name."""
    words = name.split(".")
    places = range(len(words) + 1)
    return frozenset(".".join(words[i:j]) for i in places for j in places if i < j)


def _as_expression(text: str) -> str:
    return rf"(?:.*\.)?{re.escape(text).replace(re.escape('*'), '.*')}(?:\..*)?$"


def _compiled(text: str, where: str, key: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        problem, remedy = f"is no regular expression: {error}", "write it as Python's re does"
        raise InputError(problem, where=where, key=key, value=text, remedy=remedy) from None
