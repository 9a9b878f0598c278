"""Every common reader opens the smoke grid's result and finds the same value.

A reader that is not installed is skipped, or fails where ``REQUIRE_READERS=1`` says it must be.
"""

import functools
import math
import os
import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl

DIMS = ("mem_bw", "sync_latency", "seq_len", "batch_size")
PLACE = (24, 3, 1, 2)
"""Position of the value that is compared; positions count from 0."""

INFEASIBLE = (0, 0, 4, 7)


@functools.cache
def installed(*command: str) -> bool:
    """Whether a command is there and succeeds."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def require(*command: str) -> None:
    if installed(*command):
        return
    if os.environ.get("REQUIRE_READERS") == "1":
        pytest.fail(f"{' '.join(command)} does not run, and REQUIRE_READERS=1 asks for it")
    pytest.skip(f"{command[0]} is not installed")


def answer(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def expected(smoke):
    with jl.open(smoke) as dataset:
        assert dataset.utps.dims == DIMS
        assert math.isnan(dataset.utps.values[INFEASIBLE])
        return float(dataset.utps.values[PLACE])


def assert_value(text: str, expected: float) -> None:
    assert math.isclose(float(text), expected, rel_tol=1e-6), (text, expected)


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_xarray_opens_it_with(smoke, expected, engine):
    with xr.open_dataset(smoke, engine=engine) as dataset:
        assert dataset.attrs["Conventions"] == "CF-1.11"
        assert dataset.utps.dims == DIMS
        assert float(dataset.utps.values[PLACE]) == expected
        assert math.isnan(dataset.utps.values[INFEASIBLE])
        assert dataset.limit.dtype == np.int8


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_xarray_reads_names_and_an_empty_description_with(named, engine):
    with xr.open_dataset(named, engine=engine) as dataset:
        assert dataset.llm.values.tolist() == ["llama3-8b", "modèle"]
        assert dataset.attrs["summary"] == ""
        assert dataset.sync_latency.dims == ("tp_size",)


def test_h5py_opens_it(smoke, expected):
    import h5py

    with h5py.File(smoke) as file:
        assert float(file["utps"][PLACE]) == expected
        assert file["mem_bw"].attrs["units"] == b"byte s-1"


def test_ncdump_prints_its_header_and_values(smoke, expected):
    require("ncdump", "-h", str(smoke))
    header = answer("ncdump", "-h", smoke)
    assert 'mem_bw:units = "byte s-1"' in header
    assert "utps:_FillValue = 9.96921e+36f" in header
    values = answer("ncdump", "-p", "9,17", "-v", "utps", smoke).rpartition("utps =")[2]
    numbers = values.replace(";", " ").replace("}", " ").split(",")
    shape = (25, 10, 5, 8)
    assert len(numbers) == math.prod(shape)
    assert_value(numbers[np.ravel_multi_index(PLACE, shape)], expected)
    assert "NaN" in numbers[np.ravel_multi_index(INFEASIBLE, shape)]


def test_ncdump_prints_names_as_text(named):
    require("ncdump", "-h", str(named))
    text = answer("ncdump", "-v", "llm,accounting", named)
    assert '"llama3-8b"' in text
    assert '"layers"' in text


def test_ncks_cuts_out_a_value(smoke, expected):
    require("ncks", "--version")
    place = [f"-d{name},{i}" for name, i in zip(DIMS, PLACE, strict=True)]
    assert_value(answer("ncks", "-H", "-C", "-s", "%.9g", "-v", "utps", *place, smoke), expected)


def test_cdo_prints_the_values_of_three_dimensions(tmp_path):
    # Where none of them is time, CDO takes at most three.
    require("cdo", "--version")
    (tmp_path / "grid.toml").write_text(
        '[base]\nllm = "llama3-8b"\nchip = "h100"\n[axes]\nmem_bw_scale = [1, 2, 4]\n'
        "seq_len = [1024, 2048]\nbatch_size = [1, 8, 64, 100_000]\n"
    )
    swept = jl.sweep(tmp_path / "grid.toml", tmp_path / "out.nc")
    text = answer("cdo", "-s", "outputf,%.9g,1", "-selname,utps", tmp_path / "out.nc")
    found = np.array([float(line) for line in text.split()]).reshape(swept.utps.shape)
    assert np.isnan(found).any()
    assert np.allclose(found, swept.utps.values, rtol=1e-6, atol=0.0, equal_nan=True)


def test_r_reads_a_value(smoke, expected):
    require("Rscript", "-e", "library(ncdf4)")
    place = ", ".join(str(i + 1) for i in reversed(PLACE))  # R counts from 1, last dimension first
    code = (
        f"library(ncdf4); f <- nc_open('{smoke}'); v <- ncvar_get(f, 'utps');"
        f"cat(sprintf('%.9g', v[{place}]))"
    )
    assert_value(answer("Rscript", "-e", code), expected)


def test_octave_reads_a_value(smoke, expected):
    require("octave", "--eval", "pkg load netcdf")
    place = ", ".join(str(i + 1) for i in reversed(PLACE))
    code = f"pkg load netcdf; v = ncread('{smoke}', 'utps'); printf('%.9g', v({place}))"
    assert_value(answer("octave", "--eval", code), expected)
