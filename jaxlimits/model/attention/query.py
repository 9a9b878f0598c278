"""Queries of low rank: a latent that query heads, those of an indexer too, are computed from."""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.llm import LLM


def query_latent(llm: LLM) -> Scalar:
    r"""Weights of the query's latent in one layer: :math:`d\,r_q`, 0 where there is none [1].

    Published (DeepSeek-V2, arXiv:2405.04434).
    """
    return llm.hidden_size * llm.q_lora_rank


def query_rows(llm: LLM) -> Scalar:
    """Width that query heads are computed from: the query's latent or the residual stream [1]."""
    return jnp.where(llm.q_lora_rank > 0.0, llm.q_lora_rank, llm.hidden_size)
