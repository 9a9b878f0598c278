"""Layers: how many have a mixer and a feed-forward part, or one of the two alone.

A block of today's models need not have both: Nemotron-H interleaves layers of a mixer alone with
layers of a feed-forward part alone (published, arXiv:2504.03624). A mixer is attention or a
recurrent state. That such halves count as layers, and what follows from it for collectives and
vector work, is ours.
"""

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM


def mixing_layers(llm: LLM, deployment: Deployment) -> Scalar:
    """Layers that have a mixer [1]."""
    if not deployment.partial_layers:
        return llm.num_layers
    return llm.num_layers - llm.num_ffn_only_layers


def ffn_layers(llm: LLM, deployment: Deployment) -> Scalar:
    """Layers that have a feed-forward part, dense or of experts [1]."""
    if not deployment.partial_layers:
        return llm.num_layers
    return llm.num_layers - llm.num_mixer_only_layers


def dense_layers(llm: LLM, deployment: Deployment) -> Scalar:
    """Layers whose feed-forward part is dense [1]."""
    return ffn_layers(llm, deployment) - llm.num_moe_layers
