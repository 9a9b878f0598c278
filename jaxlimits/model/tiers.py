r"""Tiers: where weights and KV cache lie in several kinds of memory, and how fast they then stream.

Data of kind :math:`i` are stored in :math:`s_i` bytes, of which a step reads :math:`v_i`; tier
:math:`k` holds :math:`C_k` bytes and streams :math:`W_k` bytes a second. Data may be divided. Which
traffic vectors :math:`(x_k)` do the placements reach? Let :math:`R(c)` be the least traffic that is
left when :math:`c` bytes of the data, the most often read, are taken away:

.. math::
    R(c) = \max_{\lambda \in \{0,\, v_i/s_i\}} \sum_i \min(v_i, \lambda s_i) - \lambda c

(the dual of the fractional knapsack). The tiers in a set :math:`A` carry at least :math:`g(A) =
R(C(\bar A))`, since the others hold no more than :math:`C(\bar A)` bytes. R is convex, so g is
supermodular, and the placements reach exactly the vectors with :math:`x(A) \ge g(A)` for all sets
and equality for the whole. Hence, both optimal:

.. math::
    t_\text{overlap} = \max_{A \ne \emptyset} \frac{g(A)}{W(A)}, \qquad
    t_\text{add} = \sum_k \frac{R(C_1 + \dots + C_{k-1}) - R(C_1 + \dots + C_k)}{W_k}

the first because a vector of such a polyhedron lies below :math:`T\,W` if and only if every set
allows it, the second because the greedy vector minimises a linear cost: the hottest data in the
fastest tier. In the slowest tier what is left takes its whole rest, whether or not it fits. Ours;
the polyhedron is Shapley's (the core of a convex game).
"""

import functools
import itertools
from collections.abc import Iterable, Sequence

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.chip import Chip, memory_rate, streaming_at
from jaxlimits.model.dense_groups import kept_weights
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import stored_experts
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import Operators
from jaxlimits.model.precision import in_bytes, part_bits
from jaxlimits.model.weights import common_terms, count_weights, expert_terms


class Data(eqx.Module):
    """One kind of data: bytes that a replica stores, and those of them that a step reads [B]."""

    stored: Scalar
    traffic: Scalar


class Tier(eqx.Module):
    """One kind of memory of the chips of a replica: bytes, and bytes a second of one stage."""

    capacity: Scalar
    bandwidth: Scalar


def has_tiers(deployment: Deployment) -> bool:
    """Whether chips have memory beside that of ``mem_*``."""
    return deployment.sram_tier or deployment.lpddr_tier


def beside_capacity(chip: Chip, deployment: Deployment) -> Scalar:
    """Capacity of one chip's further tiers [B]."""
    sram = chip.sram_capacity if deployment.sram_tier else 0.0
    return sram + chip.lpddr_capacity if deployment.lpddr_tier else sram


def peak_bandwidth(chip: Chip, deployment: Deployment) -> Scalar:
    """Bandwidth of all tiers of one chip together; one that holds nothing has none [B/s]."""
    total = memory_rate(chip)
    if deployment.sram_tier:
        total = total + chosen(chip.sram_capacity > 0.0, chip.sram_bw, 0.0)
    if deployment.lpddr_tier:
        total = total + chosen(chip.lpddr_capacity > 0.0, chip.lpddr_bw, 0.0)
    return total


def replica_tiers(chip: Chip, deployment: Deployment) -> tuple[Tier, ...]:
    """The tiers of one replica: the memory, then what lies beside it."""
    own = [(chip.mem_capacity * chip.usable_fraction, memory_rate(chip))]
    if deployment.sram_tier:
        own.append((chip.sram_capacity, chip.sram_bw))
    if deployment.lpddr_tier:
        own.append((chip.lpddr_capacity, chip.lpddr_bw))
    chips = deployment.tp_size * deployment.pp_size
    return tuple(
        Tier(capacity=chips * size, bandwidth=deployment.tp_size * rate) for size, rate in own
    )


def model_data(
    llm: LLM,
    deployment: Deployment,
    operators: Operators,
    *,
    cache: Scalar,
    times: Scalar = 1.0,
    tables: bool = True,
) -> tuple[Data, ...]:
    """Kinds of data of one model that stream with different frequency.

    Embedding, all other weights but routed experts, routed experts, and what sequences keep: KV
    cache, index keys and states, as one kind. Traffic is at the pace of the slowest rank.

    Parameters
    ----------
    operators
        What one pass of the model reads.
    cache
        What the sequences of a replica keep [B].
    times
        Passes in one step [1].
    tables
        Whether the model stores its own embedding and LM head.
    """
    weights = kept_weights(count_weights(llm, deployment), deployment)
    bits = part_bits(llm, deployment)
    experts = operators.experts.weight_traffic
    dense = operators.total("weight_traffic") - experts
    data = [
        (in_bytes(common_terms(weights, bits, tables=tables)), dense),
        (cache, operators.total("kv_traffic")),
    ]
    if deployment.routed_experts:
        kept = stored_experts(llm, deployment)
        stored = in_bytes(expert_terms(weights, bits, experts=kept))
        data.insert(1, (stored, experts * operators.experts.traffic_pace))
    found = tuple(Data(stored=stored, traffic=times * traffic) for stored, traffic in data)
    if not tables:
        return found
    table = in_bytes([(weights.embedding, bits.embedding)])
    return (*found, Data(stored=table, traffic=0.0 * dense))


