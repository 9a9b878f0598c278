"""Small configurations, each with one trait of newer files, and what they come to.

``expected.csv`` has totals, active parameters and bytes of the cache in 16 bits (a token, a token
beyond windows, a sequence): those of the classes of transformers 5.18.0, built without weights; of
the draft head a hand count. ``weight_bits`` are of what is quantised, in one row the mean over all.
"""

import csv
import json
from pathlib import Path

import pytest

from jaxlimits.catalog.loader import entry_values
from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from jaxlimits.errors import InputError
from tests.command_line import run

FILES = Path(__file__).parents[1] / "golden" / "model_files"
_TABLE = (FILES / "expected.csv").read_text(encoding="utf-8")
ROWS = {row["file"]: row for row in csv.DictReader(_TABLE.splitlines())}

BROKEN = {
    "crash_awq_w_bit.json": "quantization_config.bits: is missing; state",
    "crash_gptq_no_bits.json": "quantization_config.bits: is missing; state",
    "crash_fp8_block_scalar.json": r"quantization_config.weight_block_size = 128: .*write \[128",
    "crash_sparse_step_zero.json": "decoder_sparse_step = 0: must be at least 1; write 1",
    "crash_moe_freq_zero.json": "moe_layer_freq = 0: must be at least 1; write 1",
}
READ = ROWS.keys() - BROKEN.keys()

# Bits by part, in the order attention, ffn, expert, embedding, head, cache; and of operands.
BITS = {
    "side_quant/config.json": (4.5, 4.5, None, 16, 16, 8, 4),
    "bits_ct_nvfp4.json": (4.5, 4.5, None, 16, 16, 16, 16),
    "bits_ct_two_groups.json": (8 + 32 / 16384, None, 4.5, 16, 16, 16, 16),
    "bits_bnb_double.json": (4.126953125, 4.126953125, None, 16, 16, 16, 16),
    "bits_modelopt_no_method.json": (8, 8, None, 16, 16, 16, 8),
    "bits_fbgemm.json": (8, 8, None, 16, 16, 16, 8),
    "bits_mixed_average.json": (16, None, 4.25, 16, 16, 16, 16),
}
PARTS = ("attention_bits", "ffn_bits", "expert_bits", "embedding_bits", "head_bits", "cache_bits")


def read(file):
    return read_model_config(FILES / file, name="mine")


def test_every_row_is_tested():
    assert len(READ) == 21
    files = {str(path.relative_to(FILES)) for path in FILES.rglob("*.json")}
    assert files - {"side_quant/hf_quant_config.json"} == set(ROWS)


@pytest.mark.parametrize("file", sorted(READ))
def test_parameters_and_cache_are_those_expected(file):
    row, shape = ROWS[file], shape_of(read(file))
    assert shape.total_params == pytest.approx(float(row["total_params"]), rel=1e-6)
    assert shape.active_params == pytest.approx(float(row["active_params"]), rel=1e-6)
    wide = 16.0 / shape.cache_bits
    assert wide * shape.kv_bytes == float(row["kv_bytes_per_token"])
    assert wide * shape.kv_bytes_beyond == float(row["kv_bytes_per_token_beyond_windows"])
    fixed = wide * shape.window_bytes + shape.state_bytes
    assert fixed == float(row["fixed_bytes_per_sequence"])


@pytest.mark.parametrize("file", sorted(READ))
def test_bits_are_those_of_the_file(file):
    values = entry_values(read(file))
    expected = BITS.get(file, (16,) * 6 + (4,))
    for part, bits in zip((*PARTS, "operand_bits"), expected, strict=True):
        assert bits is None or values[part] == bits


def test_the_mean_is_over_all_weights():
    shape = shape_of(read("bits_mixed_average.json"))
    mean = 8.0 * shape.weight_bytes / shape.total_params
    assert mean == pytest.approx(5.26, abs=0.005)
    assert shape.weight_bytes == pytest.approx(13.75e9, rel=1e-3)


