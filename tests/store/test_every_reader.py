"""Every tool reads every value of a file, and of an index over shards, bit for bit.

Tools that are not installed are skipped or must be there as in ``test_readers``. The recipes that
the package ships are run as they stand.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.store.index import read_listing
from tests.helpers import slow_but
from tests.store.test_readers import PLACE, answer, require

RECIPES = Path(jl.__file__).parent / "examples" / "readers.md"
NAMES = ("utps", "stps", "limit", "mem_bw")
"""Floats, floats, codes and a coordinate in float64."""

VIRTUAL_IN_R = (
    "library(ncdf4); assignInNamespace('ncvar_inq_chunking',"
    " function(...) list(storage = 2, chunksizes = NA), 'ncdf4')"
)
"""R's ncdf4 asks how each variable is chunked, and stops where it is virtual."""


@pytest.fixture(scope="module", params=["smoke", "smoke_sharded"])
def result(request):
    """Path of a result: a file, then an index."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def values(smoke):
    """The values of some variables, those of the single file."""
    with xr.open_dataset(smoke, engine="netcdf4") as dataset:
        return {name: dataset[name].to_numpy() for name in NAMES}


def assert_same_bits(found, wanted):
    """Compare nine-digit text of a tool with what is stored; NaN in the same places."""
    exact = np.asarray(found, np.float64).astype(wanted.dtype)
    assert np.array_equal(exact, wanted.ravel(), equal_nan=wanted.dtype.kind == "f")


def assert_same_doubles(raw, wanted):
    """Compare what a tool wrote as doubles with what is stored."""
    assert np.array_equal(np.fromfile(raw), wanted.ravel().astype(np.float64), equal_nan=True)


def test_the_index_is_one(smoke, smoke_sharded):
    with jl.open(smoke) as single, jl.open(smoke_sharded) as index:
        assert read_listing(single) is None
        assert read_listing(index).num_shards > 1


def test_the_values_hold_what_is_hard_to_carry(values):
    assert np.isnan(values["utps"]).any()
    assert values["utps"].dtype == np.float32
    assert values["mem_bw"].dtype == np.float64
    assert len(np.unique(values["limit"])) > 2


@pytest.mark.parametrize("name", NAMES)
def test_ncdump(result, values, name):
    require("ncdump", "-h", str(result))
    text = answer("ncdump", "-p", "9,17", "-v", name, result).rpartition(f"{name} =")[2]
    numbers = text.replace(";", " ").replace("}", " ").split(",")
    assert_same_bits([float(number.strip(" \nf")) for number in numbers], values[name])


@pytest.mark.parametrize("name", NAMES)
def test_nco(result, values, name, tmp_path):
    require("ncks", "--version")
    answer("ncks", "-C", "-v", name, "-b", tmp_path / "raw", result, tmp_path / "copy.nc")
    assert (tmp_path / "raw").read_bytes() == values[name].tobytes()


@pytest.mark.parametrize("name", ["utps", "stps", "limit"])
def test_cdo_in_slices_of_three_dimensions(result, values, name, tmp_path):
    require("cdo", "--version")
    require("ncwa", "--version")
    one, cut = tmp_path / "one.nc", tmp_path / "cut.nc"
    for place in (0, 24):
        answer("ncks", "-O", "-v", name, "-d", f"mem_bw,{place}", result, one)
        answer("ncwa", "-O", "-a", "mem_bw", one, cut)
        text = answer("cdo", "-s", "outputf,%.9g,1", f"-selname,{name}", cut)
        assert_same_bits([float(line) for line in text.split()], values[name][place])


@pytest.mark.parametrize("name", ["utps", "stps", "limit"])
def test_cdo_in_four_dimensions_of_which_one_is_called_time(result, values, name, tmp_path):
    require("cdo", "--version")
    require("ncrename", "--version")
    four = tmp_path / "four.nc"
    answer("ncks", "-O", "-C", "-v", name, result, four)
    answer("ncrename", "-O", "-h", "-d", "mem_bw,time", four)
    text = answer("cdo", "-s", "outputf,%.9g,1", f"-selname,{name}", four)
    assert_same_bits([float(line) for line in text.split()], values[name])


@pytest.mark.parametrize("name", NAMES)
def test_r(result, values, name, tmp_path):
    require("Rscript", "-e", "library(ncdf4)")
    raw = tmp_path / "raw"
    code = (
        f"{VIRTUAL_IN_R}; f <- nc_open('{result}'); v <- ncvar_get(f, '{name}');"
        f"writeBin(as.double(v), '{raw}')"
    )
    answer("Rscript", "-e", code)
    assert_same_doubles(raw, values[name])


@pytest.mark.parametrize("name", NAMES)
def test_octave(result, values, name, tmp_path):
    require("octave", "--eval", "pkg load netcdf")
    raw = tmp_path / "raw"
    code = (
        f"pkg load netcdf; v = ncread('{result}', '{name}');"
        f"f = fopen('{raw}', 'w'); fwrite(f, double(v), 'double'); fclose(f);"
    )
    answer("octave", "--eval", code)
    assert_same_doubles(raw, values[name])


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_xarray_with_dask(result, values, engine):
    with xr.open_dataset(result, engine=engine, chunks={}) as dataset:
        assert dataset.utps.chunks is not None
        for name, wanted in values.items():
            assert dataset[name].to_numpy().tobytes() == wanted.tobytes()


def test_h5netcdf(result, values):
    import h5netcdf

    with h5netcdf.File(result) as file:
        for name, wanted in values.items():
            assert file.variables[name][...].tobytes() == wanted.tobytes()


# The recipes, as printed.

COMMANDS = {
    "sh": ["bash", "-euo", "pipefail", "-c"],
    "r": ["Rscript", "-e"],
    "octave": ["octave", "--eval"],
    "python": [sys.executable, "-W", "error", "-c"],
}
PROBES = {
    "ncdump": ("ncdump", "-h", "{}"),
    "ncks": ("ncks", "--version"),
    "cdo": ("cdo", "--version"),
    "r": ("Rscript", "-e", "library(ncdf4)"),
    "octave": ("octave", "--eval", "pkg load netcdf"),
}
TEXT = RECIPES.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.DOTALL)


def test_there_is_a_recipe_for_every_tool():
    text = "".join(f"{language}\n{block}" for language, block in BLOCKS)
    for word in ("ncdump ", "ncks ", "cdo ", "library(ncdf4)", "pkg load netcdf"):
        assert word in text
    for word in ("chunks={}", "h5netcdf.File", "--zarr", "open_zarr"):
        assert word in text


def tools(language, block):
    """What must be installed for a recipe."""
    words = {language, *block.split()}
    return [probe for name, probe in PROBES.items() if name in words]


# The same readers read the index above.
@pytest.mark.parametrize("result", slow_but(["smoke", "smoke_sharded"], "smoke"), indirect=True)
def test_every_recipe_runs_and_finds_the_value(result, values, tmp_path):
    for path in (result, result.with_name("smoke.shards")):
        if path.exists():
            (tmp_path / path.name).symlink_to(path)
    value = f"{values['utps'][PLACE]:.9g}"
    command = tmp_path / "bin" / "jaxlimits"  # of this very tree
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jaxlimits "$@"\n')
    command.chmod(0o755)
    package = Path(jl.__file__).parents[1]
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(package)}
    for language, block in BLOCKS:
        for probe in tools(language, block):
            require(*(part.format(result) for part in probe))
        done = subprocess.run(
            [*COMMANDS[language], block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        assert value in done.stdout or "--zarr" in block, block
