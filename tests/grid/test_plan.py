"""Plans: every way to cut a grid, against counting its points one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlimits import schema
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.plan import Plan, make_plan
from jaxlimits.grid.scenario import Scenario
from jaxlimits.model.chip import Chip
from jaxlimits.model.fields import quantities
from jaxlimits.model.site import Site

HARDWARE = ("mem_bw", "mem_bw_scale", "sync_latency", "electricity_price", "chip")
APPLICATION = ("llm", "batch_size", "seq_len", "tp_size", "weight_bits_scale")
NAMES = (*HARDWARE, *APPLICATION, *schema.SWITCHES)


def scenario_of(axes):
    columns = tuple(
        {} if axis.name in schema.SWITCHES else {axis.name: np.array(axis.values, np.float64)}
        for axis in axes
    )
    return Scenario(where="test", base={}, switches={}, axes=axes, columns=columns)


def axis_of(name, length, *linked):
    numbers = tuple(float(number) for number in range(1, length + 1))
    return Axis(name=name, values=numbers, linked=dict.fromkeys(linked, numbers))


@st.composite
def grids(draw):
    names = draw(st.lists(st.sampled_from(NAMES), max_size=5, unique=True))
    lengths = [draw(st.integers(1, 3 if name in schema.SWITCHES else 9)) for name in names]
    return scenario_of(tuple(map(axis_of, names, lengths)))


budgets = st.integers(1, 10_000)


def cut(scenario, plan):
    """Names of the axes that lie in several chunks, switches aside, in the grid's order."""
    pairs = zip(scenario.axes, plan.block, strict=True)
    return [a.name for a, size in pairs if size < len(a) and a.name not in schema.SWITCHES]


def test_the_names_are_of_the_kinds_that_the_tests_say():
    fields = {schema.scaled_field(name) or name for name in HARDWARE} - {"chip"}
    hardware = {*quantities(Chip), *quantities(Site)}
    assert fields <= hardware
    assert not {schema.scaled_field(n) or n for n in APPLICATION} & hardware


@given(grids(), budgets)
def test_the_chunks_cover_every_point_exactly_once(scenario, points):
    plan = make_plan(scenario, points=points)
    covered = np.zeros(scenario.shape, int)
    for key in plan.chunks():
        covered[plan.slices(key)] += 1
    assert np.all(covered == 1)


@given(grids(), budgets)
def test_no_chunk_has_more_points_than_fit_nor_none(scenario, points):
    plan = make_plan(scenario, points=points)
    assert plan.points_per_chunk <= points
    for key in plan.chunks():
        inside = math.prod(part.stop - part.start for part in plan.slices(key))
        assert 1 <= inside <= plan.points_per_chunk


@given(grids(), budgets)
def test_a_switch_is_always_cut_to_one_choice(scenario, points):
    plan = make_plan(scenario, points=points)
    for axis, size in zip(scenario.axes, plan.block, strict=True):
        assert size == 1 or axis.name not in schema.SWITCHES


@given(grids(), budgets)
def test_the_application_is_cut_to_single_values_before_the_hardware_is_cut(scenario, points):
    plan = make_plan(scenario, points=points)
    if set(cut(scenario, plan)) & set(HARDWARE):
        blocks = dict(zip((axis.name for axis in scenario.axes), plan.block, strict=True))
        assert all(blocks.get(name, 1) == 1 for name in APPLICATION)


@given(grids(), budgets)
def test_an_axis_is_cut_only_where_those_before_it_are_single_values(scenario, points):
    plan = make_plan(scenario, points=points)
    blocks = dict(zip((axis.name for axis in scenario.axes), plan.block, strict=True))
    for kind in (APPLICATION, HARDWARE):
        names = [axis.name for axis in scenario.axes if axis.name in kind]
        for last in set(cut(scenario, plan)) & set(names):
            assert all(blocks[name] == 1 for name in names[: names.index(last)])


@given(grids(), budgets)
def test_a_cut_axis_would_not_fit_in_fewer_pieces(scenario, points):
    plan = make_plan(scenario, points=points)
    for position, (size, count) in enumerate(zip(plan.block, plan.counts, strict=True)):
        if count == 1 or scenario.axes[position].name in schema.SWITCHES:
            continue
        fewer = math.ceil(scenario.shape[position] / (count - 1))
        assert plan.points_per_chunk // size * fewer > points


@given(grids(), budgets)
def test_the_number_of_a_chunk_is_its_place_in_their_order(scenario, points):
    plan = make_plan(scenario, points=points)
    keys = list(plan.chunks())
    assert [plan.number(key) for key in keys] == list(range(plan.num_chunks))
    assert keys == sorted(keys)


@given(grids())
def test_a_grid_that_fits_is_one_chunk_for_each_combination_of_switches(scenario):
    plan = make_plan(scenario, points=math.prod(scenario.shape))
    switches = [len(axis) for axis in scenario.axes if axis.name in schema.SWITCHES]
    assert plan.num_chunks == math.prod(switches)


@given(grids())
def test_a_budget_of_one_point_gives_every_point_a_chunk(scenario):
    plan = make_plan(scenario, points=1)
    assert plan.block == (1,) * len(scenario.axes)


@pytest.mark.parametrize(
    ("linked", "block"), [((), (2, 6)), (("mem_capacity",), (6, 2)), (("seq_len",), (2, 6))]
)
def test_an_axis_that_sets_hardware_beside_it_is_cut_with_the_hardware(linked, block):
    first = axis_of("batch_size", 6, *linked)
    assert make_plan(scenario_of((first, axis_of("llm", 6))), points=12).block == block


def test_pieces_of_an_axis_are_even():
    plan = make_plan(scenario_of((axis_of("batch_size", 10),)), points=9)
    assert (plan.block, plan.counts) == ((5,), (2,))


def test_a_plan_of_a_single_point_has_one_chunk():
    plan = Plan(shape=(), block=())
    assert list(plan.chunks()) == [()]
    assert plan.number(()) == 0
    assert plan.slices(()) == ()
