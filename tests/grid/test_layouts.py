"""Layouts by name, and every valid one of a model, against a loop over all sizes."""

import itertools

import pytest

import jaxlimits as jl
from jaxlimits.grid.layouts import Layout, all_layouts, read_layout

CATALOG = jl.load_catalog()


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("tp8", Layout(8, 1, 1, 1)),
        ("TP4 PP2", Layout(4, 2, 1, 1)),
        ("tp1_ep16_dp16", Layout(1, 1, 16, 16)),
        ("cp2 TP16", Layout(16, cp_size=2)),
        ("dp2·tp4", Layout(4, 1, 1, 2)),
        ("pp3", Layout(1, 3, 1, 1)),
        ("tp1 ep8 dp4 ffn8", Layout(1, 1, 8, 4, ffn_chips=8)),
        ("FFN8 mb3 tp2", Layout(2, ffn_chips=8, ffn_micro_batches=3)),
    ],
)
def test_a_layout_is_read_as_engines_write_it_and_named_again(text, layout):
    assert read_layout(text) == layout
    assert read_layout(layout.name) == layout


@pytest.mark.parametrize(
    "text", ["", "tp0", "tp8 tp4", "eight", "tp 8", "tp65537", "tp-1 x", "mb0"]
)
def test_what_is_no_layout_is_refused_with_an_example(text):
    with pytest.raises(jl.InputError, match=r"layout|tp_size"):
        read_layout(text)


@pytest.mark.parametrize("name", ["llama3-70b", "gpt-oss-120b", "deepseek-v3"])
def test_no_valid_layout_is_missing_and_none_is_invalid(name):
    llm = CATALOG.values("llm", name, key="llm")
    heads, layers, experts = (int(llm[f"num_{part}"]) for part in ("heads", "layers", "experts"))
    expected = set()
    for tp in range(1, 65):
        for pp in range(1, 65):
            for dp in range(1, 65):
                if tp * pp * dp > 64 or heads % tp or pp > layers:
                    continue
                # Chips that share the heads are no fewer than the KV heads: all cp saves copies.
                sequences = [1, *(n for n in range(2, 65) if tp % n == 0 and _saves(llm, tp, n))]
                for ep in range(1, tp * dp + 1):
                    whole = (tp * dp) % ep == 0 and (ep == 1 or (experts and experts % ep == 0))
                    if whole:
                        expected |= {Layout(tp, pp, ep, dp, cp) for cp in sequences}
    found = all_layouts(64, [llm], only={})
    assert len(found) == len(set(found))
    assert set(found) == expected


def _saves(llm, tp: int, cp: int) -> bool:
    return tp / cp >= llm["num_kv_heads"]


def test_context_parallelism_is_considered_where_it_saves_copies_or_is_asked_for():
    llm = CATALOG.values("llm", "llama3-70b", key="llm")  # 8 KV heads
    only = {"tp_size": [8.0, 16.0], "pp_size": [1.0], "dp_size": [1.0]}
    assert all_layouts(64, [llm], only=only) == [Layout(8), Layout(16), Layout(16, cp_size=2)]
    split = {**llm, "kv_sharding": "split"}
    assert all_layouts(64, [split], only=only) == [Layout(8), Layout(16)]
    asked = all_layouts(64, [llm], only={**only, "cp_size": [1.0, 3.0, 4.0]})
    assert [layout.name for layout in asked] == ["tp8", "tp8 cp4", "tp16", "tp16 cp4"]


def test_chips_for_feed_forward_parts_are_considered_where_they_are_asked_for():
    # Of at most 8 chips: TP and DP of attention beside 4 others, which hold the ranks of experts.
    llm = CATALOG.values("llm", "gpt-oss-120b", key="llm")
    only = {"pp_size": [1.0], "tp_size": [1.0, 2.0], "ffn_chips": [4.0]}
    found = {layout[:4] for layout in all_layouts(8, [llm], only=only)}
    sizes = [(1, dp) for dp in (1, 2, 3, 4)] + [(2, 1), (2, 2)]
    assert found == {(tp, 1, ep, dp) for tp, dp in sizes for ep in (1, 2, 4)}
    assert Layout(2, 2, dp_size=2, ffn_chips=4).num_chips == 16
    tiered = {**llm, "sram_capacity": 1e9}
    assert not all_layouts(8, [tiered], only=only)