class Line(eqx.Module):
    """One of the lines whose upper hull is the traffic left: kept - heat * bytes taken [B]."""

    kept: Scalar
    heat: Scalar


def traffic_lines(data: Sequence[Data]) -> tuple[Line, ...]:
    """The line of each kind of data: as if all that is as hot, or hotter, were taken first."""
    lines = []
    for one in data:
        some = one.stored > 0.0
        heat = jnp.where(some, one.traffic / jnp.where(some, one.stored, 1.0), 0.0)
        kept = sum((jnp.minimum(d.traffic, heat * d.stored) for d in data), start=0.0)
        lines.append(Line(kept=kept, heat=heat))
    return tuple(lines)


def remaining_traffic(lines: Sequence[Line], taken: Scalar) -> Scalar:
    """Least traffic that is left when some bytes, the most often read, are taken away [B].

    At a kink, where a kind of data is just taken, the derivative is the mean of both sides.
    """
    left = jnp.zeros_like(lines[0].kept)
    for line in lines:
        left = jnp.maximum(left, line.kept - line.heat * taken)
    return left


def streaming_time(data: Sequence[Data], tiers: Sequence[Tier], *, overlap: bool) -> Scalar:
    """Least time to stream the data of one step, wherever they lie [s].

    Parameters
    ----------
    data, tiers
        What is stored and read, and where it may lie.
    overlap
        Whether the tiers stream at once; one after another otherwise.
    """
    lines = traffic_lines(data)
    return _overlapped(lines, tiers) if overlap else _in_turn(lines, tiers)


def _overlapped(lines: Sequence[Line], tiers: Sequence[Tier]) -> Scalar:
    times = []
    for count in range(1, len(tiers) + 1):
        for members in itertools.combinations(range(len(tiers)), count):
            inside = [tiers[i] for i in members]
            others = [tier for i, tier in enumerate(tiers) if i not in members]
            least = remaining_traffic(lines, _sum(tier.capacity for tier in others))
            rate = _sum(tier.bandwidth for tier in inside)
            some = rate > 0.0  # a tier without bandwidth has no capacity either
            times.append(jnp.where(some, least / jnp.where(some, rate, 1.0), 0.0))
    return functools.reduce(jnp.maximum, times)


def _in_turn(lines: Sequence[Line], tiers: Sequence[Tier]) -> Scalar:
    """The fastest tier first; ties in either order take the same time."""
    rates = jnp.stack([tier.bandwidth for tier in tiers])
    sizes = jnp.stack([tier.capacity for tier in tiers])
    order = jnp.argsort(-rates)
    rates, sizes = rates[order], sizes[order]
    present = rates > 0.0
    slowness = jnp.where(present, 1.0 / jnp.where(present, rates, 1.0), 0.0)
    # Summed by parts: what is left behind a tier pays the step in slowness to the next that exists.
    time = remaining_traffic(lines, jnp.zeros_like(sizes[0])) * slowness[0]
    taken = sizes[0]
    for place in range(1, len(tiers)):
        step = jnp.where(present[place], slowness[place] - slowness[place - 1], 0.0)
        time = time + remaining_traffic(lines, taken) * step
        taken = taken + sizes[place]
    return time


def streaming_chip(chip: Chip, deployment: Deployment, data: Sequence[Data]) -> Chip:
    """The chip with the one bandwidth at which a step's data stream from its tiers in the mean.

    Whatever is read of one kind of data comes from the tiers in that kind's shares; under the
    ``operator`` roofline every operator streams at the mean of the step (ours). What is read but
    stored nowhere, as the cache of layers that all share one and none of which keeps it, lies in no
    tier and streams at the mean of the rest.
    """
    if not has_tiers(deployment):
        return chip
    overlap = deployment.memory_tiers == "overlap"
    time = streaming_time(data, replica_tiers(chip, deployment), overlap=overlap)
    traffic = _sum(chosen(one.stored > 0.0, one.traffic, 0.0) for one in data)
    rate = traffic / (deployment.tp_size * time)
    return streaming_at(chip, rate)


def _sum(values: Iterable[Scalar]) -> Scalar:
    return sum(values, start=0.0)
