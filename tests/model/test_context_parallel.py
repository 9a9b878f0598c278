"""Context parallelism: the cache along the sequence, by hand, and what must hold."""

import pytest

from jaxlimits.model.fields import quantities
from jaxlimits.model.metrics import Metrics
from tests.helpers import COMBINATIONS, DEFAULT, evaluate_x64, named_scenario
from tests.hybrids import QWEN3_NEXT
from tests.laws import law
from tests.strategies import scenarios


@pytest.fixture(autouse=True)
def in_float64(x64):
    """Compute in float64."""


def sharded(llm: str, **values):
    settings = {**DEFAULT, "collective_algorithm": "constant", **values}
    return evaluate_x64(*named_scenario(llm, "h200", **settings))


def test_a_latent_cache_over_eight_chips_serves_eight_times_the_users():
    # DeepSeek-V3, one latent for all heads: by heads each of 8 chips holds it whole, at cp 8 an
    # eighth. 131072 x 61 x 576 x 2 B = 9.211 GB a sequence.
    values = {"tp_size": 8.0, "seq_len": 131_072.0, "kv_bits": 16.0, "batch_size": 3.0}
    copied = sharded("deepseek-v3", **values)
    alone = sharded("deepseek-v3", cp_size=8.0, **values)
    assert alone.kv_bytes == 3 * 131_072 * 61 * 576 * 2
    assert copied.kv_bytes == 8 * alone.kv_bytes
    assert alone.batch_capacity == pytest.approx(8 * copied.batch_capacity, rel=1e-12)
    assert (copied.max_batch_size, alone.max_batch_size) == (6, 49)
    assert alone.kv_bytes == sharded("deepseek-v3", kv_sharding="split", **values).kv_bytes


@pytest.mark.parametrize(("cp_size", "copies"), [(1, 2), (2, 1), (4, 1)])
def test_heads_are_copied_where_more_chips_share_them_than_there_are(cp_size, copies):
    # Llama3-70B, 8 KV heads: of 16 chips two hold each head, or at cp 2 half of its tokens each.
    point = sharded("llama3-70b", tp_size=16.0, cp_size=float(cp_size), seq_len=8192.0)
    assert point.kv_bytes == copies * 8192 * 80 * 2 * 8 * 128
    assert point.kv_traffic == point.kv_bytes


@pytest.mark.parametrize(("collectives", "usual"), [("derived", 160), ("fixed", 240)])
def test_each_layer_with_heads_has_one_more_collective(collectives, usual):
    # 80 layers: 2 each, or 3 as the paper counts; one more each at cp 2, of the same time.
    alone, parted = (
        sharded("llama3-70b", tp_size=16.0, cp_size=cp, collectives=collectives)
        for cp in (1.0, 2.0)
    )
    assert (alone.tp_collectives, parted.tp_collectives) == (usual, usual + 80)
    assert parted.t_sync == pytest.approx(alone.t_sync * (usual + 80) / usual, rel=1e-12)


def test_layers_without_heads_have_no_more():
    # Qwen3-Next: 12 of 48 layers have heads.
    settings = {**DEFAULT, "tp_size": 4.0, "collectives": "derived"}
    scenario = named_scenario("llama3-8b", "h200", **settings)._replace(llm=QWEN3_NEXT)
    alone, parted = (evaluate_x64(*scenario.but(cp_size=cp)) for cp in (1.0, 2.0))
    assert parted.tp_collectives - alone.tp_collectives == 12


def test_index_keys_lie_along_the_sequence_too():
    # DeepSeek-V3.2 beside V3: 61 keys of 128 in 8 bits a token, on 8, 4 or 1 of 8 chips.
    for cp_size, chips in ((1.0, 8), (2.0, 4), (8.0, 1)):
        values = {"tp_size": 8.0, "cp_size": cp_size, "seq_len": 1000.0}
        with_keys, without = (sharded(llm, **values) for llm in ("deepseek-v3.2", "deepseek-v3"))
        assert with_keys.kv_bytes - without.kv_bytes == chips * 1000 * 61 * 128


@law(scenario=scenarios(combinations=("default", "engine"), cp_size=1.0))
def test_context_parallelism_never_stores_or_reads_more(scenario):
    sizes = [n for n in (2.0, 4.0, 8.0) if scenario["tp_size"] % n == 0.0]
    alone, *others = yield (scenario, *(scenario.but(cp_size=size) for size in sizes))
    for point in others:
        assert point.kv_bytes <= alone.kv_bytes * (1 + 1e-12)
        assert point.kv_traffic <= alone.kv_traffic * (1 + 1e-12)
        assert point.tp_collectives >= alone.tp_collectives


@law(scenario=scenarios(combinations=("derived",), cp_size=1.0))
def test_under_split_it_changes_nothing(scenario):
    assert COMBINATIONS["derived"]["kv_sharding"] == "split"
    alone, parted = yield scenario, scenario.but(cp_size=scenario["tp_size"])
    for name in quantities(Metrics):
        assert getattr(parted, name) == pytest.approx(getattr(alone, name), rel=0.0, nan_ok=True)
