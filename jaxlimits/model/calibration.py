"""The calibration record: how far real kernels stay below the limit."""

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.fields import check_record, documented, quantity


@documented
class Calibration(eqx.Module):
    """Constants that turn the volumes of a step into the time that an engine needs for it.

    Few, each with a physical meaning, and shared by all chips, models and batch sizes (ours). The
    defaults are the limit itself: peak rates, perfect overlap, no time between kernels, uniform
    routing. See :mod:`jaxlimits.model.overlay` for the form in which they enter.
    """

    mem_efficiency: Scalar = quantity(
        "1",
        "achieved share of the peak bandwidth on weights",
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
        "standard deviation of the logarithm of a predicted time, on a machine not seen",
        default=0.0,
    )

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds."""
        check_record(self)
