"""Compiled programs kept on disk, so that the second start of a command does not compile.

JAX keeps them: its persistent compilation cache is given a folder of the user's own, bounded in
size, and every program enters it. JAX distinguishes programs by its own version, the features of
the processor, the kind of device and the flags of XLA, so that a folder which several machines
share never answers with a program of another kind of machine. What is loaded is the executable that
was stored, so that results have the same bits with and without the cache.

The settings are JAX's, of the whole process: programs that a user compiles after a call to
jaxlimits are kept in the same folder. A cache that the user has set stays as it is.
"""

import contextlib
import dataclasses
import functools
import os
import stat
from pathlib import Path
from typing import Any

import filelock
import jax
import platformdirs

FOLDER = "JAXLIMITS_CACHE"
"""Environment variable: the folder to keep programs in; ``off`` or nothing to keep none."""

MAX_BYTES = 256 << 20
"""Size of the folder beyond which the programs that were used least recently go."""

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_SECONDS_TO_LOCK = 10
_PROGRAM, _TIME_OF_USE = "-cache", "-atime"
"""How JAX ends the names of the two files of a program, which it writes in this order."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ProgramCache:
    """Where compiled programs are kept, and by whose choice, or why none are."""

    folder: Path | None = None
    note: str

    def __str__(self) -> str:
        """Describe the cache in one line, for a report of an issue."""
        if self.folder is None:
            return f"off ({self.note})"
        return f"{self.folder} ({self.size / 1e6:,.1f} MB, {self.note})"

    @property
    def size(self) -> int:
        """Size of what is kept [B]."""
        total = 0
        for path in () if self.folder is None else self.folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # another process removes programs
                total += path.stat().st_size if path.is_file() else 0
        return total


class _UnusableError(Exception):
    """A folder in which programs must not or cannot be kept; the message says why."""


@functools.cache
def keep_programs() -> ProgramCache:
    """Have JAX keep compiled programs from now on, unless the user decided otherwise.

    A folder is used only if it is private: executables are loaded from it, so whoever can write
    there can run code as the user. Where it cannot be used, every program is compiled again; the
    answers are the same.

    Returns
    -------
    ProgramCache
        The folder, or the reason why there is none. The same for every call in a process.
    """
    if not _setting("jax_enable_compilation_cache"):
        return ProgramCache(note="turned off by jax_enable_compilation_cache")
    if own := _setting("jax_compilation_cache_dir"):
        return ProgramCache(folder=Path(own), note="set by jax_compilation_cache_dir")
    chosen = os.environ.get(FOLDER)
    if chosen is not None and chosen.strip().lower() in ("", "off"):
        return ProgramCache(note=f"turned off by {FOLDER}")
    folder = Path(chosen) if chosen else platformdirs.user_cache_path("jaxlimits", appauthor=False)
    try:
        _make_private(folder.expanduser())
        _remove_halves(folder.expanduser())
    except _UnusableError as problem:
        return ProgramCache(note=f"{folder}: {problem}")
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        return ProgramCache(note=f"{folder}: {error}")
    return _configured(folder.expanduser().absolute())


def private_folder(name: str) -> Path | None:
    """Return a private folder within that of the programs; ``None`` where none can be used."""
    kept = keep_programs().folder
    if kept is None or not kept.is_dir():  # JAX keeps programs in places that are none, too
        return None
    try:
        _make_private(kept / name)
    except (_UnusableError, OSError):
        return None
    return kept / name


def _setting(name: str) -> Any:
    return getattr(jax.config, name)  # whose type names no setting


def _configured(folder: Path) -> ProgramCache:
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # Files that XLA would write beside the programs are outside the bound.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    return ProgramCache(folder=folder, note=f"at most {MAX_BYTES >> 20} MiB")


def _make_private(folder: Path) -> None:
    """Make a folder for the user alone, or raise if the one that is there is not."""
    if not os.path.lexists(folder):
        _refuse_home_of_another(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)  # another process may have been quicker
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _UnusableError("is a symbolic link; name the folder itself")
    if not stat.S_ISDIR(found.st_mode):
        raise _UnusableError("is not a folder")
    if os.name == "posix":  # elsewhere the folder of a user is private by inheritance
        if found.st_uid != os.geteuid():
            raise _UnusableError("belongs to another user")
        if found.st_mode & _OTHERS_MAY_WRITE:
            raise _UnusableError("others may write there; chmod go-w makes it usable")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _UnusableError("cannot be written")


def _refuse_home_of_another(folder: Path) -> None:
    """Raise if root, who may write anywhere, would make a folder in the home of a user."""
    if os.name == "posix" and os.geteuid() == 0:
        nearest = next(parent for parent in folder.absolute().parents if parent.exists())
        if nearest.stat().st_uid != 0:
            raise _UnusableError(f"{nearest} belongs to another user")


def _remove_halves(folder: Path) -> None:
    """Remove what a process that was killed, or a full disk, left of a program.

    JAX holds this lock while it reads, writes or removes a program, and the time of use is written
    last: a program without one is not whole.
    """
    try:
        with filelock.FileLock(folder / ".lockfile", timeout=_SECONDS_TO_LOCK):
            names = set(os.listdir(folder))
            for name in names:
                stem, dash, end = name.rpartition("-")
                other = {_PROGRAM: _TIME_OF_USE, _TIME_OF_USE: _PROGRAM}.get(dash + end)
                if other is not None and stem + other not in names:
                    (folder / name).unlink()
    except filelock.Timeout:
        raise _UnusableError(
            f"another process has held its lock for {_SECONDS_TO_LOCK} s"
        ) from None
