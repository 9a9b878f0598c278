"""A dense result in shards: every part an ordinary file, the index as good as a single one."""

import dataclasses
import itertools
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from jaxlimits.engine.findings import Finding
from jaxlimits.errors import ResultError, UnfinishedSweepError
from jaxlimits.grid.plan import Plan
from jaxlimits.grid.scenario import bind
from jaxlimits.run.pipeline import load_grid
from jaxlimits.store import index as index_module
from jaxlimits.store.chunks import TARGET_BYTES, chunk_places, chunk_shape
from jaxlimits.store.index import (
    INDEX_ATTRIBUTES,
    allow_open_files,
    missing_shards,
    read_listing,
    write_index,
)
from jaxlimits.store.layout import make_layout
from jaxlimits.store.netcdf import open_dataset, write_dataset
from jaxlimits.store.pack import pack
from jaxlimits.store.shards import check_shard, lay_out_shards, shard_name, write_shard
from jaxlimits.store.template import build_dataset

FILL = np.float32(9.96921e36)
NAMED = """
outputs = ["utps", "stps", "limit"]
[llms."modèle"]
like = "llama3-8b"
[base]
chip = "h100"
tp_size = 8
[axes]
llm = ["llama3-8b", "modèle", "llama3-405b"]
accounting = ["full", "nominal"]
seq_len = { pow2 = [1, 16], with = { sync_latency = ["1us", "2us", "3us", "4us", "5us"] } }
batch_size = [1, 2, 4]
"""
NUMBERS = """
outputs = ["utps", "feasible"]
[base]
llm = "llama3-8b"
chip = "h100"
[axes]
seq_len = [1024, 2048, 4096]
batch_size = [1, 2, 4, 8]
mem_bw_scale = [1, 2, 4, 8, 16]
"""


@dataclasses.dataclass
class Result:
    """A result that was written in shards, and what it should read as."""

    index: Path
    folder: Path
    layout: object
    shards: list
    arrays: dict
    expected: xr.Dataset

    def write(self, shards=None):
        write_index(self.index, self.folder, shards or self.shards, layout=self.layout)


def draw(layout):
    """Values of every output, with points that do not fit."""
    random = np.random.default_rng(7)
    arrays = {}
    for name in layout.outputs:
        wanted = layout.template[name]
        if wanted.dtype == np.int8:
            arrays[name] = random.integers(0, 3, wanted.shape).astype(np.int8)
        else:
            arrays[name] = random.random(wanted.shape).astype(wanted.dtype)
            arrays[name][random.random(wanted.shape) < 0.2] = np.nan
    return arrays


def make(folder, text, block, *, findings=(), only=None, precision=None):
    """Write a grid of drawn values in blocks of a shape; ``only`` some of them."""
    folder.mkdir(exist_ok=True)
    (folder / "grid.toml").write_text(text, encoding="utf-8")
    spec = load_grid(folder / "grid.toml", precision=precision)
    scenario = bind(spec)
    layout = make_layout(spec, scenario, Plan(shape=spec.shape, block=block), findings)
    arrays = draw(layout)
    expected = build_dataset(spec, scenario, arrays, findings)
    expected.attrs["history"] = layout.template.attrs["history"]  # a second may have passed
    shards = folder / "big.shards"
    shards.mkdir()
    blanks = lay_out_shards(layout)
    with ThreadPoolExecutor(2) as workers:
        written = [
            write_shard(shards, key, parts(arrays, layout, key), blanks=blanks, workers=workers)
            for key in layout.plan.chunks()
            if only is None or only(key)
        ]
    result = Result(folder / "big.nc", shards, layout, written, arrays, expected)
    result.write(written)
    return result


def parts(arrays, layout, key):
    return {name: values[layout.plan.slices(key)] for name, values in arrays.items()}


