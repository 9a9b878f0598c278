"""The keys of a ``config.json``: counts and flags, with the place of what is wrong in them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxlimits.catalog.expressions import Number
from jaxlimits.errors import InputError

_LARGEST = 10**12
"""Above it no count of a model is: what a typing error or a damaged file makes of one."""

_BY_HAND = "write an entry by hand: see jaxlimits/catalog/llms.toml"


class Config:
    """A configuration whose missing keys are told by file and name.

    Parameters
    ----------
    values
        The keys of the language model.
    where
        The file.
    defaults
        What the file leaves out because its class has it. A key whose default is a yes or a no is
        a flag, all others are counts.
    keys
        What the file calls a key, where it is not the usual name; of several names the first that
        it has. A dot leads into a table.
    kinds
        Keys of lists of the kind of each layer, and what their words stand for.
    counted
        Of these lists, those whose length is the number of layers, whatever else is said of it.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        where: str,
        defaults: Mapping[str, Any] | None = None,
        keys: Mapping[str, str | Sequence[str]] | None = None,
        kinds: Mapping[str, Mapping[str, str]] | None = None,
        counted: Sequence[str] = (),
    ):
        self.values = values
        self.where = where
        self.defaults = defaults or {}
        self.keys = keys or {}
        self.kinds = kinds or {}
        self.counted = counted
        self.left_out: list[str] = []

    def __getitem__(self, key: str) -> int:
        """Return a count that must be there."""
        value = self._value(key)
        if value is None:
            remedy = "is this the configuration of a language model?"
            raise InputError("is missing", where=self.where, key=self.key(key), remedy=remedy)
        return value

    def key(self, name: str) -> str:
        """Return what the file calls a key."""
        names = self.keys.get(name, name)
        if isinstance(names, str):
            return names
        return next((each for each in names if self._found(each) is not None), names[0])

    def stated(self, name: str) -> Any:
        """Return what the file has of a key, whatever it is; ``None`` where it is missing."""
        return self._found(self.key(name))

    def count(self, key: str) -> int:
        """Return a count, 0 where the key is missing or null."""
        value = self._value(key)
        return 0 if value is None else value

    def named(self, name: str, fields: Mapping[str, Number]) -> Number:
        """Return what a name means: a key of the file, else a field read before, else a default."""
        is_field = self.stated(name) is None and name in fields
        return fields[name] if is_field else self[name]

    def is_stated(self, key: str) -> bool:
        """Whether a key is there, or its default, and neither null nor zero nor false."""
        found = self.stated(key)
        if found is None and self.key(key) in self.values:
            return False  # null is said
        return bool(self.defaults.get(key) if found is None else found)

    def listed(self, key: str | None) -> list[Any]:
        """Return a list, empty where the key is missing or null.

        A text is the list of the numbers between its commas, or of its letters where each of these
        is the kind of a layer.
        """
        stated = self.stated(key) if key is not None else None
        if stated is None:
            return []
        if isinstance(stated, str) and _is_numbers(stated):
            return [int(part) for part in stated.split(",")]
        if isinstance(stated, str) and all(
            len(word) == 1 for word in self.kinds.get(str(key), ("..",))
        ):
            return [*stated]
        if not isinstance(stated, list):
            raise self.refuse(str(key), "must be a list", remedy="write one item a layer")
        return stated

    def mean(self, key: str) -> Number:
        """Return the mean over the layers of a count that a file may state for each."""
        stated = self.stated(key)
        if not isinstance(stated, list) or not stated:
            return self[key]
        return sum(self._whole(key, each) for each in stated) / len(stated)

    def refuse(self, key: str, why: str, *, remedy: str = _BY_HAND) -> InputError:
        """Return the error for a part that the record cannot hold."""
        value = self.stated(key)
        return InputError(why, where=self.where, key=self.key(key), value=value, remedy=remedy)

    def _found(self, name: str) -> Any:
        """What stands at a name with dots; ``auto`` is for what the class chooses."""
        found: Any = self.values
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return None if found == "auto" else found

    def _value(self, key: str) -> int | None:
        lists = self.counted if key == "num_hidden_layers" else ()
        if number := next((len(kinds) for each in lists if (kinds := self.listed(each))), 0):
            return number
        default = self.defaults.get(key)
        value = self.stated(key)
        value = default if value is None else value
        if isinstance(value, list):
            value = self._of_all_layers(key, value)
        if value is None:
            return None
        return self._flag(key, value) if isinstance(default, bool) else self._whole(key, value)

    def _of_all_layers(self, key: str, values: list[Any]) -> Any:
        """The one value of a list that has one a layer."""
        if not values or any(value != values[0] for value in values):
            raise self.refuse(key, "differs between layers")
        return values[0]

    def _flag(self, key: str, value: object) -> int:
        if not isinstance(value, bool | int) or value not in (0, 1):
            raise self.refuse(key, "must be true or false", remedy="write true or false")
        return int(value)

    def _whole(self, key: str, value: object) -> int:
        return whole(value, where=self.where, key=self.key(key))


