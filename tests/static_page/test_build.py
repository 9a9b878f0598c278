"""The folder: what is written where, what is refused."""

import json
import tomllib
from pathlib import Path

import pytest

import jaxlimits as jl
from jaxlimits import schema, units
from jaxlimits.engine.exported import METRICS
from jaxlimits.static_page import build
from jaxlimits.static_page.page_data import page_data
from tests.command_line import run
from tests.test_words import stumbled_over

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quick(monkeypatch):
    """The command without the model's program, which takes seconds to trace."""
    monkeypatch.setattr(build, "page_script", lambda: "// the program")


@pytest.fixture(scope="module")
def data(catalog):
    return page_data(catalog, "1.2.3")


def test_the_command_says_what_it_wrote(quick, tmp_path):
    done = run("site", "-o", tmp_path / "public")
    files = sorted(path for path in (tmp_path / "public").iterdir() if path.suffix)
    size = sum(path.stat().st_size for path in files)
    assert f"{len(files)} files, {size / 1e6:.2f} MB" in done.out
    assert "index.html" in done.out
    assert {path.name for path in build.FILES.iterdir()} < {path.name for path in files}


def test_only_a_page_is_replaced_and_only_when_asked(quick, tmp_path):
    target = tmp_path / "public"
    target.mkdir()
    run("site", "-o", target)  # an empty folder is as good as none
    (target / "stray.js").touch()
    failed = run("site", "-o", target)
    assert failed.code == 1
    assert "exists already; replace it with --force" in failed.err
    run("site", "-o", target, "--force")
    assert not (target / "stray.js").exists()
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.tex").touch()
    for options in ((), ("--force",)):
        failed = run("site", "-o", other, *options)
        assert failed.code == 1
        assert "exists and is not a page of jaxlimits; name another folder" in failed.err
    assert [path.name for path in other.iterdir()] == ["chapter.tex"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["public", "thesis"]


def test_a_catalog_of_one_s_own_is_on_the_page(quick, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('[chips.mine]\nlike = "h100"\nmem_bw = "9 TB/s"\n', encoding="utf-8")
    run("site", "-o", tmp_path / "public", "--catalog", own)
    assert '"mine":{' in (tmp_path / "public" / "data.js").read_text(encoding="utf-8")


def test_every_file_of_the_page_is_loaded_and_the_other_way_round():
    shipped = {path.name for path in build.FILES.iterdir()}
    page = (build.FILES / "index.html").read_text(encoding="utf-8")
    named = {name for name in shipped if f'"{name}"' in page}
    assert shipped - named == {"index.html"}
    assert page.count("<script src=") == len([name for name in shipped if name.endswith(".js")]) + 2


def test_no_text_of_the_page_has_a_turn_that_readers_stumble_over():
    texts = {path.name: path.read_text(encoding="utf-8") for path in build.FILES.iterdir()}
    assert {name: found for name, text in texts.items() if (found := stumbled_over(text))} == {}


def test_the_wheel_has_the_files_of_the_page():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "jaxlimits" in wheel["only-include"]
    assert not any("static_page" in path for path in wheel["exclude"])


def test_the_data_are_those_of_the_package(data, catalog):
    assert data["version"] == "1.2.3"
    assert set(data["metrics"]) == set(METRICS)
    assert set(data["llms"]) == set(catalog.llms)
    assert set(data["chips"]) == set(catalog.chips)
    for name, each in data["llms"].items():
        full = {**data["defaults"]["llm"], **each["values"]}
        known = catalog.values("llm", name)
        assert {n: v for n, v in full.items() if not n.startswith("measured_")} == {
            n: v for n, v in known.items() if not n.startswith("measured_")
        }
    for name, info in data["fields"].items():
        assert info["bounds"] == schema.FIELDS[name].bounds
    text = json.dumps(build._plain(data), allow_nan=False)
    assert "measured_chip" not in json.dumps(data["chips"])
    assert len(text) < 500_000


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("mem_bw", "3.35 TB/s"), ("mem_bw", "800 Gbit/s"), ("mem_capacity", "80 GiB")),
        *(("peak_flops", "2.25 PFLOP/s"), ("sync_latency", "1.5 us"), ("die_area", "814 mm^2")),
        *(("seq_len", "64 Ki"), ("seq_len", "8 k"), ("electricity_price", "0.08 USD/kWh")),
        *(("depreciation_time", "4 year"), ("mem_energy", "30 pJ/B"), ("mem_price", "20 USD/GB")),
        *(("power_density", "1.1 W/mm^2"), ("chip_hour_price", "2 USD/h"), ("idle_power", "1 kW")),
    ],
)
def test_units_are_spelled_as_the_package_reads_them(field, text, data):
    number, _, unit = text.partition(" ")
    factor = data["spellings"][schema.FIELDS[field].unit][unit]
    assert float(number) * factor == pytest.approx(units.parse(text, schema.FIELDS[field].unit))


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(quick, catalog, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(jl.ResultError, match="cannot be written"):
        build.build_page(catalog, tmp_path / "file" / "public", force=False)
