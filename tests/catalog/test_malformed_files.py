"""Malformed configurations: an error by file, key, value and remedy, whatever is wrong where."""

import json
import math
from pathlib import Path

import pytest

from jaxlimits.catalog.loader import entry_values
from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from jaxlimits.errors import InputError
from tests.catalog.releases import RELEASES
from tests.command_line import run
from tests.helpers import one_in

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = {
    "dense": GOLDEN / "configs" / "qwen3-8b.json",
    "experts": GOLDEN / "configs" / "qwen3-30b-a3b.json",
    "latent": GOLDEN / "configs" / "deepseek-v3.2-exp.json",
    "windows": GOLDEN / "configs" / "gpt-oss-20b.json",
    "nested": GOLDEN / "model_files" / "vl_moe.json",
    "groups": GOLDEN / "model_files" / "bits_ct_two_groups.json",
    "nf4": GOLDEN / "model_files" / "bits_bnb_double.json",
    "patterns": GOLDEN / "model_files" / "parallel_block.json",
    "delta": GOLDEN / "model_files" / "hybrid_delta.json",
    "letters": GOLDEN / "model_files" / "hybrid_mamba.json",
    "heads": GOLDEN / "model_files" / "two_head_kinds.json",
}
WRITTEN = {
    "kda": "kimi-linear-48b-a3b",
    "lists": "gemma-3n-e4b",
    "shared cache": "gemma-4-e2b",
    "numbers between commas": "step-3.5-flash",
    "blocks of tokens": "minimax-m3",
    "compressed": "deepseek-v4-flash",
    "periods": "jamba-v0.1",
}
ATTENTION = {"n_heads_in_group": 8, "no_op": False, "replace_with_linear": False}
BLOCKS = {
    "model_type": "nemotron-nas",
    "num_hidden_layers": 4,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "vocab_size": 128256,
    "block_configs": [
        {"attention": ATTENTION, "ffn": {"ffn_mult": 5.25, "no_op": False}},
        {"attention": {"no_op": True}, "ffn": {"ffn_mult": 1.3125}},
        {"attention": ATTENTION, "ffn": {"no_op": True}},
        {"attention": {"no_op": True}, "ffn": {"no_op": True}},
    ],
}


def text_of(name):
    """The configuration of a name, as text."""
    if name in FILES:
        return FILES[name].read_text(encoding="utf-8")
    return json.dumps(BLOCKS if name == "blocks" else RELEASES[WRITTEN[name]].config)


VALUES = {
    "zero": 0,
    "infinity": math.inf,
    "nan": math.nan,
    "negative": -1,
    "fraction": 0.5,
    "huge": 10**400,
    "a huge float": 1e300,
    "many": 10**9,
    "text": "4096",
    "an empty text": "",
    "true": True,
    "a list": [],
    "a list of lists": [[1], {}],
    "a table": {"a": 1},
    "null": None,
    "missing": ...,
}


def places(values, above=()):
    """Every key of a file, those within tables and their lists too."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield (*above, key)
        if isinstance(value, dict) or (
            isinstance(value, list) and isinstance(next(iter(value), 0), dict)
        ):
            yield from places(value, (*above, key))


def changed(text, place, value):
    values = json.loads(text)
    table = values
    for key in place[:-1]:
        table = table[key]
    if value is ...:
        del table[place[-1]]
    else:
        table[place[-1]] = value
    return json.dumps(values)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("name", one_in(3, [*FILES, *WRITTEN, "blocks"]))
def test_any_key_may_hold_anything(tmp_path, name, kind):
    """It is read as something that can be counted, or refused by file and with a remedy."""
    text = text_of(name)
    path = tmp_path / "config.json"
    refused: list[str] = []
    for place in places(json.loads(text)):
        path.write_text(changed(text, place, VALUES[kind]))
        try:
            entry = read_model_config(path, name="mine")
            values = entry_values(entry)
        except InputError as error:
            refused.append(str(error))
            continue
        assert all(math.isfinite(value) for value in values.values())
    assert [text for text in refused if str(path) not in text or "; " not in text] == []
    assert len(refused) >= 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("num_hidden_layers", 0, "num_hidden_layers = 0: must be at least 1; write"),
        ("hidden_size", 0, "hidden_size = 0: must be at least 1; write"),
        ("vocab_size", 0, "vocab_size = 0: must be at least 1; write"),
        ("num_attention_heads", 0, "num_attention_heads = 0: must be at least 1; write"),
        ("num_experts", 0, "num_experts = 0: must be at least 1; write"),
        ("num_experts_per_tok", 0, "num_experts_per_tok = 0: must be at least 1; write"),
        ("moe_intermediate_size", 0, "moe_intermediate_size = 0: .*; write"),
        ("decoder_sparse_step", 0, "decoder_sparse_step = 0: must be at least 1; write 1"),
        ("hidden_size", math.inf, "hidden_size = inf: must be a whole number; write"),
        ("hidden_size", math.nan, "hidden_size = nan: must be a whole number; write"),
        ("vocab_size", -math.inf, "vocab_size = -inf: must be a whole number; write"),
        ("hidden_size", "4096", "hidden_size = '4096': must be a whole number; write"),
        ("num_experts", [128, 64], r"num_experts = \[128, 64\]: differs between layers; write"),
        ("num_experts", True, "num_experts = True: must be a whole number; write"),
        ("tie_word_embeddings", "no", "tie_word_embeddings = 'no': must be true or false; write"),
        ("mlp_only_layers", 3, "mlp_only_layers = 3: must be a list; write"),
        ("layer_types", {}, "layer_types = {}: must be a list; write"),
        ("layer_types", [3] * 48, "layer_types = .*: has layers of an unknown kind, 3; write"),
        ("architectures", "Qwen", "architectures = 'Qwen': must be a list; write"),
        ("hidden_size", None, "hidden_size: is missing; is this"),
        ("num_hidden_layers", None, "num_hidden_layers: is missing; is this"),
        ("num_attention_heads", None, "num_attention_heads: is missing; is this"),
        ("num_experts_per_tok", None, "num_experts_per_tok: is missing; is this"),
        ("hidden_size", 10**30, "hidden_size = 1000.*: is more than any model has .*; write"),
        ("num_hidden_layers", 10**9, "num_hidden_layers = 1000000000: is more than 10000.*; write"),
        ("num_experts_per_tok", 129, "num_experts_per_tok = 129: is more experts than.*; write"),
        ("vocab_size", 1e308, "vocab_size = 1e[+]308: is more than any model has .*; write"),
        ("model_type", ["qwen3_moe"], "model_type = .*: is a family of unknown layers; "),
    ],
)
def test_what_is_wrong_is_said_by_key_value_and_remedy(tmp_path, key, value, message):
    values = json.loads(FILES["experts"].read_text()) | {key: value}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=f"config.json: {message}"):
        read_model_config(path, name="mine")
    done = run("catalog", "llms", path)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"model_type": "llama", "hidden_size": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"null", "is not a model configuration"),
        (b'{"model_type": null}', "model_type = 'None': is a family"),
    ],
)
def test_a_file_that_is_none_is_said_so(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message):
        read_model_config(path, name="mine")


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + FILES["dense"].read_bytes())
    read = (shape_of(read_model_config(each, name="x")) for each in (path, FILES["dense"]))
    assert len({shape.total_params for shape in read}) == 1
