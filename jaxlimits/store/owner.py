"""The owner of an output: one process at a time writes it, and a second one is told who does.

A file beside the output holds who the owner is. The system's lock on it ends with its process,
however that ends, so that what a kill left is taken over at once. Between machines that share a
file system such a lock may not be seen; there the file's time of change tells, which its owner
renews while it lives.
"""

import contextlib
import dataclasses
import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where the time of change alone tells
    fcntl = None

from jaxlimits.errors import ResultError
from jaxlimits.store.folders import beside

SECONDS_BETWEEN_SIGNS = 10.0
"""How often an owner renews the time of change."""

SECONDS_TO_LIVE = 120.0
"""Age of the last sign from which on an owner on another machine counts as dead.

Network file systems show changes of a file up to a minute late.
"""

_SECONDS_TO_WRITE = 1.0
_MOST_BYTES = 4096
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Who writes an output.

    Parameters
    ----------
    host, pid
        Its machine and its process there.
    since
        When it began [s since 1970].
    """

    host: str
    pid: int
    since: float

    def __str__(self) -> str:
        began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.since))
        return f"process {self.pid} on {self.host} has been writing it since {began}"


@dataclasses.dataclass(kw_only=True, slots=True)
class Ownership:
    """An output that this process owns.

    Parameters
    ----------
    output, path, descriptor
        What is owned, the file that says so, and that file as it is open.
    ended
        Set when it is given back.
    lost
        Whether another process has taken it, which happens where this one gave no sign for minutes.
    """

    output: Path
    path: Path
    descriptor: int
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)
    lost: bool = False

    def check(self) -> None:
        """Raise ``ResultError`` where another process has taken the output. Costs nothing."""
        if self.lost:
            problem = "another process took it over, since this one gave no sign for minutes"
            raise ResultError(f"{self.output}: {problem}; {_found(self.path)}")

    def look(self) -> None:
        """As :meth:`check`, from the disk: before a result takes the place of another."""
        self.lost = self.lost or not _is_there(self.descriptor, self.path)
        self.check()

    def give_signs(self) -> None:
        """Renew the time of change until the output is given back."""
        while not self.lost and not self.ended.wait(SECONDS_BETWEEN_SIGNS):
            with contextlib.suppress(OSError):  # a file server that is away for a moment
                self.lost = not _is_there(self.descriptor, self.path)
                if not self.lost:
                    os.utime(self.path)


@contextlib.contextmanager
def owned(output: Path) -> Iterator[Ownership]:
    """Own an output, its shards and its ledger, for a while.

    Raises
    ------
    ResultError
        Another process owns it; the message says which, and since when.
    """
    path = owner_file(output)
    try:
        ownership = Ownership(output=output, path=path, descriptor=_taken(output, path))
    except ResultError:
        raise
    except OSError as error:
        problem = f"{path} cannot be written, which says who writes the output: {error.strerror}"
        remedy = "name another output, or remove that file if no process writes this one"
        raise ResultError(f"{output}: {problem}; {remedy}") from None
    signs = threading.Thread(target=ownership.give_signs, daemon=True)
    signs.start()
    try:
        yield ownership
    finally:
        ownership.ended.set()
        signs.join()
        _give_back(ownership)


def owner_file(output: Path) -> Path:
    """Return the file that says who owns an output; it is there as long as somebody does."""
    visible = beside(output, "owner")
    return visible.with_name(f".{visible.name}")


def _taken(output: Path, path: Path) -> int:
    """Open and lock the file of an output, and write into it who this is."""
    while True:
        descriptor, is_new = _opened(path)
        try:
            locked = _locked(descriptor)
            if locked is False or (not is_new and _lives(descriptor, locked=bool(locked))):
                raise ResultError(f"{output}: {_found(path)}")
            if _is_there(descriptor, path):  # else its owner removed it in between
                _write(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(path: Path) -> tuple[int, bool]:
    """A file opened to be locked, and whether this made it."""
    flags = os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, flags, 0o666), False


def _locked(descriptor: int) -> bool | None:
    """Whether the file could be locked; ``None`` where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS:
            return None
        raise
    return True


def _lives(descriptor: int, *, locked: bool) -> bool:
    """Whether the owner that a file names is alive, where the lock does not say.

    Its own lock an owner of this machine would still hold. Another machine's may not be seen here.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    owner = _parsed(os.read(descriptor, _MOST_BYTES))
    if locked and (owner is None or owner.host == socket.gethostname()):
        return False
    return _age(os.fstat(descriptor)) < SECONDS_TO_LIVE


def _found(path: Path) -> str:
    """Who owns the output, and what to do about it."""
    owner = _read(path, wait=True)
    words = "another process writes it" if owner is None else str(owner)
    remedy = "wait for it, end it, or name another output"
    if owner is None or owner.host == socket.gethostname():
        return f"{words}; {remedy}"
    with contextlib.suppress(FileNotFoundError):
        words += f", its last sign was {max(0.0, _age(path.stat())):.0f} s ago"
    minutes = f"{SECONDS_TO_LIVE / 60:.0f} minutes"
    return f"{words}; {remedy}; without a sign for {minutes} it counts as dead"


def _read(path: Path, *, wait: bool = False) -> Owner | None:
    """Who a file names; its owner writes that a moment after making it."""
    until = time.monotonic() + (_SECONDS_TO_WRITE if wait else 0.0)
    while True:
        with contextlib.suppress(FileNotFoundError):
            if (owner := _parsed(path.read_bytes())) is not None:
                return owner
        if time.monotonic() >= until:
            return None
        time.sleep(0.01)


def _parsed(text: bytes) -> Owner | None:
    try:
        return Owner(**json.loads(text))
    except (TypeError, ValueError):
        return None


def _age(found: os.stat_result) -> float:
    """Time since the last sign [s]."""
    return time.time() - found.st_mtime


def _write(descriptor: int) -> None:
    owner = Owner(host=socket.gethostname(), pid=os.getpid(), since=time.time())
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(dataclasses.asdict(owner)).encode())


def _is_there(descriptor: int, path: Path) -> bool:
    """Whether a path is still the file that was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _give_back(ownership: Ownership) -> None:
    """Remove the file while it is still locked, so that nobody locks one that is going."""
    with contextlib.suppress(OSError):
        is_own = _is_there(ownership.descriptor, ownership.path)
        if fcntl is None:  # Windows removes no file that is open
            os.close(ownership.descriptor)
        if is_own:
            ownership.path.unlink()
    if fcntl is not None:
        os.close(ownership.descriptor)
