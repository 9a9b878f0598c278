"""What computes, in words."""

import os
from collections import Counter

import jax


def device_words() -> str:
    """Return the devices of this process in words: ``2 CPU cores``, ``8 NVIDIA H100``."""
    kinds = Counter(device.device_kind for device in jax.local_devices())
    if set(kinds) == {"cpu"}:
        return f"{os.cpu_count()} CPU cores"
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def device_lines() -> list[str]:
    """Return each device of this process as JAX names it, with its kind and its platform."""
    return [f"{device} ({device.device_kind}, {device.platform})" for device in jax.devices()]
