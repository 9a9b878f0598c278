"""The KV cache counted by hand."""

import pytest

from jaxlimits.model import kv_cache
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.heads import kv_copies
from tests.helpers import evaluate_x64, named_scenario, of_all_groups

pytestmark = pytest.mark.usefixtures("x64")

stored_span, read_span = map(of_all_groups, (kv_cache.stored_span, kv_cache.read_span))


def llm(name, **values):
    return named_scenario(name, "h100", **values).llm


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("llama3-8b", 65_536),  # 2 * 8 * 128 * 32
        ("llama3-70b", 163_840),  # 2 * 8 * 128 * 80
        ("llama3-405b", 258_048),  # 2 * 8 * 128 * 126
        ("deepseek-v3", 35_136),  # (512 + 64) * 61
        ("qwen3-235b", 96_256),  # 2 * 4 * 128 * 94
    ],
)
def test_one_token_takes_so_many_bytes_in_fp8(name, size):
    assert kv_cache.sequence_bytes(llm(name), Deployment(seq_len=1.0)) == size


@pytest.mark.parametrize(("bits", "size"), [(16.0, 327_680), (8.0, 163_840), (4.0, 81_920)])
def test_bytes_follow_kv_bits(bits, size):
    deployment = Deployment(seq_len=1.0, kv_bits=bits)
    assert kv_cache.sequence_bytes(llm("llama3-70b"), deployment) == size


def test_an_empty_context_has_no_cache():
    for name in ("llama3-70b", "deepseek-v3", "gpt-oss-20b", "llama4-scout"):
        for read in ("bound", "mean"):
            deployment = Deployment(seq_len=0.0, chunk_read=read)
            assert kv_cache.sequence_bytes(llm(name), deployment) == 0.0
            assert read_span(llm(name), deployment) == 0.0


def test_a_windowed_layer_keeps_its_window():
    gpt_oss = llm("gpt-oss-120b")  # 18 layers of 36 see 128 tokens
    assert gpt_oss.num_windowed_layers == gpt_oss.num_layers / 2 == 18
    # 18 * 1000 + 18 * 128
    assert stored_span(gpt_oss, Deployment(seq_len=1000.0)) == 20_304
    assert read_span(gpt_oss, Deployment(seq_len=1000.0)) == 20_304
    # within the window all layers keep all: 36 * 100
    assert stored_span(gpt_oss, Deployment(seq_len=100.0)) == 3_600


def test_the_papers_reading_gives_every_layer_the_whole_context():
    for read in ("bound", "mean"):
        deployment = Deployment(seq_len=100_000.0, attention_span="full", chunk_read=read)
        for name, layers in (("gpt-oss-120b", 36), ("llama4-scout", 48)):
            assert stored_span(llm(name), deployment) == layers * 100_000
            assert read_span(llm(name), deployment) == layers * 100_000


def test_a_chunked_layer_stores_a_chunk_and_reads_it_half_full_on_average():
    scout = llm("llama4-scout")  # 36 layers of 48 attend within 8192 tokens
    bound = Deployment(seq_len=100_000.0)
    mean = Deployment(seq_len=100_000.0, chunk_read="mean")
    # 12 * 100,000 + 36 * 8192
    assert stored_span(scout, bound) == stored_span(scout, mean) == 1_494_912
    assert read_span(scout, bound) == 1_494_912
    # 12 * 100,000 + 36 * (8192 + 1) / 2
    assert read_span(scout, mean) == 1_347_474


def test_the_mean_is_over_all_fills_of_a_chunk():
    # The last chunk of a long context holds 1, 2, … 8192 tokens equally often.
    assert sum(range(1, 8193)) / 8192 == (8192 + 1) / 2


def test_a_chunk_is_read_as_far_as_the_context_goes():
    scout = llm("llama4-scout")
    for read in ("bound", "mean"):
        deployment = Deployment(seq_len=1000.0, chunk_read=read)
        assert read_span(scout, deployment) == 48 * 1000


@pytest.mark.parametrize(
    ("name", "tp_size", "copies"),
    [
        ("llama3-70b", 1.0, 1.0),
        ("llama3-70b", 8.0, 1.0),  # a head a chip
        ("llama3-70b", 32.0, 4.0),  # 32 / 8
        ("llama3-70b", 12.0, 1.5),  # 12 / 8
        ("deepseek-v3", 1.0, 1.0),
        ("deepseek-v3", 8.0, 8.0),  # one latent, on each chip
    ],
)
def test_heads_beyond_the_kv_heads_hold_copies(name, tp_size, copies):
    assert kv_copies(llm(name), Deployment(tp_size=tp_size)) == copies
    assert kv_copies(llm(name), Deployment(tp_size=tp_size, kv_sharding="split")) == 1.0


def test_copies_are_stored_and_read():
    sizes = {"tp_size": 32.0, "batch_size": 2.0, "seq_len": 1000.0}
    split = evaluate_x64(*named_scenario("llama3-70b", "h100", **sizes))
    heads = evaluate_x64(*named_scenario("llama3-70b", "h100", kv_sharding="heads", **sizes))
    # 2 * 1000 * 163,840, and four times that
    assert split.kv_bytes == split.kv_traffic == 327_680_000
    assert heads.kv_bytes == heads.kv_traffic == 4 * 327_680_000


def test_the_cache_is_read_once_for_all_query_tokens():
    one = evaluate_x64(*named_scenario("llama3-70b", "h100", tp_size=8.0))
    five = evaluate_x64(*named_scenario("llama3-70b", "h100", tp_size=8.0, query_tokens=5.0))
    assert one.kv_traffic == five.kv_traffic == 4096 * 163_840
