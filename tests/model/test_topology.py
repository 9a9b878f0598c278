"""Collectives on every topology against the same algorithms played message by message."""

import itertools
import math

import jax
import numpy as np
import pytest

from jaxlimits.model import alpha_beta, topology
from jaxlimits.model.alpha_beta import ALGORITHMS_ON, ALL_GATHERS_ON, ALL_REDUCES, Group
from jaxlimits.model.collectives import activation_bytes, all_reduce, all_to_all, pp_sync, sync
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.topology import collective_time
from tests.helpers import LINK_LATENCIES, ON_TOPOLOGIES, named_scenario, one_in
from tests.network import (
    Line,
    Times,
    direct,
    exchange,
    gather,
    scatter_sums,
    stream,
    switched,
    tree_rounds,
    walk,
)

pytestmark = pytest.mark.usefixtures("x64")

NEAR, FAR = Times(2e-6, 3e-7, 3e9), Times(7e-6, 0.0, 5e8)
"""Links of a side or inside a domain, and those between domains."""
PAYLOADS = [0.0, 16_384.0, 5e6]
SIDES = [(1, 2), (1, 3), (1, 4), (1, 7), (2, 2), (2, 3), (2, 4), (4, 4), (3, 5), (4, 8), (1, 16)]
CUBES = [(2, 2, 2), (2, 3, 1), (1, 1, 5), (3, 2, 4), (4, 4, 4)]
SHAPES = {"mesh-2d": "line", "torus-2d": "loop", "torus-3d": "loop", "wafer-mesh": "line"}
PLACED = [(name, shape) for name in SHAPES for shape in (CUBES if name == "torus-3d" else SIDES)]
DOMAINS = [(2, 2), (4, 2), (8, 2), (3, 3), (8, 4), (1, 5), (8, 1)]


def sides(shape, name):
    """Lines along the columns, the rows, and the planes, where there is more than one chip.

    A shape is (rows, columns), or (planes, rows, columns).
    """
    places = list(itertools.product(*map(range, shape)))
    closed = SHAPES[name] == "loop"
    found = []
    for along in reversed(range(len(shape))):
        starts = [place for place in places if place[along] == 0]
        lines = [[(*p[:along], i, *p[along + 1 :]) for i in range(shape[along])] for p in starts]
        found.append([Line(nodes, closed=closed) for nodes in lines])
    return [lines for lines in found if len(lines[0].nodes) > 1]


def played_on_sides(name, lines_of, payload):
    """Seconds of an all-reduce on a mesh, a torus or a wafer, all of whose lines work at once."""
    if name in {"two-shot", "ring"}:
        parts = list(
            itertools.accumulate((len(ls[0].nodes) for ls in lines_of), lambda p, n: p * n)
        )
        seconds = 0.0
        for lines, part in zip(lines_of, parts, strict=True):
            seconds += walk(scatter_sums(lines, payload / part), NEAR, summing=True)
        for lines, part in reversed(list(zip(lines_of, parts, strict=True))):
            # In a ring every chip takes part in every step; of two shots the second only passes.
            seconds += walk(gather(lines, payload / part), NEAR, summing=name == "ring")
        return seconds
    if name == "one-shot":
        return sum(walk(gather(lines, payload), NEAR) for lines in lines_of)
    if name == "in-network":  # the sums of all chips on either side, a stream each
        return sum(streamed_sums(lines, payload) for lines in lines_of)
    return sum(
        2.0 * stream(messages, NEAR)
        for lines in lines_of
        for messages in tree_rounds(lines, payload)
    )


def streamed_sums(lines, payload):
    """Each chip gets what streams from either end, summed by the routers on the way."""
    length = len(lines[0].nodes)
    ends = [line.path(0, length - 1, 1, payload) for line in lines]
    ends += [line.path(length - 1, length - 1, -1, payload) for line in lines]
    assert all(len({*m.nodes}) == length for m in ends)
    return stream(ends, NEAR)


