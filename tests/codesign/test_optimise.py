"""Co-design: closed forms, dense grids, prices of budgets, and what no design can do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.codesign.problem import build_problem
from jaxlimits.codesign.problem_file import read_problem, shipped_problems
from jaxlimits.engine.slopes import log_slopes
from jaxlimits.grid.rules import Budget, Price, Rules, Term
from tests.codesign.dense import best_of_grid
from tests.helpers import one_in, slow_but

POINTS = 100_000
ONE_LIMIT = {"throughput_by_power": {"power": "16 kW"}}

# One die between compute and bandwidth, nothing else: the optimum is where both take equally long.
KINK = """
[base]
llm = "llama3-70b"
chip = "xpu-hbm4"
tp_size = 8
batch_size = 64
weight_bits = 8
kv_bits = 8
compute_bits = 8
vector_work = "off"
sync_latency = "0 us"
[vary]
peak_flops = { from = "0.01 PFLOP/s", to = "10 PFLOP/s" }
mem_bw = { from = "0.1 TB/s", to = "100 TB/s" }
[price.die_area]
constant = "100 mm^2"
[price.die_area.terms]
peak_flops = { add = "200 mm^2", at = "1 PFLOP/s" }
mem_bw = { add = "20 mm^2", at = "1 TB/s" }
[objective]
maximise = "utps"
[[budget]]
of = "die_area"
at_most = "800 mm^2"
"""


@pytest.fixture
def write(tmp_path):
    """Write a problem file."""

    def written(text):
        path = tmp_path / "problem.toml"
        path.write_text(text)
        return path

    return written


@functools.cache
def solved(name):
    return jl.optimise(name, at_most=ONE_LIMIT.get(name))


def problem_of(name):
    budgets = [{"of": of, "at_most": limit} for of, limit in ONE_LIMIT.get(name, {}).items()]
    return build_problem(read_problem(name, {"budget": budgets} if budgets else {}))


@pytest.mark.parametrize("name", slow_but(shipped_problems(), "speed_by_die", "cost_for_speed"))
def test_the_optimum_is_within_a_thousandth_of_the_best_of_a_grid(name):
    problem = problem_of(name)
    best, num_points = best_of_grid(problem, POINTS)
    assert num_points > POINTS / 2
    found, on_grid = float(solved(name)[problem.objective]), best[problem.objective]
    assert np.isfinite(on_grid)
    better = found / on_grid if problem.maximise else on_grid / found
    assert better >= 0.999


@pytest.mark.parametrize("name", one_in(3, shipped_problems()))
def test_the_design_gives_what_is_said_and_keeps_every_budget(name):
    problem, dataset = problem_of(name), solved(name)
    settings = {**problem.spec.names, **problem.spec.switches}
    settings |= {n: written(n, value) for n, value in problem.spec.base.items()}
    for field in dataset.attrs["fields"].split():
        value = dataset[field].item()
        settings[field] = value if isinstance(value, str) else written(field, value)
    settings |= {n: written(n, float(dataset[n])) for n in dataset.attrs["prices"].split()}
    point = jl.evaluate(x64=True, **settings)
    assert point.feasible
    for metric in ("utps", "stps", "power", "capital_cost", "dollars_per_token"):
        assert np.isclose(getattr(point, metric), float(dataset[metric]), rtol=1e-9, atol=0.0)
    for budget in problem.budgets:
        assert budget.keeps(float(dataset[budget.of]))


def written(name, value):
    """A value as a user writes it, to the last bit."""
    from jaxlimits import schema

    unit = schema.describe(name).unit
    return f"{value!r}" if unit in ("1", "token") else f"{value!r} {unit}"


def test_at_a_kink_the_optimum_equals_its_closed_form(write):
    dataset = jl.optimise(write(KINK))
    # t_mem = A/(8 W) and t_compute = B/(8 F) are equal at F = W B/A; the area left, 700 mm^2, is
    # 0.2 mm^2/TFLOP/s · F + 20 mm^2/TB/s · W. A and B do not depend on the design.
    volume = float(dataset.weight_traffic + dataset.kv_traffic)
    work = float(dataset.flops)
    bandwidth = 700e-6 / (200e-6 / 1e15 * work / volume + 20e-6 / 1e12)
    assert float(dataset.mem_bw) == pytest.approx(bandwidth, rel=1e-5)
    assert float(dataset.peak_flops) == pytest.approx(bandwidth * work / volume, rel=1e-5)
    # One percent more area is 8/7 of a percent more of both.
    assert float(dataset.die_area_at_most_shadow_price) == pytest.approx(8.0 / 7.0, rel=1e-3)
    assert int(dataset.num_agreeing) == int(dataset.num_starts) == 8


@pytest.mark.parametrize(
    ("name", "budget", "limit", "unit"),
    [
        ("speed_by_die", "die_area_at_most", 800.0, "mm^2"),
        pytest.param("throughput_by_power", "power_at_most", 16.0, "kW", marks=pytest.mark.slow),
        ("cost_for_speed", "die_area_at_most", 850.0, "mm^2"),
        pytest.param("power_for_target", "utps_at_least", 500.0, "token/s", marks=pytest.mark.slow),
    ],
)
def test_a_shadow_price_is_what_another_budget_buys(name, budget, limit, unit):
    of, _, side = budget.partition("_at_")
    first = solved(name)
    price = float(first[f"{budget}_shadow_price"])
    assert abs(price) > 0.02  # it binds
    (objective,) = first.attrs["objective"].split()[1:]
    listed = {  # the same whole numbers
        n: [first[n].item()] for n in first.attrs["fields"].split() if f"{n}_bound" not in first
    }
    ends = [
        jl.optimise(name, vary=listed, starts=2, **{f"at_{side}": {of: f"{limit * factor} {unit}"}})
        for factor in (0.999, 1.001)
    ]
    less, more = (np.log(float(end[objective])) for end in ends)
    assert price == pytest.approx((more - less) / np.log(1.001 / 0.999), rel=0.01)


def test_the_memory_has_a_shadow_price_where_it_binds(write):
    text = KINK.replace('sync_latency = "0 us"', 'mem_price = "50 USD/GB"')
    text = text.replace(
        "[price.die_area]", 'mem_capacity = { from = "1 GB", to = "1 TB" }\n[price.die_area]'
    )
    text = text.replace('maximise = "utps"', 'minimise = "capital_cost"')
    dataset = jl.optimise(write(text), at_least={"utps": "200 token/s"})
    assert float(dataset.capacity_utilisation) == pytest.approx(1.0, abs=1e-5)
    memory = 50e-9 * float(dataset.mem_capacity) * 8.0
    share = memory / float(dataset.capital_cost)
    assert float(dataset.memory_shadow_price) == pytest.approx(-share, rel=1e-3)


def test_a_frontier_has_the_optimum_at_each_limit(tmp_path, write):
    limits = ["300 mm^2", "400 mm^2", "800 mm^2"]
    path = tmp_path / "frontier.nc"
    frontier = jl.optimise(write(KINK), path, at_most={"die_area": limits})
    assert frontier.utps.sizes == {"die_area_at_most": 3}
    ends = frontier.search_objective.isel(search=0, round=-1)
    assert np.allclose(ends, frontier.utps, rtol=1e-4)  # the best search ends at what was found
    assert (frontier.search_miss.isel(search=0, round=-1) < 1e-5).all()
    assert frontier.die_area_at_most.values == pytest.approx([3e-4, 4e-4, 8e-4])
    for place, limit in enumerate(limits):
        alone = jl.optimise(write(KINK), at_most={"die_area": limit})
        assert float(frontier.utps[place]) == pytest.approx(float(alone.utps), rel=1e-5)
    with jl.open(path) as stored:
        assert stored.identical(frontier.assign_attrs(stored.attrs)) or stored.utps.equals(
            frontier.utps
        )
        assert stored.utps.attrs["units"] == "s-1"
        assert stored.attrs["objective"] == "maximise utps"


def test_limits_that_cannot_be_met_are_data_in_a_frontier(write):
    dataset = jl.optimise(write(KINK), at_most={"die_area": ["50 mm^2", "800 mm^2"]})
    assert dataset.status.values.tolist() == [1, 0]
    assert np.isnan(dataset.utps[0])
    assert np.isnan(dataset.mem_bw[0])
    assert float(dataset.worst_miss[0]) == pytest.approx(103.0 / 50.0 - 1.0, rel=0.05)
    assert dataset.unmet.values.tolist() == [1, 0]
    assert dataset.unmet.attrs["flag_meanings"] == "die_area_at_most memory"


def test_budgets_that_exclude_each_other_are_all_named(write):
    most = float(jl.optimise(write(KINK)).utps)
    twice = {"utps": f"{2.0 * most} token/s"}
    dataset = jl.optimise(write(KINK), at_least=twice, at_most={"power": "1 MW"})
    names = dataset.unmet.attrs["flag_meanings"].split()
    assert names == ["die_area_at_most", "power_at_most", "utps_at_least", "memory"]
    assert int(dataset.unmet) == 0b101


def test_a_model_that_never_fits_names_the_memory(write):
    dataset = jl.optimise(write(KINK.replace("tp_size = 8", "tp_size = 8\nmem_capacity = '1 GB'")))
    assert int(dataset.status) == 1
    assert int(dataset.unmet) == 0b10


def test_another_seed_finds_the_same_optimum_and_the_same_seed_the_same_bits():
    first = solved("speed_by_die")
    again, other = (jl.optimise("speed_by_die", seed=seed) for seed in (0, 7))
    assert float(again.mem_bw) == float(first.mem_bw)
    assert float(other.utps) == pytest.approx(float(first.utps), rel=1e-5)


def test_whole_numbers_alone_are_tried_one_by_one(write):
    text = KINK.partition("[vary]")[0].replace("tp_size = 8\nbatch_size = 64\n", "")
    text += "[vary]\ntp_size = { pow2 = [1, 64] }\nbatch_size = [1, 3, 70, 300]\n"
    text += '[objective]\nmaximise = "stps"\n[[budget]]\nof = "utps"\nat_least = "250 token/s"\n'
    problem = build_problem(read_problem(write(text), {}))
    dataset = jl.optimise(write(text))
    best, num_points = best_of_grid(problem, 28, precision="float64")
    assert num_points == 28
    assert best["stps"] == float(dataset.stps)
    assert (best["tp_size"], best["batch_size"]) == (dataset.tp_size, dataset.batch_size)


def test_a_price_of_ones_own_is_a_budget_like_any_other(write):
    text = KINK.replace("[price.die_area]\n", '[price.shoreline]\nunit = "m^2"\n')
    text = text.replace("die_area", "shoreline")
    dataset = jl.optimise(write(text))
    assert float(dataset.utps) == pytest.approx(float(jl.optimise(write(KINK)).utps), rel=1e-6)
    assert "problem's own" in dataset.shoreline.attrs["long_name"]


def test_slopes_equal_central_differences():
    problem = problem_of("speed_by_die")
    fields = {name: np.full(5, value) for name, value in problem.scenario.base.items()}
    fields |= {"tp_size": np.full(5, 32.0), "batch_size": np.full(5, 4.0)}
    free = tuple(span.name for span in problem.ranges)
    rng = np.random.default_rng(1)
    logs = np.log([[1e15, 1e13, 1e-6]]) + rng.uniform(-0.5, 0.5, (5, 3))
    ask = functools.partial(
        log_slopes,
        fields,
        free=free,
        names=("utps", "power", "die_area", "capital_cost", "capacity_utilisation"),
        static=problem.scenario.fixed_static(),
        rules=problem.scenario.rules,
    )
    _, slopes = ask(logs)
    for place in range(3):
        step = 1e-5 * np.eye(3)[place]
        differences = (ask(logs + step)[0] - ask(logs - step)[0]) / 2e-5
        assert slopes[..., place] == pytest.approx(differences, abs=1e-7)


def test_reductions_keep_budgets_and_prices_as_a_loop_does():
    price = Price(
        name="power_density",
        unit="W/m^2",
        constant=1e5,
        terms=(Term(field="mem_bw", factor=1e-7, power=1.0),),
    )
    assert price.value({"mem_bw": 1e12}) == 2e5
    rules = Rules(prices=(price,), budgets=(Budget(of="power", most=True, limit=2e3),))
    assert rules.priced({"mem_bw": 2e12})["power_density"] == 3e5
    problem = problem_of("speed_by_die")
    best, _ = best_of_grid(problem, 2000, precision="float64")
    assert best["utps"] == pytest.approx(_best_by_loop(problem, 2000), rel=1e-12)


def _best_by_loop(problem, num_points):
    """The best of the same grid, point by point through ``jl.evaluate``'s own model."""
    from jaxlimits.engine.sensitivity import outputs_at

    num = max(2, round((num_points / 35) ** (1 / 3)))
    spaced = [np.geomspace(s.lower, s.upper, num) for s in problem.ranges]
    listed = [axis.values for axis in problem.scenario.axes[3:]]
    mesh = np.meshgrid(*spaced, *listed, indexing="ij")
    flat = [part.ravel() for part in mesh]
    names = [axis.name for axis in problem.scenario.axes]
    static = tuple(sorted(problem.scenario.fixed_static().items()))
    wanted = ("utps", "stps", "power", "feasible")
    # die_area and peak_vector_flops by hand, from the problem's file.
    columns = dict(zip(names, flat, strict=True))
    columns["die_area"] = 60e-6 + 180e-6 * columns["peak_flops"] / 1e15
    columns["die_area"] += 20e-6 * columns["mem_bw"] / 1e12 + 60e-6 * 1e-6 / columns["sync_latency"]
    columns["peak_vector_flops"] = 33e12 * columns["peak_flops"] / 1e15
    base = {n: v for n, v in problem.scenario.base.items() if n not in columns}
    with jax.enable_x64(True):
        base = {name: jnp.asarray(value) for name, value in base.items()}
        columns = {name: jnp.asarray(value) for name, value in columns.items()}
        found = jax.vmap(lambda at: outputs_at({**base, **at}, static, wanted))(columns)
    metrics = {name: np.asarray(array) for name, array in found.items()}
    kept = metrics["feasible"] & (np.asarray(columns["die_area"]) <= 800e-6)
    kept &= (metrics["power"] <= 60e3) & (metrics["stps"] >= 2000.0)
    return metrics["utps"][kept].max()
