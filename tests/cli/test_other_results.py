"""``plot`` and ``report`` of what is not a sweep: studies of uncertain inputs, designs."""

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.results.indices import entries, measured_metrics
from jaxlimits.store.netcdf import write_dataset
from tests.command_line import run
from tests.plot.drawings import indices_of_inputs

DESIGN = """
[base]
llm = "llama3-8b"
chip = "xpu-hbm4"
[vary]
mem_bw = { from = "1 TB/s", to = "40 TB/s" }
[price.die_area.terms]
mem_bw = { add = "20 mm^2", at = "1 TB/s" }
[objective]
maximise = "utps"
[[budget]]
of = "die_area"
at_most = "400 mm^2"
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with a small result of each kind."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "design.toml").write_text(DESIGN)
    swept = ("--at-most", "power=1 W,2 kW", "-o", folder / "designs.nc")
    assert run("optimise", folder / "design.toml", *swept).code == 0
    with jl.open(folder / "designs.nc") as designs:
        write_dataset(designs.load().isel(power_at_most=1).reset_coords(), folder / "design.nc")
    for name, made in {"sobol": indices_of_inputs(), **_by_hand()}.items():
        attributes = {"format_version": 1, "title": name, "uncertain": "{}"}
        write_dataset(made.assign_attrs(attributes), folder / f"{name}.nc")
    return folder


def _by_hand():
    """Results in the form of ``jaxlimits uncertainty``."""
    rate = {"long_name": "a rate", "si_unit": "token/s", "display_unit": "token/s"}
    ends = ("mu", "mu_star", "mu_star_conf", "sigma")
    effects = {
        f"{metric}_{name}": ("input", [3.0, 9.0, 4.0], rate)
        for metric in ("utps", "stps")
        for name in ends
    }
    inputs = {"input": ["a", "b", "c"], "distribution": ("input", ["uniform [0.6, 0.95]"] * 3)}
    shares = ("quantile", [0.05, 0.5, 0.95], {"long_name": "share of the samples below"})
    codes = ["memory", "compute"]
    bands = {"utps": ("quantile", [1.0, 2.0, 5.0], rate), "share_by_limit": ("limit", [0.7, 0.3])}
    along = {
        "utps": (("quantile", "batch_size"), np.array([[3.0, 1.0], [4.0, 2.0], [9.0, 5.0]]), rate),
        "stps": (("quantile", "batch_size"), np.ones((3, 2)), rate),
        "share_by_limit": (("limit", "batch_size"), np.full((2, 2), 0.5)),
    }
    dropped = {"share_dropped": ("metric", [0.0, 0.0])}
    return {
        "morris": xr.Dataset({**effects, **dropped}, {**inputs, "metric": ["utps", "stps"]}),
        "bands": xr.Dataset(bands, {"quantile": shares, "limit": codes}),
        "along": xr.Dataset(along, {"quantile": shares, "limit": codes, "batch_size": [1, 64]}),
    }


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("sobol", (), "share of the variance"),
        ("sobol", ("--pairs",), "mem_bw × sync_latency"),
        ("sobol", ("--of", "stps", "--most", "1"), "3 more,"),
        ("morris", (), "effect on utps [token/s]"),
        ("morris", ("--of", "stps"), "effect on stps [token/s]"),
        ("bands", (), "share of the samples below (quantile)"),
        ("along", (), "quantile 0.95"),
        ("design", (), "time of one decode step (t_step) [µs]"),
        ("designs", ("lines",), "(power_at_most) [W]"),
    ],
)
def test_what_fits_a_result_is_drawn_without_a_kind(results, folder, name, options, words):
    done = run("plot", results / f"{name}.nc", *options, "-o", "figure.svg")
    assert (done.code, done.out) == (0, "wrote figure.svg\n"), done.err
    assert words in (folder / "figure.svg").read_text()


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        (
            "sobol",
            ("heat-map",),
            "heat_map: the result has no utps; kinds that fit this result: ind",
        ),
        (
            "sobol",
            ("capacity",),
            "capacity: the result has no capacity_utilisation; kinds that fit",
        ),
        ("sobol", ("indices", "--of", "utsp"), "of: unknown metric 'utsp'; did you mean utps?"),
        (
            "sobol",
            ("roofline",),
            "no operators, and is not a sweep whose points could be taken apart",
        ),
        ("morris", ("indices", "--pairs"), "pairs: the result has no indices of pairs of inputs"),
        ("along", ("heat-map",), "utps lies along quantiles, which are drawn as lines; kinds that"),
        ("along", ("frontier",), "the result is of samples, which are not points to choose from"),
        ("design", ("lines",), "utps has 0 dimensions of more than one value; it needs 1; kinds"),
        ("design", ("indices",), "no indices of uncertain inputs; kinds that fit this result: bre"),
        ("designs", ("elasticities",), "no elasticities, as a grid asks for by elasticities = ["),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(results, folder, name, options, says):
    done = run("plot", results / f"{name}.nc", *options, "-o", "figure.svg")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert says in done.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sobol", ("what each uncertain input does", "uniform [3, 9]", "utps: pairs of inputs")),
        ("morris", ("uniform [0.6, 0.95]", "mean size [token/s]", "signed mean", "share_dropped")),
        ("bands", ("over quantile", "share_by_limit", "memory")),
        ("along", ("over quantile × batch_size",)),
        ("design", ("maximise utps", "20 TB/s", "die_area_at_most (400 mm²)", "<b>What binds</b>")),
        ("designs", ("columns: power_at_most", "2 kW", "what it gives", "Every other number")),
        ("designs", ("cannot be met", "power_at_most: missed by")),
    ],
)
def test_a_report_shows_what_there_is(results, folder, name, words):
    done = run("report", results / f"{name}.nc", "-o", "page.html")
    assert done.code == 0, done.err
    page = (folder / "page.html").read_text(encoding="utf-8")
    for each in words:
        assert each in page


@pytest.mark.parametrize("command", ["plot", "report", "info"])
def test_a_file_of_a_calibration_is_no_result(command, folder):
    (folder / "mine.toml").write_text("[calibrations.mine]\n")
    done = run(command, "mine.toml")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "jaxlimits: mine.toml: is a TOML file, not a result; sweep a grid, or one that names what "
        "this file holds, and give its result\n"
    )


def test_what_cannot_be_drawn_at_all_is_said():
    rows = xr.Dataset({"achieved": ("row", [0.4, 0.5])})
    with pytest.raises(jl.InputError, match="no kind of figure fits this result"):
        jl.plot.heat_map(rows)


def test_entries_are_ranked_and_what_has_no_value_is_left_out():
    found = entries(indices_of_inputs(), "utps")
    assert found.entry.values.tolist() == ["batch_size", "mem_bw", "sync_latency", "seq_len"]
    assert np.all(np.diff(found.whole) < 0)
    pairs = entries(indices_of_inputs(), "stps", pairs=True)
    assert pairs.sizes == {"entry": 10}
    assert pairs.entry.values[0] == "seq_len × weight_bits"
    assert measured_metrics(xr.Dataset({"utps": 1.0})) == []


def test_every_metric_is_a_column_and_the_rest_is_counted():
    figure = jl.plot.indices(indices_of_inputs(), most=2)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["utps", "stps"]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["batch_size", "mem_bw", "2 more,\nnone above 0.120"]
