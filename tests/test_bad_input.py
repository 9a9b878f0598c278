"""Bad input through the real command line: one clear line, exit 2 (1 for files), nothing left."""

import errno
import os
from pathlib import Path
from typing import NamedTuple

import netCDF4
import pytest

from jaxlimits.store import netcdf
from tests.command_line import run, run_anew
from tests.helpers import one_in

NAMES = '[base]\nllm = "llama3-8b"\nchip = "h100"\n'
BASE = NAMES + "tp_size = 8\n"
AXES = "[axes]\nbatch_size = [1, 2]\n"
GOOD = BASE + AXES
MOE = '[base]\nllm = "qwen3-30b"\nchip = "h100"\ntp_size = 8\n'
LONGEST_MESSAGE = 400


class Case(NamedTuple):
    """A grid, what is set beside it, and what the message must say besides the file."""

    text: str | bytes
    says: list[str]
    args: tuple[str, ...] = ()


def axes(line, *says):
    return Case(f"{BASE}[axes]\n{line}\n", [*says])


def base(line, *says, names=NAMES):
    return Case(f"{names}{line}\n{AXES}", [*says])


def given(assignment, *says, text=GOOD):
    return Case(text, ["--set", *says], ("--set", assignment))


GRIDS = {
    # unknown names, with the nearest
    "an unknown llm": Case(
        GOOD.replace("llama3-8b", "lama3-8b"), ["'lama3-8b'", "did you mean llama3-8b"]
    ),
    "an unknown chip": Case(GOOD.replace("h100", "h10"), ["'h10'", "h100"]),
    "a chip for an llm": Case(GOOD.replace("llama3-8b", "h200"), ["unknown llm 'h200'"]),
    "an unknown chip on an axis": Case(
        '[base]\nllm = "llama3-8b"\n[axes]\nchip = ["h100", "b20"]\n',
        ["axes.chip", "'b20'", "b200"],
    ),
    "an unknown axis": axes("batchsize = [1]", "axes.batchsize", "batch_size"),
    "an axis far from any name": axes("zzz = [1]", "axes.zzz", "'zzz'"),
    "an output for an axis": axes("utps = [1]", "axes.utps", "'utps'"),
    "an unknown field in the base": base("tpsize = 8", "base.tpsize", "tp_size"),
    "an unknown name to set": given("tpsize=8", "'tpsize'", "tp_size"),
    "an unknown output": Case('outputs = ["utpss"]\n' + GOOD, ["outputs", "'utpss'", "utps"]),
    "an unknown key": Case("output = ['utps']\n" + GOOD, ["'output'", "outputs"]),
    "an unknown switch setting": base("roofline = 'steps'", "base.roofline", "'steps'", "'step'"),
    "an unknown precision": Case("precision = 'float16'\n" + GOOD, ["precision", "float32"]),
    # units
    "a missing unit": axes("mem_bw = ['4']", "axes.mem_bw", "'4'", "TB/s"),
    "a bare number": axes("mem_bw = [4e12]", "axes.mem_bw", "4000000000000", "bare", "TB/s"),
    "a bare number in the base": base("sync_latency = 1e-6", "base.sync_latency", "bare", "us"),
    "a bare number to set": given("mem_capacity=80", "mem_capacity", "'80'", "bare", "GB"),
    "a size for a bandwidth": axes("mem_bw = ['4 TB']", "axes.mem_bw", "'4 TB'", "size", "TB/s"),
    "a frequency for a bandwidth": axes("mem_bw = ['4 THz']", "'4 THz'", "frequency", "rate"),
    "an unknown unit": axes("mem_bw = ['4 TX/s']", "axes.mem_bw", "'4 TX/s'", "unknown unit"),
    "a K": base("seq_len = '64K'", "base.seq_len", "'64K'", "65536"),
    "a milli byte": base("mem_capacity = '80 mB'", "'80 mB'", "MB"),
    "a unit for a count": axes("batch_size = ['8 GB']", "axes.batch_size", "'8 GB'"),
    "two values in one text": axes("mem_bw = ['4 TB/s, 8 TB/s']", "axes.mem_bw"),
    # bounds
    "zero where positive is due": axes("batch_size = [0]", "axes.batch_size", "= 0", "at least 1"),
    "a negative number": axes("batch_size = [-1]", "= -1", "at least 1"),
    "zero bandwidth": axes("mem_bw = ['0 TB/s']", "'0 TB/s'", "above 0"),
    "a negative latency": axes("sync_latency = ['-1 us']", "'-1 us'", "at least 0"),
    "a negative price": axes(
        "chip_price = ['-1 USD']", "axes.chip_price", "'-1 USD'", "at least 0"
    ),
    "a negative price of electricity": given("electricity_price=-0.1 $/kWh", "at least 0"),
    "a price without its currency": base(
        "server_price = 80000", "base.server_price", "bare", "USD"
    ),
    "a price by time for a price": given("chip_price=2 USD/h", "a price by time", "30000 USD"),
    "a site that uses less than its machines": given("pue=0.9", "pue", "'0.9'", "at least 1"),
    "a use beyond all time": given("utilisation=1.1", "utilisation", "'1.1'", "at most 1"),
    "no years to pay in": given("depreciation_time=0 year", "'0 year'", "above 0"),
    "an unknown algorithm": base("collective_algorithm = 'rings'", "'rings'", "'ring'"),
    "an acceptance above 1": given("acceptance=1.1", "acceptance", "'1.1'", "at most 1"),
    "an acceptance below 0": given("acceptance=-0.1", "acceptance", "at least 0"),
    "a draft that is not named": base(
        "speculation = 'draft'", "needs a draft", "draft = 'llama3-8b'"
    ),
    "an unknown draft": base("draft = 'llama3-7b'", "base: draft", "did you mean", "llama3-8b"),
    "a draft larger than its model": base(
        "speculation = 'draft'\ndraft = 'llama3-405b'",
        "larger than its model",
        "4.05e+11",
        "smaller",
    ),
    "a tier without its bandwidth": base("sram_capacity = '1 GB'", "SRAM needs a bandwidth"),
    "a request's metric without a request": Case(
        "outputs = ['ttft']\n" + GOOD, ["outputs", "'ttft'", "needs a request", "input_len"]
    ),
    "sharded weights beside placed experts": Case(
        f"{MOE}ep_size = 8\nweight_placement = 'sharded'\n{AXES}", ["ep_size = 8", "exclude"]
    ),
    "a fraction for a whole number": axes("batch_size = [1.5]", "1.5", "whole"),
    "a fraction in text": given("seq_len=10.5", "seq_len", "'10.5'", "whole"),
    "TP over 65,536": given("tp_size=65537", "tp_size", "'65537'", "65536"),
    "TP over 65,536 on an axis": Case(
        f"{NAMES}[axes]\ntp_size = {{ pow2 = [1, 131072] }}\n", ["axes.tp_size", "131072", "65536"]
    ),
    "TP over 65,536 by a factor": axes("tp_size_scale = [16384]", "tp_size_scale", "65536"),
    "a share above 1": given("usable_fraction=1.1", "usable_fraction", "'1.1'", "at most 1"),
    "a width that no rate is known for": given("compute_bits=5", "compute_bits", "4, 8, 16"),
    "NaN": axes("batch_size = [nan]", "axes.batch_size", "nan", "whole number"),
    "NaN in text": axes("mem_bw = ['nan TB/s']", "axes.mem_bw", "'nan TB/s'", "finite"),
    "infinity": axes("mem_bw_scale = [inf]", "axes.mem_bw_scale", "inf"),
    "a number too large for float32": base("mem_bw = '1e50 B/s'", "mem_bw", "1e50", "float32"),
    # what must hold between fields
    "ep that does not divide the chips": Case(
        f"{MOE}ep_size = 3\n{AXES}", ["ep_size = 3", "tp_size = 8", "divide", "choose another"]
    ),
    "ep that does not divide the experts": Case(
        f"{MOE}dp_size = 3\nep_size = 24\n{AXES}", ["ep_size = 24", "num_experts = 128", "divide"]
    ),
    # axes
    "an axis set twice": Case(GOOD + "batch_size = [3]\n", ["line 7", "batch_size"]),
    "an axis that is fixed too": axes("tp_size = [8]", "tp_size", "twice", "keep one"),
    "an axis that is set too": given("batch_size=8", "batch_size", "twice", "keep one"),
    "an axis linked twice": axes(
        "batch_size = { values = [1], with = { seq_len = [1] } }\nseq_len = [2]", "seq_len", "twice"
    ),
    "a name set twice": Case(GOOD, ["--set", "seq_len", "twice"], ("--set", "seq_len=1") * 2),
    "no values": axes("batch_size = []", "axes.batch_size", "empty", "at least one"),
    "duplicate values": axes("batch_size = [1, 2, 1]", "axes.batch_size", "1 twice", "leave one"),
    "duplicate values in two units": axes("mem_bw = ['1 TB/s', '1000 GB/s']", "twice"),
    "duplicate names": Case(
        '[base]\nllm = "llama3-8b"\n[axes]\nchip = ["h100", "h100"]\n', ["'h100' twice"]
    ),
    "a linked axis of another length": axes(
        "batch_size = { values = [1, 2], with = { sync_latency = ['1 us'] } }",
        "axes.batch_size.with.sync_latency",
        "has 1 value",
        "2",
        "one for each",
    ),
    "a number for an axis": axes("batch_size = 4", "axes.batch_size", "= 4", "list"),
    "a range without num": axes("batch_size = { linear = [1, 4] }", "needs num", "num = "),
    "no axis": Case(BASE, ["axes", "jaxlimits point"]),
    "no llm": Case('[base]\nchip = "h100"\n' + AXES, ["no llm", "catalog"]),
    # files
    "an empty file": Case("", ["empty", "[base]", "[axes]"]),
    "only remarks": Case("# nothing\n", ["empty", "[base]"]),
    "malformed TOML": Case(BASE + "[axes]\nbatch_size = [1, 2\nseq_len = 3\n", ["TOML", "line 7"]),
    "TOML that ends too early": Case(BASE + "[axes]\nbatch_size = [1, 2", ["TOML", "line 6"]),
    "binary": Case(bytes(range(256)), ["UTF-8"]),
    "a catalog file that is missing": Case('catalog = ["mine.toml"]\n' + GOOD, ["mine.toml"]),
    "an entry with an unknown field": Case(
        GOOD.replace('"h100"', '"mine"') + '[chips.mine]\nlike = "h100"\nbandwidth = "1 TB/s"\n',
        ["chips.mine", "'bandwidth'"],
    ),
    "an entry that lacks fields": Case(
        GOOD.replace('"h100"', '"mine"') + '[chips.mine]\nmem_bw = "1 TB/s"\n',
        ["chips.mine", "lacks", "peak_flops"],
    ),
    "an entry that takes a shipped name": Case(
        GOOD + '[chips.h100]\nlike = "a100"\n', ["chips.h100", "taken", "another name"]
    ),
    "an assignment without a value": given("tp_size", "'tp_size'", "name=value"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_refused(done, says, *, code):
    assert done.code == code, done.err
    assert done.out == ""
    lines = done.err.strip().splitlines()
    assert 1 <= len(lines) <= 2, done.err
    assert done.err.startswith("jaxlimits: ")
    assert len(done.err) <= LONGEST_MESSAGE, len(done.err)
    for part in says:
        assert part in done.err, (part, done.err)
    for word in ("Traceback", "Error", "pydantic", "AxisTable", "dictionary"):
        assert word not in done.err


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", GRIDS)
def test_a_bad_grid_is_refused_in_a_line_and_leaves_no_file(name, folder):
    case = GRIDS[name]
    text = case.text if isinstance(case.text, bytes) else case.text.encode()
    (folder / "grid.toml").write_bytes(text)
    done = run("sweep", "grid.toml", "-o", "out.nc", *case.args)
    where = [] if "--set" in case.says else ["grid.toml"]
    assert_refused(done, [*where, *case.says], code=2)
    assert entries(folder) == ["grid.toml"]


def test_bits_convert_to_bytes(folder):
    (folder / "grid.toml").write_text(f"{BASE}[axes]\nmem_bw = ['4 Tb/s']\n")
    assert run("sweep", "grid.toml").code == 0
    with netCDF4.Dataset("grid.nc") as file:
        assert file["mem_bw"][:].tolist() == [0.5e12]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["sweep", "missing.toml"], ["missing.toml", "no such file", "paper"]),
        (["sweep", "papre"], ["'papre'", "paper"]),
        (["sweep", "folder"], ["folder", "is a folder"]),
        (["sweep", "folder.toml"], ["folder.toml", "is a folder"]),
        (["sweep", "x" * 300], ["jaxlimits"]),
        (["sweep"], ["GRID", "--again"]),
        (["sweep", "smoke", "--again", "out.nc"], ["--again"]),
        (["sweep", "--again", "out.nc", "--set", "tp_size=8"], ["--again", "--set"]),
        (["sweep", "smoke", "--catalog", "missing.toml"], ["missing.toml"]),
        (["point", "--llm", "llama3", "--chip", "h100"], ["'llama3'", "llama3-8b"]),
        (["point", "--llm", "llama3-8b", "--chip", "h1000"], ["'h1000'", "h100"]),
        (["point", "--tp-size", "3.5"], ["tp_size", "'3.5'", "whole"]),
        (["point", "--tp-size", "70000"], ["tp_size", "'70000'", "65536"]),
        (["point", "--batch-size", "0"], ["batch_size", "'0'", "at least 1"]),
        (["point", "--seq-len", "64K"], ["seq_len", "'64K'", "65536"]),
        (["point", "--tp-size", "8", "--set", "tp_size=4"], ["tp_size", "twice"]),
        (["point", "--set", "mem_bw=4"], ["mem_bw", "'4'", "TB/s"]),
        (["point", "--set", "where=x"], ["'where'"]),
        (["point", "--set", "catalog=x"], ["'catalog'"]),
        (["point", "--set", "x64=1"], ["'x64'"]),
        (["point", "--set", "llm=llama3-70b"], ["llm", "twice"]),
        (["catalog", "chip"], ["'chip'", "chips"]),
        (["catalog", "chips", "h1000"], ["'h1000'", "h100"]),
        (["catalog", "--catalog", "missing.toml"], ["missing.toml"]),
        (["validate", "--set", "mem_bandwidth=3"], ["mem_bandwidth", "mem_bw"]),
        (["validate", "--set", "llm=llama3-8b"], ["llm"]),
        (["validate", "--set", "where=x"], ["'where'"]),
    ],
)
def test_a_bad_argument_is_refused_in_a_line_and_leaves_no_file(args, says, folder):
    for name in ("folder", "folder.toml"):
        (folder / name).mkdir()
    if args[0] == "point":
        for name, value in (("--llm", "llama3-8b"), ("--chip", "h100")):
            args = args if name in args else [*args, name, value]
    assert_refused(run(*args), says, code=2)
    assert entries(folder) == ["folder", "folder.toml"]


