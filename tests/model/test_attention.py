"""Forms of heads and kinds of layers: every file is known, and adds what its fields count."""

import dataclasses
import pkgutil

import jax
import pytest

from jaxlimits.model import attention, heads, kv_cache, weights
from jaxlimits.model.attention import FORMS, KINDS, parts
from jaxlimits.model.attention.kind import Kind, Part
from jaxlimits.model.attention.query import query_latent
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fields import optional_parts, quantities
from jaxlimits.model.head_groups import head_groups
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import step_operators
from jaxlimits.model.prefill import prefill_operators
from jaxlimits.model.volumes import Operator
from tests.helpers import named_scenario
from tests.hybrids import NEMOTRON_NANO, QWEN3_NEXT
from tests.long_contexts import DEEPSEEK_V4_PRO

pytestmark = pytest.mark.usefixtures("x64")

MODELS = ("llama3-8b", "gpt-oss-20b", "llama4-scout", "deepseek-v3", "deepseek-v3.2")
DEPLOYMENT = Deployment(batch_size=2.0, seq_len=10_000.0, query_tokens=2500.0)
FULL = dataclasses.replace(DEPLOYMENT, attention_span="full")
OTHERS = KINDS[1:]
SPARSE = named_scenario("deepseek-v3.2", "h200").llm


def llm(name, **values):
    return named_scenario(name, "h200", **values).llm


def is_traced(function, number):
    """Whether any equation of a traced function rests on its number."""
    jaxpr = jax.make_jaxpr(function)(number).jaxpr
    (given,) = jaxpr.invars
    return any(given is value for equation in jaxpr.eqns for value in equation.invars)


def test_every_file_states_a_form_or_a_kind():
    stated = [kind.name for kind in KINDS]
    files = {file.name for file in pkgutil.iter_modules(attention.__path__)} - {"kind"}
    shared = {"compressor", "query"}
    forms = {"gqa", "mla", "shared_kv"}
    assert files == {*(name.replace("-", "_") for name in stated), *forms, *shared}
    assert len(FORMS) == len(forms)
    assert len(set(stated)) == len(stated)


def test_kinds_stand_as_the_record_counts_them_and_full_layers_come_first():
    assert [kind.layers for kind in KINDS] == [
        name for name in quantities(LLM) if name in {kind.layers for kind in KINDS}
    ]
    assert KINDS[0].layers == "num_layers"


def test_what_a_kind_names_is_there():
    for kind in KINDS:
        assert {kind.layers, *kind.at_least_one} <= quantities(LLM).keys()
        assert quantities(LLM)[kind.layers].of_all_layers
        assert set(kind.cache_formats) <= quantities(Deployment).keys()
        assert kind.flag is None or isinstance(getattr(DEPLOYMENT, kind.flag), bool)
        assert {kind.shared, kind.keyed} - {None} <= quantities(LLM).keys()
        assert kind.heads is None or kind.heads.flag in optional_parts(Deployment)
    for form in FORMS:
        assert form.field in quantities(LLM)
        assert form.flag is None or isinstance(getattr(DEPLOYMENT, form.flag), bool)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("deployment", [DEPLOYMENT, FULL], ids=["own spans", "full"])
def test_every_layer_is_of_one_kind(name, deployment):
    model = llm(name)
    groups = head_groups(model, deployment)
    assert sum(group.count for group in groups) == model.num_layers
    for group in groups:
        assert sum(layers.count for layers in group.layers) == group.count


ONE_A_FORM = {**{name: llm(name) for name in MODELS}, "deepseek-v4": DEEPSEEK_V4_PRO}


