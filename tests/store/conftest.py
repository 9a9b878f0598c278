"""The smoke grid's result, made once."""

import pytest

import jaxlimits as jl
from jaxlimits.run import streamed


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """Path of the smoke grid's result."""
    path = tmp_path_factory.mktemp("smoke") / "smoke.nc"
    jl.sweep("smoke", path)
    return path


@pytest.fixture(scope="session")
def smoke_sharded(tmp_path_factory):
    """Path of the index of the smoke grid's result in shards."""
    path = tmp_path_factory.mktemp("sharded") / "smoke.nc"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
        jl.sweep("smoke", path, memory=2e5)
    return path


@pytest.fixture(scope="session")
def named(tmp_path_factory):
    """Path of a small result with names, a switch, a linked field and every output."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "named.toml").write_text(
        '[llms."modèle"]\nlike = "llama3-8b"\nnum_layers = 64\n[base]\nchip = "h100"\n[axes]\n'
        'llm = ["llama3-8b", "modèle"]\naccounting = ["full", "layers"]\nmem_bw_scale = [4, 2, 1]\n'
        'tp_size = { values = [8, 1], with = { sync_latency = ["1 us", "2 us"] } }\n',
        encoding="utf-8",
    )
    path = folder / "named.nc"
    jl.sweep(folder / "named.toml", path)
    return path