def without_listing(dataset):
    kept = {name: text for name, text in dataset.attrs.items() if name not in INDEX_ATTRIBUTES}
    return dataset.load().drop_attrs(deep=False).assign_attrs(kept)


def drawn_findings():
    """What a reduction may say: numbers and names along a dimension of their own."""
    numbers = np.array([1.5, np.nan], np.float32)
    names = np.array(["llama3-8b", "modèle"])
    rank = np.arange(2)
    return [
        Finding(name="best", dims=("rank",), values=numbers, quantity="utps", meaning="best"),
        Finding(name="best_llm", dims=("rank",), values=names, quantity="llm", meaning="whose"),
        Finding(name="rank", dims=("rank",), values=rank, quantity=None, meaning="place"),
    ]


def attributes(variable):
    """Attributes with their types; their order is netCDF's affair."""
    return {name: repr(variable.getncattr(name)) for name in variable.ncattrs()}


def require(command):
    if shutil.which(command) is None:
        if os.environ.get("REQUIRE_READERS") == "1":
            pytest.fail(f"{command} is not installed, and REQUIRE_READERS=1 asks for it")
        pytest.skip(f"{command} is not installed")


def answer(*command):
    # In another folder: what is found is found from the index.
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=True, cwd="/"
    )
    return done.stdout


@pytest.fixture
def whole(tmp_path):
    return make(tmp_path / "whole", NAMED, (1, 1, 2, 2))


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """Three numeric axes, ragged along two; the last blocks of each are missing."""
    folder = tmp_path_factory.mktemp("half") / "half"
    return make(folder, NUMBERS, (3, 3, 2), only=lambda key: key != (0, 1, 1) and key[2] < 2)


def stored(result, name):
    """What should be stored: drawn values where a shard is, else not computed."""
    absent = FILL if result.arrays[name].dtype.kind == "f" else np.int8(-1)
    values = np.full_like(result.arrays[name], absent)
    for shard in result.shards:
        place = result.layout.plan.slices(shard.key)
        values[place] = result.arrays[name][place]
    return values


