"""The device of a worker: one that no other worker of the same machine computes on.

Workers of a cluster are processes that know nothing of each other: started by this package, by
``dask worker``, by dask-cuda or by a queue, dead and started again. Each takes the first device of
its own list that nobody on the machine holds; where every device is held, the lists are gone
through a second time, so that workers share devices evenly. What a worker holds is free again when
its process ends, however it ends.
"""

import errno
import functools
import itertools
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

_PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_GPUS = Path("/proc/driver/nvidia/gpus")

_held: list[socket.socket] = []


def share_devices() -> None:
    """Let the processes of a cluster take memory of a device as they need it.

    JAX by itself takes three quarters of every device at once, and the process that plans a sweep
    looks at the same devices as its workers. To be called before JAX looks at any; what the user
    has set stays.
    """
    os.environ.setdefault(_PREALLOCATE, "false")


@functools.cache
def own_devices() -> tuple[Any, ...]:
    """Return the device that this process computes on, the same one at every call.

    GPUs are chosen before JAX looks at them, since it starts on every one that it sees. Where
    ``CUDA_VISIBLE_DEVICES`` leaves one, as a queue sets it, there is nothing to choose; where it
    lists several in an order of the worker's own, as dask-cuda sets it, the first comes first.
    """
    share_devices()
    gpus = _visible_gpus()
    if gpus:
        os.environ[_VISIBLE] = gpus[claim(gpus)]
    devices = jax.local_devices()
    if len(devices) > 1:
        return (devices[claim([f"{device.platform}-{device.id}" for device in devices])],)
    return tuple(devices)


def claim(names: Sequence[str]) -> int:
    """Hold a device of this machine until this process ends.

    Parameters
    ----------
    names
        The devices to choose from, the same name for the same device in every process.

    Returns
    -------
    int
        Position of the one that was taken: the first of those that the fewest processes hold.
    """
    return next(
        position
        for turn in itertools.count()
        for position, name in enumerate(names)
        if _hold(f"jaxlimits-{name}-{turn}")
    )


def _hold(name: str) -> bool:
    """Whether a name could be taken.

    An address of Linux's abstract kind has one owner, leaves no file and ends with its process.
    Other systems, on which JAX has one device, have nothing to share out.
    """
    if sys.platform != "linux":
        return True
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        taken.bind(f"\0{name}")
    except OSError as error:
        taken.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    _held.append(taken)
    return True


def _visible_gpus() -> list[str]:
    """Names of NVIDIA's devices as CUDA takes them: numbers or UUIDs, in this process's order."""
    chosen = os.environ.get(_VISIBLE)
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    return [str(number) for number in range(len(list(_GPUS.glob("*"))))]
