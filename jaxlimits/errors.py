"""The errors and warnings a user can meet, and the nearest names for a mistyped one.

Messages name parameters of Python in backquotes, as `force=True`, and a selection of a dataset as
`.sel(seq_len=4096)`: the command line shows its options in their place.
"""

import contextlib
import difflib
import errno
import re
from collections.abc import Iterable, Iterator, Mapping


class InputError(ValueError):
    """Something a user wrote cannot be used: the command line exits with 2.

    Parameters
    ----------
    problem
        What is wrong, in words.
    where
        File, option or argument in which it stands.
    key
        Name under which it stands there.
    value
        What was given.
    remedy
        What to write instead.

    Attributes
    ----------
    where, key
        The place; what is found without one is :func:`placed` later.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> try:
    ...     jl.evaluate("llama3-8b", "h10")
    ... except jl.InputError as error:
    ...     print(error)
    evaluate: chip: unknown chip 'h10'; did you mean h100 or h20?
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str = "",
        key: str = "",
        value: object = None,
        remedy: str = "",
    ) -> None:
        super().__init__(problem)
        self.where, self.key = where, key
        self._known_by = ""
        self._problem = problem
        self._given = "" if value is None else f" = {_shortened(value)}"
        self._advice = f"{problem}; {remedy}" if remedy else problem

    @property
    def problem(self) -> str:
        """What is wrong with what, without its place."""
        return f"{self.key}: {self._problem}" if self.key else self._problem

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.where or self._known_by, self.key) if part)
        return f"{place}{self._given}: {self._advice}" if place else self._advice

    def name_place(self, where: str) -> None:
        """Say where it was found; a place that it has from the start, as a file, stays."""
        self._known_by = where


@contextlib.contextmanager
def placed(where: str) -> Iterator[None]:
    """Name the place of an :class:`InputError` that has none; also a decorator.

    The outermost has the last word: it knows by what name its caller asked.

    Parameters
    ----------
    where
        Function, command or file in which the error is found.
    """
    try:
        yield
    except InputError as error:
        error.name_place(where)
        raise


@contextlib.contextmanager
def within(table: str) -> Iterator[None]:
    """Put the name of a table before the key of an :class:`InputError`: ``decode.tp_size``."""
    try:
        yield
    except InputError as error:
        error.key = f"{table}.{error.key}" if error.key else table
        raise


class ResultError(OSError):
    """A result cannot be read or written: the command line exits with 1.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> try:
    ...     jl.open("no_such.nc")
    ... except jl.ResultError as error:
    ...     print(error)
    no_such.nc: no such file
    """


class UnfinishedSweepError(ResultError):
    """A sweep stopped before its end; what is done is kept, and the sweep can go on from there."""

    def __str__(self) -> str:
        return f"{super().__str__()}; what is done is kept, continue with `resume=True`"


class DeviceError(ResultError):
    """A device has failed, or has no memory left."""


class DeviceMemoryError(DeviceError):
    """A chunk does not fit into a device's memory, also with nothing else on it."""


_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room within the quota",
    errno.ENOENT: "make the folder again",
    errno.ENOTDIR: "make the folder again",
    errno.EACCES: "make the folder writable, or write elsewhere",
    errno.EPERM: "make the folder writable, or write elsewhere",
    errno.EROFS: "the disk is mounted read-only; write elsewhere",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close files of other processes",
    errno.EFBIG: "the file system takes no file so large; write elsewhere",
    errno.EIO: "the disk fails; write elsewhere",
}
"""What helps, by what the system says."""


def cannot_be_written(path: object, error: Exception) -> str:
    """Return in words that a file cannot be written, with the remedy that fits the cause.

    HDF5 and netCDF say in their own words what the system said; its number is in them.
    """
    number = getattr(error, "errno", None)
    if number is None and (found := re.search(r"errno = (\d+)", str(error))):
        number = int(found[1])
    remedy = _REMEDIES.get(number) if number is not None else None
    return f"{path}: cannot be written: {error}" + (f"; {remedy}" if remedy else "")


class ResultWarning(UserWarning):
    """Something about a result that a user should know; the command line prints it as a line."""


class DamagedResultWarning(ResultWarning):
    """Parts of an unfinished sweep are not what was written, and are computed again.

    Examples
    --------
    >>> import warnings
    >>> import jaxlimits as jl
    >>> with warnings.catch_warnings():  # stop rather than compute again what is damaged
    ...     warnings.simplefilter("error", jl.DamagedResultWarning)
    ...     dataset = jl.sweep("smoke", "resumed.nc", resume=True)
    """


class OtherVersionWarning(ResultWarning):
    """A result was made by another version of this package, whose data may differ.

    Examples
    --------
    >>> import warnings
    >>> import jaxlimits as jl
    >>> with warnings.catch_warnings():  # the same bits or nothing
    ...     warnings.simplefilter("error", jl.OtherVersionWarning)
    ...     dataset = jl.sweep_again("smoke.nc")
    """


class AnnouncedChipWarning(ResultWarning):
    """A chip that is announced and not delivered: its figures are its maker's, and may change.

    Examples
    --------
    >>> import warnings
    >>> import jaxlimits as jl
    >>> with warnings.catch_warnings():  # we know that nobody can buy it yet
    ...     warnings.simplefilter("ignore", jl.AnnouncedChipWarning)
    ...     point = jl.evaluate("llama3-70b", "rubin", tp_size=8)
    """


class IdleSettingWarning(ResultWarning):
    """A setting that changes nothing of what is asked, with what would give it effect.

    Examples
    --------
    >>> import warnings
    >>> import jaxlimits as jl
    >>> with warnings.catch_warnings():  # the same settings for points that use them or do not
    ...     warnings.simplefilter("ignore", jl.IdleSettingWarning)
    ...     point = jl.evaluate("llama3-70b", "h100", tp_size=8, acceptance=0.5)
    """


def unknown_name(kind: str, name: str, known: Iterable[str], **place: str) -> InputError:
    """Return the error for a name that is not known, with the nearest ones.

    Parameters
    ----------
    kind
        What the name should be: "axis", "llm", "output".
    name
        What was given.
    known
        What there is.
    **place
        ``where`` and ``key`` of :class:`InputError`.
    """
    return InputError(f"unknown {kind} {name!r}", remedy=suggestion(name, known), **place)


def suggestion(name: str, known: Iterable[str], *, aliases: Mapping[str, str] | None = None) -> str:
    """Return the nearest known names in words, or all of them where none is near.

    ``aliases`` are further names, each with the known one that it stands for.
    """
    known = sorted(known)
    meant = {alias.lower(): stands_for for alias, stands_for in (aliases or {}).items()}
    meant |= {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), meant, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(dict.fromkeys(meant[each] for each in near)) + "?"
    listed = ", ".join(known[:12])
    return f"known: {listed}" + (f" and {len(known) - 12} more" if len(known) > 12 else "")


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