@pytest.mark.parametrize("name", ["llama3-70b", "gpt-oss-120b", "nemotron-3-super"])
def test_no_valid_layout_with_them_is_missing_and_none_is_invalid(name):
    llm = CATALOG.values("llm", name, key="llm")
    heads, experts = int(llm["num_heads"]), int(llm["num_experts"])
    expected, placed = set(), experts and not llm["expert_hidden_size"]
    for tp, pp, dp, ffn in itertools.product(range(1, 13), range(1, 13), range(1, 13), (0, 1, 6)):
        if pp * (tp * dp + ffn) > 12 or heads % tp or pp > llm["num_layers"]:
            continue
        sequences = [1, *(n for n in range(2, 13) if tp % n == 0 and _saves(llm, tp, n))]
        for ep in range(1, 13):
            if (ffn or tp * dp) % ep or (ep > 1 and (not experts or experts % ep)):
                continue
            if ffn and ep > 1 and not placed:  # tokens of another width do not go to ranks
                continue
            for batches in (2, 5) if ffn else (0,):
                expected |= {Layout(tp, pp, ep, dp, cp, ffn, batches) for cp in sequences}
    only = {"ffn_chips": [0.0, 1.0, 6.0], "ffn_micro_batches": [2.0, 5.0]}
    found = all_layouts(12, [llm], only=only)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert all(read_layout(layout.name) == layout for layout in found)


def test_what_excludes_them_leaves_the_other_layouts():
    llm = CATALOG.values("llm", "llama3-8b", key="llm")
    only = {"ffn_chips": [0.0, 2.0]}
    plain = all_layouts(4, [llm], only={})
    assert {*plain} < {*all_layouts(4, [llm], only=only)}
    for beside in ({"lpddr_capacity": 1e9}, {"speculation": "mtp"}, {"mixed_steps": "even"}):
        assert all_layouts(4, [{**llm, **beside}], only=only) == plain


def test_experts_with_copies_are_placed_on_more_ranks():
    llm = {**CATALOG.values("llm", "deepseek-v3", key="llm"), "redundant_experts": 32.0}
    only = {"tp_size": [1.0], "pp_size": [1.0], "dp_size": [36.0, 64.0]}
    ranks = {layout.ep_size for layout in all_layouts(64, [llm], only=only)}
    # 256 + 32 experts over divisors of 36 and of 64.
    assert ranks == {1, 2, 3, 4, 6, 9, 12, 18, 36, 8, 16, 32}


def test_only_some_sizes_are_considered():
    llm = CATALOG.values("llm", "llama3-70b", key="llm")
    found = all_layouts(16, [llm], only={"tp_size": [1.0, 4.0, 32.0], "dp_size": [1.0]})
    assert {layout.tp_size for layout in found} == {1, 4}
    assert {layout.dp_size for layout in found} == {1}
    assert Layout(4, 4) in found


BASE = {"llm": "gpt-oss-120b", "chip": "h200", "weight_bits": 8, "seq_len": 1000}


def test_an_axis_of_all_layouts_is_the_points_one_by_one():
    grid = {"base": BASE, "outputs": ["utps", "num_chips"], "axes": {"layout": {"all": 4}}}
    swept = jl.sweep({**grid, "precision": "float64"})
    names = [str(name) for name in swept.layout.values]
    assert "tp1 ep4 dp4" in names
    assert "tp2 pp2" in names
    for name in ("tp4", "tp1 ep4 dp4", "tp2 pp2"):
        point = jl.evaluate(**BASE, layout=name, x64=True)
        assert float(swept.utps.sel(layout=name)) == pytest.approx(point.utps, rel=1e-12)
        sizes = read_layout(name)
        assert int(swept.tp_size.sel(layout=name)) == sizes.tp_size
        assert float(swept.num_chips.sel(layout=name)) == sizes.num_chips


def test_a_layout_with_chips_for_feed_forward_parts_is_the_point():
    names = ["tp2", "tp1 ep2 dp2 ffn2", "tp1 ep4 dp2 ffn2"]
    grid = {"base": BASE, "outputs": ["utps", "num_chips"], "axes": {"layout": names}}
    with pytest.raises(jl.InputError, match="ep_size must divide ffn_chips"):
        jl.sweep(grid)  # four ranks of two chips
    swept = jl.sweep({**grid, "precision": "float64", "axes": {"layout": names[:2]}})
    assert swept.num_chips.values.tolist() == [2, 4]
    assert swept.ffn_chips.values.tolist() == [0, 2]
    for name in names[:2]:
        point = jl.evaluate(**BASE, layout=name, x64=True)
        assert float(swept.utps.sel(layout=name)) == pytest.approx(point.utps, rel=1e-12)


