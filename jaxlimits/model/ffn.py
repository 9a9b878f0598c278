r"""Feed-forward parts: what a dense layer, a routed and a shared expert hold, and their widths.

A gated layer has three matrices, :math:`3\,d\,f`; one without a gate has two, :math:`2\,d\,f`.
Every term is linear in the width :math:`f`, so that a mean over layers of different widths counts
as these layers do (Llama-Nemotron's blocks: arXiv:2411.19146, published).
"""

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM

LATENT_PROJECTIONS = 2.0
"""One down to the latent of the routed experts, one up from it (published, arXiv:2601.18089)."""


def dense_weights(llm: LLM) -> Scalar:
    r"""Weights of one dense layer: :math:`m\,d\,f`, :math:`m` matrices [1].

    Gated, :math:`m = 3` (published, v2 of arXiv:2507.14397); without a gate 2, as in Nemotron-H
    (published, arXiv:2504.03624).
    """
    return llm.ffn_matrices * llm.hidden_size * llm.intermediate_size


def expert_width(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Width :math:`\ell` of what a routed expert takes and gives [1].

    That of the residual stream, unless experts work on a narrower latent (published,
    arXiv:2601.18089); tokens are sent to experts on other chips in that width too.
    """
    if not deployment.latent_experts:
        return llm.hidden_size
    return chosen(llm.expert_hidden_size > 0.0, llm.expert_hidden_size, llm.hidden_size)


def expert_weights(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Weights of one routed expert: :math:`m\,\ell\,f_e` [1]."""
    return llm.expert_matrices * expert_width(llm, deployment) * llm.moe_intermediate_size


def latent_weights(llm: LLM) -> Scalar:
    r"""Projections of one MoE layer to the experts' latent and back: :math:`2\,d\,\ell` [1].

    Every token uses them; 0 where experts work on the residual stream itself.
    """
    return LATENT_PROJECTIONS * llm.hidden_size * llm.expert_hidden_size


def shared_width(llm: LLM, deployment: Deployment) -> Scalar:
    """Inner width of one shared expert: its own, or that of a routed one [1]."""
    if not deployment.routed_experts:
        return llm.moe_intermediate_size
    own = llm.shared_intermediate_size
    return chosen(own > 0.0, own, llm.moe_intermediate_size)


def shared_weights(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Weights of one shared expert, on the residual stream: :math:`m\,d\,f_s` [1].

    Where routed experts work on a latent, shared ones do not (published, arXiv:2601.18089).
    """
    return llm.expert_matrices * llm.hidden_size * shared_width(llm, deployment)