# Tiling.


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=4))
def test_chunks_of_the_blocks_are_those_of_the_whole(lengths):
    shape = tuple(length for length, _ in lengths)
    plan = Plan(shape=shape, block=tuple(min(pair) for pair in lengths))
    cut = [axis for axis, count in enumerate(plan.counts) if count > 1]
    chunk = chunk_shape(plan.block, TARGET_BYTES // 20, cut=cut)
    placed = []
    for key in itertools.product(*map(range, plan.counts)):
        block = plan.slices(key)
        places = np.array(list(chunk_places(tuple(p.stop - p.start for p in block), chunk)))
        placed += (places + [p.start for p in block]).tolist()
    assert sorted(map(tuple, placed)) == list(chunk_places(shape, chunk))


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_a_cut_axis_has_chunks_that_divide_its_block(length, others):
    (size, _) = chunk_shape((length, others), 4, cut=[0])
    assert length % size == 0


def test_a_long_prime_block_is_one_chunk_rather_than_many_rows():
    assert chunk_shape((1009, 400), 4, cut=[0]) == (1009, 400)
    assert chunk_shape((1009, 400), 4) == (655, 400)


# Layout.


def test_a_layout_of_many_points_takes_no_memory(tmp_path):
    names = ("seq_len", "batch_size", "mem_bw_scale")
    axes = "".join(f"{name} = {{ linear = [1, 1000], num = 1000 }}\n" for name in names)
    base = '[base]\nllm = "llama3-8b"\nchip = "h100"\n'
    (tmp_path / "grid.toml").write_text(f'outputs = ["utps"]\n{base}[axes]\n{axes}')
    spec = load_grid(tmp_path / "grid.toml")
    plan = Plan(shape=spec.shape, block=(100, 100, 1000))
    layout = make_layout(spec, bind(spec), plan)
    assert layout.template.utps.size == 10**9
    assert layout.block((1, 1, 0)).utps.shape == plan.block
    assert layout.block((1, 1, 0)).seq_len.values[0] == 101
    folder = tmp_path / "big.shards"
    folder.mkdir()
    write_index(tmp_path / "big.nc", folder, [], layout=layout)
    with netCDF4.Dataset(tmp_path / "big.nc") as file:
        assert file["utps"].shape == (1000, 1000, 1000)
        assert file["utps"][5, 6, 7] is np.ma.masked
        assert (file.complete, file.missing) == (0, 100)


# Shards.


def fixed(dataset):
    """Names of what does not vary, which the index alone has."""
    return [str(name) for name, value in dataset.coords.items() if not value.ndim]


def test_a_shard_is_an_ordinary_file_of_its_block(whole):
    for shard in whole.shards:
        assert shard.name == shard_name(whole.layout.plan, shard.key)
        block = whole.expected[list(whole.arrays)].isel(
            dict(zip(whole.layout.dims, whole.layout.plan.slices(shard.key), strict=True))
        )
        block = block.drop_vars(fixed(block))
        with open_dataset(whole.folder / shard.name) as found:
            assert found.load().drop_attrs(deep=False).identical(block.drop_attrs(deep=False))
            assert found.attrs["content_hash"] == whole.expected.attrs["content_hash"]
            assert tuple(found.attrs["chunk_key"]) == shard.key


def test_a_shard_has_the_form_of_a_single_file(whole, tmp_path):
    write_dataset(whole.expected, tmp_path / "single.nc")
    with (
        netCDF4.Dataset(tmp_path / "single.nc") as single,
        netCDF4.Dataset(whole.folder / "000000.nc") as shard,
        netCDF4.Dataset(whole.index) as index,
    ):
        alone = set(fixed(whole.expected))
        assert set(single.variables) == set(index.variables) == {*shard.variables, *alone}
        for name in shard.variables:
            variable = single.variables[name]
            assert attributes(index[name]) == attributes(variable)
            beside = [n for n in attributes(variable).get("coordinates", "").split() if n in alone]
            told = {
                k: v for k, v in attributes(variable).items() if not (beside and k == "coordinates")
            }
            assert told.items() <= attributes(shard[name]).items()
            for other in (shard[name], index[name]):
                assert (other.dtype, other.dimensions) == (variable.dtype, variable.dimensions)
            assert shard[name].filters() == variable.filters()
        assert not any(dim.isunlimited() for dim in shard.dimensions.values())


def test_a_shard_says_its_size_and_checksum(whole):
    import zlib

    for shard in whole.shards:
        data = (whole.folder / shard.name).read_bytes()
        assert (shard.bytes, shard.crc32) == (len(data), zlib.crc32(data))


def test_a_shard_comes_out_the_same_twice_and_from_several_threads(whole):
    blanks = lay_out_shards(whole.layout)
    before = {path.name: path.read_bytes() for path in whole.folder.iterdir()}

    def again(shard):
        values = parts(whole.arrays, whole.layout, shard.key)
        return write_shard(whole.folder, shard.key, values, blanks=blanks, workers=workers)

    with ThreadPoolExecutor(2) as workers, ThreadPoolExecutor(4) as writers:
        assert list(writers.map(again, whole.shards)) == whole.shards
    assert {path.name: path.read_bytes() for path in whole.folder.iterdir()} == before


def test_nothing_stays_behind_where_a_shard_cannot_be_written(whole, monkeypatch):
    def fail(self, _):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    before = sorted(whole.folder.iterdir())
    blanks = lay_out_shards(whole.layout)
    key = whole.shards[0].key
    values = parts(whole.arrays, whole.layout, key)
    with ThreadPoolExecutor(1) as workers, pytest.raises(ResultError, match="No space left"):
        write_shard(whole.folder, key, values, blanks=blanks, workers=workers)
    assert sorted(whole.folder.iterdir()) == before


def test_a_missing_folder_is_said(whole, tmp_path):
    blanks = lay_out_shards(whole.layout)
    values = parts(whole.arrays, whole.layout, (0, 0, 0, 0))
    with ThreadPoolExecutor(1) as workers, pytest.raises(ResultError, match="does not exist"):
        write_shard(tmp_path / "no", (0, 0, 0, 0), values, blanks=blanks, workers=workers)


# Checks.


def test_a_whole_shard_has_no_problem(whole):
    made_by = whole.expected.attrs["content_hash"]
    assert not any(check_shard(whole.folder, s, content_hash=made_by) for s in whole.shards)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is truncated"),
        (lambda path: path.write_bytes(b""), "is truncated"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "is not what was written"),
        (lambda path: flip(path, -2000), "is corrupt"),
        (lambda path: flip(path, 3), "is corrupt"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "is corrupt"),
    ],
)
def test_a_damaged_shard_is_found(whole, damage, words):
    shard = whole.shards[3]
    damage(whole.folder / shard.name)
    problem = check_shard(whole.folder, shard, content_hash=whole.expected.attrs["content_hash"])
    assert words in problem
    assert missing_shards(whole.index, verify=True) == [f"big.shards/{shard.name}: {problem}"]
    quick = [] if words == "is corrupt" else [f"big.shards/{shard.name}: {problem}"]
    assert missing_shards(whole.index) == quick


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))


