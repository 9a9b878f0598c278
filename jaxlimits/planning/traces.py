"""Traces of requests: tables of arrival times and lengths, read a piece at a time.

CSV with a header, or JSON lines. The names of the columns are those of two public traces, and
plain ones: Azure's LLM inference trace (``TIMESTAMP``, ``ContextTokens``, ``GeneratedTokens``) and
Mooncake's (``timestamp`` in ms, ``input_length``, ``output_length``, ``hash_ids``).

What prompts have in common is found where a trace says it. ``hash_ids`` name the blocks of 512
tokens of a prompt, each by all tokens up to its end (published, github.com/kvcache-ai/Mooncake): a
prompt reuses the blocks at its beginning that some prompt had before. With a session's name instead
(``session_id``, ``conversation_id``) a prompt reuses all that the session's last request had read
and written, as a further turn of a chat does (ours). Either is what a cache without end would hold.
A column ``prefix`` states it row by row, as a cache of some size found it, and comes before both.
"""

import collections
import csv
import datetime
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxlimits.errors import InputError
from jaxlimits.planning.workload import Workload, read_rate

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp", "arrival_time", "arrived_at", "time"),
    "input": ("input_length", "contexttokens", "input_len", "prompt_tokens", "input_tokens"),
    "output": (
        *("output_length", "generatedtokens", "output_len"),
        *("completion_tokens", "output_tokens"),
    ),
    "blocks": ("hash_ids",),
    "session": ("session_id", "conversation_id"),
    "prefix": ("prefix",),
}
"""What each column may be called, in small letters."""

_TO_SECONDS: Mapping[str, float] = {"input_length": 1e-3}
"""Unit of numbers in the column of times, by what the column of prompts is called [s]."""


_BLOCK_TOKENS = 512.0
"""Tokens of a block that ``hash_ids`` name (published, Mooncake)."""


class _Cache:
    """What prompts so far leave to those that come: blocks by their names, sessions by theirs."""

    def __init__(self) -> None:
        self._blocks: set[object] = set()
        self._contexts: dict[object, float] = {}

    def reused(self, row: Mapping[str, Any], prompt: float, answer: float, where: str) -> float:
        """Tokens of one prompt that are there, and which then are; 0 where the row names none."""
        name, session = _named(row, "blocks"), _named(row, "session")
        if name is not None and row[name] not in (None, ""):
            return min(_BLOCK_TOKENS * self._leading(_block_names(row[name], where)), prompt)
        if session is None or row[session] in (None, ""):
            return 0.0
        before = self._contexts.get(row[session], 0.0)
        self._contexts[row[session]] = prompt + answer
        return min(before, prompt)

    def _leading(self, blocks: list[object]) -> int:
        """Blocks at the beginning that were there before."""
        count = sum(1 for _ in itertools.takewhile(self._blocks.__contains__, blocks))
        self._blocks.update(blocks)
        return count


def _block_names(raw: object, where: str) -> list[object]:
    """Names of blocks: a list, or one as text in a cell of a table."""
    try:
        listed = json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(name, int | str) for name in listed):
        problem, remedy = "are not a list of names of blocks", "write them as [46, 47, 48]"
        raise InputError(problem, where=where, key="hash_ids", value=raw, remedy=remedy)
    return listed


