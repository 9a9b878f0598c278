"""Which layers of a model are of a kind, by the keys of its ``config.json``."""

import dataclasses
from collections.abc import Mapping, Sequence

from jaxlimits.catalog.config_keys import Config
from jaxlimits.errors import InputError

_LAYER_TYPES = ("sliding_attention", "full_attention", "chunked_attention")

_MLP_LAYER_TYPES = ("dense", "sparse")

_OTHER_LAYERS = {
    "linear_attention": "has linear attention of a kind not known",
    "mamba": "has layers of Mamba, whose recurrent state is not known",
    "conv": "has layers of convolution alone, whose state is not known",
    "recurrent": "has layers with a recurrent state of a kind not known",
}

_MOST_LAYERS = 10_000
"""Above it a number of layers is a mistake, and would be counted one by one."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """A rule that picks layers; with nothing stated, all of them.

    Parameters
    ----------
    need
        Keys without which there are none: missing, null, zero or false.
    layer_type
        Their word in the list ``layer_types``, which decides where a file has it.
    mlp_layer_type
        Their word in the list ``mlp_layer_types``, which decides where a file has it.
    listed
        Key of a list of their indices, which decides where a file has it.
    flagged
        Key of a list with a 1 for each of them, which decides where a file has it.
    start
        Key of the index before which there are none.
    first_of_every, last_of_every, all_but_last_of_every
        A number, or its key: those of each so many layers that are of the kind.
    but
        Key of a list of indices that are not of the kind.
    fields
        Expressions for fields that only models with such layers have.
    """

    need: Sequence[str] = ()
    layer_type: str | None = None
    mlp_layer_type: str | None = None
    listed: str | None = None
    flagged: str | None = None
    start: str | None = None
    first_of_every: str | int = 0
    last_of_every: str | int = 0
    all_but_last_of_every: str | int = 0
    but: str | None = None
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)


def number_of_layers(rule: Layers, config: Config) -> int:
    """Count the layers that a rule picks."""
    stated = _stated_number(rule, config)
    if not all(config.is_stated(key) for key in rule.need):
        return 0
    return _picked_number(rule, config) if stated is None else stated


def _stated_number(rule: Layers, config: Config) -> int | None:
    """The number that a list of the file states, if there is one."""
    if rule.layer_type is not None and (kinds := _kinds(config, "layer_types", _LAYER_TYPES)):
        return kinds.count(rule.layer_type)
    of_mlp = rule.mlp_layer_type
    if of_mlp is not None and (kinds := _kinds(config, "mlp_layer_types", _MLP_LAYER_TYPES)):
        return kinds.count(of_mlp)
    if listed := config.listed(rule.listed):
        return len(listed)
    if flags := config.listed(rule.flagged):
        return sum(map(bool, flags))
    every = rule.first_of_every
    if isinstance(every, str) and isinstance(config.stated(every), list):
        return sum(map(bool, config.listed(every)))
    return None


def _kinds(config: Config, key: str, allowed: Sequence[str]) -> list[str]:
    """The kind of each layer, empty where the file does not list them."""
    kinds = config.listed(key)
    for kind in kinds:
        if kind not in allowed:
            known = kind if isinstance(kind, str) else ""
            why = _OTHER_LAYERS.get(known, f"has layers of a kind not known, {kind!r:.40}")
            raise config.refuse(key, why)
    if kinds and len(kinds) != (number := config["num_hidden_layers"]):
        remedy = "list one kind a layer"
        raise config.refuse(key, f"lists {len(kinds)}, of {number} layers", remedy=remedy)
    return kinds


def _picked_number(rule: Layers, config: Config) -> int:
    """The number that the rule's periods pick."""
    if config["num_hidden_layers"] > _MOST_LAYERS:
        why = f"is more than {_MOST_LAYERS} layers"
        raise config.refuse("num_hidden_layers", why, remedy="write the number of layers")
    start = config[rule.start] if rule.start is not None else 0
    first, last = _period(rule.first_of_every, config), _period(rule.last_of_every, config)
    skipped = _period(rule.all_but_last_of_every, config, none=config["num_hidden_layers"] + 1)
    without = config.listed(rule.but)
    return sum(
        index % first == 0 and (index + 1) % last == 0 and (index + 1) % skipped != 0
        for index in range(start, config["num_hidden_layers"])
        if index not in without
    )


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