def levels_of_sides(shape, name):
    return tuple(
        Group(float(n), NEAR.alpha, NEAR.rate, router_latency=NEAR.rho, shape=SHAPES[name])
        for n in reversed(shape)
    )


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    ("name", "shape", "algorithm"),
    [(name, shape, a) for name, shape in PLACED for a in ALGORITHMS_ON[name]],
    ids=str,
)
def test_an_all_reduce_in_dimensions_takes_as_long_as_its_messages(name, shape, algorithm, payload):
    end = played_on_sides(algorithm, sides(shape, name), payload)
    time = collective_time("all-reduce", algorithm, levels_of_sides(shape, name), payload)
    assert float(time.total) == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(("name", "shape"), PLACED, ids=str)
def test_an_all_to_all_in_dimensions_takes_as_long_as_its_messages(name, shape, payload):
    # First along the row to the column of the receiver, with all that is for that column.
    end = sum(
        walk(exchange(lines, payload / len(lines[0].nodes)), NEAR) for lines in sides(shape, name)
    )
    time = collective_time("all-to-all", "one-shot", levels_of_sides(shape, name), payload)
    assert float(time.total) == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    ("name", "shape", "algorithm"),
    [(name, shape, a) for name, shape in PLACED for a in ALL_GATHERS_ON[name]],
    ids=str,
)
def test_an_all_gather_in_dimensions_takes_as_long_as_its_messages(name, shape, algorithm, payload):
    end, part = 0.0, payload / math.prod(shape)
    for lines in reversed(sides(shape, name)):  # each chip's part, then what its column has
        end += walk(gather(lines, part), NEAR, summing=algorithm == "ring")
        part *= len(lines[0].nodes)
    time = collective_time("all-gather", algorithm, levels_of_sides(shape, name), payload)
    assert float(time.total) == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("hops", [1, 2, 4])
def test_a_shift_along_a_line_takes_as_long_as_its_messages(hops, payload):
    line = Line(range(12))
    messages = [line.path(place, hops, 1, payload) for place in range(12 - hops)]
    group = Group(2.0, NEAR.alpha, NEAR.rate, router_latency=NEAR.rho, shape="line")
    time = alpha_beta.shift(group, payload, hops=float(hops))
    assert float(time) == pytest.approx(walk(messages, NEAR), rel=1e-12)


def played_on_rails(algorithm, inside, domains, payload):
    """Seconds of an all-reduce among domains behind switches and the rails between them."""
    both = [(inside, NEAR), (domains, FAR)]
    if algorithm in {"two-shot", "ring"}:
        seconds, part = 0.0, payload
        for size, times in both:
            part /= size
            steps = 1 if algorithm == "two-shot" else size - 1
            shots = switched(range(size), part) if steps == 1 else ring_step(size, part)
            seconds += 2 * steps * walk(shots, times) if size > 1 else 0.0
        return seconds
    whole = {"one-shot": one_shot, "tree": tree, "in-network": in_network}[algorithm]
    return sum(whole(size, times, payload) for size, times in both if size > 1)


def ring_step(size, part):
    return [direct(chip, (chip + 1) % size, part) for chip in range(size)]


def one_shot(size, times, payload):
    return walk(switched(range(size), payload), times)


def tree(size, times, payload):
    rounds = tree_rounds([Line(range(size))], payload)
    hops = [[direct(m.nodes[0], m.nodes[-1], payload) for m in messages] for messages in rounds]
    return 2.0 * sum(walk(messages, times) for messages in hops)


