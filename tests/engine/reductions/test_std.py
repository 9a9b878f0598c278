"""Standard deviations against NumPy's, for many ways to cut the grid."""

import functools

import jax
import numpy as np
import pytest

from jaxlimits.engine.counted import Counted
from jaxlimits.engine.reduction import Swept
from jaxlimits.engine.reductions.std import Std
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.plan import Plan
from tests.engine.reductions.brute_force import AXES, dense, reduce
from tests.helpers import one_in

MEMORIES = (None, 3e4, 4e3, 1e3)
METRICS = ("utps", "t_sync", "kv_bytes")
OVERS = (("chip", "batch_size"), ("mem_bw_scale", "llm"), AXES)


@pytest.mark.parametrize("memory", one_in(3, MEMORIES))
def test_a_standard_deviation_is_that_of_the_points_that_fit(memory):
    tables = [
        f"[reduce.{name_of(metric, over)}]\nop = 'std'\nof = '{metric}'\nover = {list(over)}\n"
        for metric in METRICS
        for over in OVERS
    ]
    found = reduce("op = 'std'\nof = 'utps'\n" + "".join(tables), memory=memory)
    for metric in METRICS:
        for over in OVERS:
            finding = found[name_of(metric, over)]
            std, mean = expected(metric, over)
            assert finding.dims == tuple(name for name in AXES if name not in over)
            assert finding.quantity == metric
            np.testing.assert_array_equal(np.isnan(finding.values), np.isnan(std))
            apart = np.abs(finding.values - std)
            assert np.all((apart <= 1e-5 * std + 1e-7 * mean) | np.isnan(std))


def name_of(metric, over):
    return f"{metric}_{len(over)}_{over[0]}"


def expected(metric, over):
    """Standard deviation and mean over some axes, in float64, of what fits."""
    arrays, _ = dense()
    fits = arrays["feasible"] == 1
    axes = tuple(AXES.index(name) for name in over)
    values = np.ma.masked_array(arrays[metric].astype(np.float64), mask=~fits)
    std, mean = np.ma.std(values, axis=axes), np.ma.mean(values, axis=axes)
    return np.ma.filled(std, np.nan), np.ma.filled(mean, np.nan)


def test_where_no_point_fits_there_is_no_deviation_and_of_one_point_it_is_zero():
    body = "op = 'std'\nof = 'utps'\nover = ['mem_bw_scale']"
    found = reduce(body, memory=None)["found"].values
    fits = (dense()[0]["feasible"] == 1).any(axis=-1)
    assert not fits.all()
    np.testing.assert_array_equal(np.isnan(found), ~fits)
    one = np.array([[np.nan, 3.0, np.nan]])
    assert std_of(one, over=(0, 1), block=(1, 2)) == 0.0


@pytest.mark.parametrize("block", [(12, 40), (5, 40), (12, 7), (5, 7)])
@pytest.mark.parametrize("over", [(0,), (1,), (0, 1)])
def test_no_digits_are_lost_to_the_mean_and_no_square_overflows(over, block):
    random = np.random.default_rng(7)
    for mean, spread in ((0.0, 1.0), (1e6, 1.0), (-3e-18, 1e-18), (2e20, 1e20), (5.0, 0.0)):
        values = (mean + spread * random.standard_normal((12, 40))).astype(np.float32)
        values[random.random(values.shape) < 0.1] = np.nan
        exact = np.nanstd(values.astype(np.float64), axis=over)
        got = std_of(values, over=over, block=block)
        np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-12 * abs(mean))


def test_an_infinite_value_leaves_no_deviation_and_its_neighbours_theirs():
    values = np.array([[1.0, np.inf, 4.0], [1.0, 2.0, 3.0]], np.float32)
    got = std_of(values, over=(1,), block=(2, 2))
    np.testing.assert_allclose(got, [np.nan, np.std([1.0, 2.0, 3.0])], rtol=1e-6)


def test_a_value_stands_for_all_points_along_an_axis_that_it_does_not_depend_on():
    random = np.random.default_rng(8)
    thin = random.random((12, 1)).astype(np.float32)
    whole = np.broadcast_to(thin, (12, 40))
    got = std_of(thin, over=(0, 1), block=(5, 40), shape=(12, 40))
    assert got == pytest.approx(np.std(whole.astype(np.float64)), rel=2e-6)


@functools.partial(jax.jit, static_argnames=("reduction", "block"))
def local(reduction, metric, lengths, block):
    return reduction.local(Counted(metrics={"a": metric}, lengths=lengths, block=block))


def std_of(values, *, over, block, shape=None):
    """Reduce an array chunk by chunk, padded as the kernel pads."""
    shape = shape or values.shape
    plan = Plan(shape=shape, block=block)
    reduction = Std(name="found", op="std", of=("a",), over=over)
    state = reduction.start(shape)
    for key in plan.chunks():
        places = zip(values.shape, plan.slices(key), strict=True)
        part = values[tuple(slice(None) if n == 1 else place for n, place in places)]
        lengths = [place.stop - place.start for place in plan.slices(key)]
        sizes = [1 if n == 1 else size for n, size in zip(values.shape, block, strict=True)]
        room = [(0, size - n) for n, size in zip(part.shape, sizes, strict=True)]
        padded = np.pad(part, room, constant_values=np.nan)
        arrays = local(reduction, padded, np.array(lengths, np.int32), block)
        part = {name: np.asarray(array) for name, array in arrays.items()}
        reduction.merge(state, part, plan, key)
    axes = tuple(Axis(name=f"axis{i}", values=(0.0,) * n, linked={}) for i, n in enumerate(shape))
    (finding,) = reduction.findings(state, Swept(axes=axes, evaluate=lambda *_: {}))
    return finding.values
