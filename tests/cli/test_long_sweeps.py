"""Long sweeps from the command line: what they would do, and results in shards."""

import math
import re
import shutil

import netCDF4
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.run import computing, streamed
from jaxlimits.store import ledger
from jaxlimits.store.results import IncompleteResultWarning
from tests.command_line import run
from tests.run.test_streamed import GRID, MEMORY, assert_same_bits

BUDGET = f"{MEMORY:.0f} B"


@pytest.fixture
def grid(folder):
    (folder / "grid.toml").write_text(GRID, encoding="utf-8")
    return "grid.toml"


@pytest.fixture(scope="session")
def sharded(tmp_path_factory):
    """A folder with a whole result in shards, its index and the same result as a single file."""
    folder = tmp_path_factory.mktemp("sharded")
    grid = folder / "grid.toml"
    grid.write_text(GRID, encoding="utf-8")
    assert run("sweep", grid, "-o", folder / "single.nc", "--memory", BUDGET).code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
        done = run("sweep", grid, "-o", folder / "out.nc", "--memory", BUDGET)
    assert (done.code, done.err) == (0, "")
    return folder


@pytest.fixture
def result(sharded, folder):
    """A copy of the sharded result in the working folder."""
    shutil.copy(sharded / "out.nc", folder)
    shutil.copytree(sharded / "out.shards", folder / "out.shards")
    return folder / "out.nc"


@pytest.fixture
def lacking(result):
    """A sharded result, one of whose shards is gone."""
    (result.with_name("out.shards") / "000004.nc").unlink()
    return result


@pytest.fixture
def corrupt(result):
    """A sharded result, some bytes of one of whose shards have changed."""
    shard = result.with_name("out.shards") / "000004.nc"
    content = shard.read_bytes()
    shard.write_bytes(content[:-100] + bytes(byte ^ 255 for byte in content[-100:]))
    return result


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# sweep --again


def test_shards_made_again_as_one_file_hold_the_same_data(result):
    done = run("sweep", "--again", result, "-o", "again.nc", "--memory", BUDGET)
    assert done.out.splitlines()[-1].startswith(f"the same data as {result}, bit for bit")


def test_names_and_numbers_that_differ_are_named(result):
    with netCDF4.Dataset(result.with_name("out.shards") / "000004.nc", "a") as shard:
        shard["utps"][0] = 1.0
    done = run("sweep", "--again", result, "-o", "again.nc", "--memory", BUDGET)
    assert done.out.splitlines()[-1].startswith(f"differs in utps from {result}")


# sweep --plan


def test_a_plan_is_shown_and_nothing_is_written(grid, folder):
    done = run("sweep", grid, "-o", "out.nc", "--memory", BUDGET, "--plan")
    assert (done.code, done.err) == (0, "")
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in done.out.splitlines())
    assert (rows["points"], rows["dense bytes"]) == ("25,200", "126,000")
    assert int(rows["chunks"]) > 1
    assert rows["result"] == "out.nc"
    assert {"expected seconds", "disk free bytes", "chunk bytes"} <= rows.keys()
    assert names(folder) == ["grid.toml"]


def test_a_plan_for_a_script_and_nothing_is_written(grid, folder):
    done = run("sweep", grid, "--memory", BUDGET, "--plan", "--json")
    facts = done.json
    assert (done.code, done.err) == (0, "")
    block, shape = (
        facts["chunk_shape"],
        {"chip": 3, "batch_size": 7, "mem_bw_scale": 30, "sync_latency": 40},
    )
    assert facts["points"] == 25_200
    assert list(block) == list(shape)
    assert facts["points_per_chunk"] == math.prod(block.values())
    assert facts["chunks"] == math.prod(math.ceil(shape[name] / block[name]) for name in shape)
    assert facts["dense_bytes"] == 25_200 * (4 + 1)
    assert facts["chunk_bytes"] <= MEMORY / 2
    assert facts["disk_free_bytes"] > 0
    assert facts["expected_seconds"] >= 0
    assert facts["result"] == "grid.nc"
    assert names(folder) == ["grid.toml"]


def test_a_plan_leaves_an_existing_result_alone(grid, folder):
    (folder / "out.nc").write_bytes(b"mine")
    assert run("sweep", grid, "-o", "out.nc", "--plan").code == 0
    assert (folder / "out.nc").read_bytes() == b"mine"


def test_a_plan_into_a_folder_that_is_not_there_says_so(grid):
    done = run("sweep", grid, "-o", "nowhere/out.nc", "--plan")
    assert (done.code, done.out) == (1, "")
    assert "nowhere/out.nc: the folder nowhere does not exist" in done.err


# sweep --memory


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ("2 GHz", "frequency"),
        ("2", "unit"),
        ("lots", "lots"),
        ("0 B", "above 0"),
        ("-1 GB", "above 0"),
        ("nan GB", "finite"),
        ("", "80 GB"),
    ],
)
def test_a_memory_that_is_no_size_is_refused(grid, folder, size, says):
    done = run("sweep", grid, "-o", "out.nc", "--memory", size)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jaxlimits: sweep: --memory")
    assert says in done.err
    assert names(folder) == ["grid.toml"]


# Places that cannot be written.


