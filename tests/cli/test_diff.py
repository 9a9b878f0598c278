"""``jaxlimits diff``: what it prints, its exit codes, bad input."""

import xarray as xr

from tests.command_line import run


def other(made, folder):
    """The small result with another setting, another value and another code."""
    with xr.open_dataset(made) as dataset:
        changed = dataset.load()
    changed.utps[0, 1, 0] *= 1.5
    changed.limit[0, 0, 0] = 1
    changed.attrs["scenario"] = changed.attrs["scenario"].replace('"seq_len": 4096', '"seq_len": 8')
    changed.isel(mem_bw=[1, 0]).to_netcdf(folder / "other.nc")
    return folder / "other.nc"


def test_a_result_does_not_differ_from_itself(made):
    done = run("diff", made, made)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("nothing differs (")


def test_what_differs_is_printed_with_where_and_the_exit_code_says_so(made, folder):
    done = run("diff", made, other(made, folder))
    assert (done.code, done.err) == (1, "")
    said = " ".join(done.out.split())
    assert "seq_len 4,096 token 8 token" in said
    assert "utps 1 of 8" in said
    assert "llm llama3-8b, tp_size 8, mem_bw" in said
    assert "50 % at the same point" in said
    assert "limit 1 of 8" in said
    assert "→ compute: 1" in said
    assert "the same (" in said


def test_json_has_every_variable_and_place(made, folder):
    done = run("diff", made, other(made, folder), "--json")
    assert done.code == 1
    utps = done.json["variables"]["utps"]
    assert (utps["differing"], utps["points"]) == (1, 8)
    assert utps["absolute_at"].keys() == {"llm", "tp_size", "mem_bw"}
    assert done.json["attributes"]["scenario.seq_len"] == [4096.0, 8]
    assert done.json["equal"] is False


def test_what_is_within_is_equal(made, folder):
    with xr.open_dataset(made) as dataset:
        (1.0000001 * dataset.utps.load()).to_dataset().assign_attrs(dataset.attrs).to_netcdf("a.nc")
        dataset[["utps"]].to_netcdf("b.nc")
    assert run("diff", "a.nc", "b.nc").code == 1
    assert run("diff", "a.nc", "b.nc", "--within", "1e-5").code == 0


def test_what_cannot_be_compared_exits_with_2(made, folder):
    (folder / "words.nc").write_text("no result")
    for name, says in (("none.nc", "no such file"), ("words.nc", "is not a readable NetCDF file")):
        done = run("diff", made, name)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
        assert f"{name}: {says}" in done.err
    assert run("diff", made, made, "--within", "-1").code == 2
