r"""The residual stream: one vector a token, or several under hyper-connections.

With :math:`n` streams every mixer and every feed-forward part takes a weighted sum of the streams
and adds what it gives to each of them, while the streams are mixed among each other. The weights
come from the streams themselves, by a mapping of :math:`n\,d` elements to :math:`n^2 + 2n`; a last
mapping, to :math:`n`, makes one vector of them for the LM head.

References
----------
Manifold-constrained hyper-connections: DeepSeek-V4, technical report, section 2.2, and its class in
transformers (mappings: published). Their place in the limit model, and the counts of vector work,
are ours.
"""

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.layers import ffn_layers, mixing_layers
from jaxlimits.model.llm import LLM
from jaxlimits.model.vector import RESIDUAL, RMS_NORM

WEIGHTED = 2.0
"""Product and sum, for each element of a weighted sum."""


def width(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Elements of the residual between two layers: :math:`d`, or :math:`n\,d` [1]."""
    if not deployment.hyper_connections:
        return llm.hidden_size
    return llm.hidden_size * chosen(llm.hc_mult > 0.0, llm.hc_mult, 1.0)


def mapping_weights(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Weights of the mappings before all mixers and feed-forward parts [1].

    .. math:: (n^2 + 2n)(n\,d + 1) + 3

    each, with a bias for every weight that it gives and three scales. Published.
    """
    n = llm.hc_mult
    one = (n**2 + 2.0 * n) * (n * llm.hidden_size + 1.0)
    return _mappings(llm, deployment) * chosen(n > 0.0, one + 3.0, 0.0)


def last_mapping(llm: LLM) -> Scalar:
    r"""Weights of the mapping after all layers: :math:`n\,(n\,d + 1) + 1` [1] (published)."""
    n = llm.hc_mult
    return chosen(n > 0.0, n * (n * llm.hidden_size + 1.0) + 1.0, 0.0)


def stream_vector_flops(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Vector work of all mappings, a token, over all layers [FLOP].

    The norm of the streams, the sum that a part takes, the sum of what it gives to each, and their
    mixing, :math:`2\,n^2 d`, in place of the plain sum. The iterations that balance the mixing
    work on :math:`n^2` numbers, and are left out. Ours.
    """
    n, d = llm.hc_mult, llm.hidden_size
    one = (RMS_NORM + 2.0 * WEIGHTED + WEIGHTED * n) * n * d
    return _mappings(llm, deployment) * chosen(n > 0.0, one - RESIDUAL * d, 0.0)


def _mappings(llm: LLM, deployment: Deployment) -> Scalar:
    """One before each mixer and one before each feed-forward part [1]."""
    return mixing_layers(llm, deployment) + ffn_layers(llm, deployment)
