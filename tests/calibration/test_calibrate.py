"""The shipped calibrations: what they say, what they rest on, and how well they predict."""

import dataclasses

import numpy as np
import pytest

from jaxlimits.calibration.calibrate import assess, calibrate
from jaxlimits.calibration.cases import choose_fabrics
from jaxlimits.calibration.fabrics import fit_fabric, read_all_reduces
from jaxlimits.calibration.fit import fit_constants, predict_engines
from jaxlimits.calibration.left_out import LEAST_WIDENING
from jaxlimits.calibration.measured_tables import shipped_tables
from jaxlimits.calibration.priors import FITTED
from jaxlimits.calibration.selection import PROMPTS
from jaxlimits.errors import InputError

NEVER_SEEN = ("chip", "engine", "model")


def test_the_protocol_has_271_rows_of_three_engines(selection, fitted):
    assert len(selection.kept) == 271
    assert len(fitted.report.measurements) == 271
    assert sorted(fitted.engines) == ["sglang", "trtllm", "vllm"]
    assert sum(selection.reasons.values()) == 1562 - 271


@pytest.mark.parametrize("split", NEVER_SEEN)
def test_what_was_not_seen_is_predicted_within_a_tenth(split, fitted):
    assert fitted.intervals.splits[split].error <= 0.10


@pytest.mark.parametrize("split", NEVER_SEEN)
def test_intervals_of_the_other_groups_hold_as_often_as_they_say(split, fitted):
    coverage = fitted.intervals.splits[split].coverage
    assert 0.42 <= coverage[0.5] <= 0.58
    assert 0.92 <= coverage[0.95] <= 0.98


def test_the_error_in_sample_is_below_the_papers_own(fitted):
    errors = fitted.report.errors
    assert errors.calibrated <= 0.075  # v2's form has 7.6 % on its own rows
    assert errors.calibrated < errors.calibrated_unseen <= 0.08
    assert 0.5 < errors.limit < 0.65
    assert errors.calibrated < errors.paper < errors.paper_unseen


def test_what_is_new_widens_the_interval(fitted):
    known, population = fitted.values("vllm"), fitted.values()
    for what in ("chip", "model", "attention"):
        assert known[f"{what}_widening"] >= LEAST_WIDENING
    assert population["spread"] >= LEAST_WIDENING * known["spread"]
    assert fitted.values("an engine without rows") == population


def test_a_group_left_out_has_no_part_in_its_own_prediction(fitted):
    sample, own = fitted.sample, fitted.sample.members("chip")["mi325x"]
    for absurd in (1.0, 7.0):
        changed = np.where(own, absurd * sample.times, sample.times)
        fit = fit_constants(
            *(sample.parts, changed),
            fields=FITTED,
            engines=sample.engines,
            weights=np.where(own, 0.0, 1.0),
        )
        found = predict_engines(sample.parts, sample.engines, fit)[own]
        np.testing.assert_allclose(found, fitted.intervals.splits["chip"].times[own])


def test_fitted_rows_lie_within_their_intervals(fitted):
    prediction = fitted.report.prediction
    assert prediction.inside(fitted.sample.times).mean() >= 0.93
    assert np.all(prediction.t_step >= fitted.report.limit)
    assert all(new in ((), ("fabric",)) for new in prediction.new)


@pytest.mark.parametrize("engine", ["", "vllm", "sglang", "trtllm"])
def test_the_shipped_entries_are_what_the_command_finds(engine, fitted, catalog):
    values = catalog.values("calibration", engine or "engines")
    assert values == pytest.approx(fitted.values(engine), rel=1e-3)
    entry = catalog.calibrations[engine or "engines"]
    assert entry.fit["fields"] == list(FITTED)
    np.testing.assert_allclose(entry.fit["covariance"], fitted.fit.covariance, rtol=2e-2)
    assert set(entry.fit["chips"]) == {"b200", "h100", "h200", "mi325x"}