# Files: exit 1.


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The bytes of a small result."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "grid.toml").write_text(GOOD)
    assert run("sweep", folder / "grid.toml", "-o", folder / "out.nc").code == 0
    return (folder / "out.nc").read_bytes()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no/out.nc", ["no/out.nc", "no", "does not exist"]),
        ("there.nc", ["there.nc", "exists", "--force"]),
        ("folder", ["folder", "is a folder"]),
        ("there.nc/out.nc", ["there.nc/out.nc", "there.nc"]),
        ("x" * 300 + ".nc", ["too long"]),
    ],
)
def test_an_output_that_cannot_be_is_refused_and_nothing_is_touched(target, says, folder):
    (folder / "grid.toml").write_text(GOOD)
    (folder / "there.nc").write_text("mine")
    (folder / "folder").mkdir()
    done = run("sweep", "grid.toml", "-o", target)
    assert_refused(done, [part for part in says if len(part) < 200], code=1)
    assert entries(folder) == ["folder", "grid.toml", "there.nc"]
    assert (folder / "there.nc").read_text() == "mine"


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="root may write to every folder"
)
def test_a_folder_that_is_not_writable_is_refused(folder):
    (folder / "grid.toml").write_text(GOOD)
    (folder / "locked").mkdir(mode=0o500)
    done = run("sweep", "grid.toml", "-o", "locked/out.nc")
    assert_refused(done, ["locked", "not writable"], code=1)


