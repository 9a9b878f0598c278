"""The calibration record: how far real kernels stay below the limit."""

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.fields import check_record, documented, quantity

INTERVAL = 1.96
"""Standard deviations to either side that hold 95 % of a normal variable."""


@documented
class Calibration(eqx.Module):
    """Constants that turn the volumes of a step into the time that an engine needs for it.

    Few, each with a physical meaning, and shared by all chips, models and batch sizes (ours). The
    defaults are the limit itself: peak rates, perfect overlap, no time between kernels, uniform
    routing. See :mod:`jaxlimits.model.overlay` for the form in which they enter. The deviations
    are those whose 1.96-fold holds 95 % of rows that a fit has not seen (ours).
    """

    mem_efficiency: Scalar = quantity(
        "1",
        "achieved share of the peak bandwidth on weights",
        default=1.0,
        positive=True,
        upper=1.0,
    )
    expert_efficiency: Scalar = quantity(
        "1",
        "achieved share of the peak bandwidth on the weights of routed experts",
        default=1.0,
        positive=True,
        upper=1.0,
    )
    kv_efficiency: Scalar = quantity(
        "1",
        "achieved share of the peak bandwidth on the KV cache",
        default=1.0,
        positive=True,
        upper=1.0,
    )
    flops_efficiency: Scalar = quantity(
        "1", "achieved share of the peak compute rate", default=1.0, positive=True, upper=1.0
    )
    kernel_latency: Scalar = quantity(
        "s",
        "time that one kernel takes beside its streaming and its work",
        display="us",
        default=0.0,
    )
    sequence_latency: Scalar = quantity(
        "s",
        "time that the host spends on each sequence in one step",
        display="us",
        default=0.0,
    )
    collective_factor: Scalar = quantity(
        "1",
        "time of a measured all-reduce inside a step over that of one measured alone",
        default=1.0,
    )
    overlap_loss: Scalar = quantity(
        "1",
        "overlap of compute and memory inside a kernel that is lost; 0 their maximum, 1 their sum",
        default=0.0,
        upper=1.0,
    )
    routed_passes: Scalar = quantity(
        "1",
        "times that each chip reads or writes the activations of a routed token, for each expert",
        default=0.0,
    )
    routing_spread: Scalar = quantity(
        "1", "squared coefficient of variation of the experts' popularity", default=0.0
    )

    spread: Scalar = quantity(
        "1",
        "standard deviation of the logarithm of a predicted time, of what is known by its parts",
        default=0.0,
    )
    kernel_spread: Scalar = quantity(
        "1", "standard deviation of the logarithm of the latency of kernels", default=0.0
    )
    chip_widening: Scalar = quantity(
        "1", "factor on both deviations for a chip without measured rates", default=1.0, lower=1.0
    )
    model_widening: Scalar = quantity(
        "1", "factor on both deviations for a model without measured rates", default=1.0, lower=1.0
    )
    attention_widening: Scalar = quantity(
        "1",
        "factor on both deviations for kinds of attention without measured rates",
        default=1.0,
        lower=1.0,
    )

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds."""
        check_record(self)