def read_trace(path: str | Path, *, rate: object = None) -> Workload:
    r"""Read a trace of requests, a row at a time.

    Parameters
    ----------
    path
        A CSV file with a header, or JSON lines (``.jsonl``, ``.json``).
    rate
        Requests in a second; by default the rate of the trace: requests after the first over the
        time between the first and the last.

    Raises
    ------
    InputError
        With file and line: no such file, a column that is missing, a length that is not a whole
        number above 0, blocks that are not a list of names, a prefix that is neither a share nor a
        number of the prompt's tokens, a time before the one above it, no rate.

    Examples
    --------
    >>> import pathlib
    >>> import jaxlimits as jl
    >>> rows = ["input_len,output_len", "100,10", "300,30"]
    >>> _ = pathlib.Path("trace.csv").write_text("\n".join(rows))
    >>> jl.read_trace("trace.csv", rate="5 request/s").mean_input_len
    200.0
    """
    source = Path(path)
    lengths: collections.Counter[tuple[float, float]] = collections.Counter()
    cache, reused = _Cache(), 0.0
    first = last = None
    for line, row in _rows(source):
        where = f"{path}: line {line}"
        pair = _length(row, "input", where), _length(row, "output", where)
        lengths[pair] += 1
        found, stated = cache.reused(row, *pair, where), _prefix(row, pair[0], where)
        reused += found if stated is None else stated
        time = _time(row, where)
        if time is not None and last is not None and time < last:
            remedy = "sort the rows by time"
            raise InputError("is before the row above it", where=where, key="time", remedy=remedy)
        first, last = (time if first is None else first), time
    count = lengths.total()
    if not count:
        raise InputError("holds no request", where=str(path))
    if rate is None:
        span = 0.0 if first is None or last is None else last - first
        if count < 2 or span <= 0.0:
            remedy = "state `rate=10 request/s`"
            raise InputError("does not say how often requests come", where=str(path), remedy=remedy)
        rate = (count - 1) / span
    weighted = ((*pair, float(number)) for pair, number in lengths.items())
    tokens = sum(prompt * number for (prompt, _), number in lengths.items())
    return Workload.of_lengths(
        weighted,
        rate=read_rate(rate),
        source=f"{count:,} requests of {source.name}",
        prefix_share=reused / tokens,
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a table with their lines, names of columns in small letters."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _of_json(file, path) if path.suffix in (".jsonl", ".json") else _of_csv(file)
    except OSError as error:
        raise InputError("cannot be read", where=str(path), remedy=str(error.strerror)) from error
    except UnicodeDecodeError as error:
        raise InputError("is not text in UTF-8", where=str(path)) from error


def _of_csv(file: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.reader(file)
    header = [name.strip().lower() for name in next(reader, [])]
    for cells in reader:
        if cells:
            yield reader.line_num, dict(zip(header, cells, strict=False))


def _of_json(file: Iterable[str], path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in zip(itertools.count(1), file, strict=False):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            remedy = "write one object a line"
            raise InputError("is not a JSON object", where=f"{path}: line {line}", remedy=remedy)
        yield line, {str(name).lower(): value for name, value in row.items()}


def _named(row: Mapping[str, Any], column: str) -> str | None:
    return next((name for name in _COLUMNS[column] if name in row), None)


def _length(row: Mapping[str, Any], column: str, where: str) -> float:
    name = _named(row, column)
    if name is None or row[name] in (None, ""):
        known = ", ".join(_COLUMNS[column])
        problem = f"has no {column} length"
        raise InputError(problem, where=where, remedy=f"name the column one of {known}")
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = 0.0
    if not (value >= 1.0 and value == int(value)):
        problem = "is not a whole number of tokens above 0"
        remedy = "leave the row out"
        raise InputError(problem, where=where, key=name, value=row[name], remedy=remedy)
    return value


def _prefix(row: Mapping[str, Any], prompt: float, where: str) -> float | None:
    """Tokens of one prompt that its row says are reused; none where it says nothing.

    A number above 1, or one without a point, is a number of tokens, as 512 and 1; another one is a
    share of the prompt, as 0.5 and 1.0.
    """
    name = _named(row, "prefix")
    if name is None or row[name] in (None, ""):
        return None
    raw = row[name]
    try:
        value = math.nan if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError):
        value = math.nan
    share = value <= 1.0 and (isinstance(raw, float) or not str(raw).strip().isdigit())
    if not (value >= 0.0 and (share or value.is_integer())):
        problem = "is neither a share of the prompt nor a number of its tokens"
        remedy = "write 0.5 for half of it, or 512 for so many tokens"
        raise InputError(problem, where=where, key=name, value=raw, remedy=remedy)
    if not share and value > prompt:
        problem = f"is more than the prompt, which has {prompt:,.0f} tokens"
        remedy = "a prefix is a part of the prompt: state its tokens, or a share from 0 to 1"
        raise InputError(problem, where=where, key=name, value=raw, remedy=remedy)
    return value * prompt if share else value


def _time(row: Mapping[str, Any], where: str) -> float | None:
    """Time of arrival [s], from any moment on; none where the table has no such column."""
    name = _named(row, "time")
    if name is None or row[name] in (None, ""):
        return None
    try:
        return float(row[name]) * _TO_SECONDS.get(_named(row, "input") or "", 1.0)
    except (TypeError, ValueError):
        pass
    try:
        text = str(row[name]).strip().replace("Z", "+00:00")
        return datetime.datetime.fromisoformat(_six_digits(text)).timestamp()
    except ValueError as error:
        remedy = "write seconds, or a date and time as 2024-05-10 00:00:00.123"
        problem = "is not a time"
        raise InputError(problem, where=where, key=name, value=row[name], remedy=remedy) from error


def _six_digits(text: str) -> str:
    """A time whose fraction has no more digits than Python reads, as Azure's have seven."""
    whole, point, rest = text.partition(".")
    digits = "".join(itertools.takewhile(str.isdigit, rest))
    return f"{whole}{point}{digits[:6]}{rest[len(digits) :]}"
