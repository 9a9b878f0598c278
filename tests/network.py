"""A small network on which collectives are played message by message.

It knows nothing of the package. A message is a list of hops, a hop the links that it takes: one
between neighbours, or one into a switch and one out of it. ``walk`` moves messages in steps, all of
a step's at once; ``stream`` lets each run through, and refuses two on one link.
"""

import itertools
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Latency of a message, what a further router adds, and the rate of a link."""

    alpha: float
    rho: float
    rate: float


@dataclass(frozen=True)
class Message:
    """Where a message goes: its nodes in turn, the links of each hop, its bytes, its first step."""

    nodes: tuple
    hops: tuple
    size: float
    start: int = 0


def walk(messages, times, *, summing=False):
    """Seconds in which all arrive, each a hop a step; ``summing`` chips take part in each hop."""
    seconds = 0.0
    for step in range(max((m.start + len(m.hops) for m in messages), default=0)):
        loads = Counter()
        for message in messages:
            if message.start <= step < message.start + len(message.hops):
                for link in message.hops[step - message.start]:
                    loads[link] += message.size
        wait = times.alpha if summing or step == 0 else times.rho
        seconds += wait + max(loads.values()) / times.rate
    return seconds


def stream(messages, times):
    """Seconds in which messages arrive that share no link."""
    links = [link for m in messages for hop in m.hops for link in hop]
    assert len(set(links)) == len(links)
    return max(times.alpha + (len(m.hops) - 1) * times.rho + m.size / times.rate for m in messages)


class Line:
    """Nodes in a row, or in a circle where ``closed``."""

    def __init__(self, nodes, *, closed=False):
        self.nodes, self.closed = list(nodes), closed

    def path(self, first, hops, step, size, start=0, backwards=False):
        """A message over some hops to the right (1) or to the left (-1) of the place ``first``."""
        n = len(self.nodes)
        places = [(first + step * hop) % n for hop in range(hops + 1)]
        assert self.closed or all(0 <= first + step * hop < n for hop in range(hops + 1))
        nodes = [self.nodes[place] for place in (reversed(places) if backwards else places)]
        # In a circle of two the neighbours are joined twice: the direction tells the links apart.
        sense = -step if backwards else step
        hops_taken = tuple(((a, b, sense),) for a, b in itertools.pairwise(nodes))
        return Message(tuple(nodes), hops_taken, size, start)

    def arms(self, place):
        """(hops, direction, share) by which a chip's part reaches all the others."""
        n = len(self.nodes)
        if not self.closed:
            return [(n - 1 - place, 1, 1.0), (place, -1, 1.0)]
        far, near = n // 2, n - 1 - n // 2
        return [(far, 1, 0.5), (near, -1, 0.5), (near, 1, 0.5), (far, -1, 0.5)]

    def ways(self, source, target):
        """(hops, direction, share) by which a chip's part reaches one other."""
        n, ahead = len(self.nodes), target - source
        if not self.closed:
            return [(abs(ahead), 1 if ahead > 0 else -1, 1.0)]
        right, left = ahead % n, -ahead % n
        if right == left:
            return [(right, 1, 0.5), (left, -1, 0.5)]
        return [(right, 1, 1.0) if right < left else (left, -1, 1.0)]


def gather(lines, size):
    """Messages by which each chip's ``size`` bytes reach all chips of its line."""
    got, messages = Counter(), []
    for line in lines:
        for place, (hops, step, share) in _each_arm(line):
            message = line.path(place, hops, step, share * size)
            messages.append(message)
            for receiver in message.nodes[1:]:
                got[receiver, message.nodes[0]] += share
        _assert_all_pairs(got, line)
    return messages


def scatter_sums(lines, size):
    """Messages by which each chip gets the sum of its part, ``size`` bytes, over its line."""
    added, messages = Counter(), []
    for line in lines:
        arms = list(_each_arm(line))
        last = max(hops for _, (hops, _, _) in arms)
        for place, (hops, step, share) in arms:
            # They arrive together: what comes from farther sets out earlier.
            message = line.path(place, hops, step, share * size, last - hops, backwards=True)
            messages.append(message)
            for sender in message.nodes[:-1]:
                added[message.nodes[-1], sender] += share
        _assert_all_pairs(added, line)
    return messages


def exchange(lines, size):
    """Messages by which each chip sends ``size`` bytes to each other chip of its line."""
    got, messages = Counter(), []
    for line in lines:
        for source, target in itertools.permutations(range(len(line.nodes)), 2):
            for hops, step, share in line.ways(source, target):
                message = line.path(source, hops, step, share * size)
                messages.append(message)
                got[message.nodes[-1], message.nodes[0]] += share
        _assert_all_pairs(got, line)
    return messages


def _each_arm(line):
    for place in range(len(line.nodes)):
        for arm in line.arms(place):
            if arm[0]:
                yield place, arm


def _assert_all_pairs(shares, line):
    for one, other in itertools.permutations(line.nodes, 2):
        assert shares[one, other] == 1.0


def tree_rounds(lines, size):
    """Rounds of messages up a binary tree to the first chip of each line."""
    length = len(lines[0].nodes)
    for distance in (2**k for k in range(length) if 2**k < length):
        places = range(distance, length, 2 * distance)
        yield [line.path(place, distance, -1, size) for line in lines for place in places]


def direct(source, target, size):
    """A message through a switch."""
    return Message((source, target), (((source, "out"), (target, "in")),), size)


def switched(nodes, size):
    """Messages through a switch from each chip to each other."""
    return [direct(a, b, size) for a, b in itertools.permutations(nodes, 2)]
