"""Closed forms of collectives against the same algorithms played message by message.

The network below knows nothing of the package: chips with one outgoing and one incoming link each,
both of rate ``w``, and messages that take ``alpha`` to cross. Chips hold real numbers, so that a
schedule that would not sum or spread them rightly is caught too.
"""

import jax
import numpy as np
import pytest

from jaxlimits.model import alpha_beta
from jaxlimits.model.alpha_beta import ALL_REDUCES, Group

pytestmark = pytest.mark.usefixtures("x64")

ALPHA, RATE = 2e-6, 3e9
SIZES = [2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 32]
PAYLOADS = [0.0, 8.0, 16_384.0, 5e6]


class Network:
    """Links with the time until which each is taken."""

    def __init__(self):
        self.outgoing = {}
        self.incoming = {}

    def send(self, source, target, payload, ready):
        """Send from ``ready`` on; return when the last byte has arrived."""
        start = max(ready, self.outgoing.get(source, 0.0))
        self.outgoing[source] = start + payload / RATE
        first = max(start + ALPHA, self.incoming.get(target, 0.0))
        self.incoming[target] = first + payload / RATE
        return first + payload / RATE


def parts_of(size):
    """What each chip brings: a row a chip, a column a part."""
    return np.random.default_rng(size).integers(1, 100, (size, size)).astype(float)


def others(chip, size):
    """The other chips, each sender beginning with its neighbour so that no two meet."""
    return [(chip + step) % size for step in range(1, size)]


def played_one_shot(size, payload):
    network, held = Network(), parts_of(size)
    arrivals = [
        network.send(chip, other, payload, 0.0)
        for step in range(size - 1)
        for chip in range(size)
        for other in [others(chip, size)[step]]
    ]
    return max(arrivals), [held.sum(axis=0) for _ in range(size)]


def played_reduce_scatter(size, payload):
    """Each chip ends with the sum of its own part; return the time of each."""
    network, held = Network(), parts_of(size)
    done, sums = [0.0] * size, np.diag(held).copy()
    for step in range(size - 1):
        for chip in range(size):
            other = others(chip, size)[step]
            done[other] = max(done[other], network.send(chip, other, payload / size, 0.0))
            sums[other] += held[chip, other]
    return done, sums


def played_all_gather(size, payload, ready, sums):
    network = Network()
    results = [{chip: sums[chip]} for chip in range(size)]
    end = max(ready)
    for step in range(size - 1):
        for chip in range(size):
            other = others(chip, size)[step]
            end = max(end, network.send(chip, other, payload / size, ready[chip]))
            results[other][chip] = sums[chip]
    return end, [np.array([result[part] for part in range(size)]) for result in results]


def played_two_shot(size, payload):
    ready, sums = played_reduce_scatter(size, payload)
    return played_all_gather(size, payload, ready, sums)


def played_ring(size, payload):
    """Parts travel round the ring, summed on the way, then copied on the second round."""
    network, held = Network(), parts_of(size)
    ready = [0.0] * size
    for step in range(2 * (size - 1)):
        before, moving = list(ready), []
        for chip in range(size):
            part = (chip - step) % size
            arrival = network.send(chip, (chip + 1) % size, payload / size, before[chip])
            moving.append(((chip + 1) % size, part, held[chip, part], arrival))
        for target, part, value, arrival in moving:
            held[target, part] = held[target, part] + value if step < size - 1 else value
            ready[target] = max(ready[target], arrival)
    return max(ready), list(held)


def played_tree(size, payload):
    """Rounds in which chips at twice the distance pair up, to the first chip and back."""
    held, now = parts_of(size), 0.0
    distances = [2**k for k in range(size) if 2**k < size]
    for distance in distances:
        network = Network()  # a round begins when the one before has ended
        pairs = [(i + distance, i) for i in range(0, size - distance, 2 * distance)]
        now = max(network.send(source, target, payload, now) for source, target in pairs)
        for source, target in pairs:
            held[target] += held[source]
    for distance in reversed(distances):
        network = Network()
        pairs = [(i, i + distance) for i in range(0, size - distance, 2 * distance)]
        now = max(network.send(source, target, payload, now) for source, target in pairs)
        for source, target in pairs:
            held[target] = held[source]
    return now, list(held)


