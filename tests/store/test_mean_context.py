"""The mean context of a request lies beside its lengths, in every form of a result."""

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits import plot, schema
from jaxlimits.run import streamed

BASE = {"llm": "llama3-8b", "chip": "h100"}
OUTPUTS = ["utps"]


def swept(*axes, base=None, **more):
    return jl.sweep({"base": BASE | (base or {}), "outputs": OUTPUTS, "axes": dict(axes)} | more)


INPUTS = ("input_len", [0, 1000, 4000])
ANSWERS = ("output_len", [100, 300])


@pytest.fixture(scope="module")
def requests():
    return swept(INPUTS, ("batch_size", [1, 8]), ANSWERS)


def test_it_is_the_prompt_and_half_of_the_answer_along_their_axes(requests):
    context = requests.mean_context
    assert context.dims == ("input_len", "output_len")
    # Where no request is stated the context is seq_len, 4096 by default.
    assert context.values.tolist() == [[4096, 4096], [1050, 1150], [4050, 4150]]
    assert context.attrs["units"] == requests.input_len.attrs["units"] == "1"
    assert context.attrs["si_unit"] == "token"
    assert "in the mean" in context.attrs["long_name"]
    assert "mean_context" in requests.utps.coords


def test_decode_is_at_it(requests):
    """A sweep over contexts of that length has the same speed."""
    stated = jl.evaluate(**BASE, seq_len=1050, batch_size=8, x64=True)
    found = requests.utps.sel(input_len=1000, output_len=100, batch_size=8)
    assert float(found) == pytest.approx(stated.utps, rel=1e-6)


def test_what_is_fixed_has_it_without_a_dimension_and_without_a_request_there_is_none():
    batches = ("batch_size", [1, 2])
    fixed = swept(batches, base={"input_len": 10, "output_len": 5})
    assert fixed.mean_context.dims == ()
    assert fixed.mean_context.item() == 12.5
    without = swept(batches)
    assert "mean_context" not in without.coords


def test_an_axis_with_linked_lengths_has_it_along_that_axis():
    table = {"values": [100, 1000], "with": {"output_len": [10, 20], "batch_size": [4, 2]}}
    found = swept(("input_len", table))
    assert found.mean_context.dims == ("input_len",)
    assert found.mean_context.values.tolist() == [105, 1010]
    figure = plot.lines(found, x="mean_context")
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_xdata()) == [105, 1010]
    assert list(line.get_ydata()) == found.utps.values.tolist()


def test_reductions_that_drop_a_length_drop_it():
    most = {"op": "max", "of": "utps"}
    axes = (INPUTS, ("batch_size", [1, 8]), ANSWERS)
    over = {"most": most | {"over": ["batch_size"]}}
    kept = swept(*axes, outputs=[], reduce=over)
    assert kept.most.coords["mean_context"].dims == ("input_len", "output_len")
    gone = swept(*axes, outputs=[], reduce={"most": most | {"over": ["input_len"]}})
    assert "mean_context" not in gone.coords
    assert gone.most.dims == ("batch_size", "output_len")


def test_a_length_that_is_sought_has_no_context():
    require = {"longest": {"for": "output_len", "of": "tpot", "at_most": "9 ms/token"}}
    found = swept(INPUTS, outputs=[], require=require)
    assert "mean_context" not in found.coords


def test_shards_keep_their_part_of_it(requests, tmp_path, monkeypatch):
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
    axes = {"input_len": INPUTS[1], "batch_size": [1, 8], "output_len": ANSWERS[1]}
    path = tmp_path / "sharded.nc"
    jl.sweep({"base": BASE, "outputs": OUTPUTS, "axes": axes}, path, memory=64).close()
    with jl.open(path) as found:
        assert found.attrs["num_shards"] > 2
        assert found.mean_context.load().identical(requests.mean_context)
        folder = tmp_path / found.attrs["shards_folder"]
    for shard in sorted(folder.glob("0*.nc")):
        with xr.open_dataset(shard) as part:
            at = {name: part[name] for name in part.mean_context.dims}
            np.testing.assert_array_equal(part.mean_context, requests.mean_context.sel(at))


def test_nothing_else_has_its_name():
    assert "mean_context" not in {*schema.writable(), *schema.OUTPUTS}


def test_points_of_a_grid_and_of_its_result_have_it(requests):
    grid = {"base": BASE, "axes": dict((INPUTS, ("batch_size", [1, 8]), ANSWERS))}
    question = jl.ask(maximise="utps", where="output_len >= 300", per="input_len")
    for source in (grid, requests):
        points = jl.best(source, question)
        assert points.mean_context.dims == ("point",)
        expected = dict(
            zip(points.input_len.values.tolist(), points.mean_context.values, strict=True)
        )
        assert expected == {0: 4096, 1000: 1150, 4000: 4150}
        assert points.mean_context.attrs["si_unit"] == "token"
    none = jl.best(requests, jl.ask(maximise="utps", where="utps >= 1e9"))
    assert none.mean_context.shape == (0,)


def test_bands_have_it_along_the_axes_of_lengths(tmp_path):
    study = tmp_path / "unsure.toml"
    study.write_text("""
        samples = 20
        outputs = ["utps"]
        base = { llm = "llama3-8b", chip = "h100", output_len = 100 }
        axes = { input_len = [0, 1000, 4000] }
        uncertain = { mem_bw = { uniform = ["3 TB/s", "4 TB/s"] } }
    """)
    bands = jl.uncertainty(study)
    assert bands.mean_context.dims == ("input_len",)
    assert bands.mean_context.values.tolist() == [4096, 1050, 4050]
