r"""Prefixes: tokens of a prompt that a cache holds already, and what is left to compute and keep.

Of a prompt of :math:`I` tokens a share :math:`h` is reused (``prefix_share``). The other
:math:`(1 - h) I` are computed, at least one, since the last token gives the first of the answer;
they attend to all :math:`I`. Every volume of such a prefill is that of the whole prompt less that
of its first :math:`h I` tokens, whatever the kind of layer; so one chunk of all new tokens reads
all :math:`I` of a full layer. Where a prefix is not a whole number of chunks, kinds with windows
count a fraction of one for the rest (a limit). Latents of MLA that are reused are not decompressed
again (a bound).

All sequences of a replica have one prefix in common, which is stored once: a lower bound on what a
cache of several prefixes needs. At a context of :math:`S` tokens each keeps :math:`K(S - h I)` of
its own beside :math:`K(S) - K(S - h I)` that they share: :math:`h I` tokens of a full layer, of a
window what is left of it, of a state nothing. Decode steps read the whole context for each
sequence, as engines do. All of it is ours.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.request import Request
from jaxlimits.model.volumes import Operator, less


def at_context(deployment: Deployment, seq_len: Scalar) -> Deployment:
    """The deployment at another context, which may be a fraction of a token."""
    return eqx.tree_at(lambda d: d.seq_len, deployment, seq_len)


def reused_tokens(deployment: Deployment, request: Request) -> Scalar | None:
    r"""Tokens of a prompt that are not computed: :math:`\min(h I, I - 1)` [token].

    ``None`` where none are for certain.
    """
    if not (deployment.requests and deployment.reused_prefixes):
        return None
    all_but_one = jnp.maximum(request.input_len - 1.0, 0.0)
    return jnp.minimum(request.prefix_share * request.input_len, all_but_one)


def computed_tokens(deployment: Deployment, request: Request) -> Scalar:
    r"""Tokens of a prompt that its prefill computes: :math:`(1 - h) I` [token]."""
    return without_prefix(request.input_len, reused_tokens(deployment, request))


def without_prefix(length: Scalar, reused: Scalar | None) -> Scalar:
    """A length without that of the prefix [token]."""
    return length if reused is None else length - reused


def beyond_prefix(
    work: Callable[[Deployment], Operator], deployment: Deployment, reused: Scalar | None
) -> Operator:
    """Work on a prompt beyond its prefix: that on all of it less that on the prefix.

    Parameters
    ----------
    work
        Volumes of a prefill of ``seq_len`` tokens.
    deployment
        That of one chunk, at the whole prompt.
    reused
        Tokens of the prefix; ``None`` for none [token].
    """
    whole = work(deployment)
    return whole if reused is None else less(whole, work(at_context(deployment, reused)))


class Stored(eqx.Module):
    """What the sequences of a replica keep: each its own, and what they share [B].

    ``shared`` is ``None`` where nothing is for certain.
    """

    own: Scalar
    shared: Scalar | None

    def of(self, sequences: Scalar) -> Scalar:
        """Bytes of so many sequences [B]."""
        return self.beside(sequences * self.own)

    def beside(self, other: Scalar) -> Scalar:
        """Bytes of something else and of what is shared [B]."""
        return other if self.shared is None else other + self.shared


def stored(
    sequence: Callable[[Deployment], Scalar], deployment: Deployment, request: Request
) -> Stored:
    """Divide what a sequence keeps at the deployment's context.

    Parameters
    ----------
    sequence
        Bytes that one sequence keeps, prefix and all [B].
    """
    whole, reused = sequence(deployment), reused_tokens(deployment, request)
    if reused is None:
        return Stored(own=whole, shared=None)
    own = sequence(at_context(deployment, deployment.seq_len - reused))
    return Stored(own=own, shared=whole - own)
