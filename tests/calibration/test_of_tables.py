"""Calibrations and comparisons from Python: what the commands say, as datasets."""

import numpy as np
import pytest

import jaxlimits as jl
from tests.calibration.conftest import SPARSE


def test_a_calibration_of_a_table_is_that_of_its_rows(tmp_path):
    path = tmp_path / "mine.toml"
    found = jl.calibrate("static_batch", path, without=SPARSE, name="mine", source="a test")
    rows = found.rows
    assert rows.sizes["row"] == len(found.report.measurements) == 41
    assert float(abs(rows.error).mean()) == pytest.approx(found.report.errors.calibrated)
    assert float(abs(rows.error_unseen).mean()) == pytest.approx(
        found.report.errors.calibrated_unseen
    )
    assert bool((rows.lower_utps < rows.calibrated_utps).all())
    assert rows.measured_utps.attrs["si_unit"] == "token/s"
    entry = jl.load_catalog(path).calibrations["mine"]
    assert entry.words["source"] == "a test"
    assert set(entry.fit["chips"]) == {"b200", "mi325x"}
    with pytest.raises(jl.ResultError, match=r"mine\.toml"):
        jl.calibrate("static_batch", path, name="mine")
    assert len(repr(found)) < 450


def test_a_chip_of_ones_own_rows_is_no_longer_new(tmp_path):
    path = tmp_path / "mine.toml"
    fitted = "[calibrations.mine]\nmem_efficiency = 0.8\nspread = 0.1\nchip_widening = 2.0\n"
    path.write_text(fitted + '[calibrations.mine.fit]\nchips = ["gb300"]\n')
    catalog = jl.load_catalog(path)
    assert float(catalog.chip("gb300").measured_chip) == 1.0
    assert float(jl.load_catalog().chip("gb300").measured_chip) == 0.0
    assert float(catalog.chip("h100").measured_chip) == 1.0
    llm = catalog.llm("kimi-linear-48b") if "kimi-linear-48b" in catalog.llms else None
    assert llm is None or float(llm.measured_attention) == 0.0
    assert float(catalog.llm("qwen3-32b").measured_model) == 0.0
    assert float(catalog.llm("qwen3-32b").measured_attention) == 1.0  # grouped-query, full


def test_a_comparison_has_every_row_or_why_it_has_not():
    found = jl.compare()
    assert found.sizes["row"] > 60
    assert found.sizes["left_out"] > 0
    lines = {*found.line.values.tolist(), *map(int, found.left_out_line.values)}
    assert len(lines) == found.sizes["row"] + found.sizes["left_out"]
    np.testing.assert_allclose(found.achieved, found.measured_utps / found.limit_utps)
    assert bool((found.achieved <= 1.0).all())
    assert "drafts tokens: several a step" in found.why.values


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: jl.calibrate("no_such"), "no_such: cannot be read"),
        (lambda: jl.calibrate("static_batch", fields=["mem_eff"]), "unknown constant 'mem_eff'"),
        (lambda: jl.calibrate("static_batch", without={"modl": "x"}), "unknown column 'modl'"),
        (lambda: jl.calibrate("static_batch", name="vllm"), "'vllm': the name is taken"),
        (lambda: jl.calibrate("static_batch", fabrics={"h100": "x"}), "h100: unknown fabric 'x'"),
        (lambda: jl.compare(calibration="vlm"), "compare: unknown calibration 'vlm'; did you mean"),
        (lambda: jl.compare("no_such"), "no_such: cannot be read"),
    ],
)
def test_what_cannot_be_calibrated_or_compared_is_refused(ask, says):
    with pytest.raises(jl.InputError, match=says):
        ask()
