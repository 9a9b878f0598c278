"""Files that are no results, and names that a result has not: one clear line from every command."""

import sys

import netCDF4
import pytest
import xarray as xr

from tests.command_line import run

READERS = {
    "info": ("info", "{}"),
    "export": ("export", "{}", "--csv", "-o", "made"),
    "zarr": ("export", "{}", "--zarr", "-o", "made"),
    "plot": ("plot", "{}", "capacity", "-o", "made.svg"),
    "best": ("best", "{}", "--maximise", "stps"),
    "pack": ("pack", "{}", "made"),
    "diff": ("diff", "{}", "{}"),
    "again": ("sweep", "--again", "{}", "-o", "made"),
}


def spoilt(kind, content, path):
    """Write a file of a kind that cannot be read as a result."""
    match kind:
        case "no file":
            return
        case "a folder":
            path.mkdir()
        case "text":
            path.write_text("not a result")
        case "empty":
            path.write_bytes(b"")
        case "foreign":
            xr.Dataset({"a": ("x", [1, 2])}).to_netcdf(path)
        case "newer":
            path.write_bytes(content)
            with netCDF4.Dataset(path, "a") as file:
                file.format_version = 99
        case "cut in half":
            path.write_bytes(content[: len(content) // 2])
        case "without its end":
            path.write_bytes(content[:-100])


SAYS = {
    "no file": "no such file",
    "a folder": "is a folder",
    "text": "is not a readable NetCDF file",
    "empty": "is not a readable NetCDF file",
    "foreign": "is not a result of jaxlimits",
    "newer": "upgrade jaxlimits",
    "cut in half": "is not a readable NetCDF file",
    "without its end": "is not a readable NetCDF file",
}


@pytest.mark.parametrize("kind", SAYS)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_no_result(reader, kind, made, folder):
    spoilt(kind, made.read_bytes(), folder / "bad.nc")
    before = sorted(path.name for path in folder.iterdir())
    done = run(*(part.format("bad.nc") for part in READERS[reader]))
    expected = 2 if reader == "diff" else 1  # 1 would say that they differ
    assert (done.code, done.out) == (expected, "")
    assert len(done.err.splitlines()) == 1
    assert "bad.nc" in done.err
    assert SAYS[kind] in done.err
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("export", "{}", "--csv", "--var", "utsp"), "unknown variable 'utsp'; did you mean utps"),
        (("export", "{}", "--zarr", "--var", "utsp"), "unknown variable 'utsp'; did you mean utps"),
        (
            ("export", "{}", "--csv", "--select", "membw=1"),
            "unknown axis 'membw'; did you mean mem",
        ),
        (("export", "{}"), "--csv, --parquet or --zarr"),
        (("export", "{}", "--csv", "--zarr"), "give one form"),
        (("export", "{}", "--zarr", "-o", "-"), "name a file with -o"),
        (("export", "{}", "--zarr", "-o", "no/such/place"), "make it first"),
        (("best", "{}", "--maximise", "stpss"), "unknown metric 'stpss'; did you mean stps"),
    ],
)
def test_what_a_result_has_not_is_said_with_what_is_near(args, says, made, folder):
    done = run(*(part.format(made) for part in args))
    assert done.code == (1 if "place" in args[-1] else 2)
    assert says in done.err
    assert len(done.err.splitlines()) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("form", "missing", "extra"),
    [
        ("--zarr", "zarr", "zarr"),
        ("--zarr", "dask.array", "zarr"),
        ("--parquet", "pyarrow", "parquet"),
    ],
)
def test_a_missing_library_names_its_extra(form, missing, extra, made, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    done = run("export", made, form, "-o", "made")
    assert done.code == 2
    assert f"pip install 'jaxlimits[{extra}]'" in done.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("reader", ["export", "zarr", "plot", "best", "diff"])
def test_damaged_values(reader, made, folder):
    import h5py

    content = bytearray(made.read_bytes())
    with h5py.File(made) as file:
        for name in ("utps", "stps", "capacity_utilisation"):
            chunk = file[name].id.get_chunk_info(0)
            content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    (folder / "bad.nc").write_bytes(content)
    chosen = {"plot": ("--select", "llm=llama3-8b", "--x", "tp_size", "--y", "mem_bw")}
    done = run(*(part.format("bad.nc") for part in READERS[reader]), *chosen.get(reader, ()))
    assert (done.code, done.out) == (2 if reader == "diff" else 1, "")
    assert len(done.err.splitlines()) == 1
    assert "NetCDF: HDF error" in done.err
    assert [path.name for path in folder.iterdir()] == ["bad.nc"]
