"""The hardware record: what one chip offers."""

import math

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.fields import check_record, documented, quantity

LINK_FIELDS = (
    *("link_bw", "sync_latency", "hop_latency", "all_to_all_latency"),
    *("router_latency", "scale_up_size", "scale_out_bw", "scale_out_latency"),
)
"""Fields that say how chips are joined; a named interconnect states some of them."""

UNSTATED_LINK_BW = 450e9
"""Rate of a chip's links where an algorithm moves a payload and the chip states none: an H100's
NVLink [B/s] (ours)."""


@documented
class Chip(eqx.Module):
    """One chip, as the limit study sees it.

    The paper's machine is four numbers a chip — compute rate, memory bandwidth, memory capacity and
    the exposed latency of one collective (published). The rest refines them (ours).

    Dense tensor rates at 16- and 4-bit operands follow from ``peak_flops`` by two ratios, so that
    one number is the chip's compute in every width.

    ``sram_*`` and ``lpddr_*`` are further tiers of memory beside the one that ``mem_*`` states; by
    default there are none. See :mod:`jaxlimits.model.tiers` (ours).

    ``idle_power``, ``read_energy``, ``flop_energy`` and ``power_cap`` count under ``power_model``
    ``activity``. Their defaults are a B200's, fitted to 197 measured powers of the ML.ENERGY
    Leaderboard (ours); published measurements have about 125 pJ/B, 0.94 pJ/FLOP and 238 W idle.

    ``link_bw`` counts where ``collective_algorithm`` moves a payload, under ``auto`` wherever it is
    stated; where it is not, a payload moves at :data:`UNSTATED_LINK_BW`. ``router_latency`` counts
    in a mesh or a torus alone, and the ``scale_*`` fields under ``topology`` ``rail`` alone; their
    defaults are ours: eight chips, each with a port of 400 Gb/s. Prices are illustrative, here and
    in the catalog (ours). A chip is owned unless ``chip_hour_price`` states what renting it costs:
    a cloud's dollars per chip-hour.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> chip = jl.Chip(peak_flops=1e15, peak_vector_flops=3e13, mem_bw=8e12, mem_capacity=192e9)
    >>> f"{jl.evaluate('llama3-8b', chip).utps:.0f} token/s a user"
    '524 token/s a user'
    """

    peak_flops: Scalar = quantity(
        "FLOP/s",
        "dense tensor rate at 8-bit operands",
        display="PFLOP/s",
        positive=True,
    )
    peak_vector_flops: Scalar = quantity(
        "FLOP/s",
        "rate of work outside the tensor units",
        display="TFLOP/s",
        positive=True,
    )
    mem_bw: Scalar = quantity("B/s", "memory bandwidth", display="TB/s", positive=True)
    mem_capacity: Scalar = quantity("B", "memory capacity", display="GB", positive=True)
    sram_capacity: Scalar = quantity(
        "B", "capacity of a tier of SRAM beside the memory", display="MB", default=0.0
    )
    sram_bw: Scalar = quantity("B/s", "bandwidth of that SRAM", display="TB/s", default=0.0)
    lpddr_capacity: Scalar = quantity(
        "B", "capacity of a tier of LPDDR beside the memory", display="GB", default=0.0
    )
    lpddr_bw: Scalar = quantity("B/s", "bandwidth of that LPDDR", display="GB/s", default=0.0)
    flops_ratio_16bit: Scalar = quantity(
        "1", "tensor rate at 16-bit operands over the 8-bit rate", default=0.5, positive=True
    )
    flops_ratio_4bit: Scalar = quantity(
        "1", "tensor rate at 4-bit operands over the 8-bit rate", default=1.0, positive=True
    )
    usable_fraction: Scalar = quantity(
        "1",
        "share of the memory capacity that weights and KV cache may fill",
        default=1.0,
        positive=True,
        upper=1.0,
    )
    link_bw: Scalar = quantity(
        "B/s",
        "one-way rate of one chip's links together",
        display="GB/s",
        default=0.0,
        positive=True,
        unset=0.0,
    )
    sync_latency: Scalar = quantity(
        "s", "exposed latency of one tensor-parallel collective", display="us", default=1.5e-6
    )
    hop_latency: Scalar = quantity(
        "s", "exposed latency of one hop between pipeline stages", display="us", default=1.5e-6
    )
    all_to_all_latency: Scalar = quantity(
        "s", "exposed latency of one expert-parallel all-to-all", display="us", default=1.5e-6
    )
    router_latency: Scalar = quantity(
        "s", "latency of each further hop across a mesh or a torus", display="us", default=0.2e-6
    )
    scale_up_size: Scalar = quantity(
        "1",
        "chips of one scale-up domain, beyond which rails join them",
        default=8.0,
        positive=True,
        whole=True,
    )
    scale_out_bw: Scalar = quantity(
        "B/s",
        "one-way rate of one chip's port to the scale-out network",
        display="GB/s",
        default=50e9,
        positive=True,
    )
    scale_out_latency: Scalar = quantity(
        "s", "exposed latency of one message over the scale-out network", display="us", default=5e-6
    )
    base_power: Scalar = quantity(
        "W", "power that depends on no other field", default=0.0, unset=math.nan
    )
    die_area: Scalar = quantity("m^2", "die area", display="mm^2", default=800e-6)
    power_density: Scalar = quantity(
        "W/m^2", "power of the die by its area", display="W/mm^2", default=1.1e6
    )
    mem_energy: Scalar = quantity(
        "J/B", "memory power by bandwidth", display="pJ/B", default=30e-12
    )
    idle_power: Scalar = quantity(
        "W", "power of a chip that waits for work with its clocks up", default=390.0
    )
    read_energy: Scalar = quantity(
        "J/B", "energy of a byte that the memory streams", display="pJ/B", default=100e-12
    )
    flop_energy: Scalar = quantity(
        "J/FLOP", "energy of a tensor FLOP", display="pJ/FLOP", default=1.1e-12
    )
    power_cap: Scalar = quantity(
        "W",
        "power that a chip does not exceed; 0 where none is stated",
        default=0.0,
        positive=True,
        unset=0.0,
    )
    server_power: Scalar = quantity("W", "power of a server beside its chips", default=300.0)
    chips_per_server: Scalar = quantity(
        "1", "chips that share a server", default=8.0, positive=True, whole=True
    )
    chip_price: Scalar = quantity(
        "USD", "price of one chip (illustrative)", default=30_000.0, unset=math.nan
    )
    mem_price: Scalar = quantity(
        "USD/B",
        "price of memory that the chip's does not include (illustrative)",
        display="USD/GB",
        default=0.0,
    )
    server_price: Scalar = quantity(
        "USD", "price of a server beside its chips (illustrative)", default=80_000.0
    )
    network_price: Scalar = quantity(
        "USD", "price of the network by chip (illustrative)", default=4_000.0
    )
    chip_hour_price: Scalar = quantity(
        "USD/s",
        "rent of one chip by time, in place of owning and powering it; 0 where it is owned",
        display="USD/h",
        default=0.0,
        positive=True,
        unset=0.0,
    )

    measured_chip: Scalar = quantity(
        "1",
        "whether measured decode rates of this chip stand behind a calibration: 1 where they do",
        default=0.0,
        upper=1.0,
    )

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds."""
        check_record(self)


def memory_rate(chip: Chip) -> Scalar:
    """Rate at which one chip's memory streams [B/s] (published)."""
    return chip.mem_bw


def streaming_at(chip: Chip, rate: Scalar) -> Chip:
    """The chip with a memory that streams at some rate."""
    return eqx.tree_at(lambda c: c.mem_bw, chip, rate)