def test_a_shard_of_another_sweep_or_block_is_found(whole, tmp_path):
    other = make(tmp_path / "other", NAMED.replace("tp_size = 8", "tp_size = 4"), (1, 1, 2, 2))
    made_by = whole.expected.attrs["content_hash"]
    first, second = whole.shards[:2]
    shutil.copy(whole.folder / second.name, whole.folder / first.name)
    assert "is the block" in check_shard(whole.folder, first, content_hash=made_by)
    shutil.copy(other.folder / first.name, whole.folder / first.name)
    problem = check_shard(whole.folder, first, content_hash=made_by)
    assert problem.startswith("belongs to another sweep (sha256:")
    assert check_shard(other.folder, other.shards[0], content_hash=made_by) == problem


# The index.


@pytest.mark.parametrize("block", [(1, 1, 5, 3), (3, 1, 2, 2), (2, 1, 3, 1), (3, 2, 5, 3)])
def test_the_index_reads_as_the_whole_result(tmp_path, block):
    result = make(tmp_path / "x", NAMED, block, findings=drawn_findings())
    for engine in ("netcdf4", "h5netcdf"):
        with xr.open_dataset(result.index, engine=engine) as found:
            xr.testing.assert_identical(without_listing(found), result.expected)
    with open_dataset(result.index) as found:
        assert (found.complete, found.missing) == (1, 0)
        assert found.num_shards == result.layout.plan.num_chunks == len(result.shards)


def test_a_float64_result_stays_float64(tmp_path):
    result = make(tmp_path / "x", NUMBERS, (2, 4, 3), precision="float64")
    with open_dataset(result.index) as found:
        assert found.utps.dtype == np.float64
        xr.testing.assert_identical(without_listing(found), result.expected)


def test_the_index_is_written_whole_or_not_at_all(whole, monkeypatch):
    before = whole.index.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index_module, "replace_variable", fail)
    with pytest.raises(ResultError, match="No space left"):
        whole.write()
    assert whole.index.read_bytes() == before
    assert sorted(p.name for p in whole.index.parent.iterdir()) == [
        "big.nc",
        "big.shards",
        "grid.toml",
    ]


def test_an_index_refuses_a_shard_under_the_wrong_name(whole):
    wrong = dataclasses.replace(whole.shards[0], key=whole.shards[1].key)
    with pytest.raises(ValueError, match=r"000000\.nc has the key"):
        whole.write([wrong])


