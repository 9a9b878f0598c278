"""Text files that users write: read, JSON and TOML parsed, and TOML written."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from jaxlimits.errors import InputError


def read_text(path: Path, *, where: str) -> str:
    """Return the text of a file; say why there is none.

    Parameters
    ----------
    path
        The file.
    where
        What to call it in an error: the name that the user gave.

    Raises
    ------
    InputError
        It cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from None
    except UnicodeDecodeError:
        raise InputError("is not text in UTF-8", where=where) from None


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; say file and line where it cannot be."""
    return parse_toml(read_text(path, where=str(path)), where=str(path))


def parse_toml(text: str, *, where: str) -> dict[str, Any]:
    """Parse TOML text; say where and in which line it cannot be."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"malformed TOML: {_with_line(str(error), text)}", where=where) from None


def read_json(path: Path) -> Any:
    """Parse a JSON file; say why it cannot be."""
    text = read_text(path, where=str(path))
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits is a ValueError
        raise InputError(f"is not JSON: {error}", where=str(path)) from None


def toml_text(content: Mapping[str, Any]) -> str:
    """Write tables of text, numbers and lists as TOML, which :func:`parse_toml` reads as they were.

    Within a table, TOML has what is not a table first.
    """
    return tomli_w.dumps(content)


def _with_line(message: str, text: str) -> str:
    """Name the last line where the parser says "at end of document", and quote the line."""
    lines = text.splitlines() or [""]
    message = message.replace("at end of document", f"at the end, line {len(lines)}")
    found = re.search(r"line (\d+)", message)
    line = lines[int(found[1]) - 1].strip() if found else ""
    return f"{message}: {line[:60]}" if line else message
