"""The file: what is in it, in the form of CF, whole or not there at all."""

import errno
import os
import subprocess
import sys

import netCDF4
import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits import schema, units
from jaxlimits.errors import ResultError
from jaxlimits.store import netcdf
from jaxlimits.store.provenance import FORMAT_VERSION

FILL = np.float32(9.96921e36)
TEXT = '[base]\nllm = "llama3-8b"\nchip = "h100"\n[axes]\nbatch_size = [1, 2]\n'


@pytest.fixture(params=["smoke", "named"])
def file(request):
    """The file as netCDF sees it, values as they are stored."""
    with netCDF4.Dataset(request.getfixturevalue(request.param)) as dataset:
        dataset.set_auto_maskandscale(False)
        yield dataset


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(TEXT)
    return path


def axes_of(file):
    return [name for name in file.dimensions if name in file.variables]


# Round trip.


def test_what_is_written_is_read_back_with_its_attributes(grid, tmp_path):
    swept = jl.sweep(grid, tmp_path / "out.nc")
    with jl.open(tmp_path / "out.nc") as stored:
        xr.testing.assert_identical(stored.load(), swept)


def test_names_are_read_back_in_any_alphabet(named):
    with jl.open(named) as stored:
        assert stored.llm.values.tolist() == ["llama3-8b", "modèle"]
        assert stored.utps.sel(llm="modèle", tp_size=8).shape == (2, 3)


def test_a_selection_by_name_and_number_works(smoke):
    with jl.open(smoke) as stored:
        place = stored.sel(seq_len=4096, batch_size=1).sel(mem_bw=16e12, method="nearest")
        assert place.utps.shape == (10,)


def test_a_float64_result_is_stored_in_float64(grid, tmp_path):
    swept = jl.sweep(grid, tmp_path / "out.nc", x64=True)
    with jl.open(tmp_path / "out.nc") as stored:
        assert stored.utps.dtype == np.float64
        assert stored.utps.values.tobytes() == swept.utps.values.tobytes()


# Form.


def test_the_file_names_its_convention_format_and_source(file):
    assert file.Conventions == "CF-1.11"
    assert file.format_version == FORMAT_VERSION
    for name in ("title", "source", "history", "references", "comment"):
        assert getattr(file, name), name


def test_every_variable_has_units_or_flag_meanings_and_a_long_name(file):
    for name, variable in file.variables.items():
        attributes = variable.ncattrs()
        assert "long_name" in attributes, name
        if variable.dtype != "S1":
            assert ("units" in attributes) != ("flag_meanings" in attributes), name


def test_units_are_those_of_cf_and_a_display_unit_is_beside_them(file):
    for name, variable in file.variables.items():
        if "units" not in variable.ncattrs() or variable.dtype == "S1":
            continue
        info = schema.describe(name)
        assert variable.units == units.cf_unit(info.unit)
        assert (variable.si_unit, variable.display_unit) == (info.unit, info.display)
        assert "flop" not in variable.units.lower()
        units.convert(1.0, info.unit, info.display)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("mem_bw", "byte s-1"), ("sync_latency", "s"), ("seq_len", "1"), ("utps", "s-1")],
)
def test_units_stand_as_worked_by_hand(smoke, name, unit):
    with netCDF4.Dataset(smoke) as file:
        assert file[name].units == unit


def test_codes_are_bytes_with_a_meaning_for_each_value(file):
    kept = {name: flags for name, flags in schema.FLAGS.items() if name in file.variables}
    assert {"limit", "feasible"} <= kept.keys()
    for name, flags in kept.items():
        variable = file[name]
        assert variable.dtype == np.int8
        assert variable.flag_values.dtype == np.int8
        assert variable.flag_values.tolist() == list(flags.values())
        assert variable.flag_meanings.split() == list(flags)
        assert set(np.unique(variable[:])) <= set(flags.values())


