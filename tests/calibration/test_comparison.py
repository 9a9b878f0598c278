"""The limit, a prediction and measurements side by side; and other tools' answers."""

import json
import math

import pytest

import jaxlimits as jl
from jaxlimits.calibration import comparison
from jaxlimits.calibration.measured_tables import shipped_tables
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.errors import InputError
from tests.command_line import run


@pytest.fixture(scope="module")
def compared():
    return comparison.compare(shipped_tables()["measured"], load_catalog())


def test_every_row_of_the_table_is_answered_for(compared):
    rows, left_out = compared
    lines = sorted(int(row.line) for row in (*rows, *left_out))
    text = shipped_tables()["measured"].read_text(encoding="utf-8")
    assert lines == list(range(2, len(text.splitlines()) + 1))


def test_a_row_stands_beside_its_own_limit_and_prediction(compared):
    (row,) = [row for row in compared[0] if row.line == "2"]  # 8xH100, Llama 70B in FP8, 4 at once
    settings = {"tp_size": 8, "batch_size": 4, "kv_sharding": "heads"}
    settings |= {"collective_algorithm": "constant"}  # as it was fitted
    settings |= {"weight_bits": 8, "kv_bits": 16, "compute_bits": 8}  # vLLM's cache on Hopper
    named = {"calibration": "vllm", "fabric": "vllm-h100", "x64": True}
    decode = jl.evaluate("llama3-70b", "h100", seq_len=1024 + 8192 / 2, **settings, **named)
    request = {"input_len": 1024, "output_len": 8192, "prefill_chunk": 8192}
    request |= {"mixed_steps": "chunks"}
    point = jl.evaluate("llama3-70b", "h100", **settings, **named, **request)
    assert row.measured == 108.75
    assert row.limit == pytest.approx(decode.utps, rel=1e-9)
    assert row.calibrated == pytest.approx(point.calibrated_utps, rel=1e-9)
    assert row.lower == pytest.approx(point.calibrated_utps_lower, rel=1e-6)
    assert row.achieved == pytest.approx(108.75 / decode.utps, rel=1e-9)
    assert row.lower < row.calibrated < row.upper
    assert row.new == ""


def test_what_no_rates_stand_behind_is_said_and_widens_the_interval(tmp_path):
    path = tmp_path / "rates.csv"
    lines = [
        "system,precision,model,tp,batch,ctx_in,ctx_out,utps,engine",
        "2xH100-SXM,BF16,Llama-3-8B,2,4,1024,1024,100,vllm",
        "2xH100-SXM,BF16,Llama-3-70B,2,4,1024,1024,20,vllm",
        "2xmi300x,BF16,Llama-3-70B,2,4,1024,1024,20,lmdeploy",
    ]
    path.write_text("\n".join(lines))
    model, known, several = comparison.compare(path, load_catalog())[0]
    assert (model.new, known.new) == ("model", "")
    assert several.new == "chip, fabric, engine"
    widths = [row.upper / row.lower for row in (known, several)]
    assert widths[1] > 1.2 * widths[0]


def test_no_measurement_beats_the_limit(compared):
    assert all(row.achieved <= 1.0 for row in compared[0])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("31", "drafts tokens"),
        ("39", "data or expert parallel"),
        ("42", "batch: must be a plain number"),
        ("54", "includes the prefill"),
        ("72", "names no machine"),
    ],
)
def test_what_is_no_point_of_the_model_is_left_out_with_its_reason(compared, line, why):
    (row,) = [row for row in compared[1] if row.line == line]
    assert why in row.why


def test_plain_decode_is_kept_where_the_note_says_that_nothing_is_drafted(compared):
    assert "30" in {row.line for row in compared[0]}  # "no MTP"


def test_a_rate_beyond_the_limit_is_left_out_and_said(tmp_path):
    header = "system,precision,model,tp,batch,ctx_in,ctx_out,utps"
    path = tmp_path / "rates.csv"
    lines = [
        "8xH100-SXM,FP8,Llama-3-70B,8,1,1024,0,100",
        "8xH100-SXM,FP8,Llama-3-70B,8,2,1024,0,900",
    ]
    path.write_text("\n".join([header, *lines]))
    rows, left_out = comparison.compare(path, load_catalog())
    assert [row.line for row in rows] == ["2"]
    assert [(row.line, row.why) for row in left_out] == [
        ("3", "is faster than the limit of its machine")
    ]
    path.write_text("\n".join([header, lines[1]]))
    with pytest.raises(InputError, match="has no row that can be compared"):
        comparison.compare(path, load_catalog())


def test_a_batch_that_does_not_fit_is_called_that(tmp_path):
    header = "system,precision,model,tp,batch,ctx_in,ctx_out,utps"
    path = tmp_path / "rates.csv"
    lines = [
        "8xH100-SXM,FP8,Llama-3-70B,8,1,1024,0,100",
        "1xH100-SXM,FP8,Llama-3-70B,1,256,8192,0,900",
    ]
    path.write_text("\n".join([header, *lines]))
    _, left_out = comparison.compare(path, load_catalog())
    ((line, why),) = [(row.line, row.why) for row in left_out]
    # 70 GB of weights beside 256 x 8192 x 163,840 B in 80 GB
    assert line == "3"
    assert why == "does not fit: 414 GB in 80 GB of memory"


def test_a_server_runs_what_fits_of_the_requests_that_it_holds(tmp_path):
    path = tmp_path / "rates.csv"
    header = "system,precision,model,tp,concurrency,ctx_in,ctx_out,utps,engine"
    path.write_text(header + "\n1xH200-SXM,FP8,Llama-3-70B,1,512,1024,8192,30,trtllm\n")
    (row,), _ = comparison.compare(path, load_catalog())
    assert row.measured < row.limit


def test_summaries_are_of_the_rows_of_one_machine_and_engine(compared):
    rows, _ = compared
    summaries = comparison.summarise(rows)
    assert sum(each.rows for each in summaries) == len(rows)
    (b200,) = [s for s in summaries if (s.system, s.engine) == ("2xB200-SXM-180GB", "TensorRT-LLM")]
    (row,) = [row for row in rows if row.system == "2xB200-SXM-180GB"]
    assert (b200.achieved, b200.error) == (row.achieved, abs(row.error))


def test_ours_is_the_hand_limit_of_every_dense_case_that_fits():
    found = comparison.peers()
    assert (len(found.cases), len(found.assumptions)) == (16, 11)
    dense = [case for case in found.cases if case.by_hand is not None and not math.isnan(case.ours)]
    assert len(dense) == 12
    for case in dense:
        assert case.ours == pytest.approx(case.by_hand, rel=1e-3), case.name


def test_the_command_shows_rows_reasons_and_shares():
    table = run("compare", "measured")
    assert table.code == 0
    assert "left out:" in table.out
    assert "median share of the limit" in table.out
    facts = json.loads(run("compare", "static_batch", "--json").out)
    assert {row["engine"] for row in facts["rows"]} == {""}
    assert len(facts["rows"]) + len(facts["left_out"]) >= 41
    peers = run("compare", "--peers")
    assert "why they differ" in peers.out
    both = run("compare", "measured", "--peers")
    assert both.code == 2
    assert run("compare", "none.csv").code == 2
    assert run("compare", "measured", "--calibration", "vlm").code == 2
