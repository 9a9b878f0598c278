"""Continuous batching on measured rows: prompts in decode steps explain what decode alone misses.

Rows of vLLM at 8,192 and 1,024 tokens in and 1,024 out of the shipped table of servers. The
calibration rests on rows of hardly any prompts; nothing is fitted here.
"""

from statistics import mean

import pytest

import jaxlimits as jl
from jaxlimits.calibration.cases import choose_fabrics
from jaxlimits.calibration.measured_tables import shipped_tables
from jaxlimits.calibration.measurements import read_measurements
from jaxlimits.calibration.selection import CROWDED, select

LENGTHS = (8192, 1024)
MODES = ("off", "even", "stalls")


@pytest.fixture(scope="module")
def errors():
    """Errors of the predicted time a token, by input length and by how prompts are mixed in."""
    catalog = jl.load_catalog()
    found = {(length, mode): [] for length in LENGTHS for mode in MODES}
    rows = read_measurements(shipped_tables()["serving"], catalog)
    crowded = {id(each) for each in select(rows).because(CROWDED)}
    for measured in rows:
        asked = measured.input_len in LENGTHS and measured.output_len == 1024
        if measured.engine != "vllm" or not asked or id(measured) in crowded:
            continue
        named = choose_fabrics([measured], catalog, named={}, where="")
        settings = {name: value for name, value in measured.settings.items() if name != "seq_len"}
        lengths = {"input_len": int(measured.input_len), "output_len": 1024}
        for mode in MODES:
            point = jl.evaluate(
                *(measured.llm, measured.chip),
                catalog=catalog,
                calibration="vllm",
                fabric=named[measured.engine, measured.chip],
                mixed_steps=mode,
                collective_algorithm="constant",
                **settings,
                **lengths,
            )
            if point.feasible:
                error = point.calibrated_t_step * measured.utps - 1.0
                found[lengths["input_len"], mode].append(error)
    return found


@pytest.mark.slow
def test_prompts_between_decode_steps_take_away_most_of_the_bias(errors):
    bias = {key: mean(values) for key, values in errors.items()}
    assert len(errors[8192, "off"]) > 80
    assert len(errors[1024, "off"]) > 90
    assert bias[8192, "off"] < -0.2  # decode alone is too fast by a quarter
    assert bias[1024, "off"] < -0.08
    for length in (8192, 1024):
        assert abs(bias[length, "even"]) <= 0.08
        assert abs(bias[length, "stalls"]) <= 0.08
