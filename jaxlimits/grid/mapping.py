"""A grid that Python states: a mapping in the form of a grid file, or keywords.

Both become the text of a grid file and are read as one, so that a result says how it was made.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxlimits import schema
from jaxlimits.catalog.text_files import toml_text
from jaxlimits.errors import InputError, placed, unknown_name, within
from jaxlimits.grid.file import GridFile, GridTables, parse_grid
from jaxlimits.values import as_written, is_quantity, unit_text, with_unit

STEM = "stated"
"""What a grid without a file is called in its result."""

_AXIS_FORMS = ("values", "linear", "geometric", "pow2")


def grid_of_mapping(content: Mapping[str, object], *, where: str = "sweep") -> GridFile:
    """Return the grid that a mapping in the form of a grid file states.

    Parameters
    ----------
    content
        Keys of a grid file. Numbers may be NumPy's or JAX's; values of an axis may also be an
        array, in SI units, or a quantity of pint.
    where
        What messages name in the place of a file.

    Raises
    ------
    InputError
        As :func:`jaxlimits.grid.file.parse_grid`; a value that no grid file can hold.
    """
    with placed(where):
        text = toml_text(dict(_tables(content)))
    return parse_grid(text, where=where, stem=STEM, folder=Path())


def mapping_of_keywords(
    keywords: Mapping[str, object], *, beside: Collection[str] = ()
) -> dict[str, object]:
    """Return the mapping that keywords mean: keys of a grid file, axes, and the base.

    What holds several values is an axis, in the order of the keywords; what holds one is of the
    base. A key of a grid file keeps its meaning.

    Parameters
    ----------
    keywords
        By the names of fields, switches and keys.
    beside
        Further names that a caller takes, for the hint at a mistyped one.

    Raises
    ------
    InputError
        A name that is none of these, or that a ``base`` or ``axes`` beside it states too.
    """
    keys = [name for name in GridTables.model_fields if name in keywords]
    mapping: dict[str, object] = {name: keywords[name] for name in keys}
    for name, value in keywords.items():
        if name in keys:
            continue
        if not (name in schema.writable() or schema.is_numeric(name)):
            known = [*schema.writable(), *GridTables.model_fields, *beside]
            raise unknown_name("name", name, known)
        table = "axes" if _is_axis(value) else "base"
        mapping[table] = _joined(table, mapping.get(table, {}), name, value)
    return mapping


def _joined(table: str, stated: object, name: str, value: object) -> dict[str, object]:
    if not isinstance(stated, Mapping):
        raise InputError("must be a mapping", key=table, value=stated)
    if name in stated:
        raise InputError("is given twice", key=f"{table}.{name}", remedy="keep one")
    return {**stated, name: value}


def _is_axis(value: Any) -> bool:
    """Whether a keyword holds the values of an axis rather than one value."""
    if is_quantity(value):
        value = value.magnitude
    return isinstance(value, Mapping | list | tuple | range) or bool(getattr(value, "ndim", 0))


def _tables(content: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in content.items():
        if name == "axes" and isinstance(value, Mapping):
            with within("axes"):
                yield name, _in_order({str(axis): _axis(str(axis), value[axis]) for axis in value})
        else:
            yield str(name), plain(value, key=str(name))


def _in_order(axes: Mapping[str, object]) -> Mapping[str, object]:
    """Axes as tables where one is: TOML has what is not a table first, and their order matters."""
    if not any(isinstance(axis, Mapping) for axis in axes.values()):
        return axes
    return {
        name: axis if isinstance(axis, Mapping) else {"values": axis} for name, axis in axes.items()
    }


def _axis(name: str, raw: object) -> object:
    """The values of an axis, or its table, as a file has them."""
    if isinstance(raw, Mapping):
        inner = {str(key): raw[key] for key in raw}
        forms = {key: _values(name, inner.pop(key)) for key in _AXIS_FORMS if key in inner}
        linked = inner.pop("with", {})
        if isinstance(linked, Mapping):
            linked = {str(other): _values(str(other), each) for other, each in linked.items()}
        return {**forms, **({"with": linked} if linked else {}), **plain(inner, key=name)}
    return _values(name, raw)


def _values(name: str, raw: Any) -> object:
    """Several values of one field; those of an array are in SI units."""
    unit = schema.describe(name).unit if schema.is_numeric(name) else "1"
    if is_quantity(raw):
        raw, unit = raw.magnitude, unit_text(raw)
    if getattr(raw, "ndim", 0) > 1:
        shape = " × ".join(map(str, raw.shape))
        raise InputError(f"has the shape {shape}", key=name, remedy="give one dimension of values")
    if getattr(raw, "ndim", 0) == 1:
        unit = getattr(raw, "attrs", {}).get("si_unit", unit)  # of a result
        return [with_unit(value, unit) for value in np.asarray(raw).tolist()]
    if isinstance(raw, list | tuple | range):
        return [as_written(value, key=name) for value in raw]
    return as_written(raw, key=name)


def plain(value: Any, *, key: str) -> Any:
    """Return what Python has, mappings and lists too, as a file can hold it.

    Parameters
    ----------
    value
        Text, numbers and quantities as :func:`jaxlimits.values.as_written` takes them, in mappings
        and lists of any depth.
    key
        Its name, for the error.

    Raises
    ------
    InputError
        Something else.
    """
    if isinstance(value, Mapping):
        return {str(name): plain(each, key=f"{key}.{name}") for name, each in value.items()}
    if isinstance(value, list | tuple | range) or getattr(value, "ndim", 0) == 1:
        return [plain(each, key=key) for each in value]
    return as_written(str(value) if isinstance(value, Path) else value, key=key)