def test_a_long_sweep_into_a_folder_that_is_not_there_says_so(grid, folder):
    done = run("sweep", grid, "-o", "nowhere/out.nc", "--memory", BUDGET)
    assert (done.code, done.out) == (1, "")
    assert "the folder nowhere does not exist; make it first" in done.err
    assert names(folder) == ["grid.toml"]


def test_a_long_sweep_under_a_file_says_so(grid, folder):
    done = run("sweep", grid, "-o", "grid.toml/out.nc", "--memory", BUDGET)
    assert (done.code, done.out) == (1, "")
    assert "grid.toml" in done.err
    assert names(folder) == ["grid.toml"]


def test_a_place_that_cannot_be_written_is_said_before_anything_is_computed(
    grid, folder, monkeypatch
):
    def refuse(path, *args, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(ledger.Path, "mkdir", refuse)
    monkeypatch.setattr(computing, "stream", None)
    done = run("sweep", grid, "-o", "out.nc", "--memory", BUDGET)
    assert (done.code, done.out) == (1, "")
    assert "out.shards: cannot be written: [Errno 13] Permission denied" in done.err
    assert names(folder) == ["grid.toml"]


# Results in shards.


def test_a_sharded_result_is_whole(result):
    with jl.open(result) as dataset:
        assert dataset.attrs["complete"] == 1
        assert dataset.sizes["chip"] == 3
    assert run("info", result, "--json").json["complete"] is True
    assert "incomplete" not in run("info", result, "--verify").out


def test_packing_gives_the_single_file_that_needs_no_shards(result, sharded, folder):
    done = run("pack", "out.nc", "packed.nc")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("wrote packed.nc (")
    shutil.rmtree(folder / "out.shards")
    result.unlink()
    assert_same_bits(folder / "packed.nc", sharded / "single.nc")
    with netCDF4.Dataset("packed.nc") as packed, netCDF4.Dataset(sharded / "single.nc") as single:
        assert packed.ncattrs() == single.ncattrs()
    assert run("info", "packed.nc", "--verify", "--json").json["complete"] is True


def test_a_missing_shard_is_said_on_opening_and_reads_as_not_computed(lacking, sharded):
    with pytest.warns(IncompleteResultWarning, match=r": 1 of \d+ shards .*000004\.nc: is missing"):
        found = jl.open(lacking)
    with found, jl.open(sharded / "single.nc") as whole:
        absent = found["limit"].values != whole["limit"].values
        assert 0 < absent.sum() < absent.size / 2
        assert (found["limit"].values[absent] == -1).all()
        assert np.isnan(found["utps"].values[absent]).all()
        np.testing.assert_array_equal(found["utps"].values[~absent], whole["utps"].values[~absent])
        assert found["best"].identical(whole["best"])


def test_info_says_what_is_missing(lacking):
    done = run("info", lacking)
    assert (done.code, done.err) == (0, "")
    assert "incomplete: 1 " in done.out
    assert "out.shards/000004.nc: is missing" in done.out
    facts = run("info", lacking, "--json").json
    assert facts["complete"] is False
    assert facts["lacking"] == ["out.shards/000004.nc: is missing"]


def test_info_of_an_index_without_its_shards_says_so(result, folder):
    shutil.rmtree(folder / "out.shards")
    assert "move both together" in run("info", result).out


def test_a_corrupt_shard_is_found_where_checksums_are_compared(corrupt):
    done = run("info", corrupt, "--verify")
    assert done.code == 0
    assert "out.shards/000004.nc: is corrupt" in done.out
    assert run("info", corrupt, "--verify", "--json").json["complete"] is False
    assert run("info", corrupt, "--json").json["lacking"] == []


@pytest.mark.parametrize(
    ("damaged", "says"), [("lacking", "is missing"), ("corrupt", "is corrupt")]
)
def test_what_is_not_whole_is_not_packed_and_leaves_nothing(request, folder, damaged, says):
    request.getfixturevalue(damaged)
    before = names(folder)
    done = run("pack", "out.nc", "packed.nc")
    assert (done.code, done.out) == (1, "")
    assert f"out.shards/000004.nc: {says}" in done.err
    assert "--resume" in done.err
    assert names(folder) == before


def test_packing_into_a_folder_that_is_not_there_says_so(result):
    done = run("pack", "out.nc", "nowhere/packed.nc")
    assert (done.code, done.out) == (1, "")
    assert "the folder nowhere does not exist" in done.err


def test_packing_keeps_what_is_there_without_force(result, folder, sharded):
    (folder / "packed.nc").write_bytes(b"mine")
    done = run("pack", "out.nc", "packed.nc")
    assert done.code == 1
    assert "--force" in done.err
    assert (folder / "packed.nc").read_bytes() == b"mine"
    assert run("pack", "out.nc", "packed.nc", "--force").code == 0
    assert_same_bits(folder / "packed.nc", sharded / "single.nc")


def test_a_single_file_and_no_file_are_not_packed(sharded):
    done = run("pack", sharded / "single.nc", "packed.nc")
    assert (done.code, "nothing to pack" in done.err) == (1, True)
    done = run("pack", "nowhere.nc", "packed.nc")
    assert (done.code, "no such file" in done.err) == (1, True)
