"""Studies of uncertain inputs: from a file through the model to labelled datasets."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.uncertainties.bands import quantiles
from jaxlimits.uncertainties.samplers import latin_shares
from jaxlimits.uncertainties.uncertain import UncertainTables, columns_at, load_uncertain
from jaxlimits.uncertainties.uncertainty import run_uncertain
from tests.command_line import run
from tests.test_every_field import BASE, ENTRIES, NEEDS, OUTPUTS, OVERLAY

PLAIN = """
outputs = ["utps", "t_mem", "t_sync", "weight_bytes"]
precision = "float64"
samples = 512
seed = 4
[base]
llm = "llama3-70b"
chip = "h100"
tp_size = 8
batch_size = 4
vector_work = "off"
collective_algorithm = "constant"
"""
UNCERTAIN = """
[uncertain]
mem_bw_scale = { uniform = [0.6, 0.95] }
sync_latency = { lognormal = ["5 us", 0.4] }
seq_len = { loguniform = [2048, 65536] }
"""
STUDY = PLAIN + UNCERTAIN
AXES = '[axes]\nchip = ["h100", "h200"]\nbatch_size = [1, 64, 512]\n'
ALONG = STUDY.replace('chip = "h100"\n', "").replace("batch_size = 4\n", "") + AXES


@pytest.fixture
def study(tmp_path):
    def written(text, name="study.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.mark.parametrize(
    ("metric", "alone"), [("t_sync", "sync_latency"), ("t_mem", None), ("weight_bytes", None)]
)
def test_only_what_a_metric_rests_on_explains_it(study, metric, alone):
    dataset = jl.sobol(study(STUDY))
    total = dataset.total_order.sel(metric=metric).to_series()
    if metric == "weight_bytes":
        assert total.isna().all()
        assert dataset.weight_bytes_deviation == 0.0
    elif alone:
        np.testing.assert_allclose(total[alone], 1.0, atol=0.05)
        assert (total.drop(alone).abs() < 1e-12).all()
    else:
        assert abs(total["sync_latency"]) < 1e-12
        assert total["seq_len"] > 0.05
        assert total["mem_bw_scale"] > 0.05


def test_the_indices_are_the_shares_of_a_variance_known_by_hand(study):
    # t_sync = 3 · 80 · latency: its deviation follows from the lognormal's moments.
    dataset = jl.sobol(study(STUDY), samples=4096)
    median, variance = 240 * 5e-6, 0.4**2
    deviation = median * np.sqrt(np.expm1(variance) * np.exp(variance))
    np.testing.assert_allclose(dataset.t_sync_mean, median * np.exp(variance / 2), rtol=1e-3)
    np.testing.assert_allclose(dataset.t_sync_deviation, deviation, rtol=2e-2)


def test_samples_evaluate_as_single_points_do(study):
    uncertain = load_uncertain(study(STUDY))
    columns = columns_at(uncertain.inputs, latin_shares(3, 8, seed=0))
    found = uncertain.evaluate(columns)
    for place in range(8):
        point = jl.evaluate(
            "llama3-70b",
            "h100",
            tp_size=8,
            batch_size=4,
            vector_work="off",
            collective_algorithm="constant",
            x64=True,
            mem_bw_scale=columns["mem_bw_scale"][place],
            sync_latency=f"{columns['sync_latency'][place]:.17g} s",
            seq_len=int(columns["seq_len"][place]),
        )
        np.testing.assert_allclose(found["utps"][place], point.utps, rtol=1e-12)


def test_the_same_seed_gives_the_same_and_another_another(study):
    path = study(STUDY)
    one, again, other = (jl.sobol(path, seed=seed) for seed in (1, 1, 2))
    xr.testing.assert_equal(one, again)
    assert (one.total_order != other.total_order).any()


def test_blocks_with_points_that_do_not_fit_are_dropped_and_counted(study):
    text = STUDY.replace("batch_size = 4", "batch_size = 100")
    dataset = jl.sobol(study(text))
    dropped = dataset.share_dropped.to_series()
    assert 0.2 < dropped["utps"] < 1.0
    assert dropped["weight_bytes"] == 0.0
    assert np.isfinite(dataset.total_order.sel(metric="utps")).all()


def test_effects_have_the_sign_of_the_input(study):
    dataset = jl.morris(study(STUDY))
    assert dataset.utps_mu.sel(input="mem_bw_scale") > 0.0
    assert dataset.utps_mu.sel(input="sync_latency") < 0.0
    assert dataset.utps_mu.attrs["si_unit"] == "token/s"
    np.testing.assert_allclose(np.abs(dataset.utps_mu), dataset.utps_mu_star)


def test_quantiles_are_those_of_numpy_without_what_is_nan():
    random = np.random.default_rng(0)
    samples = random.normal(size=(101, 4, 3))
    samples[random.uniform(size=samples.shape) < 0.3] = np.nan
    samples[:, 0, 0] = np.nan
    shares = np.array([0.0, 0.05, 0.333, 0.5, 1.0])
    found = quantiles(samples, shares)
    assert np.isnan(found[:, 0, 0]).all()
    samples[:, 0, 0], found[:, 0, 0] = 1.0, 1.0
    np.testing.assert_allclose(found, np.nanquantile(samples, shares, axis=0), rtol=1e-12)


def test_bands_along_axes_are_those_of_each_point_alone(study):
    dataset = jl.uncertainty(study(ALONG))
    assert dict(dataset.sizes) == {"quantile": 5, "chip": 2, "batch_size": 3, "limit": 4}
    for chip in ("h100", "h200"):
        for batch in (1, 64, 512):
            text = STUDY.replace('"h100"', f'"{chip}"').replace(
                "batch_size = 4", f"batch_size = {batch}"
            )
            alone = jl.uncertainty(study(text, "alone.toml"))
            here = dataset.sel(chip=chip, batch_size=batch)
            for name in alone.data_vars:
                np.testing.assert_allclose(here[name], alone[name], rtol=1e-12, err_msg=name)
    assert (dataset.share_by_limit.sum("limit") == 1.0).all()
    np.testing.assert_allclose(
        dataset.share_feasible, 1.0 - dataset.share_by_limit.sel(limit="capacity")
    )
    assert 0.0 < dataset.share_feasible.sel(chip="h100", batch_size=64) < 1.0
    assert dataset.utps.sel(chip="h100", batch_size=512).isnull().sum() in (0, 5)


def test_bands_are_the_same_however_the_axes_are_cut(study, monkeypatch):
    path = study(ALONG)
    whole = jl.uncertainty(path)
    monkeypatch.setattr("jaxlimits.engine.chunk_sizes._POINTS_ON_CPU", 600)
    cut = jl.uncertainty(path)
    for name in whole.data_vars:
        np.testing.assert_allclose(cut[name], whole[name], rtol=1e-12)


def test_an_uncertain_field_wins_over_the_entries_along_an_axis(study):
    text = ALONG.replace("mem_bw_scale = { uniform = [0.6, 0.95] }", "")
    text = text.replace("[uncertain]", '[uncertain]\nmem_bw = { uniform = ["3 TB/s", "4 TB/s"] }')
    dataset = jl.uncertainty(study(text)).sel(batch_size=1)
    np.testing.assert_allclose(dataset.t_mem.sel(chip="h100"), dataset.t_mem.sel(chip="h200"))


def test_the_result_says_what_it_is_and_is_read_back(study, tmp_path):
    path = tmp_path / "out.nc"
    for ask in (jl.sobol, jl.morris, jl.uncertainty):
        made = ask(study(STUDY), path, force=True)
        with xr.open_dataset(path) as plain, jl.open(path) as read:
            xr.testing.assert_allclose(read.load(), made)
            assert set(plain.dims) >= set(made.dims)
            assert read.attrs["seed"] == 4
            assert read.attrs["samples"] == 512
            assert read.attrs["sampler"].startswith("SciPy ")
            assert json.loads(read.attrs["uncertain"])["seq_len"] == "loguniform [2048, 65536]"
            assert all("long_name" in read[name].attrs for name in read.data_vars)
            assert all("units" in read[name].attrs for name in read.data_vars)


def test_the_command_sorts_by_the_total_index_and_writes(study, tmp_path):
    path, out = study(STUDY), tmp_path / "out.nc"
    answer = run("uncertainty", path, "--method", "sobol", "-o", out, "--json").json
    ranked = answer["metrics"]["utps"]["inputs"]
    totals = [row["total_order"] for row in ranked]
    assert totals == sorted(totals, reverse=True)
    assert answer["rows"] == 512 * 8
    with jl.open(out) as dataset:
        assert dataset.total_order.sel(metric="utps", input=ranked[0]["input"]) == totals[0]
    shown = run("uncertainty", path, "--method", "sobol", "-o", out, "--force")
    lines = shown.out.splitlines()
    below = lines[lines.index("utps") + 1 :][:3]
    assert [line.split()[0] for line in below] == [row["input"] for row in ranked]
    assert "weight_bytes: does not vary" in shown.out


@pytest.mark.parametrize("method", ["bands", "morris"])
def test_every_method_answers_on_the_terminal_and_as_json(study, tmp_path, method):
    path, out = study(STUDY), tmp_path / "out.nc"
    args = ("uncertainty", path, "--method", method, "-o", out, "--force")
    assert run(*args, "--json").json["method"] == method
    assert "utps" in run(*args).out
    assert run("info", out).code == 0


def test_a_study_is_not_swept_again(study, tmp_path):
    out = tmp_path / "out.nc"
    assert run("uncertainty", study(STUDY), "-o", out).code == 0
    again = run("sweep", "--again", out)
    assert (again.code, "uncertain inputs" in again.err) == (1, True)


BAD = {
    "an unknown field": (STUDY.replace("sync_latency =", "sync_latencies ="), "sync_latency"),
    "an unknown distribution": (STUDY.replace("loguniform", "loguniforn"), "loguniform"),
    "least above most": (STUDY.replace("[0.6, 0.95]", "[0.95, 0.6]"), "least < most"),
    "no deviation": (STUDY.replace('"5 us", 0.4', '"5 us", 0'), "sigma above 0"),
    "too few samples": (STUDY.replace("samples = 512", "samples = 32"), "samples = 32.*64"),
    "no power of two": (STUDY.replace("samples = 512", "samples = 1000"), "power of two.*1024"),
    "nothing uncertain": (PLAIN, "nothing is uncertain"),
    "a field fixed and uncertain": (
        STUDY.replace("tp_size = 8", "tp_size = 8\nseq_len = 4096"),
        "uncertain.seq_len.*keep one",
    ),
    "a code as output": (STUDY.replace('"t_mem"', '"limit"'), "limit is a code"),
    "axes": (ALONG, "axes.*bands"),
    "a reduction": (STUDY + "[reduce.x]\nop = 'max'\nof = 'utps'\n", "reduce.*swept"),
    "an unknown method": ("method = 'fast'\n" + STUDY, "method.*'bands'"),
    "a factor beyond its field": (
        STUDY.replace("mem_bw_scale = { uniform", "usable_fraction_scale = { uniform").replace(
            "0.95", "1.1"
        ),
        "usable_fraction_scale.*at most 1",
    ),
    "an odd number of levels": ("levels = 3\n" + STUDY, "levels.*multiple"),
}


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_named_and_nothing_is_written(study, tmp_path, text, says):
    path, out = study(text), tmp_path / "out.nc"
    done = run("uncertainty", path, "--method", "sobol", "-o", out)
    assert done.code == 2
    assert str(path) in done.err
    with pytest.raises(InputError, match=says):
        run_uncertain(load_uncertain(path, method="sobol"))
    assert not out.exists()


def test_bands_need_a_sample_in_the_outer_shares(study):
    with pytest.raises(InputError, match="at least 100"):
        jl.uncertainty(study("at = [0.01, 0.5]\n" + STUDY), samples=50)
    for at in ("[0.5, 0.5]", "[0.0, 0.5]", "[]"):
        with pytest.raises(InputError, match=r"at = .*different shares"):
            jl.uncertainty(study(f"at = {at}\n" + STUDY))


def test_the_defaults_of_a_file_are_those_of_the_sampling(study):
    uncertain = load_uncertain(study(UNCERTAIN + "[base]\nllm = 'llama3-8b'\nchip = 'h100'\n"))
    assert uncertain.method == "bands"
    assert uncertain.outputs == ("utps", "stps")
    for field in dataclasses.fields(uncertain.sampling):
        if field.default is not dataclasses.MISSING:
            assert getattr(uncertain.sampling, field.name) == field.default
    assert UncertainTables.model_fields["seed"].default == 0


def test_every_numeric_field_can_be_uncertain(study):
    whole = [name for name, info in schema.FIELDS.items() if info.whole or info.allowed]
    factors = [name for name in schema.FIELDS if name not in whole and name not in NEEDS]
    named = {"llm": "everything", "chip": "everything", **OVERLAY}
    named |= {"kv_sharding": "split"}  # so that all of it fits
    lines = ["[base]", *(f"{record} = '{name}'" for record, name in named.items()), "[uncertain]"]
    lines += [f"{name}_scale = {{ uniform = [0.9, 1] }}" for name in factors]
    lines += [f"{name} = {{ uniform = [{value}, {8 * value}] }}" for name, value in BASE.items()]
    head = f"outputs = {list(OUTPUTS)}\nsamples = 64\nsecond_order = false\n"
    dataset = jl.sobol(study(head + "\n".join(lines) + ENTRIES))
    matters = (dataset.total_order > 1e-20).any("metric").to_series()  # more than rounding
    assert set(matters.index) == {*(f"{name}_scale" for name in factors), *BASE}
    idle = ["one_shot_bw_scale", "one_shot_latency_scale"]  # two shots are the quicker here
    idle += ["chip_hour_price_scale"]  # nothing is rented
    assert sorted(matters.index[~matters]) == sorted(idle)


def test_the_shipped_study_runs():
    dataset = jl.sobol("uncertain_machine", samples=64)
    assert dataset.sizes["input"] == 7
    assert dataset.attrs["rows"] == 64 * 16


@pytest.mark.parametrize("method", ["sobol", "morris", "uncertainty"])
def test_an_uncertain_input_without_effect_is_said(study, method):
    text = STUDY + "link_bw_scale = { uniform = [0.5, 1.0] }\n"
    says = (
        r"study.toml: uncertain: link_bw_scale is set and changes nothing here; for it to count, "
        r".*collective_algorithm=auto or best"
    )
    with pytest.warns(jl.IdleSettingWarning, match=says):
        getattr(jl, method)(study(text), samples=64)