def _is_numbers(text: str) -> bool:
    return all(part.strip().isdecimal() for part in text.split(","))


def whole(value: object, *, where: str, key: str, least: int = 0) -> int:
    """Return a whole number of a file, checked."""
    place = {"where": where, "key": key, "value": value, "remedy": "write a whole number"}
    number = _as_whole(value)
    if number is None:
        raise InputError("must be a whole number", **place)
    if number < least:
        wrong = "must not be negative" if least == 0 else f"must be at least {least}"
        raise InputError(wrong, **place)
    if number > _LARGEST:
        raise InputError(f"is more than any model has ({_LARGEST:.0e})", **place)
    return number


def _as_whole(value: object) -> int | None:
    """A number without a fraction as a whole one; ``None`` for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return None
    return int(value)


class Table:
    """A table within a configuration, as ``quantization_config``, read by key and type.

    Parameters
    ----------
    values
        The table.
    where
        The file.
    key
        Its own key, which stands before the keys within.
    """

    def __init__(self, values: object, *, where: str, key: str):
        if not isinstance(values, Mapping):
            remedy = "write a table, {…}, or leave it out"
            raise InputError("must be a table", where=where, key=key, value=values, remedy=remedy)
        self.values: Mapping[str, Any] = values
        self.where = where
        self.key = key

    def wrong(self, name: str, why: str, *, remedy: str) -> InputError:
        """Return the error for a key."""
        value = self.values.get(name)
        return InputError(
            why, where=self.where, key=f"{self.key}.{name}", value=value, remedy=remedy
        )

    def whole(self, name: str, default: int | None = None, *, least: int = 0) -> int:
        """Return a whole number; one that must be there where there is no default."""
        value = self.values.get(name, default)
        value = default if value is None else value
        if value is None:
            raise self.wrong(name, "is missing", remedy="state it, as transformers writes it")
        return whole(value, where=self.where, key=f"{self.key}.{name}", least=least)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a yes or a no."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false", remedy="write true or false")
        return value

    def text(self, name: str) -> str:
        """Return a text, empty where it is missing."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(name, "must be text", remedy='write "…"')
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, empty where it is missing."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(name, "must be a list of texts", remedy='write ["…", "…"]')
        return value

    def table(self, name: str) -> "Table | None":
        """Return a table within, ``None`` where it is missing."""
        value = self.values.get(name)
        if value is None:
            return None
        return Table(value, where=self.where, key=f"{self.key}.{name}")

    def tables(self, name: str) -> "dict[str, Table]":
        """Return the tables within a table, by name."""
        within = self.table(name)
        if within is None:
            return {}
        return {
            each: Table(value, where=self.where, key=f"{within.key}.{each}")
            for each, value in within.values.items()
        }
