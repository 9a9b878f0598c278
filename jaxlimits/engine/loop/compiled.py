"""Loops as machine code, which Numba makes and keeps beside the compiled programs of JAX."""

import contextlib
import functools
import hashlib
import inspect
import math
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from jaxlimits._version import __version__
from jaxlimits.engine.by_row import Row
from jaxlimits.engine.loop.expressions import HELPERS
from jaxlimits.engine.program_cache import private_folder
from jaxlimits.errors import InputError

_FOLDER = "loops"
_MOST_LOOPS = 256
"""Loops in the folder, at most; those that were written first go."""

_compiling = threading.Lock()


def numba() -> ModuleType:
    """Return the compiler.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        import numba  # noqa: PLC0415  (an optional extra)
    except ImportError:
        remedy = "pip install 'jaxlimits[fast]', or sweep without `fast=True`"
        raise InputError("the compiled loop needs Numba", remedy=remedy) from None
    return numba


def compiled(
    text: str, steps: Sequence[Callable[..., None]], dtype: np.dtype
) -> Callable[..., None]:
    """Return the loop of a text.

    Parameters
    ----------
    text
        As :func:`jaxlimits.engine.loop.source.write_loop` returns it.
    steps
        What it calls, for each reduction.
    dtype
        The type of its numbers.
    """
    jit = functools.partial(numba().njit, nogil=True, error_model="numpy", no_cfunc_wrapper=True)
    called = {f"step{n}": step for n, step in enumerate(steps)}
    called |= {helper.__name__: helper for helper in HELPERS}
    called = {name: inspect.unwrap(each) for name, each in called.items()}  # of checks, in tests
    # What is kept is found by the file and the loop alone: the text bears all that it rests on.
    sources = "".join(map(inspect.getsource, called.values()))
    rests_on = hashlib.sha256(f"{__version__}{dtype}{sources}{text}".encode()).hexdigest()[:32]
    path = _kept(f"# {rests_on}\n{text}", rests_on)
    each_once = {each: jit(each, no_cpython_wrapper=True) for each in called.values()}
    # Numba loads what it kept under the name of a module that is there: ours.
    space = {name: each_once[each] for name, each in called.items()}
    space |= {"np": np, "math": math, "inf": math.inf, "nan": math.nan, "Row": Row}
    space |= {"F": dtype.type, "__name__": __name__}
    exec(compile(f"# {rests_on}\n{text}", str(path or "<loop>"), "exec"), space)
    return jit(cache=path is not None)(space["loop"])


def _kept(text: str, name: str) -> Path | None:
    """Write a loop where Numba keeps its code beside it; return ``None`` without such a folder."""
    folder = private_folder(_FOLDER)
    if folder is None:
        return None
    path = folder / f"loop_{name}.py"
    with contextlib.suppress(OSError):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)
            _forget_oldest(folder)
        return path
    return None


def _forget_oldest(folder: Path) -> None:
    loops = sorted(folder.glob("loop_*.py"), key=lambda path: path.stat().st_mtime)
    for path in loops[:-_MOST_LOOPS]:
        for made in (*folder.glob(f"__pycache__/{path.stem}.*"), path):
            made.unlink(missing_ok=True)