def test_an_index_and_its_shards_move_together(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "else where %b").mkdir()
    shutil.move(whole.index, tmp_path / "else where %b" / "renamed.nc")
    shutil.move(whole.folder, tmp_path / "else where %b" / "big.shards")
    path = tmp_path / "else where %b" / "renamed.nc"
    assert missing_shards(path, verify=True) == []
    with open_dataset(path) as found:
        xr.testing.assert_identical(without_listing(found), whole.expected)


def test_a_folder_with_a_percent_sign_is_read(whole):
    folder = whole.folder.rename(whole.folder.with_name("50%b 100%.shards"))
    write_index(whole.index, folder, whole.shards, layout=whole.layout)
    with open_dataset(whole.index) as found:
        xr.testing.assert_identical(without_listing(found), whole.expected)


def test_an_index_moved_without_its_shards_is_said(whole, tmp_path):
    moved = shutil.move(whole.index, tmp_path / "moved.nc")
    (problem,) = missing_shards(moved)
    assert problem.startswith("big.shards: the folder is not beside the index")
    with pytest.raises(ResultError, match="move both together"):
        pack(Path(moved), tmp_path / "packed.nc")
    with open_dataset(moved) as found:  # reads as not computed, which decodes as missing
        assert np.isnan(found.utps.values).all()
        assert missing_shards(found) == [problem]


def test_a_file_limit_too_low_is_raised_or_said(monkeypatch):
    resource = pytest.importorskip("resource")
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    allow_open_files(100)
    assert limits == []
    allow_open_files(900)
    assert limits == [(964, 1024)]
    with pytest.raises(ResultError, match=r"2,048 shards need .* the system allows 1,024.*pack"):
        allow_open_files(2048)


# Half finished.


def test_what_is_missing_is_listed(half):
    with open_dataset(half.index) as found:
        assert (found.complete, found.num_shards, found.missing) == (0, 6, 3)
        assert [row[0] for row in json.loads(found.shards)] == [s.name for s in half.shards]
        assert missing_shards(found) == [
            f"big.shards/{number:06d}.nc: is not computed" for number in (2, 4, 5)
        ]
        assert read_listing(found).names == [f"{number:06d}.nc" for number in range(6)]


@pytest.mark.parametrize("name", ["utps", "feasible"])
def test_a_missing_shard_reads_as_not_computed(half, name):
    expected = stored(half, name)
    assert (expected == (FILL if name == "utps" else -1)).any()
    with netCDF4.Dataset(half.index) as file:
        file.set_auto_maskandscale(False)
        assert file[name][:].tobytes() == expected.tobytes()
    for engine in ("netcdf4", "h5netcdf"):
        with xr.open_dataset(half.index, engine=engine, mask_and_scale=False) as dataset:
            assert dataset[name].values.tobytes() == expected.tobytes()
    with h5py.File(half.index) as file:
        assert file[name][...].tobytes() == expected.tobytes()


def test_ncdump_reads_a_half_finished_index(half):
    require("ncdump")
    assert "utps:_FillValue = 9.96921e+36f" in answer("ncdump", "-h", half.index)
    text = answer("ncdump", "-p", "9,17", "-v", "utps", half.index).rpartition("utps =")[2]
    found = [word.strip() for word in text.replace(";", " ").replace("}", " ").split(",")]
    numbers = np.array(
        [float("nan") if "NaN" in w else float(w.replace("_", "9.96921e36")) for w in found]
    )
    expected = stored(half, "utps").ravel()
    assert found.count("_") == (expected == FILL).sum()
    assert np.array_equal(numbers.astype(np.float32), expected, equal_nan=True)


def test_ncdump_reads_every_shard(whole):
    require("ncdump")
    for shard in whole.shards:
        assert "float utps(llm, accounting, seq_len, batch_size)" in answer(
            "ncdump", "-v", "llm,utps,limit", whole.folder / shard.name
        )


