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
    (each entry of the catalog says which). The default, ``one_shot_latency`` 0, is no measurement:
    the limit's own synchronisation stands.
    """

    one_shot_latency: Scalar = quantity(
        "s", "latency of a one-shot all-reduce; 0 where none is measured", display="us", default=0.0
    )
    one_shot_bw: Scalar = quantity(
        "B/s",
        "rate at which a chip reads its peers' data in a one-shot all-reduce",
        display="GB/s",
        default=_NO_LIMIT,
        positive=True,
    )
    one_shot_bytes: Scalar = quantity(
        "B",
        "payload times chips from which on all-reduces take two shots",
        display="MiB",
        default=0.0,
    )
    two_shot_latency: Scalar = quantity(
        "s", "latency of a two-shot all-reduce", display="us", default=0.0
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
    r"""Time of one all-reduce of p bytes among n chips, as measured [s].

    .. math::
        t = \begin{cases}
            \alpha_1 + (n-1)\,p/w_1 & n\,p < P_1 \quad\text{(one shot)} \\
            \alpha_\mathrm{L} + 2(n-1)\,\tau & p < P_\mathrm{L} \quad\text{(library's ring)} \\
            \alpha_2 + 2\,\frac{n-1}{n}\,p/w_2 & \text{otherwise (two shots, or in the switch)}
        \end{cases}

    An engine chooses the kind by size, so the time jumps where its choice changes: vLLM's does
    between 128 and 256 KiB on eight chips. In a mesh only the links to the peers in use count,
    :math:`(n-1)/\text{mesh\_peers}` of the rate. The derivative is that of the kind in use. Zero on
    one chip. Ours.
    """
    shared = chips > 1.0
    peers = jnp.where(shared, chips - 1.0, 1.0)
    linked = jnp.minimum(1.0, peers / fabric.mesh_peers)
    one_shot = fabric.one_shot_latency + peers * payload / (fabric.one_shot_bw * linked)
    moved = 2.0 * (peers / chips) * payload
    two_shot = fabric.two_shot_latency + moved / (fabric.two_shot_bw * linked)
    library = fabric.library_latency + 2.0 * peers * fabric.library_hop_latency
    larger = jnp.where(payload < fabric.library_bytes, library, two_shot)
    time = jnp.where(chips * payload < fabric.one_shot_bytes, one_shot, larger)
    return jnp.where(shared, time, 0.0)