def test_a_full_disk_keeps_the_table_that_an_export_would_replace(folder, monkeypatch, made):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (folder / "in.nc").write_bytes(made)
    (folder / "out.csv").write_text("the old table")
    monkeypatch.setattr("pandas.DataFrame.to_csv", full)
    done = run("export", "in.nc", "--csv", "-o", "out.csv", "--force")
    assert_refused(done, ["out.csv", "cannot be written", "No space left"], code=1)
    assert (folder / "out.csv").read_text() == "the old table"
    assert entries(folder) == ["in.nc", "out.csv"]


@pytest.mark.parametrize("command", ["sweep", "export"])
def test_a_full_disk_is_an_error_of_one_line_that_leaves_nothing(
    command, folder, monkeypatch, made
):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (folder / "grid.toml").write_text(GOOD)
    (folder / "in.nc").write_bytes(made)
    if command == "sweep":
        monkeypatch.setattr(netcdf, "fill", full)
        done = run("sweep", "grid.toml", "-o", "out.nc")
    else:
        monkeypatch.setattr("pandas.DataFrame.to_csv", full)
        done = run("export", "in.nc", "--csv", "-o", "out.csv")
    assert_refused(done, ["out.", "cannot be written", "No space left"], code=1)
    assert entries(folder) == ["grid.toml", "in.nc"]


