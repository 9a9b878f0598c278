"""From names to numbers: what wins over what, and what varies along which axis."""

import numpy as np
import pytest

from jaxlimits import schema
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.errors import InputError
from jaxlimits.grid.scenario import bind

CATALOG = load_catalog()
SYNC = schema.record_defaults("chip")["sync_latency"]


def test_a_field_nobody_sets_has_its_default(sweep_of):
    base = bind(sweep_of("batch_size = [1]")).base
    assert base["seq_len"] == 4096
    assert base["kv_bits"] == 0  # the model's


def test_the_catalog_entry_wins_over_the_default(sweep_of):
    value = bind(sweep_of("batch_size = [1]")).base["sync_latency"]
    assert value == CATALOG.chip("h100").sync_latency != SYNC


def test_the_base_wins_over_the_catalog_entry(resolve):
    text = '[base]\nllm = "llama3-8b"\nchip = "h100"\nmem_bw = "5 TB/s"\n[axes]\nbatch_size = [1]\n'
    assert bind(resolve(text)).base["mem_bw"] == 5e12


def test_set_wins_over_the_base(resolve):
    text = '[base]\nllm = "llama3-8b"\nchip = "h100"\nmem_bw = "5 TB/s"\n[axes]\nbatch_size = [1]\n'
    spec = resolve(text, mem_bw="6 TB/s", llm="qwen3-4b", accounting="layers")
    scenario = bind(spec)
    assert scenario.base["mem_bw"] == 6e12
    assert scenario.base["num_layers"] == CATALOG.llm("qwen3-4b").num_layers
    assert scenario.switches["accounting"] == "layers"


def test_an_axis_wins_over_the_catalog_entry(sweep_of):
    scenario = bind(sweep_of("mem_bw = ['1 TB/s', '2 TB/s']"))
    assert "mem_bw" not in scenario.base
    assert scenario.columns[0]["mem_bw"].tolist() == [1e12, 2e12]


def test_a_linked_field_wins_over_the_catalog_entry(sweep_of):
    axes = "batch_size = { values = [1, 2], with = { sync_latency = ['1 us', '2 us'] } }"
    scenario = bind(sweep_of(axes))
    assert "sync_latency" not in scenario.base
    assert scenario.columns[0]["sync_latency"].tolist() == [1e-6, 2e-6]


def test_a_field_that_is_set_wins_over_an_axis_of_names(resolve):
    text = '[base]\nllm = "llama3-8b"\nmem_bw = "5 TB/s"\n[axes]\nchip = ["h100", "a100"]\n'
    scenario = bind(resolve(text))
    assert scenario.base["mem_bw"] == 5e12
    assert scenario.effective("mem_bw").tolist() == [5e12]
    peaks = [CATALOG.chip(name).peak_flops for name in ("h100", "a100")]
    assert scenario.effective("peak_flops").tolist() == peaks


@pytest.mark.parametrize("order", [["chip", "mem_bw"], ["mem_bw", "chip"]])
def test_an_axis_over_a_field_wins_over_an_axis_of_names(resolve, order):
    axes = {"chip": 'chip = ["h100", "a100"]', "mem_bw": 'mem_bw = ["1 TB/s", "2 TB/s", "3 TB/s"]'}
    lines = "\n".join(axes[name] for name in order)
    scenario = bind(resolve(f'[base]\nllm = "llama3-8b"\n[axes]\n{lines}\n'))
    assert np.unique(scenario.effective("mem_bw")).tolist() == [1e12, 2e12, 3e12]
    assert scenario.effective("mem_bw").size == 3


def test_an_axis_of_names_has_a_column_for_each_field_that_differs(resolve):
    text = '[base]\nchip = "h100"\n[axes]\nllm = ["llama3-8b", "llama3-70b"]\n'
    scenario = bind(resolve(text))
    assert scenario.columns[0]["num_layers"].tolist() == [32, 80]
    assert scenario.base["head_dim"] == 128  # of both
    assert "head_dim" not in scenario.columns[0]


def test_an_axis_of_one_name_works(resolve):
    scenario = bind(resolve('[base]\nchip = "h100"\n[axes]\nllm = ["llama3-8b"]\n'))
    assert scenario.shape == (1,)
    assert scenario.effective("num_layers").tolist() == [32]