def test_a_layout_may_say_how_many_micro_batches_are_in_flight():
    # One that says nothing beside others that do has as many as by default, two.
    names = ["tp1 ep2 dp2 ffn2", "tp1 ep2 dp2 ffn2 mb3", "tp2"]
    axes = {"layout": names}
    grid = {"base": BASE, "outputs": ["utps"], "precision": "float64"}
    swept = jl.sweep({**grid, "axes": axes})
    assert swept.ffn_micro_batches.values.tolist() == [2, 3, 2]
    for name, batches in zip(names, (2, 3, 2), strict=True):
        short = name.removesuffix(" mb3")
        point = jl.evaluate(**BASE, layout=short, ffn_micro_batches=batches, x64=True)
        assert float(swept.utps.sel(layout=name)) == pytest.approx(point.utps, rel=1e-12)
        assert jl.evaluate(**BASE, layout=name, x64=True).utps == point.utps
    # Where none of an axis does, an axis or a setting of its own may.
    both = jl.sweep({**grid, "axes": {"layout": [names[0]], "ffn_micro_batches": [2, 3]}})
    assert both.utps.values.ravel().tolist() == swept.utps.values[:2].tolist()
    for twice in ({"ffn_micro_batches": 2}, {}):
        axes = {"layout": names} if twice else {"layout": names, "ffn_micro_batches": [2, 3]}
        with pytest.raises(jl.InputError, match="set twice"):
            jl.sweep({**grid, "base": {**BASE, **twice}, "axes": axes})
    with pytest.raises(jl.InputError, match="states ffn_micro_batches, which is set beside it"):
        jl.evaluate(**BASE, layout=names[1], ffn_micro_batches=3)


def test_all_layouts_of_a_grid_may_name_them():
    only = {"tp_size": [1], "pp_size": [1], "ffn_chips": [0, 2], "ffn_micro_batches": [1, 3]}
    axes = {"layout": {"all": 3, "only": only}}
    swept = jl.sweep({"base": BASE, "outputs": ["num_chips", "utps"], "axes": axes})
    names = [str(name) for name in swept.layout.values]
    assert [name for name in names if "ffn" in name] == [
        f"tp1{ranks} ffn2 mb{batches}" for ranks in ("", " ep2") for batches in (1, 3)
    ]
    assert swept.num_chips.sel(layout="tp1 ep2 ffn2 mb3").item() == 3.0


def test_best_ranks_layouts():
    grid = {"base": BASE, "outputs": ["utps"], "axes": {"layout": {"all": 4}}}
    found = jl.best(grid, jl.ask(maximise="utps", count=2))
    assert str(found.layout.values[0]) == "tp4"


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({"axes": {"tp_size": {"all": 8}}}, "all and only are of layouts"),
        ({"axes": {"layout": {"only": {"tp_size": [1]}}}}, "all and only are of layouts"),
        ({"axes": {"layout": {"all": 8, "only": {"batch_size": [1]}}}}, "batch_size"),
        ({"axes": {"layout": {"all": 8, "values": ["tp8"]}}}, "has values beside all"),
        ({"axes": {"layout": {"all": 1, "only": {"tp_size": [2]}}}}, "no layout of at most 1"),
        ({"axes": {"layout": ["tp8", "TP8"]}}, "twice"),
        ({"axes": {"layout": ["tp8", "x8"]}}, "is not a layout"),
        ({"axes": {"layout": ["tp8"], "tp_size": [1, 2]}}, "set twice"),
        ({"base": {**BASE, "tp_size": 2}, "axes": {"layout": ["tp8"]}}, "set twice"),
        (
            {"base": {**BASE, "tp_size": 2, "layout": "tp8"}, "axes": {"batch_size": [1]}},
            "states tp_size, which is set beside it",
        ),
    ],
)
def test_what_cannot_be_an_axis_of_layouts_is_named(grid, says):
    with pytest.raises(jl.InputError, match=says):
        jl.sweep({"base": BASE, "outputs": ["utps"], **grid})


def test_a_layout_overrides_the_sizes_of_a_grid():
    outputs = ["num_chips", "utps"]
    grid = {"base": {**BASE, "tp_size": 2}, "outputs": outputs, "axes": {"batch_size": [1]}}
    swept = jl.sweep(grid, overrides={"layout": "tp4 pp2"})
    assert float(swept.num_chips[0]) == 8.0