@pytest.mark.parametrize("command", ["info", "export", "--again"])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.nc", ["no such file"]),
        ("folder", ["is a folder"]),
        ("grid.toml", ["is a TOML file, not a result"]),
        ("cut.nc", ["not a readable NetCDF"]),
        ("other.nc", ["not a result"]),
        ("newer.nc", ["newer", "upgrade"]),
    ],
)
def test_what_is_no_result_is_refused(command, name, says, folder, made):
    (folder / "folder").mkdir()
    (folder / "grid.toml").write_text(GOOD)
    (folder / "cut.nc").write_bytes(made[:3000])
    (folder / "newer.nc").write_bytes(made)
    with netCDF4.Dataset("newer.nc", "a") as file:
        file.format_version = 99
    with netCDF4.Dataset("other.nc", "w") as file:
        file.title = "somebody else's"
    before = entries(folder)
    commands = {
        "info": ["info", name],
        "export": ["export", name, "--csv"],
        "--again": ["sweep", "--again", name],
    }
    assert_refused(run(*commands[command]), [name, *says], code=1)
    assert entries(folder) == before


@pytest.mark.parametrize("attribute", ["grid", "overrides", "catalog", "precision"])
def test_a_result_that_was_tampered_with_is_not_made_again(attribute, folder, made):
    (folder / "out.nc").write_bytes(made)
    with netCDF4.Dataset("out.nc", "a") as file:
        file.setncattr(attribute, file.getncattr(attribute) + " ")
    done = run("sweep", "--again", "out.nc")
    assert_refused(done, ["out.nc", "cannot be made again", "hash"], code=1)
    assert entries(folder) == ["out.nc"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["export", "in.nc"], ["--csv", "--parquet"]),
        (["export", "in.nc", "--csv", "--parquet"], ["--csv", "--parquet"]),
        (["export", "in.nc", "--parquet", "-o", "-"], ["--csv is text", "-o"]),
        (["export", "in.nc", "--csv", "--var", "utsp"], ["--var", "'utsp'", "utps"]),
        (["export", "in.nc", "--csv", "--select", "batch=1"], ["'batch'", "batch_size"]),
        (["export", "in.nc", "--csv", "--select", "batch_size"], ["name=value"]),
        (["export", "in.nc", "--csv", "--select", "batch_size=3"], ["batch_size", "'3'", "1, 2"]),
        (["export", "in.nc", "--csv", "--select", "batch_size=x"], ["batch_size", "'x'"]),
    ],
)
def test_a_bad_selection_is_refused_and_leaves_no_file(args, says, folder, made):
    (folder / "in.nc").write_bytes(made)
    assert_refused(run(*args), says, code=2)
    assert entries(folder) == ["in.nc"]


# The same in a process of its own.


@pytest.mark.parametrize(
    ("text", "args", "code"),
    one_in(
        2,
        [
            (GOOD.replace("[1, 2]", "[0]"), [], 2),
            ("", [], 2),
            (GOOD, ["-o", "no/out.nc"], 1),
            (GOOD, ["--set", "mem_bw=1"], 2),
        ],
    ),
)
def test_a_process_ends_with_the_code_and_one_line(text, args, code, folder):
    (folder / "grid.toml").write_text(text)
    done = run_anew("sweep", "grid.toml", *args, cwd=folder)
    assert_refused(done, [], code=code)
    assert entries(folder) == ["grid.toml"]


def test_an_interrupted_sweep_says_so_and_leaves_nothing(folder, monkeypatch):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    (folder / "grid.toml").write_text(GOOD)
    monkeypatch.setattr(netcdf, "fill", interrupted)
    done = run("sweep", "grid.toml")
    assert_refused(done, ["interrupted"], code=130)
    assert entries(folder) == ["grid.toml"]
