"""The ledger: what of a long sweep is done, so that an interruption loses nothing.

It lies in a folder beside the result while the sweep runs: who the sweep is (``sweep.json``), a
line for each finished shard (``shards.jsonl``), the merged state of the reductions up to some chunk
(``state.npz``) and what they keep of each chunk after it (``parts.bin``). Each is whole at any
moment: replaced as a file, or appended to.
"""

import dataclasses
import difflib
import json
import os
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxlimits.errors import DamagedResultWarning, InputError, ResultError, cannot_be_written
from jaxlimits.grid.plan import Key
from jaxlimits.store.journal import Arrays, cut_to_whole, entries, packed
from jaxlimits.store.netcdf import renamed_when_whole
from jaxlimits.store.provenance import ARRANGEMENT, LOOP, PORTABLE
from jaxlimits.store.shards import Shard

_IDENTITY, _SHARDS, _STATE, _PARTS = "sweep.json", "shards.jsonl", "state.npz", "parts.bin"
_SHOWN_LINES = 12
_SECONDS_BETWEEN_SYNCS = 1.0
_JOURNAL_BYTES = 64 << 20
"""Size of a journal at which the state is saved and a new one begins; more for a larger state."""

States = dict[str, Arrays]


@dataclasses.dataclass(kw_only=True, slots=True)
class Ledger:
    """The record of one sweep.

    What is appended outlives the process at once. It is forced to the disk every second, which is
    what a power cut can cost.

    Parameters
    ----------
    folder
        Where it lies; shards lie there too.
    synced
        When each file was last forced to the disk.
    """

    folder: Path
    synced: dict[str, float] = dataclasses.field(default_factory=dict)

    def record_shard(self, shard: Shard) -> None:
        """Add a finished shard."""
        self._append(_SHARDS, (json.dumps(dataclasses.asdict(shard)) + "\n").encode())

    def record_parts(self, number: int, parts: Mapping[str, Arrays], states: States) -> None:
        """Add what the reductions keep of a chunk that was merged, the next in the order.

        Parameters
        ----------
        number, parts
            The chunk.
        states
            What they have become by it; saved where the journal has grown long.
        """
        self._append(_PARTS, packed(number, parts))
        held = sum(array.nbytes for state in states.values() for array in state.values())
        if (self.folder / _PARTS).stat().st_size > max(_JOURNAL_BYTES, held):
            self.save_state(number + 1, states)

    def shards(self) -> dict[Key, Shard]:
        """Return the finished shards by their keys; a line that is none does not count."""
        path = self.folder / _SHARDS
        lines = path.read_bytes().splitlines() if path.exists() else []
        found = [shard for line in lines if (shard := _shard(_parsed(line) or {})) is not None]
        return {shard.key: shard for shard in found}

    def save_state(self, merged: int, states: States) -> None:
        """Replace the state of the reductions after a number of chunks, and empty the journal."""
        arrays = {
            f"{name}/{part}": a for name, state in states.items() for part, a in state.items()
        }
        whole = renamed_when_whole(self.folder / _STATE, force=True)
        with whole as partial, partial.open("wb") as file:
            np.savez(file, **{"merged": np.asarray(merged), **arrays}, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        (self.folder / _PARTS).unlink(missing_ok=True)

    def load_state(self, fresh: States) -> tuple[int, States]:
        """Return how many chunks are merged and the states; fresh ones where none can be read."""
        path = self.folder / _STATE
        if not path.exists():
            return 0, fresh
        try:
            with path.open("rb") as file, np.load(file) as saved:
                states = {
                    name: {part: saved[f"{name}/{part}"] for part in state}
                    for name, state in fresh.items()
                }
                return int(saved["merged"]), states
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            warnings.warn(
                f"{path}: is damaged; what the reductions had is computed again",
                DamagedResultWarning,
                stacklevel=2,
            )
            return 0, fresh

    def parts_after(self, merged: int) -> Iterator[tuple[int, dict[str, Arrays]]]:
        """Yield number and parts of the chunks that were added after a state, in their order."""
        for number, parts in entries(self.folder / _PARTS):
            if number == merged:
                yield number, parts
                merged += 1

    def is_empty(self) -> bool:
        """Whether nothing is recorded yet."""
        return not any((self.folder / name).exists() for name in (_SHARDS, _STATE, _PARTS))

    def _append(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(data)
            if time.monotonic() - self.synced.get(name, 0.0) > _SECONDS_BETWEEN_SYNCS:
                file.flush()
                os.fsync(file.fileno())
                self.synced[name] = time.monotonic()


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
        _mend(folder)
        return Ledger(folder=folder)
    if kept is not None and not force:
        remedy = "continue it with `resume=True`, or start again with `force=True`"
        raise ResultError(f"{folder}: an unfinished sweep is there; {remedy}")
    if kept is None and _is_of_others(folder):
        raise ResultError(
            f"{folder}: exists and is not a sweep folder; move it or name another output"
        )
    try:
        _clear(folder)
        folder.mkdir(exist_ok=True)
        with renamed_when_whole(folder / _IDENTITY, force=True) as partial:
            partial.write_text(json.dumps(identity, indent=1, sort_keys=True), encoding="utf-8")
    except OSError as error:
        raise ResultError(cannot_be_written(folder, error)) from None
    return Ledger(folder=folder)


def close_ledger(folder: Path, *, keep_shards: bool) -> None:
    """Remove what a finished sweep no longer needs.

    Where shards are the result the ledger stays with them, so that one that is lost later can be
    computed again alone.
    """
    if keep_shards:
        _sweep_out(folder)
    else:
        _clear(folder)
        if not any(folder.iterdir()):  # what a user has put there stays
            folder.rmdir()


def drop_ledger(folder: Path, identity: Mapping[str, Any]) -> None:
    """Remove the ledger of a sweep whose result is there, if it is the sweep's."""
    if is_ledger_of(folder, identity):
        close_ledger(folder, keep_shards=False)


def has_ledger(folder: Path) -> bool:
    """Whether a sweep was begun in a folder."""
    return (folder / _IDENTITY).exists()


def is_ledger_of(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Whether the sweep that was begun in a folder is the one of an identity."""
    return _recorded(folder) == json.loads(json.dumps(identity))


def _recorded(folder: Path) -> dict[str, Any] | None:
    path = folder / _IDENTITY
    if not path.exists():
        return None
    found = _parsed(path.read_bytes())
    return {} if found is None else found


def _is_of_others(folder: Path) -> bool:
    """Whether a folder without a ledger holds more than the beginning of one."""
    if not folder.is_dir():
        return folder.exists()
    return any(path.suffix != ".partial" for path in folder.iterdir())


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _shard(entry: Mapping[str, Any]) -> Shard | None:
    try:
        return Shard(**{**entry, "key": tuple(entry["key"])})
    except (KeyError, TypeError):
        return None


def _clear(folder: Path) -> None:
    """Delete what a sweep leaves, its own files and shards, nothing else.

    Whose the folder is goes last, so that a kill in the middle leaves a folder that can be cleared.
    """
    if not folder.is_dir():
        return
    own = (_SHARDS, _STATE, _PARTS)
    for path in folder.iterdir():
        if path.name in own or path.suffix in (".nc", ".partial"):
            path.unlink()
    (folder / _IDENTITY).unlink(missing_ok=True)


def _sweep_out(folder: Path) -> None:
    """Delete what a process that was killed had half written."""
    for path in folder.glob(".*.partial"):
        path.unlink(missing_ok=True)


def _mend(folder: Path) -> None:
    """Make a ledger that a kill or a full disk cut short fit to be gone on with."""
    _sweep_out(folder)
    cut_to_whole(folder / _PARTS)
    shards = folder / _SHARDS
    if shards.exists():
        text = shards.read_bytes()
        os.truncate(shards, text.rfind(b"\n") + 1)


def _refuse_other(kept: Mapping[str, Any], identity: Mapping[str, Any], folder: Path) -> None:
    if not kept:
        problem = f"its {_IDENTITY} is damaged, so that nobody knows which sweep it is"
        raise ResultError(f"{folder}: {problem}; start again with `force=True`")
    identity = json.loads(json.dumps(identity))
    _refuse_mixed(kept, identity, folder)
    different = [name for name in identity if kept.get(name) != identity[name]]
    if not different:
        return
    # The hash follows from the rest, and so does the plan unless the machine is another one.
    told = [name for name in different if name not in ("content_hash", "plan")] or different
    lines = [line for name in told for line in _difference(kept.get(name), identity[name], name)]
    more = f"\n  and {len(lines) - _SHOWN_LINES} lines more" if len(lines) > _SHOWN_LINES else ""
    shown = "\n  ".join(lines[:_SHOWN_LINES]) + more
    raise InputError(
        f"the unfinished sweep is another one: {', '.join(told)} differ\n  {shown}\n",
        where=str(folder),
        remedy="ask for the same (- above), name another output, or start again with `force=True`",
    )


def _refuse_mixed(kept: Mapping[str, Any], identity: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with other chunks, or with what something else computes."""
    for option, name, value, why in (
        ("`portable=True`", "memory", PORTABLE, ", in chunks of the machine that began it"),
        ("`fast=True`", ARRANGEMENT, LOOP, ", by XLA alone"),
    ):
        begun, asked = (made.get(name) == value for made in (kept, identity))
        if begun == asked:
            continue
        problem = f"was begun without {option}{why}" if asked else f"was begun with {option}"
        remedy = f"leave {option} out there" if asked else f"continue it with {option}"
        raise InputError(
            f"the unfinished sweep {problem}",
            where=str(folder),
            remedy=f"{remedy}, name another output, or start again with `force=True`",
        )


def _difference(kept: object, asked: object, name: str) -> list[str]:
    """Lines of the unfinished sweep (-) and of the one that is asked for (+)."""
    _, _, *both = difflib.unified_diff(_lines(kept), _lines(asked), lineterm="", n=0)
    lines = [line for line in both if not line.startswith("@@")]
    return lines if name == "grid" else [f"{line[0]}{name}: {line[1:].strip()}" for line in lines]


def _lines(value: object) -> list[str]:
    """A value as text, a table as a line for each of its entries."""
    table = _parsed(value.encode()) if isinstance(value, str) else None
    if table is not None:
        return json.dumps(table, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
    return value.splitlines() if isinstance(value, str) else [json.dumps(value, sort_keys=True)]
