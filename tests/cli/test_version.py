"""``jaxlimits --version``, and what a report of an issue states."""

from importlib.metadata import version

import jax
import pytest

import jaxlimits
from jaxlimits.engine.program_cache import ProgramCache
from tests.command_line import run


def test_the_version_is_printed_alone():
    assert run("--version") == (0, f"{jaxlimits.__version__}\n", "")


def test_a_report_of_an_issue_states_versions_devices_and_the_cache(tmp_path, monkeypatch):
    (tmp_path / "program-cache").write_bytes(bytes(2_500_000))
    kept = ProgramCache(folder=tmp_path, note="of a test")
    monkeypatch.setattr("jaxlimits.engine.program_cache.keep_programs", lambda: kept)
    done = run("--version", "--verbose")
    assert (done.code, done.err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    packages = ("jax", "jaxlib", "equinox", "numpy", "xarray")
    assert {name: facts[name] for name in packages} == {name: version(name) for name in packages}
    assert facts["jaxlimits"] == jaxlimits.__version__
    assert "HDF5" in facts["netCDF4"]
    assert f"{jax.devices()[0]}" in facts["devices"]
    assert facts["cache"] == f"{tmp_path} (2.5 MB, of a test)"
    assert {"Python", "platform", "h5py"} <= set(facts)


@pytest.mark.parametrize("args", [("--verbose",), ("--verbose", "catalog")])
def test_verbose_belongs_to_the_version(args):
    done = run(*args)
    assert (done.code, done.out) == (2, "")
    assert "--version" in done.err