def test_names_can_be_linked_to_an_axis(resolve):
    axes = 'tp_size = { values = [1, 8], with = { llm = ["llama3-8b", "llama3-70b"] } }'
    scenario = bind(resolve(f'[base]\nchip = "h100"\n[axes]\n{axes}\n'))
    assert scenario.effective("num_layers").tolist() == [32, 80]


def test_a_scale_factor_multiplies_the_base_value(sweep_of):
    scenario = bind(sweep_of("mem_bw_scale = [0.5, 1, 2]"))
    nominal = CATALOG.chip("h100").mem_bw
    assert scenario.effective("mem_bw").tolist() == [0.5 * nominal, nominal, 2 * nominal]


def test_a_scale_factor_multiplies_a_field_that_is_an_axis_too(sweep_of):
    scenario = bind(sweep_of("mem_bw = ['1 TB/s', '2 TB/s']\nmem_bw_scale = [1, 10]"))
    assert scenario.effective("mem_bw").tolist() == [[1e12, 1e13], [2e12, 2e13]]


def test_a_scale_factor_multiplies_the_field_of_each_name(resolve):
    text = '[base]\nllm = "llama3-8b"\n[axes]\nchip = ["h100", "h200"]\nmem_bw_scale = [1, 2]\n'
    both = [[3.35e12, 6.7e12], [4.8e12, 9.6e12]]
    assert bind(resolve(text)).effective("mem_bw").tolist() == both


@pytest.mark.parametrize("name", schema.FIELDS)
def test_every_field_can_be_scaled_by_set(sweep_of, name):
    axis = "batch_size" if name != "batch_size" else "seq_len"
    plain = bind(sweep_of(f"{axis} = [1]")).effective(name)
    scaled = bind(sweep_of(f"{axis} = [1]", **{f"{name}_scale": "2"})).effective(name)
    assert scaled.tolist() == (2 * plain).tolist()


def test_a_switch_axis_has_no_column_and_gives_its_choices_in_place(sweep_of):
    scenario = bind(sweep_of("batch_size = [1, 2]\nroofline = ['step', 'operator']"))
    assert scenario.columns[1] == {}
    assert "roofline" not in scenario.switches
    chosen = [scenario.choice_at((0, position))["roofline"] for position in (0, 1)]
    assert chosen == ["step", "operator"]


@pytest.mark.parametrize(
    ("axes", "overrides", "needed"),
    [
        ("batch_size = [1]", {}, (False, False)),
        ("batch_size = [1]", {"llm": "deepseek-v3.2"}, (False, True)),
        ("num_sparse_layers = [0, 8]", {"llm": "deepseek-v3.2"}, (False, True)),
        ("num_sparse_layers = [0]", {"llm": "deepseek-v3.2"}, (False, False)),
        ("ep_size = [1, 2]", {"llm": "qwen3-30b"}, (True, False)),
    ],
)
def test_terms_are_spared_where_nothing_reaches_them(sweep_of, axes, overrides, needed):
    static = bind(sweep_of(axes, **overrides)).fixed_static()
    assert (static["expert_parallel"], static["sparse_attention"]) == needed


@pytest.mark.parametrize(
    ("axes", "flag"),
    [
        ("input_len = [0, 1]", "requests"),
        (
            "sram_capacity = ['0 B', '1 GB']\nsram_bw = ['9 TB/s']",
            "sram_tier",
        ),
        ("lpddr_capacity_scale = [1, 2]\nlpddr_capacity = ['1 GB']", "lpddr_tier"),
        ("draft = ['llama3-8b', 'deepseek-v3.2']", "sparse_attention"),
    ],
)
def test_a_term_is_kept_where_something_reaches_it(sweep_of, axes, flag):
    assert not bind(sweep_of("batch_size = [1]")).fixed_static()[flag]
    assert bind(sweep_of(axes)).fixed_static()[flag]


