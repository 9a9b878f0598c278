"""Bytes of caches and states of releases against hand sums: in 16 bits, states in 32."""

import json

import pytest

from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from tests.catalog.releases import RELEASES

# Bytes of the KV cache a token, of these beyond every window, and a sequence once windows are full;
# states of a sequence. A full layer of n KV heads of width w keeps 2 · 2 · n · w bytes a token.
CACHES = {
    # 16 of 64 layers: 4 · 4 · 256; 48 states: 48 heads · 128 · 128 · 4 and 3 · 10240 channels · 2.
    "qwen3.5-27b": (16 * 4096, 16 * 4096, 0, 48 * (3_145_728 + 61_440)),
    # 10 of 40: 4 · 2 · 256; 30 states: 32 · 128 · 128 · 4 and 3 · 8192 · 2.
    "qwen3.5-35b-a3b": (10 * 2048, 10 * 2048, 0, 30 * (2_097_152 + 49_152)),
    # 4 layers: 4 · 8 · 128; 24 of Mamba-2: 128 · 64 · 128 · 4 and 3 · (8192 + 2 · 8 · 128) · 2.
    "nemotron-h-8b": (4 * 4096, 4 * 4096, 0, 24 * (4_194_304 + 61_440)),
    # 8 layers: 4 · 2 · 128; 40 of Mamba-2 with the same shape.
    "nemotron-3-super": (8 * 1024, 8 * 1024, 0, 40 * (4_194_304 + 61_440)),
    # 7 of 27 MLA layers: 2 · (512 + 64); 20 of KDA: 32 · 128 · 128 · 4 and 3 · 3 · 4096 · 2.
    "kimi-linear-48b-a3b": (7 * 1152, 7 * 1152, 0, 43_417_600),
    # 10 of 80: 4 · 8 · 128; 70 of lightning attention: 64 · 128 · 128 · 4, no convolution.
    "minimax-text-01": (10 * 4096, 10 * 4096, 0, 70 * 4_194_304),
    # 7 of 42 MLA layers; 35 of KDA as Kimi's.
    "ling-3.0-flash": (7 * 1152, 7 * 1152, 0, 35 * (2_097_152 + 73_728)),
    # All 44 layers have both: 4 · 2 · 128; 24 · 128 · 256 · 4 and 3 · (3072 + 2 · 256) · 2.
    "falcon-h1-7b": (44 * 1024, 44 * 1024, 0, 44 * (3_145_728 + 21_504)),
    # 4 of 32: 4 · 8 · 128; 28 of Mamba-1: 8192 channels · 16 · 4 and 3 · 8192 · 2.
    "jamba-v0.1": (4 * 4096, 4 * 4096, 0, 28 * (524_288 + 49_152)),
    # 4 of 40; 36 of Mamba-2: 128 · 64 · 128 · 4 and 3 · (8192 + 2 · 128) · 2.
    "granite-4.0-h-small": (4 * 4096, 4 * 4096, 0, 36 * (4_194_304 + 50_688)),
    # 6 of 16: 4 · 8 · 64; 10 convolutions of 2048 channels keep 2 columns.
    "lfm2-1.2b": (6 * 2048, 6 * 2048, 0, 10 * 8192),
    "lfm2-8b-a1b": (6 * 2048, 6 * 2048, 0, 18 * 8192),
    # 25 of 30 layers in a window of 1024: 4 · 8 · 256; 5 full: 4 · 2 · 512.
    "gemma-4-26b-a4b": (25 * 8192 + 5 * 4096, 5 * 4096, 25 * 8192 * 1024, 0),
    # Of 35 layers the last 20 read others' caches: 12 windows of 4 · 256, 3 full of 4 · 512 stay.
    "gemma-4-e2b": (12 * 1024 + 3 * 2048, 3 * 2048, 12 * 1024 * 512, 0),
    # Of 35 the last 15: 16 windows and 4 full, both of 4 · 2 · 256.
    "gemma-3n-e4b": (20 * 2048, 4 * 2048, 16 * 2048 * 512, 0),
    # 33 of 45 in a window of 512, all of 4 · 8 · 128.
    "step-3.5-flash": (45 * 4096, 12 * 4096, 33 * 4096 * 512, 0),
    # 60 layers: 4 · 4 · 128, in blocks or whole.
    "minimax-m3": (60 * 2048, 60 * 2048, 0, 0),
    # Every layer 2 · 512 in a window of 128; 20 an entry for 128 tokens, 21 for 4. States of
    # compressors, 2 · 4 B: 128 · 512; 2 · 4 · 2 · (512 + 128).
    "deepseek-v4-flash": (
        43 * 1024 + 20 * 8 + 21 * 256,
        20 * 8 + 21 * 256,
        43 * 1024 * 128,
        8 * (20 * 65_536 + 21 * 10_240),
    ),
}


@pytest.mark.parametrize("name", CACHES)
def test_caches_and_states_are_those_of_the_published_shape(tmp_path, name):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(RELEASES[name].config))
    found = shape_of(read_model_config(path, name="mine"))
    cache, beyond, fixed, states = CACHES[name]
    assert found.cache_bits == 16
    assert (found.kv_bytes, found.kv_bytes_beyond) == (cache, beyond)
    assert (found.window_bytes, found.state_bytes) == (fixed, states)