@pytest.mark.parametrize("model", ONE_A_FORM.values(), ids=ONE_A_FORM)
def test_a_model_has_one_form_of_heads_and_the_others_hold_nothing(model):
    (own,) = (form for form in FORMS if getattr(model, form.field) > 0.0)
    projections = query_latent(model) + own.projections(model, DEPLOYMENT)
    assert heads.projections(model, DEPLOYMENT) == projections
    assert heads.kv_elements(model, DEPLOYMENT) == own.kv_elements(model, DEPLOYMENT)
    for other in FORMS:
        if other is not own:
            assert other.projections(model, DEPLOYMENT) == 0.0
            assert other.value_dim(model, DEPLOYMENT) == 0.0
            assert other.kv_elements(model, DEPLOYMENT) == other.rotated_dim(model) == 0.0
            assert other.pair_flops(model, DEPLOYMENT) == 0.0
            assert other.prefill_pair_flops(model, DEPLOYMENT) == 0.0
            assert other.cached_projections(model, DEPLOYMENT) == 0.0


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.name)
def test_a_kind_of_which_a_model_has_no_layer_adds_exactly_nothing(kind):
    model = llm("deepseek-v3", **dict.fromkeys(kind.at_least_one, 1.0))
    counted = [layers for group in head_groups(model, DEPLOYMENT) for layers in group.layers]
    own = [layers for layers in counted if layers.span is kind.span]
    assert len(own) == (kind.span is not None)
    assert all(layers.count == layers.keeping == 0.0 for layers in own)
    if kind.part is not None:
        assert kind.part.weights(model) == kind.part.vector_flops(model) == 0.0
        assert kind.part.sequence_bytes(model, DEPLOYMENT) == 0.0
        for work in (kind.part.decode, kind.part.prefill):
            volumes = vars(work(model, DEPLOYMENT)).values()
            assert {float(volume) for volume in volumes} <= {0.0, 1.0}  # 1: its pace
            assert work(model, DEPLOYMENT).kv_traffic == 0.0


@pytest.mark.parametrize("kind", [k for k in KINDS if k.flag], ids=lambda kind: kind.name)
def test_a_kind_whose_flag_is_off_is_not_traced(kind):
    off = dataclasses.replace(DEPLOYMENT, **{kind.flag: False})
    model = {"recurrent": QWEN3_NEXT, "ffn-only": NEMOTRON_NANO}.get(kind.name, SPARSE)

    def by_layers(count, deployment):
        changed = dataclasses.replace(model, **{kind.layers: count})
        volumes = step_operators(changed, deployment), prefill_operators(changed, deployment)
        return volumes, kv_cache.sequence_bytes(changed, deployment)

    assert is_traced(lambda count: by_layers(count, DEPLOYMENT), 3.0)
    assert not is_traced(lambda count: by_layers(count, off), 3.0)
    assert kind.part is None or kind.part.operator not in step_operators(model, off).named()
    assert kind.part is None or kind.part.operator in step_operators(model, DEPLOYMENT).named()


def test_parts_of_kinds_are_read_and_stored_beside_the_cache():
    model = llm("deepseek-v3.2")
    bare = dataclasses.replace(DEPLOYMENT, sparse_attention=False)
    (part,) = (part for part in parts(DEPLOYMENT) if part not in parts(bare))
    layers = weights.layer_weights(model, DEPLOYMENT).projections
    assert layers - weights.layer_weights(model, bare).projections == part.weights(model)
    stored = kv_cache.sequence_bytes(model, DEPLOYMENT)
    beside = part.sequence_bytes(model, DEPLOYMENT)
    assert stored - kv_cache.sequence_bytes(model, bare) == beside > 0.0


def test_a_layer_without_heads_takes_their_place(monkeypatch):
    # As a recurrent layer would: 7 of 32 layers with a state of 1000 bytes and 500 weights each.
    state = Part(
        operator="state",
        weights=lambda llm: 500.0 * llm.num_chunked_layers,
        vector_flops=lambda llm: 0.0 * llm.num_chunked_layers,
        sequence_bytes=lambda llm, _: 1000.0 * llm.num_chunked_layers,
        decode=lambda llm, _: Operator(1.0, 0.0, 0.0, kv_traffic=2000.0 * llm.num_chunked_layers),
        prefill=lambda _llm, _: Operator(2.0, 0.0, 0.0),
    )
    recurrent = Kind(name="recurrent", layers="num_chunked_layers", part=state)
    monkeypatch.setattr(attention, "KINDS", (KINDS[0], recurrent))
    model, plain = llm("llama3-8b", num_chunked_layers=7.0), llm("llama3-8b")
    assert [group.count for group in head_groups(model, DEPLOYMENT)] == [25.0]
    attending = weights.layer_weights(plain, DEPLOYMENT)
    found = weights.layer_weights(model, DEPLOYMENT)
    assert found.output == attending.output * 25.0 / 32.0
    assert found.projections == attending.projections * 25.0 / 32.0 + 7.0 * 500.0
    kept = kv_cache.sequence_bytes(plain, DEPLOYMENT) * 25.0 / 32.0
    assert kv_cache.sequence_bytes(model, DEPLOYMENT) == kept + 7000.0
    assert step_operators(model, DEPLOYMENT).named()["state"].kv_traffic == 14_000.0
    assert prefill_operators(model, DEPLOYMENT).named()["state"].tensor_flops == 2.0