def in_network(size, times, payload):
    up = [direct(chip, ("switch", chip), payload) for chip in range(size)]
    return stream(up, times) + times.alpha  # down again while it still goes up


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("shape", DOMAINS, ids=str)
@pytest.mark.parametrize("algorithm", ALGORITHMS_ON["rail"])
def test_an_all_reduce_over_rails_takes_as_long_as_its_messages(algorithm, shape, payload):
    time = collective_time("all-reduce", algorithm, levels_of_rails(*shape), payload)
    assert float(time.total) == pytest.approx(
        played_on_rails(algorithm, *shape, payload), rel=1e-12
    )


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("shape", DOMAINS, ids=str)
def test_an_all_to_all_over_rails_takes_as_long_as_its_messages(shape, payload):
    # Inside a domain to the chip on the receiver's rail, then over the rail.
    both = zip(shape, (NEAR, FAR), strict=True)
    end = sum(walk(switched(range(n), payload / n), times) for n, times in both if n > 1)
    time = collective_time("all-to-all", "one-shot", levels_of_rails(*shape), payload)
    assert float(time.total) == pytest.approx(end, rel=1e-12)


def levels_of_rails(inside, domains):
    return (
        Group(float(inside), NEAR.alpha, NEAR.rate),
        Group(float(domains), FAR.alpha, FAR.rate),
    )


def doubled(size, times, part):
    """Seconds in which what a chip holds doubles in each round, until all have every part."""
    held, seconds, distance = [{chip} for chip in range(size)], 0.0, 1
    while distance < size:
        lacking = min(distance, size - distance)  # parts that the partner does not have yet
        before = [set(parts) for parts in held]
        for chip in range(size):
            source = (chip + distance) % size
            ahead = {(source + step) % size for step in range(lacking)}
            assert ahead <= before[source]
            held[chip] |= ahead
        pairs = [direct((c + distance) % size, c, lacking * part) for c in range(size)]
        seconds += walk(pairs, times)
        distance *= 2
    assert all(len(parts) == size for parts in held)
    return seconds


def passed_around(size, times, part):
    """Seconds in which each part goes once around, from neighbour to neighbour."""
    return (size - 1) * walk(ring_step(size, part), times)


def sent_straight(size, times, part):
    """Seconds in which every chip sends its part to each other one."""
    return walk(switched(range(size), part), times)


GATHERS = {"one-shot": sent_straight, "ring": passed_around, "tree": doubled}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 16])
@pytest.mark.parametrize("algorithm", ALL_GATHERS_ON["switched"])
def test_an_all_gather_behind_a_switch_takes_as_long_as_its_messages(algorithm, size, payload):
    end = GATHERS[algorithm](size, NEAR, payload / size)
    alone = (Group(float(size), NEAR.alpha, NEAR.rate),)
    time = collective_time("all-gather", algorithm, alone, payload)
    assert float(time.total) == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("shape", DOMAINS, ids=str)
@pytest.mark.parametrize("algorithm", ALL_GATHERS_ON["rail"])
def test_an_all_gather_over_rails_takes_as_long_as_its_messages(algorithm, shape, payload):
    # Each chip's part over its rail to the other domains, then what the rail has inside the domain.
    inside, domains = shape
    end = GATHERS[algorithm](domains, FAR, payload / inside / domains) if domains > 1 else 0.0
    end += GATHERS[algorithm](inside, NEAR, payload / inside) if inside > 1 else 0.0
    time = collective_time("all-gather", algorithm, levels_of_rails(*shape), payload)
    assert float(time.total) == pytest.approx(end, rel=1e-12)


def test_every_all_gather_is_played_on_every_topology_that_has_it():
    assert set(ALL_GATHERS_ON) == set(ALGORITHMS_ON) == {*SHAPES, "switched", "rail"}
    assert set(GATHERS) == {a for known in ALL_GATHERS_ON.values() for a in known}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 16])
def test_rounds_of_pairs_take_as_long_as_their_messages(size, payload):
    rounds = [
        [direct(chip, (chip + distance) % size, payload / size) for chip in range(size)]
        for distance in range(1, size)
    ]
    group = Group(float(size), NEAR.alpha, NEAR.rate)
    end = pytest.approx(sum(walk(messages, NEAR) for messages in rounds), rel=1e-12)
    assert float(alpha_beta.ring_all_to_all(group, payload)) == end
    assert float(alpha_beta.ring_all_gather(group, payload)) == end