def test_names_are_fixed_width_characters_with_their_encoding(named):
    with netCDF4.Dataset(named) as file:
        for name in ("llm", "accounting"):
            assert file[name].dtype == "S1"
            assert file[name]._Encoding == "utf-8"
            assert file[name].dimensions[0] == name
            assert len(file[name].dimensions) == 2


def test_coordinates_have_no_fill_value(file):
    coordinates = set(axes_of(file)) | {"sync_latency"}
    for name in coordinates:
        assert "_FillValue" not in file[name].ncattrs()


def test_numeric_axes_are_strictly_monotonic(file):
    numeric = [name for name in axes_of(file) if file[name].dtype != "S1"]
    assert numeric
    for name in numeric:
        steps = np.diff(file[name][:].astype(float))
        assert np.all(steps > 0) or np.all(steps < 0)


def test_what_is_linked_is_a_coordinate_of_each_output(named):
    with netCDF4.Dataset(named) as file:
        assert file["sync_latency"].dimensions == ("tp_size",)
        for name in schema.OF_THE_LIMIT:
            assert file[name].coordinates.split()[0] == "sync_latency"
            fixed = file[name].coordinates.split()[1:]
            assert {"chip", "batch_size"} <= {*fixed}
            assert not any(file[beside].dimensions[:-1] for beside in fixed)  # words have a length
        assert "coordinates" not in file.ncattrs()


def test_outputs_are_deflated_and_shuffled_and_nothing_else(file):
    for name in schema.OF_THE_LIMIT:
        if name in file.variables:
            filters = file[name].filters()
            used = {kind for kind, on in filters.items() if on and kind != "complevel"}
            assert used == {"zlib", "shuffle"}


# Missing values.


def test_real_outputs_have_the_fill_value_of_netcdf(file):
    for name, variable in file.variables.items():
        if name in schema.OUTPUTS and name not in schema.FLAGS:
            assert variable._FillValue == FILL
            assert variable._FillValue.dtype == variable.dtype
    assert netCDF4.default_fillvals["f4"] == FILL


def test_infeasible_is_nan_and_never_the_fill_value(smoke):
    with netCDF4.Dataset(smoke) as file:
        file.set_auto_maskandscale(False)
        lost = file["feasible"][:] == 0
        assert 0 < lost.sum() < lost.size
        for name in ("utps", "stps", "t_step"):
            raw = file[name][:]
            assert np.array_equal(np.isnan(raw), lost)
            assert not np.any(raw == FILL)
        assert not np.any(np.isnan(file["capacity_utilisation"][:]))
        assert np.array_equal(file["limit"][:] == schema.FLAGS["limit"]["capacity"], lost)


def test_readers_that_mask_the_fill_value_still_see_nan(smoke):
    with netCDF4.Dataset(smoke) as file:
        assert np.isnan(file["utps"][:].filled(0.0)).any()


# Whole or not there.


def raising(error):
    def writer(*_args, **_kwargs):
        raise error

    return writer


@pytest.mark.parametrize("stage", ["lay_out", "fill", "write_chunks"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_write_that_is_cut_short_leaves_nothing(grid, tmp_path, monkeypatch, stage, error):
    monkeypatch.setattr(netcdf, stage, raising(error))
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ResultError
    with pytest.raises(expected):
        jl.sweep(grid, tmp_path / "out.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


def test_a_write_that_is_cut_short_leaves_the_file_that_was_there(grid, tmp_path, monkeypatch):
    jl.sweep(grid, tmp_path / "out.nc")
    before = (tmp_path / "out.nc").read_bytes()
    monkeypatch.setattr(netcdf, "write_chunks", raising(OSError(errno.ENOSPC, "full")))
    with pytest.raises(ResultError, match=r"out\.nc: cannot be written"):
        jl.sweep(grid, tmp_path / "out.nc", force=True)
    assert (tmp_path / "out.nc").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.toml", "out.nc"]


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
def test_a_file_that_outgrows_its_room_is_an_error_of_one_line_and_leaves_nothing(tmp_path):
    # A limit on the size of files fails inside HDF5, where a full disk does.
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000));"
        "from jaxlimits.cli import main; sys.argv = ['jaxlimits', 'sweep', 'smoke']; main()"
    )
    # Programs that are kept would meet the same limit, where one takes long to compile.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "smoke.nc: cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


