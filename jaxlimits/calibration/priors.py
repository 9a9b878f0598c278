"""What is known of the overlay's constants before any decode rate is seen.

Means come from kernels measured one by one — the tables of NVIDIA's aiconfigurator 0.12.0
(Apache-2.0), vLLM's kernels on A100, H100, H200, B200 and GB200 — fitted with the overlay's own
forms. Widths are ours, about the spread over chips and widths of operands.
"""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """A normal prior and hard bounds, in SI units.

    Parameters
    ----------
    mean, width
        Mean and standard deviation.
    lower, upper
        Bounds that a fit does not leave.
    """

    mean: float
    width: float
    lower: float
    upper: float


PRIORS: Mapping[str, Prior] = {
    # 16-bit matrix products of 1 to 1024 rows: 0.76 on A100, 0.82 to 0.88 on the newer chips
    "mem_efficiency": Prior(mean=0.84, width=0.05, lower=0.3, upper=1.0),
    # grouped matrix products of few rows each: 0.7 to 0.9
    "expert_efficiency": Prior(mean=0.8, width=0.1, lower=0.3, upper=1.0),
    # decode attention: 0.4 to 0.74 in the median of large caches, 0.57 to 0.95 as a slope
    "kv_efficiency": Prior(mean=0.8, width=0.15, lower=0.2, upper=1.0),
    # the same matrix products: 0.76 to 0.89
    "flops_efficiency": Prior(mean=0.8, width=0.1, lower=0.2, upper=1.0),
    # constant part of a matrix product: 3.9 to 6.0 us
    "kernel_latency": Prior(mean=4e-6, width=2e-6, lower=0.0, upper=50e-6),
    # no measurement alone: sampling, scheduling and the text of a token, of the order of us
    "sequence_latency": Prior(mean=4e-6, width=3e-6, lower=0.0, upper=100e-6),
    # measured alone and in a step: the same to within what fusion and skew change
    "collective_factor": Prior(mean=1.0, width=0.15, lower=0.5, upper=2.0),
    # exponents 1.8 to 2.5
    "overlap_loss": Prior(mean=0.5, width=0.05, lower=0.0, upper=1.0),
    # grouped matrix products alone: 10 to 24; what quantises, sorts and sums around them is beside
    "routed_passes": Prior(mean=16.0, width=12.0, lower=0.0, upper=80.0),
    # the experts that grouped products under power-law routing seem to touch
    "routing_spread": Prior(mean=1.0, width=1.0, lower=0.0, upper=20.0),
}

FITTED = (
    *("mem_efficiency", "expert_efficiency", "kv_efficiency", "flops_efficiency"),
    *("kernel_latency", "sequence_latency", "collective_factor", "routed_passes"),
)
"""Constants that a calibration fits unless told otherwise; the others stay at their means."""

OFFSETS = ("kernel_latency", "routed_passes", "sequence_latency")
"""Constants of an engine's software, which differ between engines; the rest is the hardware's."""
