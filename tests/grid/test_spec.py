"""The grid as data: outputs, overrides, and one's own models and chips."""

import pytest

from jaxlimits import schema
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.errors import InputError
from jaxlimits.grid.file import read_grid
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import load_grid

BASE = '[base]\nllm = "llama3-8b"\nchip = "h100"\n'
AXES = "[axes]\nbatch_size = [1, 2]\n"
MINE = '[chips.mine]\ntitle = "T"\nsource = "me"\nlike = "h100"\nmem_bw = "6.7 TB/s"\n'
USE_MINE = '[base]\nllm = "llama3-8b"\nchip = "mine"\n'


def refused(resolve, text, **overrides):
    with pytest.raises(InputError) as caught:
        bind(resolve(text, **overrides))
    return str(caught.value)


def test_a_grid_keeps_every_output_unless_it_names_some(resolve):
    assert resolve(BASE + AXES).outputs == schema.OF_THE_LIMIT
    named = 'calibration = "vllm"\n'
    calibrated = {*schema.OF_THE_LIMIT, *schema.CALIBRATED}
    assert set(resolve(BASE + named + AXES).outputs) == calibrated
    both = f"{named}input_len = 100\n"
    assert resolve(BASE + both + AXES).outputs == tuple(schema.OUTPUTS)


@pytest.mark.parametrize(
    "beside",
    [
        'elasticities = ["mem_bw"]\n',
        '[require.bw]\nfor = "mem_bw"\nat_least = 100\n',
        '[reduce.best]\nop = "max"\nof = "utps"\n',
    ],
)
def test_no_outputs_are_enough_where_one_thing_else_is_asked(resolve, beside):
    top, tables = (beside, "") if beside.startswith("elast") else ("", beside)
    kept = resolve(f"outputs = []\n{top}{BASE}{AXES}{tables}").outputs
    assert "utps" not in kept
    assert bool(kept) == ("reduce" not in beside)


def test_no_outputs_and_nothing_else_are_refused(resolve):
    assert "outputs: is empty" in refused(resolve, "outputs = []\n" + BASE + AXES)
    unkept = '[require.bw]\nfor = "mem_bw"\nat_least = 100\nkeep = false\n'
    assert "outputs: is empty" in refused(resolve, "outputs = []\n" + BASE + AXES + unkept)


def test_a_metric_of_what_is_stated_twice_over_may_be_kept(resolve, tmp_path):
    resolve(f'outputs = ["ttft"]\n{BASE}input_len = 100\n{AXES}')
    file = read_grid(tmp_path / "grid.toml")
    spec = build_spec(file, grid_catalog(file), beside=["input_len", "mem_bw"])
    assert spec.outputs == ("ttft",)


def test_outputs_are_kept_in_the_models_order(resolve):
    assert resolve('outputs = ["utps", "t_mem"]\n' + BASE + AXES).outputs == ("t_mem", "utps")


def test_shape_and_number_of_points_follow_from_the_axes(resolve):
    spec = resolve(BASE + "[axes]\nbatch_size = [1, 2, 3]\nseq_len = [1, 2]\n")
    assert (spec.shape, spec.num_points) == ((3, 2), 6)


def test_precision_is_the_files_unless_asked_otherwise(resolve, tmp_path):
    assert resolve('precision = "float64"\n' + BASE + AXES).precision == "float64"
    assert load_grid(tmp_path / "grid.toml", precision="float32").precision == "float32"


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [("mem_bw", "6 TB/s", 6e12), ("tp_size", "4", 4.0), ("mem_bw_scale", "1.05", 1.05)],
)
def test_what_is_set_is_read_like_the_base(resolve, name, raw, value):
    spec = resolve(BASE + AXES, **{name: raw})
    assert spec.base[name] == value
    assert spec.overrides == {name: raw}


@pytest.mark.parametrize(
    ("text", "overrides", "says"),
    [
        (BASE + "tp_size = 8\n[axes]\ntp_size = [1]\n", {}, ["base", "tp_size", "twice"]),
        (BASE + AXES, {"batch_size": "4"}, ["`overrides`", "batch_size", "twice"]),
        (BASE + "[axes]\nllm = ['llama3-8b']\n", {}, ["llm", "twice"]),
        (BASE + "[axes]\nroofline = ['step']\n", {"roofline": "operator"}, ["roofline", "twice"]),
        (
            BASE + "[axes]\nbatch_size = { values = [1], with = { batch_size = [2] } }\n",
            {},
            ["batch_size", "twice"],
        ),
        (
            BASE
            + "[axes]\ntp_size = { values = [1], with = { sync_latency = ['1 us'] } }\n"
            + "sync_latency = ['2 us']\n",
            {},
            ["sync_latency", "twice", "tp_size"],
        ),
        (BASE + AXES, {"nonsense": "1"}, ["`overrides`", "'nonsense'"]),
        (BASE + AXES, {"utps": "1"}, ["`overrides`", "'utps'"]),
        (BASE + "tp_siz = 8\n" + AXES, {}, ["base.tp_siz", "tp_size"]),
        (BASE + AXES, {"mem_bw": "4"}, ["`overrides`", "mem_bw", "bare number", "TB/s"]),
        (BASE + "mem_bw = 4e12\n" + AXES, {}, ["base.mem_bw", "bare number", "TB/s"]),
        (BASE + "mem_bw = '4 TB'\n" + AXES, {}, ["base.mem_bw", "'4 TB'", "size", "rate"]),
        (BASE + "tp_size = 131072\n" + AXES, {}, ["base.tp_size", "131072", "65536"]),
        (BASE, {}, ["axes", "nothing varies", "jaxlimits point"]),
        (AXES, {}, ["no llm", "jaxlimits catalog"]),
        ('[base]\nllm = "llama3-8b"\n' + AXES, {}, ["no chip"]),
        ('outputs = ["utsp"]\n' + BASE + AXES, {}, ["outputs", "'utsp'", "utps"]),
        ("outputs = []\n" + BASE + AXES, {}, ["outputs", "empty"]),
        ('outputs = ["utps", "utps"]\n' + BASE + AXES, {}, ["outputs", "twice"]),
    ],
)
def test_a_grid_that_cannot_be_is_refused(resolve, text, overrides, says):
    message = refused(resolve, text, **overrides)
    assert "grid.toml" in message or "`overrides`" in message
    for part in says:
        assert part in message