# ---------------------------------------------------------------- from the chip and the deployment


def by_hand(**values):
    """A replica of llama3-70b: 16,384 B of activations; 16.384 GB/s move them in 1 us."""
    links = {"sync_latency": 1e-6, "hop_latency": 1e-6, "link_bw": 16.384e9}
    links |= {"router_latency": 1e-7, "scale_out_latency": 5e-6, "scale_out_bw": 8.192e9}
    return named_scenario("llama3-70b", "h100", **links, **values)


@pytest.mark.parametrize(
    ("values", "microseconds"),
    [
        # A link of a mesh has a quarter of the rate: 4 us for the payload.
        # 2 x 4: along 4, 1 + 2 * 0.1 + 3 * 4; along 2, 1 + 4.
        ({"topology": "mesh-2d", "collective_algorithm": "one-shot"}, 13.2 + 5),
        # As a line of 8: 1 + 6 * 0.1 + 7 * 4.
        ({"topology": "mesh-2d", "collective_algorithm": "one-shot", "mesh_rows": 1.0}, 29.6),
        # Loops: of 4, 2 hops and 3/2 parts: 1 + 0.1 + 6; of 2, 1 hop and 1/2 part: 1 + 2.
        ({"topology": "torus-2d", "collective_algorithm": "one-shot"}, 7.1 + 3),
        # Of 4: 2 * 2 + 3/4 * 4. Of 2, with a quarter of the payload: 2 * 1 + 1/2 * 1.
        ({"topology": "torus-2d", "collective_algorithm": "ring"}, 7 + 2.5),
        # 2 x 2 x 2, a link has a sixth: 6 us for the payload, of which half a part each way: 1 + 3.
        ({"topology": "torus-3d", "collective_algorithm": "one-shot"}, 3 * 4),
        # 2 x 4 x 1: of 4, 1 + 0.1 + 3/2 * 6; of 2, 4.
        ({"topology": "torus-3d", "collective_algorithm": "one-shot", "mesh_rows": 4.0}, 10.1 + 4),
        # Streams: 1 + 2 * 0.1 + 4, and 1 + 4.
        ({"topology": "wafer-mesh", "collective_algorithm": "in-network"}, 5.2 + 5),
        # Two domains of 4: 1 + 3 * 1 inside, 5 + 2 over the rails.
        ({"topology": "rail", "collective_algorithm": "one-shot", "scale_up_size": 4.0}, 4 + 7),
        # Eight in one domain: 1 + 7.
        ({"topology": "rail", "collective_algorithm": "one-shot", "scale_up_size": 8.0}, 8),
        # Two domains hold eight chips where one takes seven: four in each.
        ({"topology": "rail", "collective_algorithm": "one-shot", "scale_up_size": 7.0}, 4 + 7),
        ({"topology": "switched", "collective_algorithm": "one-shot"}, 8),
    ],
)
def test_an_all_reduce_of_eight_chips_by_hand(values, microseconds):
    point = by_hand(tp_size=8.0, **values)
    time = all_reduce(point.chip, point.llm, point.deployment)
    assert float(time.total) == pytest.approx(microseconds * 1e-6, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "microseconds"),
    [
        ({"topology": "switched"}, 3 * (1 + 1)),
        # 2 x 4 chips a stage: 2 hops, 2 payloads on each link: 1 + 0.1 + 2 * 4.
        ({"topology": "mesh-2d"}, 3 * 9.1),
        # 2 x 2 x 2: 2 payloads on each of links with a sixth of the rate: 1 + 0.1 + 2 * 6.
        ({"topology": "torus-3d"}, 3 * 13.1),
        # 32 chips in domains of 16: one of three hops goes over the rails, 5 + 2.
        ({"topology": "rail", "scale_up_size": 16.0}, 2 * 2 + 7),
        ({"topology": "rail", "scale_up_size": 4.0}, 3 * 7),
        ({"topology": "rail", "scale_up_size": 32.0}, 3 * 2),
    ],
)
def test_hops_of_four_stages_by_hand(values, microseconds):
    point = by_hand(tp_size=8.0, pp_size=4.0, collective_algorithm="ring", **values)
    time = pp_sync(point.chip, point.llm, point.deployment)
    assert float(time.total) == pytest.approx(microseconds * 1e-6, rel=1e-12)


