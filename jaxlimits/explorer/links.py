"""The state as the query of a link, and back."""

import dataclasses
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from jaxlimits.errors import InputError, unknown_name
from jaxlimits.explorer.state import WHERE, Span, State, check_state

_OTHER = "b."
_SPANS = ("x", "y")
_PLAIN = ("metric", "aim", "target", "iso_lines")
_PARTS = "|"
TOKEN = "token"
"""Key of the query that opens an explorer beyond this machine; no part of the state."""


def query_of(state: State) -> str:
    """Return the query that brings a state back: ``llm=llama3-405b&chip=h200&…``."""
    spans = {key: getattr(state, key) for key in _SPANS}
    pairs = {
        **state.settings,
        **{f"{_OTHER}{name}": text for name, text in state.other.items()},
        **{key: _PARTS.join(dataclasses.astuple(span)) for key, span in spans.items()},
        **{key: getattr(state, key) for key in _PLAIN},
    }
    if state.iso_lines == "off":  # what is usual makes links longer
        del pairs["iso_lines"]
    return urlencode(pairs)


def state_of(query: str, *, default: State) -> State:
    """Return the state that a query brings back.

    Parameters
    ----------
    query
        As :func:`query_of`; an empty one brings back the default.
    default
        What the explorer starts with; it has axes, a metric and a target by default.

    Raises
    ------
    InputError
        A name, a value or an axis that cannot be.
    """
    pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
    given = {name: text for name, text in pairs if name != TOKEN}
    if not given:
        return default
    _refuse_twice(name for name, _ in pairs)
    own = {key: given.pop(key) for key in (*_SPANS, *_PLAIN) if key in given}
    spans = {key: _span(own.pop(key), key=key) for key in _SPANS if key in own}
    other = {
        name.removeprefix(_OTHER): given.pop(name)
        for name in list(given)
        if name.startswith(_OTHER)
    }
    state = dataclasses.replace(default, settings=given, other=other, **spans, **own)
    check_state(state)
    return state


def _span(text: str, *, key: str) -> Span:
    parts = text.split(_PARTS)
    if len(parts) != 4:
        remedy = f"write {key}=mem_bw{_PARTS}1 TB/s{_PARTS}16 TB/s{_PARTS}geometric"
        raise InputError("is not an axis", where=WHERE, key=key, value=text, remedy=remedy)
    name, first, last, spacing = parts
    if spacing == "geometric" or spacing == "linear":  # noqa: PLR1714  (narrows the type)
        return Span(name=name, first=first, last=last, spacing=spacing)
    raise unknown_name("spacing", spacing, ("geometric", "linear"), where=WHERE, key=key)


def _refuse_twice(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError("is set twice", where=WHERE, key=name, remedy="leave one out")
        seen.add(name)
