"""Which modules of a checkpoint a quantisation names, and the bits of each part that follow.

The modules are data: see ``quantisation.toml``. A part of which only some modules are quantised has
the mean of their bits by elements. Where a file does not say which layers are of a kind, those with
experts are taken to come last, as in every family that has both (inferred).
"""

import dataclasses
import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlimits.catalog.expressions import Number, evaluated
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
        Which layers have it, by :meth:`Anatomy.layers`; empty where the model has one.
    module
        Its class.
    mixer
        Kind of recurrent mixer that it is part of, empty where of none.
    """

    part: str
    names: Sequence[str]
    elements: str
    layers: str = ""
    module: str = "Linear"
    mixer: str = ""


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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Anatomy:
    """What a quantisation's names meet in a model.

    Parameters
    ----------
    fields
        Fields of its record.
    places
        Indices of the layers that a field counts, where they are known.
    mixer
        Kind of its recurrent mixers.
    called
        What it calls what others call by the usual name.
    """

    fields: Mapping[str, Number]
    places: Mapping[str, Sequence[int]] = dataclasses.field(default_factory=dict)
    mixer: str = ""
    called: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def layers(self) -> Mapping[str, Sequence[int]]:
        """Indices of the layers of each kind."""
        every = range(int(self.fields["num_layers"]))
        state = self._places("num_recurrent_layers", every)
        moe = self._places("num_moe_layers", every)
        no_mixer = {*state, *self._places("num_ffn_only_layers", every)}
        no_ffn = {*moe, *self._places("num_mixer_only_layers", every)}
        attending = [layer for layer in every if layer not in no_mixer]
        windowed = self._places("num_windowed_layers", attending)
        selected = self._places("num_compressed_sparse_layers", attending)
        own = self._places("num_indexer_layers", attending)
        return {
            "all": attending,
            "compressed": self._places("num_compressed_layers", attending),
            "selected": selected,
            "indexer": selected or own or self._places("num_sparse_layers", attending),
            "full": [layer for layer in attending if layer not in windowed],
            "windowed": windowed,
            "state": state,
            "moe": moe,
            "dense": [layer for layer in every if layer not in no_ffn],
        }

    def _places(self, field: str, among: Sequence[int]) -> Sequence[int]:
        """Layers that a field counts, the last ones where it is not known which."""
        number = int(self.fields.get(field, 0))
        known = self.places.get(field, ())
        return known if len(known) == number else among[len(among) - number :]

    def name(self, usual: str) -> str:
        """What the model calls a module within a layer."""
        longest = max((each for each in self.called if _begins(usual, each)), key=len, default="")
        return self.called[longest] + usual[len(longest) :] if longest else usual


def _begins(name: str, words: str) -> bool:
    return name == words or name.startswith(f"{words}.")


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
        Least widths of products with its quantised parts [1].
    mixed
        Whether its modules differ.
    """

    bits: float
    operands: frozenset[int]
    mixed: bool


def stored_parts(scheme: Scheme, anatomy: Anatomy, *, kept: float) -> dict[str, Stored]:
    """Return how each part that a model has is stored.

    Parameters
    ----------
    scheme
        What is quantised.
    anatomy
        The model.
    kept
        Bits of what is not.
    """
    found: dict[str, dict[Format | None, Number]] = {}
    for module, names, size in _modules_of(anatomy, each_layer=scheme.by_layer):
        sizes = found.setdefault(module.part, {})
        how = scheme.format_of(names, module.module)
        sizes[how] = sizes.get(how, 0) + size
    return {part: _stored(sizes, kept) for part, sizes in found.items()}


def _stored(sizes: Mapping[Format | None, Number], kept: float) -> Stored:
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
    anatomy: Anatomy, *, each_layer: bool
) -> Iterator[tuple[Module, tuple[str, ...], Number]]:
    """Modules with their names and elements; with one layer of a kind for all unless ``each``."""
    kinds = anatomy.layers()
    for module in _modules():
        size = evaluated(module.elements, lambda name: anatomy.fields.get(name, 0))
        layers = kinds[module.layers] if module.layers else (0,)
        shown = layers if each_layer else layers[:1]
        for layer in shown if size and module.mixer in ("", anatomy.mixer) else ():
            names = _names(module, layer, anatomy)
            yield module, names, size * (1 if each_layer else len(layers))


def _names(module: Module, layer: int, anatomy: Anatomy) -> tuple[str, ...]:
    if not module.layers:
        return tuple(module.names)
    before = [prefix.format(layer) for prefix in stated()["prefixes"]]
    names = [anatomy.name(usual) for usual in module.names]
    return tuple(prefix + name for prefix in before for name in names)


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
        problem, remedy = f"is not a regular expression: {error}", "write it as Python's re does"
        raise InputError(problem, where=where, key=key, value=text, remedy=remedy) from None