def test_two_switch_axes_give_every_pair(sweep_of):
    axes = "roofline = ['step', 'operator']\naccounting = ['full', 'layers', 'nominal']"
    pairs = [
        (chosen["roofline"], chosen["accounting"]) for chosen in bind(sweep_of(axes)).choices()
    ]
    assert len(set(pairs)) == 6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[base]\nllm = "lama3-8b"\nchip = "h100"', ["base", "'lama3-8b'", "llama3-8b"]),
        ('[base]\nllm = "llama3-8b"\nchip = "h1000"', ["'h1000'", "h100"]),
        ('[base]\nllm = "h100"\nchip = "h100"', ["unknown llm 'h100'"]),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(resolve, text, says):
    spec = resolve(f"{text}\n[axes]\nbatch_size = [1]\n")
    with pytest.raises(InputError) as caught:
        bind(spec)
    assert all(part in str(caught.value) for part in ["grid.toml", *says])


def test_an_unknown_name_on_an_axis_is_refused_with_the_nearest(resolve):
    spec = resolve('[base]\nllm = "llama3-8b"\n[axes]\nchip = ["h100", "h2000"]\n')
    with pytest.raises(InputError, match=r"grid.toml: axes.chip.*'h2000'.*h200"):
        bind(spec)


def test_an_unknown_name_that_was_set_is_refused_as_such(sweep_of):
    with pytest.raises(InputError, match=r"^`overrides`: llm: .*'lama'"):
        bind(sweep_of("batch_size = [1]", llm="lama"))


LINKS = """
[interconnects.near]
link_bw = "1 TB/s"
sync_latency = "1 us"
[interconnects.far]
scale_out_bw = "10 GB/s"
sync_latency = "9 us"
[interconnects.farther]
sync_latency = "20 us"
"""


def of_links(resolve, base, axes):
    text = f'[base]\nllm = "llama3-8b"\n{base}\n[axes]\n{axes}\n{LINKS}'
    return bind(resolve(text))


def test_an_interconnect_wins_over_the_chip_and_what_is_set_over_both(resolve):
    base = 'chip = "h100"\ninterconnect = "near"\nsync_latency = "2 us"'
    scenario = of_links(resolve, base, "batch_size = [1]")
    assert scenario.base["link_bw"] == 1e12
    assert scenario.base["sync_latency"] == 2e-6
    assert scenario.base["hop_latency"] == CATALOG.chip("h100").hop_latency


def test_an_interconnect_wins_over_an_axis_of_chips(resolve):
    scenario = of_links(resolve, 'interconnect = "near"', 'chip = ["h100", "a100"]')
    assert scenario.effective("link_bw").tolist() == [1e12]
    hops = [CATALOG.chip(name).hop_latency for name in ("h100", "a100")]
    assert scenario.effective("hop_latency").tolist() == hops


def test_along_an_axis_of_interconnects_the_rest_is_the_chips(resolve):
    scenario = of_links(resolve, 'chip = "h100"', 'interconnect = ["near", "far"]')
    h100 = CATALOG.chip("h100")
    assert scenario.effective("link_bw").tolist() == [1e12, h100.link_bw]
    assert scenario.effective("scale_out_bw").tolist() == [h100.scale_out_bw, 1e10]
    assert scenario.effective("sync_latency").tolist() == [1e-6, 9e-6]


def test_an_interconnect_linked_to_a_chip_lies_over_it(resolve):
    linked = 'chip = { values = ["h100", "a100"], with = { interconnect = ["near", "far"] } }'
    scenario = of_links(resolve, "", linked)
    assert scenario.effective("link_bw").tolist() == [1e12, CATALOG.chip("a100").link_bw]


def test_what_neither_the_interconnect_nor_one_chip_says_is_asked_for(resolve):
    axes = 'chip = ["h100", "a100"]\ninterconnect = ["near", "far", "farther"]'
    with pytest.raises(InputError, match=r"'far' states no link_bw.*state link_bw in each"):
        of_links(resolve, "", axes)


def test_an_interconnect_states_links_alone(resolve):
    text = '[base]\nllm = "llama3-8b"\nchip = "h100"\n[axes]\ninterconnect = ["odd"]\n'
    text += '[interconnects.odd]\nmem_bw = "1 TB/s"\n'
    with pytest.raises(InputError, match=r"interconnects.odd: unknown field 'mem_bw'"):
        bind(resolve(text))
