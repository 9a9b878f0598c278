r"""The fabric record: measured all-reduces of one chip in one software stack."""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.fields import check_record, documented, quantity

_NO_LIMIT = 1e18


@documented
class Fabric(eqx.Module):
    """All-reduces among the chips of one server as a stack runs them: a latency and a rate a kind.

    Fitted to measured times of all-reduces alone, never to decode rates, or read off a datasheet
    (each entry of the catalog says which). The default, ``one_shot_latency`` 0, is not a
    measurement: the limit's own synchronisation stands.
    """

    one_shot_latency: Scalar = quantity(
        "s",
        "latency of a one-shot all-reduce; 0 where none is measured",
        display="us",
        default=0.0,
        positive=True,
        unset=0.0,
    )
    one_shot_bw: Scalar = quantity(
        "B/s",
        "rate at which a chip reads its peers' data in a one-shot all-reduce",
        display="GB/s",
        default=_NO_LIMIT,
        positive=True,
    )
    two_shot_latency: Scalar = quantity(
        "s",
        "latency of a two-shot all-reduce; 0 where none is measured",
        display="us",
        default=0.0,
        positive=True,
        unset=0.0,
    )
    two_shot_bw: Scalar = quantity(
        "B/s",
        "rate of one chip in each direction in a two-shot all-reduce",
        display="GB/s",
        default=_NO_LIMIT,
        positive=True,
    )
    library_bytes: Scalar = quantity(
        "B",
        "payload below which what one shot does not take goes to the library's ring",
        display="MiB",
        default=0.0,
    )
    library_latency: Scalar = quantity(
        "s", "latency of the library's ring before its first hop", display="us", default=0.0
    )
    library_hop_latency: Scalar = quantity(
        "s", "latency of one of the 2(n - 1) hops of the library's ring", display="us", default=0.0
    )
    fabric_spread: Scalar = quantity(
        "1",
        "standard deviation of the logarithm of an all-reduce's time where it is inferred; 0 where "
        "all-reduces of the chip were measured",
        default=0.0,
    )
    mesh_peers: Scalar = quantity(
        "1",
        "peers among which a chip's links are divided; 1 behind a switch",
        default=1.0,
        positive=True,
        whole=True,
    )

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds."""
        check_record(self)


def measured_all_reduce_time(fabric: Fabric, *, payload: Scalar, chips: Scalar) -> Scalar:
    r"""Time of one all-reduce of p bytes among n chips: the quickest of the measured kinds [s].

    .. math::
        t = \min\left(\alpha_1 + (n-1)\,\frac{p}{w_1},\;
            \alpha_\mathrm{L} + 2(n-1)\,\tau\;(p < P_\mathrm{L}),\;
            \alpha_2 + 2\,\frac{n-1}{n}\,\frac{p}{w_2}\right)

    one shot, the library's ring, and two shots or in the switch. Each kind takes no less time for
    more bytes, and the ring is only ever lost with size: so does the quickest. Engines change the
    kind at sizes of their own, some of them late, where a table then has a step down; an engine
    that is tuned has none. In a mesh only the links to the peers in use count,
    :math:`(n-1)/\text{mesh\_peers}` of the rate. At a change of kind the derivative is the mean of
    both. Zero on one chip. Ours.
    """
    shared = chips > 1.0
    peers = jnp.where(shared, chips - 1.0, 1.0)
    linked = jnp.minimum(1.0, peers / fabric.mesh_peers)
    one_shot = fabric.one_shot_latency + peers * payload / (fabric.one_shot_bw * linked)
    moved = 2.0 * (peers / chips) * payload
    two_shot = fabric.two_shot_latency + moved / (fabric.two_shot_bw * linked)
    library = fabric.library_latency + 2.0 * peers * fabric.library_hop_latency
    quickest = jnp.minimum(one_shot, jnp.where(fabric.two_shot_latency > 0.0, two_shot, one_shot))
    in_ring = payload < fabric.library_bytes
    time = jnp.where(in_ring, jnp.minimum(quickest, library), quickest)
    return jnp.where(shared, time, 0.0)
