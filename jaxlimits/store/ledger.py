"""The ledger: what of a long sweep is done, so that an interruption loses nothing.

It lies in a folder beside the result while the sweep runs: who the sweep is (``sweep.json``), a
line for each finished shard (``shards.jsonl``), and the merged state of the reductions
(``state.npz``). Each is whole at any moment: replaced as a file, or appended to line by line.
"""

import dataclasses
import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxlimits.errors import InputError, ResultError

_IDENTITY, _SHARDS, _STATE = "sweep.json", "shards.jsonl", "state.npz"
_SHOWN_LINES = 12

States = dict[str, dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """The record of one sweep.

    Parameters
    ----------
    folder
        Where it lies; shards lie there too.
    """

    folder: Path

    def record(self, shard: Mapping[str, Any]) -> None:
        """Add a finished shard; on the disk when this returns."""
        with (self.folder / _SHARDS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(shard) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def shards(self) -> list[dict[str, Any]]:
        """Return the finished shards; a last line cut short by a kill does not count."""
        path = self.folder / _SHARDS
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [shard for line in lines if (shard := _parsed(line)) is not None]

    def save_state(self, merged: int, states: States) -> None:
        """Replace the state of the reductions after a number of chunks."""
        arrays = {
            f"{name}/{part}": a for name, state in states.items() for part, a in state.items()
        }
        partial = self.folder / f".{_STATE}.partial"
        with partial.open("wb") as file:
            np.savez(file, **{"merged": np.asarray(merged), **arrays}, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.folder / _STATE)

    def load_state(self, fresh: States) -> tuple[int, States]:
        """Return how many chunks are merged and the states; fresh ones where none are saved."""
        path = self.folder / _STATE
        if not path.exists():
            return 0, fresh
        with np.load(path) as saved:
            states = {
                name: {part: saved[f"{name}/{part}"] for part in state}
                for name, state in fresh.items()
            }
            return int(saved["merged"]), states


def open_ledger(
    folder: Path, identity: Mapping[str, Any], *, resume: bool, force: bool = False
) -> Ledger:
    """Start a ledger, or go on with the one that is there.

    Parameters
    ----------
    folder
        Folder of the sweep; made where it is missing.
    identity
        What determines every chunk: grid, catalog, version, plan.
    resume
        Go on with an unfinished sweep; start afresh where there is none.
    force
        Throw an unfinished sweep away.

    Raises
    ------
    ResultError
        An unfinished sweep and neither ``resume`` nor ``force``; a folder that cannot be written.
    InputError
        The unfinished sweep is another one; the message shows the difference.
    """
    kept = _recorded(folder)
    if kept is not None and resume:
        _refuse_other(kept, identity, folder)
        return Ledger(folder=folder)
    if kept is not None and not force:
        remedy = "continue it with --resume, or start again with --force"
        raise ResultError(f"{folder}: an unfinished sweep is there; {remedy}")
    if kept is None and folder.is_dir() and any(folder.iterdir()):
        raise ResultError(f"{folder}: is in the way and no sweep's; move it or name another output")
    try:
        _clear(folder)
        folder.mkdir(exist_ok=True)
        partial = folder / f".{_IDENTITY}.partial"
        partial.write_text(json.dumps(identity, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(partial, folder / _IDENTITY)
    except OSError as error:
        raise ResultError(f"{folder}: cannot be written: {error}") from None
    return Ledger(folder=folder)


def close_ledger(folder: Path, *, keep_shards: bool) -> None:
    """Remove what a finished sweep no longer needs: all of it, unless shards are the result."""
    (folder / _STATE).unlink(missing_ok=True)
    if not keep_shards:
        _clear(folder)
        folder.rmdir()


def _recorded(folder: Path) -> dict[str, Any] | None:
    path = folder / _IDENTITY
    if not path.exists():
        return None
    found = _parsed(path.read_text(encoding="utf-8"))
    return {} if found is None else found


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _clear(folder: Path) -> None:
    """Delete what a sweep leaves: its own files and shards, nothing else."""
    if not folder.is_dir():
        return
    own = (_IDENTITY, _SHARDS, _STATE)
    for path in folder.iterdir():
        if path.name in own or path.suffix in (".nc", ".partial"):
            path.unlink()


def _refuse_other(kept: Mapping[str, Any], identity: Mapping[str, Any], folder: Path) -> None:
    identity = json.loads(json.dumps(identity))
    different = [name for name in identity if kept.get(name) != identity[name]]
    if not different:
        return
    lines = [
        line
        for name in different
        for line in difflib.unified_diff(
            _lines(kept.get(name)),
            _lines(identity[name]),
            "unfinished",
            "asked for",
            lineterm="",
            n=0,
        )
        if not line.startswith(("---", "+++", "@@"))
    ]
    shown = "\n  ".join(lines[:_SHOWN_LINES])
    raise InputError(
        f"the unfinished sweep is another one: {', '.join(different)} differ\n  {shown}\n",
        where=str(folder),
        remedy="name another output, or start again with --force",
    )


def _lines(value: object) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.splitlines()