def test_the_shipped_entries_predict_the_rows_they_rest_on(fitted, selection, catalog):
    report = assess(selection.kept, catalog, fabrics=fitted.fabrics)
    assert not report.fitted
    assert report.errors.calibrated == pytest.approx(fitted.report.errors.calibrated, abs=1e-3)
    np.testing.assert_allclose(report.prediction.upper, fitted.report.prediction.upper, rtol=2e-3)


def test_rows_whose_steps_hold_prompts_are_predicted_by_whole_chunks(fitted, selection, catalog):
    """Nothing was fitted to them: one and eight tokens of the prompt for each of the answer."""
    rows = [
        each
        for each in selection.because(PROMPTS)
        if each.input_len in (1024, 8192) and each.output_len == 1024
    ]
    report = assess(rows, catalog, fabrics=choose_fabrics(rows, catalog, named={}, where=""))
    off = np.log(report.prediction.t_step / np.array([each.t_step for each in rows]))
    lengths = np.array([each.input_len for each in rows])
    for length, number, error in ((1024, 229, 0.09), (8192, 223, 0.115)):
        own = off[lengths == length]
        assert len(own) == number
        assert np.mean(np.abs(np.expm1(own))) <= error
        assert abs(own.mean()) <= 0.08  # without prompts it is -0.14 and -0.33


def test_the_shipped_fabrics_are_what_the_command_finds(catalog):
    tables = read_all_reduces(shipped_tables()["all_reduce"], catalog)
    assert len(tables) == 12
    for table in tables:
        fit = fit_fabric(table)
        values = catalog.values("fabric", table.name)
        assert {name: values[name] for name in fit.values} == pytest.approx(fit.values, rel=1e-3)
        assert fit.error < 0.12, table.name


def test_one_engines_rows_are_fitted_without_offsets(static_batch, catalog, fabrics):
    one = calibrate(static_batch, catalog, fabrics=fabrics, fields=("kernel_latency",))
    assert one.engines == ()
    assert one.report.errors.calibrated_unseen <= 0.12
    assert set(one.intervals.splits) == {"series", "chip", "model", "attention"}


def test_one_machine_and_model_cannot_be_calibrated(static_batch, catalog, fabrics):
    own = [each for each in static_batch if each.group == "8xB200-SXM Llama-3-70B"]
    with pytest.raises(InputError, match="one machine and model, 8xB200-SXM Llama-3-70B"):
        calibrate(own, catalog, fabrics=fabrics)


def test_too_few_rows_without_a_group_are_refused(static_batch, catalog, fabrics):
    own = [each for each in static_batch if each.group == "8xB200-SXM Llama-3-70B"]
    few = [*own, *(each for each in static_batch if each.chip == "mi325x")][:14]
    with pytest.raises(InputError, match="14 rows, 3 without 8xB200-SXM Llama-3-70B, are too few"):
        calibrate(few, catalog, fabrics=fabrics)


def test_a_model_with_one_row_is_refused(static_batch, catalog, fabrics):
    rows = [each for each in static_batch if each.llm != "llama3-405b"]
    rows += [each for each in static_batch if each.llm == "llama3-405b"][:1]
    with pytest.raises(InputError, match=r"line 13: model: the one row of model llama3-405b"):
        calibrate(rows, catalog, fabrics=fabrics)


def test_a_chip_that_no_fabric_names_is_refused(static_batch, catalog):
    with pytest.raises(InputError, match=r"line 2: system = '8xB200-SXM': no fabric names b200"):
        calibrate(static_batch, catalog, fabrics={})


def test_a_rate_beyond_the_limit_is_refused(static_batch, catalog, fabrics):
    fast = [dataclasses.replace(static_batch[0], utps=700.0), *static_batch[1:]]
    with pytest.raises(InputError, match=r"line 2: utps = 700.0: is 1.5\d times the limit of b200"):
        calibrate(fast, catalog, fabrics=fabrics)