@pytest.mark.parametrize(
    ("scale_up_size", "inside", "domains"), [(64.0, 16, 1), (16.0, 8, 2), (4.0, 2, 8), (1.0, 1, 16)]
)
def test_ranks_of_two_chips_share_domains(scale_up_size, inside, domains):
    # 16 ranks on 32 chips: a domain of 16 chips holds 8 of them, one of a single chip no more than
    # a rank's half.
    point = by_hand(tp_size=8.0, dp_size=4.0, ep_size=16.0, scale_up_size=scale_up_size)
    levels = topology.group_levels(
        point.chip, point.but(topology="rail").deployment, size=16.0, chips=32.0, latency=1e-6
    )
    assert [float(level.size) for level in levels] == [inside, domains]


def shape_of(size, name, **rows):
    deployment = Deployment(topology=name, collective_algorithm="ring", **rows)
    return [float(side) for side in topology.mesh_sides(deployment, size=float(size))]


@pytest.mark.parametrize(
    ("size", "rows"), [(1, 1), (2, 1), (3, 1), (4, 2), (7, 1), (8, 2), (12, 2), (16, 4), (1024, 32)]
)
def test_a_mesh_is_as_square_as_powers_of_two_make_it(size, rows):
    assert shape_of(size, "mesh-2d") == [size / rows, rows]


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        *((1, [1, 1, 1]), (2, [2, 1, 1]), (4, [2, 1, 2]), (7, [7, 1, 1]), (8, [2, 2, 2])),
        *((16, [4, 2, 2]), (64, [4, 4, 4]), (128, [8, 4, 4]), (4096, [16, 16, 16])),
    ],
)
def test_a_torus_in_three_dimensions_is_as_even_as_powers_of_two_make_it(size, sides):
    assert shape_of(size, "torus-3d") == sides


def test_a_mesh_has_the_rows_that_are_asked_for_where_they_divide_it():
    assert shape_of(12, "mesh-2d", mesh_rows=3.0) == [4, 3]
    assert shape_of(16, "mesh-2d", mesh_rows=3.0) == [4, 4]
    assert shape_of(48, "torus-3d", mesh_rows=3.0) == [4, 3, 4]


# ------------------------------------------------------------------------------------- properties

SIZES = {"tp_size": 8.0, "pp_size": 2.0, "dp_size": 4.0, "ep_size": 16.0, "batch_size": 8.0}


def times_of(values, **more):
    point = named_scenario("deepseek-v3", "h200", **{**SIZES, **values, **more})
    return jax.tree.map(float, sync(point.chip, point.llm, point.deployment))


@pytest.mark.parametrize(("name", "algorithm"), ON_TOPOLOGIES)
def test_one_chip_waits_for_nobody(name, algorithm):
    alone = {"tp_size": 1.0, "pp_size": 1.0, "dp_size": 1.0, "ep_size": 1.0}
    times = times_of({"topology": name, "collective_algorithm": algorithm}, **alone)
    assert (times.total, times.latency, times.payload) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("name", "algorithm"), ON_TOPOLOGIES)
def test_latency_and_payload_make_the_whole(name, algorithm):
    times = times_of({"topology": name, "collective_algorithm": algorithm})
    assert times.latency > 0.0
    assert times.payload > 0.0
    assert times.latency + times.payload == pytest.approx(times.total, rel=1e-12)


