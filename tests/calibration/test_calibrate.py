"""The shipped calibration: what it says, what it rests on, and how well it predicts."""

import dataclasses

import numpy as np
import pytest

from jaxlimits.calibration.calibrate import assess, calibrate
from jaxlimits.calibration.cases import make_cases
from jaxlimits.calibration.fabrics import fit_fabric, read_all_reduces
from jaxlimits.calibration.fit import fit_constants, predict
from jaxlimits.calibration.measured_tables import shipped_tables
from jaxlimits.calibration.priors import FITTED
from jaxlimits.calibration.sample import measured_times
from jaxlimits.errors import InputError

GROUPS = (
    "8xB200-SXM Llama-3-70B",
    "8xB200-SXM Llama-3-405B",
    "8xB200-SXM DeepSeek-V3",
    "4xMI325X Llama-3.3-70B",
)


def test_the_protocol_has_41_rows_in_four_groups(static_batch, fitted):
    assert len(static_batch) == 41
    assert fitted.report.groups == GROUPS


def test_machines_that_were_not_seen_are_predicted_within_a_tenth(fitted):
    errors = fitted.report.errors
    assert errors.calibrated <= 0.076  # the paper's own form on its own rows
    assert errors.calibrated_unseen <= 0.10
    assert all(error <= 0.12 for error in fitted.report.group_errors(fitted.report.unseen).values())


def test_the_bare_limit_and_the_papers_form_stand_beside_it(fitted):
    errors = fitted.report.errors
    assert 0.5 < errors.limit < 0.65
    assert errors.calibrated < errors.paper < errors.paper_unseen
    assert 95e-6 <= fitted.layer_time <= 138e-6  # the paper's range on 8 H100


def test_a_group_left_out_has_no_part_in_its_own_prediction(fitted, static_batch, catalog, fabrics):
    cases, times = make_cases(static_batch, catalog, fabrics), measured_times(static_batch)
    own = np.array([each.group == GROUPS[3] for each in static_batch])
    for absurd in (1.0, 7.0):
        changed = np.where(own, absurd * times, times)
        fit = fit_constants(cases, changed, fields=FITTED, weights=np.where(own, 0.0, 1.0))
        np.testing.assert_allclose(predict(cases, fit.values)[own], fitted.report.unseen[own])


def test_fitted_rows_lie_within_their_intervals(fitted, static_batch):
    times, prediction = measured_times(static_batch), fitted.report.prediction
    inside = (prediction.lower <= times) & (times <= prediction.upper)
    assert inside.mean() >= 0.9
    assert np.all(prediction.lower < prediction.t_step)
    assert np.all(prediction.t_step < prediction.upper)


def test_the_shipped_entry_is_what_the_command_finds(fitted, catalog):
    entry, values = catalog.calibrations["vllm"], catalog.values("calibration", "vllm")
    assert values == pytest.approx({**fitted.fit.values, "spread": fitted.spread}, rel=1e-3)
    assert fitted.spread > fitted.spread_unseen
    assert entry.fit["fields"] == list(FITTED)
    np.testing.assert_allclose(entry.fit["covariance"], fitted.fit.covariance, rtol=2e-2)
    assert entry.fit["spread_unseen"] == pytest.approx(fitted.spread_unseen, rel=1e-3)
    assert entry.fit["error_unseen"] == pytest.approx(
        fitted.report.errors.calibrated_unseen, abs=5e-4
    )


def test_the_shipped_entry_predicts_the_rows_it_rests_on(static_batch, catalog, fabrics, fitted):
    report = assess(static_batch, catalog, "vllm", fabrics=fabrics)
    assert not report.fitted
    assert report.errors.calibrated == pytest.approx(fitted.report.errors.calibrated, abs=1e-3)
    np.testing.assert_allclose(report.prediction.upper, fitted.report.prediction.upper, rtol=2e-3)


def test_the_shipped_fabrics_are_what_the_command_finds(catalog):
    tables = read_all_reduces(shipped_tables()["all_reduce"], catalog)
    assert len(tables) == 12
    for table in tables:
        fit = fit_fabric(table)
        values = catalog.values("fabric", table.name)
        assert {name: values[name] for name in fit.values} == pytest.approx(fit.values, rel=1e-3)
        assert fit.error < 0.12, table.name


def test_with_rates_of_kernels_measured_one_by_one_a_single_constant_will_do(
    static_batch, catalog, fabrics
):
    one = calibrate(static_batch, catalog, fabrics=fabrics, fields=("kernel_latency",))
    assert one.report.errors.calibrated_unseen <= 0.08


def test_one_machine_and_model_cannot_be_calibrated(static_batch, catalog, fabrics):
    own = [each for each in static_batch if each.group == GROUPS[0]]
    with pytest.raises(InputError, match="one machine and model, 8xB200-SXM Llama-3-70B"):
        calibrate(own, catalog, fabrics=fabrics)


def test_too_few_rows_without_a_group_are_refused(static_batch, catalog, fabrics):
    own = [each for each in static_batch if each.group == GROUPS[0]]
    few = [*own, *(each for each in static_batch if each.group == GROUPS[3])][:14]
    with pytest.raises(InputError, match="14 rows, 3 without 8xB200-SXM Llama-3-70B, are too few"):
        calibrate(few, catalog, fabrics=fabrics)


def test_a_rate_beyond_the_limit_is_refused(static_batch, catalog, fabrics):
    fast = [dataclasses.replace(static_batch[0], utps=700.0), *static_batch[1:]]
    with pytest.raises(InputError, match=r"line 2: utps = 700.0: is 1.5\d times the limit of b200"):
        calibrate(fast, catalog, fabrics=fabrics)