@pytest.mark.parametrize(("file", "message"), BROKEN.items())
def test_what_cannot_be_read_says_file_key_and_remedy(file, message):
    with pytest.raises(InputError, match=f"{file}: .*{message}"):
        read(file)


@pytest.mark.parametrize(("name", "kind"), [("EagleLlamaForCausalLM", "draft head")])
def test_other_draft_heads_are_refused(tmp_path, name, kind):
    values = json.loads((FILES / "draft_head.json").read_text()) | {"architectures": [name]}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=kind):
        read_model_config(tmp_path, name="mine")


@pytest.mark.parametrize("heads", [16, 17])
def test_a_draft_head_is_counted_whole(tmp_path, heads):
    """What a width that no three divide leaves over is counted too."""
    changes = {"num_attention_heads": heads, "head_dim": 128}
    values = json.loads((FILES / "draft_head.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(values))
    h, f, v, q, kv = 4096, 12288, 32000, heads * 128, 4 * 128
    by_hand = 2 * h * (q + 2 * kv) + q * h + 3 * h * f + 3 * h * h + v * h + 4 * h
    shape = shape_of(read_model_config(tmp_path, name="mine"))
    assert shape.total_params == pytest.approx(by_hand, rel=1e-7)


def test_the_side_file_counts_only_where_the_configuration_states_nothing(tmp_path):
    values = json.loads((FILES / "side_quant" / "config.json").read_text())
    values["quantization_config"] = {"quant_method": "fp8"}
    side = (FILES / "side_quant" / "hf_quant_config.json").read_text()
    (tmp_path / "hf_quant_config.json").write_text(side)
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert read_model_config(tmp_path, name="mine").raw["ffn_bits"] == 8
    (tmp_path / "config.json").write_text(json.dumps(values | {"quantization_config": None}))
    assert read_model_config(tmp_path, name="mine").raw["ffn_bits"] == 4.5
    for text, message in {
        "{": "is not JSON",
        "{}": "quantization: is missing",
        "[]": "must be a table",
        '{"quantization": {"quant_algo": "FP3"}}': "quant_algo = 'FP3': is not a known format",
    }.items():
        (tmp_path / "hf_quant_config.json").write_text(text)
        with pytest.raises(InputError, match=f"hf_quant_config.json.*: .*{message}"):
            read_model_config(tmp_path, name="mine")


def test_the_command_shows_what_a_file_comes_to():
    shown = run("catalog", "llms", FILES / "bits_mixed_average.json").out
    table = {line[2:26].strip(): line[26:].split() for line in shown.splitlines() if line}
    assert table["routed experts"] == ["19.1103", "2.3888", "4.25", "10.152"]
    assert table["total"][:3] == ["20.9148", "4.1874", "5.264"]
    for words in (
        "49,152 B a token in 16 bits",
        "beyond windows and chunks 24,576 B, and 3,145,728 B a sequence",
        "12 full, 12 windowed; 24 with experts",
    ):
        assert words in shown
    facts = run("catalog", "llms", FILES / "bits_mixed_average.json", "--json").json["comes_to"]
    assert facts["kv_bytes_per_token"] == 49152
    assert facts["weight_bytes"] == pytest.approx(13.76e9, rel=1e-3)
    assert "vision_config" in run("catalog", "llms", FILES / "vl_dense.json").out
    assert "multi-token" in run("catalog", "llms", FILES / "dsa.json").out
    assert "index keys  9,984 B a token" in run("catalog", "llms", FILES / "dsa.json").out
    shown = run("catalog", "llms", FILES / "hybrid_mamba.json").out
    for words in (
        "attention, recurrent mixers",
        "states    49,082,368 B a sequence, whatever its context",
        "6 full, 23 recurrent, 23 ffn-only; 23 with experts, 29 mixer-only",
    ):
        assert words in shown