# One's own models and chips.


@pytest.mark.parametrize("where", ["beside", "inside", "on the command line"])
def test_an_entry_of_ones_own_works_like_a_shipped_one(tmp_path, where):
    grid = tmp_path / "grid.toml"
    (tmp_path / "own.toml").write_text(MINE)
    head = 'catalog = ["own.toml"]\n' if where == "beside" else ""
    grid.write_text(head + USE_MINE + AXES + (MINE if where == "inside" else ""))
    files = (tmp_path / "own.toml",) if where == "on the command line" else ()
    base = bind(load_grid(grid, catalog=files)).base
    assert base["mem_bw"] == 6.7e12
    assert base["peak_flops"] == load_catalog().chip("h100").peak_flops


def test_files_beside_the_grid_are_found_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "own.toml").write_text(MINE)
    (tmp_path / "study" / "grid.toml").write_text('catalog = ["own.toml"]\n' + USE_MINE + AXES)
    monkeypatch.chdir(tmp_path)
    assert bind(load_grid("study/grid.toml")).base["mem_bw"] == 6.7e12


def test_an_entry_may_be_like_one_of_ones_own(resolve):
    text = MINE + '[chips.next]\nlike = "mine"\nmem_capacity = "1 TB"\n' + AXES
    base = bind(resolve(text + '[base]\nllm = "llama3-8b"\nchip = "next"\n')).base
    assert (base["mem_bw"], base["mem_capacity"]) == (6.7e12, 1e12)


def test_a_llm_written_out_in_full_works(resolve):
    text = (
        "[llms.tiny]\nnum_layers = 2\nhidden_size = 64\nvocab_size = 1000\nnum_heads = 4\n"
        'num_kv_heads = 2\nhead_dim = 16\nintermediate_size = 256\n[base]\nchip = "h100"\n'
        '[axes]\nllm = ["tiny", "llama3-8b"]\n'
    )
    assert bind(resolve(text)).effective("hidden_size").tolist() == [64, 4096]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ('like = "h1000"', ["chips.mine.like", "'h1000'", "h100"]),
        ('like = "llama3-8b"', ["chips.mine.like", "'llama3-8b'"]),
        ("like = 3", ["chips.mine.like", "text"]),
        ('mem_bw = "1 TB/s"', ["chips.mine", "lacks", "peak_flops", "mem_capacity"]),
        ('like = "h100"\nmem_bandwidth = "1 TB/s"', ["'mem_bandwidth'", "mem_bw"]),
        ('like = "h100"\nmem_bw = 3', ["chips.mine.mem_bw", "bare number"]),
        ('like = "h100"\nmem_bw = "3 TB"', ["chips.mine.mem_bw", "'3 TB'", "rate"]),
        ('like = "h100"\nmem_bw = "0 TB/s"', ["chips.mine.mem_bw", "above 0"]),
        ('like = "h100"\nmem_bw = ["1 TB/s"]', ["chips.mine.mem_bw", "not a number"]),
        ('like = "h100"\nchips_per_server = 1.5', ["chips.mine.chips_per_server", "whole"]),
        ('like = "h100"\ntitle = 3', ["chips.mine.title", "text"]),
    ],
)
def test_an_entry_that_cannot_be_is_refused_by_file_and_key(resolve, entry, says):
    message = refused(resolve, f"{USE_MINE}{AXES}[chips.mine]\n{entry}\n")
    for part in ["grid.toml", *says]:
        assert part in message


def test_a_shipped_name_cannot_be_taken(resolve):
    text = BASE + AXES + '[chips.h100]\nlike = "a100"\n'
    assert "taken" in refused(resolve, text)


def test_a_catalog_file_that_is_missing_is_refused_with_the_grid_that_names_it(resolve):
    message = refused(resolve, 'catalog = ["nope.toml"]\n' + BASE + AXES)
    assert "nope.toml" in message
    assert "grid.toml" in message


def test_a_malformed_catalog_file_is_refused_with_its_name_and_line(resolve, tmp_path):
    (tmp_path / "own.toml").write_text("[chips.mine]\nmem_bw = \n")
    message = refused(resolve, 'catalog = ["own.toml"]\n' + BASE + AXES)
    assert "own.toml" in message
    assert "line 2" in message
