"""Which layers of a model are of a kind, by the keys of its ``config.json``."""

import dataclasses
from collections.abc import Mapping, Sequence

from jaxlimits.catalog.config_keys import Config, whole
from jaxlimits.errors import InputError

_OTHER_LAYERS = {
    "linear_attention": "has linear attention of an unknown kind",
    "mamba": "has layers of Mamba, whose recurrent state is not known",
    "conv": "has layers of convolution alone, whose state is not known",
    "recurrent": "has layers with a recurrent state of an unknown kind",
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """A rule that picks layers; with nothing stated, all of them.

    Parameters
    ----------
    need
        Keys without which there are none: missing, null, zero or false.
    kind
        What they are in lists of the kind of each layer, which decide where a file has one: see
        ``kinds`` of the family. One word or several.
    listed
        Key of a list of their indices, which decides where a file has it.
    listed_from
        The first layer's number in it.
    flagged
        Key of a list with a 1 for each of them, which decides where a file has it.
    start
        Key of the index before which there are none.
    last
        Key of the number of layers at the end among which alone they are.
    first_of_every, last_of_every, all_but_last_of_every
        A number, or its key: those of each so many layers that are of the kind.
    offset
        Key of the index from which ``first_of_every`` counts.
    but
        Key of a list of indices that are not of the kind.
    fields
        Expressions for fields that only models with such layers have.
    """

    need: Sequence[str] = ()
    kind: str | Sequence[str] = ()
    listed: str | None = None
    listed_from: int = 0
    flagged: str | None = None
    start: str | None = None
    last: str | None = None
    first_of_every: str | int = 0
    last_of_every: str | int = 0
    all_but_last_of_every: str | int = 0
    offset: str | None = None
    but: str | None = None
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)


def picked_layers(rule: Layers, config: Config) -> Sequence[int]:
    """Return the indices of the layers that a rule picks."""
    stated = _stated_layers(rule, config)
    if not all(config.is_stated(key) for key in rule.need):
        return ()
    picked = _by_periods(rule, config) if stated is None else stated
    if rule.last is None:
        return picked
    first = config["num_hidden_layers"] - config[rule.last]
    return [index for index in picked if index >= first]


def _stated_layers(rule: Layers, config: Config) -> Sequence[int] | None:
    """The layers that a list of the file states, if there is one."""
    wanted = (rule.kind,) if isinstance(rule.kind, str) else rule.kind
    for key, words in config.kinds.items():
        if not set(wanted).isdisjoint(words.values()) and (kinds := _kinds(config, key, words)):
            return [index for index, kind in enumerate(kinds) if kind in wanted]
    if listed := config.listed(rule.listed):
        return [
            whole(at, where=config.where, key=str(rule.listed)) - rule.listed_from for at in listed
        ]
    if flags := config.listed(rule.flagged):
        return _flagged(flags)
    every = rule.first_of_every
    if isinstance(every, str) and isinstance(config.stated(every), list):
        return _flagged(config.listed(every))
    return None


def _flagged(flags: Sequence[object]) -> list[int]:
    return [index for index, flag in enumerate(flags) if flag]


def _kinds(config: Config, key: str, words: Mapping[str, str]) -> list[str]:
    """The kind of each layer, empty where the file does not list them."""
    named = config.listed(key)
    for name in named:
        if str(name) not in words or isinstance(name, list | dict | bool):
            known = name if isinstance(name, str) else ""
            why = _OTHER_LAYERS.get(known, f"has layers of an unknown kind, {name!r:.40}")
            raise config.refuse(key, why)
    number = config["num_hidden_layers"] if named else 0
    # Some files list the layers of multi-token prediction too.
    most = number + config.count("num_nextn_predict_layers")
    if not number <= len(named) <= most:
        remedy = "list one kind a layer"
        why = f"lists {len(named)}, of {number} layers"
        raise config.refuse(key, why, remedy=remedy)
    return [words[str(name)] for name in named[:number]]


def _by_periods(rule: Layers, config: Config) -> list[int]:
    """The layers that the rule's periods pick."""
    number = config["num_hidden_layers"]
    start = config[rule.start] if rule.start is not None else 0
    offset = config[rule.offset] if rule.offset is not None else 0
    first, last = _period(rule.first_of_every, config), _period(rule.last_of_every, config)
    skipped = _period(rule.all_but_last_of_every, config, none=number + 1)
    without = config.listed(rule.but)
    return [
        index
        for index in range(start, number)
        if (index - offset) % first == 0 and (index + 1) % last == 0 and (index + 1) % skipped
        if index not in without
    ]


def _period(every: str | int, config: Config, *, none: int = 1) -> int:
    """Layers in one period; ``none`` where the rule has no such period."""
    number = config[every] if isinstance(every, str) else every or none
    if number < 1:
        remedy = "write 1 where every layer is one"
        raise InputError(
            "must be at least 1",
            where=config.where,
            key=config.key(str(every)),
            value=number,
            remedy=remedy,
        )
    return number
