"""Grids from their text."""

import pytest

from jaxlimits.run.pipeline import load_grid

BASE = '[base]\nllm = "llama3-8b"\nchip = "h100"\ntp_size = 8\n'


@pytest.fixture
def resolve(tmp_path):
    """Resolve a grid file of this text; keyword arguments are what ``--set`` would give."""

    def resolved(text, **overrides):
        path = tmp_path / "grid.toml"
        path.write_text(text, encoding="utf-8")
        return load_grid(path, overrides=overrides)

    return resolved


@pytest.fixture
def sweep_of(resolve):
    """Resolve a grid of the usual base and these axes."""

    def resolved(axes, **overrides):
        return resolve(f"{BASE}[axes]\n{axes}\n", **overrides)

    return resolved
