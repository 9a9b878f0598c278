"""The keys of a ``config.json``: counts and flags, with the place of what is wrong in them."""

from collections.abc import Mapping
from typing import Any

from jaxlimits.errors import InputError


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
    """

    def __init__(
        self, values: Mapping[str, Any], *, where: str, defaults: Mapping[str, Any] | None = None
    ):
        self.values = values
        self.where = where
        self.defaults = defaults or {}
        self.left_out: list[str] = []

    def __getitem__(self, key: str) -> int:
        """Return a count that must be there."""
        value = self._value(key)
        if value is None:
            remedy = "is this the configuration of a language model?"
            raise InputError("is missing", where=self.where, key=key, remedy=remedy)
        return value

    def count(self, key: str) -> int:
        """Return a count, 0 where the key is missing or null."""
        value = self._value(key)
        return 0 if value is None else value

    def named(self, name: str, fields: Mapping[str, int]) -> int:
        """Return what a name means: a key of the file, else a field read before, else a default."""
        is_field = self.values.get(name) is None and name in fields
        return fields[name] if is_field else self[name]

    def is_stated(self, key: str) -> bool:
        """Whether a key is there, or its default, and neither null nor zero nor false."""
        return bool(self.values.get(key, self.defaults.get(key)))

    def listed(self, key: str | None) -> list[Any]:
        """Return a list, empty where the key is missing or null."""
        return list(self.values.get(key) or []) if key is not None else []

    def refuse(self, key: str, why: str) -> InputError:
        """Return the error for a part that the record cannot hold."""
        remedy = "write an entry by hand: see jaxlimits/catalog/llms.toml"
        return InputError(why, where=self.where, key=key, value=self.values[key], remedy=remedy)

    def _value(self, key: str) -> int | None:
        default = self.defaults.get(key)
        value = self.values.get(key)
        value = default if value is None else value
        if value is None:
            return None
        return int(bool(value)) if isinstance(default, bool) else self._whole(key, value)

    def _whole(self, key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise InputError("must be a whole number", where=self.where, key=key, value=value)
        if value < 0:
            raise InputError("must not be negative", where=self.where, key=key, value=value)
        return int(value)
