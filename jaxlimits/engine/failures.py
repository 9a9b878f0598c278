"""What goes wrong on a device, in words: no device, no memory, one that fails.

JAX and the libraries under it say so in errors of their own, whose texts are all that tells them
apart.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import jax
from jax.errors import JaxRuntimeError

from jaxlimits.errors import DeviceError, InputError

_PLATFORMS = "JAX_PLATFORMS"
_FULL = ("RESOURCE_EXHAUSTED", "CUDA_ERROR_OUT_OF_MEMORY", "out of memory", "Out of memory")
_LIBRARIES = ("CUBLAS_STATUS", "CUDNN_STATUS", "CUSOLVER_STATUS")
"""Names in the errors of libraries that find no memory for themselves when they start."""

_OF_A_PROGRAM = ("INVALID_ARGUMENT", "UNIMPLEMENTED", "NOT_FOUND", "OUT_OF_RANGE")
"""How errors begin that are not a device's: a mistake in a program, whose traceback is of use."""

_OTHERS = "another process may hold it (`nvidia-smi` lists them); end that"
_NVIDIA = ("cuda", "gpu")

Made = TypeVar("Made")


def unless_full(work: Callable[[], Made]) -> Made | None:
    """Return what some work makes; ``None`` where a device has no memory for it.

    The error is gone when this returns, and with it what its frames held on the device.
    """
    try:
        return work()
    except JaxRuntimeError as error:
        if not is_full(error):
            raise
    return None


def is_full(error: BaseException) -> bool:
    """Whether an error says that a device has no memory left."""
    return any(sign in str(error) for sign in _FULL)


@contextlib.contextmanager
def explained_failures() -> Iterator[None]:
    """Turn what JAX says of a device into an error of this package."""
    try:
        yield
    except (AssertionError, RuntimeError) as error:
        told = explained(error)
        if told is None:
            raise
        raise told from error


def explained(error: BaseException) -> InputError | DeviceError | None:
    """Return an error of JAX as one that says what to do; ``None`` where it is of something else.

    Parameters
    ----------
    error
        Whatever was raised.
    """
    if "Unable to initialize backend" in str(error) or _is_without_devices(error):
        return _no_device(str(error))
    if not isinstance(error, JaxRuntimeError) or str(error).startswith(_OF_A_PROGRAM):
        return None
    if is_full(error) or any(name in str(error) for name in _LIBRARIES):
        remedy = f"{_OTHERS}, ask for fewer points at once, or set {_PLATFORMS}=cpu"
        return DeviceError(f"{_devices()}: the device's memory is full; {remedy}")
    remedy = f"look into the driver's log, or set {_PLATFORMS}=cpu"
    return DeviceError(f"{_devices()}: the device failed ({_first_line(error)}); {remedy}")


def _is_without_devices(error: BaseException) -> bool:
    """Whether an error that says nothing comes of there being no device, as JAX looks for one."""
    if not isinstance(error, AssertionError):
        return False
    try:
        jax.devices()
    except (AssertionError, RuntimeError):
        return True
    return False


def _no_device(said: str) -> InputError:
    asked = os.environ.get(_PLATFORMS) or getattr(jax.config, "jax_platforms", None)
    remedy = f"unset {_PLATFORMS}, or set it to cpu"
    if any(sign in said for sign in _FULL):
        return InputError(
            "the GPU has no memory left for one more process",
            where=_PLATFORMS,
            value=asked,
            remedy=f"{_OTHERS}, or set {_PLATFORMS}=cpu",
        )
    if asked in _NVIDIA:
        gpu = "see that `nvidia-smi` lists a GPU and run pip install 'jaxlimits[cuda13]'"
        remedy = f"{gpu}; or {remedy}"
    return InputError(
        f"JAX finds no such device{_why(said)}", where=_PLATFORMS, value=asked, remedy=remedy
    )


def _why(said: str) -> str:
    """What JAX says of a platform, without what it advises."""
    _, _, why = said.partition("': ")
    why = why.partition(" (set JAX_PLATFORMS")[0].strip()
    return f" ({why.splitlines()[0]})" if why else ""


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _devices() -> str:
    return ", ".join(sorted({device.device_kind for device in jax.local_devices()}))