def played_in_network(size, payload):
    """A switch that sums byte by byte: each goes on as soon as every chip's has come."""
    held = parts_of(size)
    offsets = np.linspace(0.0, payload / RATE, 5)  # when a few of the bytes leave a chip
    at_switch = np.max([offsets + ALPHA for _ in range(size)], axis=0)
    return (at_switch + ALPHA).max(), [held.sum(axis=0)] * size


PLAYED = {
    "one-shot": played_one_shot,
    "two-shot": played_two_shot,
    "ring": played_ring,
    "tree": played_tree,
    "in-network": played_in_network,
}


def group(size):
    return Group(size=float(size), latency=ALPHA, link_bw=RATE)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ALL_REDUCES)
def test_an_all_reduce_takes_as_long_as_its_messages(name, size, payload):
    end, results = PLAYED[name](size, payload)
    for result in results:
        assert result.tolist() == parts_of(size).sum(axis=0).tolist()
    assert float(ALL_REDUCES[name](group(size), payload)) == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("size", SIZES)
def test_a_reduce_scatter_and_an_all_gather_take_as_long_as_their_messages(size, payload):
    ready, sums = played_reduce_scatter(size, payload)
    end, _ = played_all_gather(size, payload, [0.0] * size, sums)
    expected = float(alpha_beta.all_gather(group(size), payload))
    assert max(ready) == pytest.approx(expected, rel=1e-12)
    assert end == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("size", SIZES)
def test_an_all_to_all_takes_as_long_as_its_messages(size, payload):
    network = Network()
    arrivals = [
        network.send(chip, others(chip, size)[step], payload / size, 0.0)
        for step in range(size - 1)
        for chip in range(size)
    ]
    expected = float(alpha_beta.all_to_all(group(size), payload))
    assert max(arrivals) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_message_to_one_chip_takes_its_latency_and_its_bytes(payload):
    expected = float(alpha_beta.point_to_point(group(2), payload))
    assert Network().send(0, 1, payload, 0.0) == pytest.approx(expected, rel=1e-12)


def test_the_forms_by_hand():
    # 8 chips, 24,000 B at 3 GB/s are 8 us whole and 1 us an eighth; a message's latency is 2 us.
    times = {name: float(form(group(8), 24_000.0)) for name, form in ALL_REDUCES.items()}
    assert times == pytest.approx(
        {
            "one-shot": 58e-6,  # 2 + 7 * 8
            "two-shot": 18e-6,  # 2 * 2 + 2 * 7 * 1
            "ring": 42e-6,  # 14 * (2 + 1)
            "tree": 60e-6,  # 2 * 3 * (2 + 8)
            "in-network": 12e-6,  # 2 * 2 + 8
        }
    )


def test_each_regime_has_its_algorithm():
    def best(size, payload):
        return min(PLAYED, key=lambda name: float(ALL_REDUCES[name](group(size), payload)))

    assert best(8, 0.0) == "one-shot"
    assert best(8, 5e6) == "in-network"
    assert best(2, 5e6) in {"one-shot", "two-shot", "ring"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounds_of_a_tree_are_whole_at_every_size(dtype):
    sizes = np.arange(1, 65537).astype(dtype)
    rounds = np.asarray(jax.jit(jax.vmap(alpha_beta.ceil_log2))(sizes))
    assert rounds.dtype == dtype
    assert rounds.tolist() == [(int(size) - 1).bit_length() for size in sizes]


def test_a_tree_at_a_power_of_two_has_the_rounds_of_the_left_side():
    assert float(alpha_beta.ceil_log2(8.0)) == float(alpha_beta.ceil_log2(7.5)) == 3.0
    assert float(alpha_beta.ceil_log2(8.001)) == 4.0


@pytest.mark.parametrize("name", ALL_REDUCES)
@pytest.mark.parametrize("size", [1.0, 2.0, 8.0])
def test_forms_have_finite_derivatives_for_one_chip_too(name, size):
    form = ALL_REDUCES[name]
    at = jax.tree.map(np.float64, group(size))
    slopes = jax.grad(form, argnums=(0, 1))(at, np.float64(0.0))
    assert all(np.isfinite(slope) for slope in jax.tree.leaves(slopes))