def test_ncks_cuts_out_values_of_a_half_finished_index(half):
    require("ncks")
    expected = stored(half, "feasible")
    for place in ((0, 0, 0), (2, 3, 1), (2, 3, 4), (1, 0, 2)):
        where = [f"-d{name},{i}" for name, i in zip(half.layout.dims, place, strict=True)]
        text = answer("ncks", "-H", "-C", "-s", "%d", "-v", "feasible", *where, half.index)
        assert int(text) == expected[place]


def test_cdo_reads_a_half_finished_index(half):
    require("cdo")
    text = answer("cdo", "-s", "outputf,%.9g,1", "-selname,utps", half.index)
    found = np.array([float(line) for line in text.split()], np.float32)
    assert np.array_equal(found, stored(half, "utps").ravel(), equal_nan=True)


# Packing.


@pytest.mark.parametrize("block", [(1, 1, 2, 2), (2, 1, 3, 3)])
def test_packing_gives_the_single_file(tmp_path, block):
    result = make(tmp_path / "x", NAMED, block, findings=drawn_findings())
    write_dataset(result.expected, tmp_path / "single.nc")
    pack(result.index, tmp_path / "packed.nc")
    shutil.rmtree(result.folder)
    with open_dataset(tmp_path / "packed.nc") as found, open_dataset(tmp_path / "single.nc") as one:
        xr.testing.assert_identical(found.load(), one.load())
        for name in result.arrays:
            assert found[name].values.tobytes() == one[name].values.tobytes()
    with netCDF4.Dataset(tmp_path / "packed.nc") as file:
        assert file["utps"].filters()["zlib"]
    assert missing_shards(tmp_path / "packed.nc") == []


def test_ncdump_reads_a_packed_file(whole, tmp_path):
    require("ncdump")
    pack(whole.index, tmp_path / "packed.nc")
    write_dataset(whole.expected, tmp_path / "single.nc")

    def values(path):
        return answer("ncdump", "-v", ",".join(whole.expected.variables), path).partition("data:")[
            2
        ]

    for name in whole.expected.variables:
        one, other = (
            answer("ncdump", "-v", name, tmp_path / f"{kind}.nc").partition("data:")[2]
            for kind in ("packed", "single")
        )
        assert one == other


def test_an_incomplete_index_is_not_packed(half, tmp_path):
    with pytest.raises(UnfinishedSweepError, match=r"000002\.nc: is not computed.*`resume=True`"):
        pack(half.index, tmp_path / "packed.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_shard_is_not_packed_and_nothing_stays_behind(whole, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    for shard in whole.shards[2:4]:
        flip(whole.folder / shard.name, -2000)
    with pytest.raises(ResultError, match=r"000002\.nc: is corrupt.*000003\.nc: is corrupt"):
        pack(whole.index, target / "packed.nc")
    assert list(target.iterdir()) == []


def test_many_problems_are_summed_up(whole, tmp_path):
    for shard in whole.shards[:9]:
        (whole.folder / shard.name).unlink()
    with pytest.raises(ResultError, match="and 4 more"):
        pack(whole.index, tmp_path / "packed.nc")


def test_an_existing_target_is_kept_without_force(whole, tmp_path):
    target = tmp_path / "packed.nc"
    target.write_text("mine")
    with pytest.raises(ResultError, match="exists"):
        pack(whole.index, target)
    assert target.read_text() == "mine"
    pack(whole.index, target, force=True)
    assert missing_shards(target) == []


def test_an_index_can_be_replaced_by_its_packed_self(whole):
    pack(whole.index, whole.index, force=True)
    shutil.rmtree(whole.folder)
    with open_dataset(whole.index) as found:
        xr.testing.assert_identical(found.load(), whole.expected)


def test_a_single_file_is_not_packed(whole, tmp_path):
    write_dataset(whole.expected, tmp_path / "single.nc")
    with pytest.raises(ResultError, match="is a single file already"):
        pack(tmp_path / "single.nc", tmp_path / "packed.nc")