def test_the_temporary_file_lies_beside_the_result_and_the_result_appears_at_the_end(
    grid, tmp_path, monkeypatch
):
    seen = []
    fill = netcdf.fill

    def watching(dataset, path):
        seen.extend(sorted(entry.name for entry in tmp_path.iterdir()))
        fill(dataset, path)

    monkeypatch.setattr(netcdf, "fill", watching)
    jl.sweep(grid, tmp_path / "out.nc")
    assert "out.nc" not in seen
    assert [name for name in seen if name.endswith(".partial")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.toml", "out.nc"]


def test_a_result_that_appeared_meanwhile_is_not_overwritten(grid, tmp_path, monkeypatch):
    fill = netcdf.fill

    def slow(dataset, path):
        fill(dataset, path)
        (tmp_path / "out.nc").write_text("another's")

    monkeypatch.setattr(netcdf, "fill", slow)
    with pytest.raises(ResultError, match="exists"):
        jl.sweep(grid, tmp_path / "out.nc")
    assert (tmp_path / "out.nc").read_text() == "another's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.toml", "out.nc"]


# Targets and sources that cannot be.


def test_a_target_that_cannot_be_is_refused_before_anything_is_computed(
    grid, tmp_path, monkeypatch
):
    (tmp_path / "there.nc").write_text("something")
    monkeypatch.setattr("jaxlimits.run.pipeline.collect", raising(AssertionError("ran")))
    for name, says in [
        ("there.nc", "force=True"),
        ("no/out.nc", "does not exist"),
        (".", "is a folder"),
        ("a" * 300 + ".nc", "too long"),
    ]:
        with pytest.raises(ResultError, match=says):
            jl.sweep(grid, tmp_path / name)


def test_force_replaces_an_existing_result(grid, tmp_path):
    (tmp_path / "out.nc").write_text("something")
    jl.sweep(grid, tmp_path / "out.nc", force=True)
    with jl.open(tmp_path / "out.nc") as stored:
        assert stored.sizes["batch_size"] == 2


def test_what_is_no_result_is_refused(tmp_path, smoke):
    (tmp_path / "text.nc").write_text("no")
    (tmp_path / "cut.nc").write_bytes(smoke.read_bytes()[:5000])
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(tmp_path / "other.nc")
    for name, says in [
        ("missing.nc", "no such file"),
        ("text.nc", "not a readable NetCDF"),
        ("cut.nc", "not a readable NetCDF"),
        ("other.nc", "not a result of jaxlimits"),
        ("", "folder"),
    ]:
        with pytest.raises(ResultError, match=says):
            jl.open(tmp_path / name)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, "someday"])
def test_a_format_that_this_package_cannot_read_is_refused(tmp_path, version):
    dataset = xr.Dataset({"x": ("y", [1.0])}, attrs={"format_version": version})
    dataset.to_netcdf(tmp_path / "new.nc")
    with pytest.raises(ResultError, match="format"):
        jl.open(tmp_path / "new.nc")


def test_ranks_of_numbers_alone_are_written(tmp_path):
    table = '[reduce.top]\nop = "top"\nk = 2\nof = "stps"\n'
    (tmp_path / "grid.toml").write_text(f'outputs = ["utps"]\n{TEXT}{table}')
    swept = jl.sweep(tmp_path / "grid.toml", tmp_path / "out.nc")
    assert swept.sizes["top_rank"] == 2
    with jl.open(tmp_path / "out.nc") as written:
        assert written.top.values.tolist() == swept.top.values.tolist()
