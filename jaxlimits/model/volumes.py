"""Volumes: what one operator computes and reads in one step."""

from collections.abc import Iterable

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment


class Operator(eqx.Module):
    """Work of one operator in one step.

    Parameters
    ----------
    tensor_flops, vector_flops
        Work of the tensor units and beside them [FLOP].
    wide_flops, narrow_flops
        Of the tensor work, that with operands of 16 and of 4 bits; the rest is in 8. Told apart
        only where the deployment leaves the width to the parts [FLOP].
    weight_traffic, kv_traffic
        Bytes of weights read, and of what sequences keep: caches and index keys as they are read,
        states as they are read and written [B].
    compute_pace, traffic_pace
        Slowest rank over the mean: 1 unless experts are placed whole on ranks [1].
    """

    tensor_flops: Scalar
    vector_flops: Scalar
    weight_traffic: Scalar
    kv_traffic: Scalar = 0.0
    compute_pace: Scalar = 1.0
    traffic_pace: Scalar = 1.0
    wide_flops: Scalar = 0.0
    narrow_flops: Scalar = 0.0


def counted_vector_flops(deployment: Deployment, vector_flops: Scalar) -> Scalar:
    """Vector work, or zero where the deployment leaves it out."""
    return vector_flops if deployment.vector_work == "on" else 0.0


def repeated(one: Operator, times: Scalar) -> Operator:
    """An operator that runs several times, its pace unchanged."""
    return Operator(
        tensor_flops=times * one.tensor_flops,
        vector_flops=times * one.vector_flops,
        weight_traffic=times * one.weight_traffic,
        kv_traffic=times * one.kv_traffic,
        compute_pace=one.compute_pace,
        traffic_pace=one.traffic_pace,
        wide_flops=times * one.wide_flops,
        narrow_flops=times * one.narrow_flops,
    )


def less(one: Operator, other: Operator) -> Operator:
    """An operator without the volumes of another one, its pace unchanged."""
    return Operator(
        tensor_flops=one.tensor_flops - other.tensor_flops,
        vector_flops=one.vector_flops - other.vector_flops,
        weight_traffic=one.weight_traffic - other.weight_traffic,
        kv_traffic=one.kv_traffic - other.kv_traffic,
        compute_pace=one.compute_pace,
        traffic_pace=one.traffic_pace,
        wide_flops=one.wide_flops - other.wide_flops,
        narrow_flops=one.narrow_flops - other.narrow_flops,
    )


def added(terms: Iterable[Scalar]) -> Scalar:
    """Sum at least one term, from the left; a single term costs no addition."""
    total, *others = terms
    for other in others:
        total = total + other
    return total
