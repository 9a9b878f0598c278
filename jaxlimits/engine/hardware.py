"""What computes, in words."""

import os
from collections import Counter
from pathlib import Path

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


def compilation_cache() -> str:
    """Return where compiled programs are kept between processes, and how large that is."""
    folder = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if not folder:
        return "off"
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return f"{folder} ({size / 1e6:,.1f} MB)"
