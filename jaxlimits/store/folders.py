"""The two folders beside an output in which shards may lie.

A finished result keeps its shards in one of them while the sweep that is to replace it fills the
other: the result is there until its successor is whole. Its index says in which of them its shards
lie, so that the rename of the index replaces both at once.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from jaxlimits.store.ledger import has_ledger, is_ledger_of


def shards_folders(output: Path) -> tuple[Path, Path]:
    """Return the folders beside an output for its shards and its ledger; usually the first."""
    return beside(output, "shards"), beside(output, "shards2")


def beside(output: Path, what: str) -> Path:
    """Return where something of an output lies in its folder.

    An output whose name does not end in ``.nc`` has its whole name in it, and a dash: two outputs
    whose names differ only in the suffix share nothing.
    """
    own = f"{output.stem}." if output.suffix == ".nc" else f"{output.name}-"
    return output.with_name(own + what)


def kept_folder(output: Path) -> Path | None:
    """Return the folder that holds the shards of a result, or ``None`` where it has none."""
    with contextlib.suppress(OSError, KeyError), h5py.File(output) as index:
        folder = output.parent / Path(_text(index.attrs["shards_folder"]))
        own = [each for each in shards_folders(output) if each.name == folder.name]
        return next((each for each in own if each.is_dir()), None)
    return None  # no file, a single one, or one that no sweep wrote


def unfinished_folders(output: Path) -> list[Path]:
    """Return the folders in which no finished result lies, whether they are there or not."""
    kept = kept_folder(output)
    return [folder for folder in shards_folders(output) if folder != kept]


def working_folder(
    output: Path, identity: Mapping[str, Any], *, resume: bool, force: bool = False
) -> Path:
    """Return the folder in which a sweep goes on, or begins.

    Parameters
    ----------
    output
        Its result.
    identity
        What determines every chunk, as the ledger has it.
    resume
        Go on where its ledger is; that of a finished result comes first, whose lost shards are then
        computed again.
    force
        The finished result is to be replaced: its ledger comes last.
    """
    kept, free = kept_folder(output), unfinished_folders(output)
    begun = [folder for folder in free if has_ledger(folder)]
    if resume:
        finished = [kept] if kept is not None else []
        order = [*free, *finished] if force else [*finished, *free]
        own = [folder for folder in order if is_ledger_of(folder, identity)]
        begun = own or begun
    return next(iter([*begun, *free]))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