def test_a_constant_is_all_latency():
    times = times_of({})
    assert (times.latency, times.payload) == (times.total, 0.0)


@pytest.mark.parametrize("batch_size", [1.0, 64.0, 4096.0])
@pytest.mark.parametrize("name", ALGORITHMS_ON)
def test_the_best_is_the_least_of_those_with_a_path(name, batch_size):
    point = named_scenario("llama3-70b", "h100", tp_size=16.0, batch_size=batch_size, topology=name)

    def by(algorithm):
        chosen = point.but(collective_algorithm=algorithm)
        return jax.tree.map(float, all_reduce(chosen.chip, chosen.llm, chosen.deployment))

    each = [by(algorithm) for algorithm in ALGORITHMS_ON[name]]
    assert by("best") == by("auto") == min(each, key=lambda times: times.total)


@pytest.mark.parametrize("field", ["link_bw", "scale_out_bw"])
@pytest.mark.parametrize(("name", "algorithm"), one_in(3, ON_TOPOLOGIES))
def test_more_of_a_link_never_hurts(name, algorithm, field):
    values = {"topology": name, "collective_algorithm": algorithm}
    less, more = times_of(values, **{field: 4e9}), times_of(values, **{field: 8e9})
    assert more.total <= less.total


@pytest.mark.parametrize("field", LINK_LATENCIES)
@pytest.mark.parametrize(("name", "algorithm"), one_in(3, ON_TOPOLOGIES))
def test_a_longer_latency_never_helps(name, algorithm, field):
    values = {"topology": name, "collective_algorithm": algorithm}
    assert times_of(values, **{field: 1e-3}).total >= times_of(values, **{field: 1e-6}).total


@pytest.mark.parametrize("name", one_in(2, ALGORITHMS_ON))
def test_derivatives_are_finite(name):
    # The best goes through every algorithm: an infinite slope of any would be a NaN here.
    chosen = {"topology": name, "collective_algorithm": "best"}
    point = named_scenario("deepseek-v3", "h200", **SIZES, **chosen)
    slopes_at = jax.jit(jax.grad(weighed_parts))
    for tp_size in (1.0, 2.0, 8.0, 9.0):
        at = point.but(tp_size=tp_size)
        slopes = slopes_at(jax.tree.map(np.float64, (at.chip, at.llm, at.deployment)))
        assert all(np.isfinite(slope) for slope in jax.tree.leaves(slopes))


def weighed_parts(records):
    times = sync(*records)
    return times.total + 2.0 * times.latency + 3.0 * times.payload


def test_an_algorithm_without_a_path_makes_no_deployment():
    with pytest.raises(ValueError, match=r"in-network has no path on torus-2d, but one-shot"):
        Deployment(topology="torus-2d", collective_algorithm="in-network")


def test_every_algorithm_has_a_path_somewhere():
    assert {a for known in ALGORITHMS_ON.values() for a in known} == set(ALL_REDUCES)


def test_the_payload_of_a_collective_is_the_activations_or_the_routed_ones():
    point = by_hand(tp_size=8.0, collective_algorithm="two-shot")
    payload = activation_bytes(point.llm, point.deployment)
    expected = 2.0 * 7 / 8 * payload / point["link_bw"]
    assert float(all_reduce(point.chip, point.llm, point.deployment).payload) == pytest.approx(
        expected, rel=1e-12
    )
    spread = named_scenario("deepseek-v3", "h200", collective_algorithm="ring", ep_size=16.0)
    # 8 experts * 7168 elements * 2 B, 15/16 of it to other ranks
    expected = 15 / 16 * 8 * 14_336 / spread["link_bw"]
    assert float(all_to_all(spread.chip, spread.llm, spread.deployment).payload) == pytest.approx(
        expected, rel=1e-12
    )
