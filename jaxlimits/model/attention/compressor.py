r"""Compressors: what turns every :math:`m` tokens of a sequence into one entry of a cache.

From each token a compressor projects one vector or two and as many gates, each as wide as an entry.
An entry is the sum of such vectors, weighted element by element by a softmax of their gates: those
of its own :math:`m` tokens or, where a token gives two, also the second ones of the :math:`m`
tokens before (:math:`s = 2` series, whose windows overlap by half).

Until an entry is complete, vectors and gates of its tokens are kept: a state of constant size,

.. math:: 2 \cdot s\,m \cdot s\,D

elements a layer for entries :math:`D` wide, beside the cache. Its elements have ``state_bits``.

References
----------
DeepSeek-V4, technical report, sections 2.3.1 and 2.3.2 (the compressors: published); its inference
code keeps :math:`s\,m` rows of vectors and of gates in 32 bits (published). The traffic of states
and the counts of vector work are ours.
"""

import dataclasses

from jaxlimits._types import Scalar
from jaxlimits.model.context_parallel import head_chips
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.vector import RMS_NORM, ROTARY, SOFTMAX

VECTORS_AND_GATES = 2.0
"""A token gives as many gates as elements."""

READ_AND_WRITTEN = 2.0
"""What a token leaves in a state is written once, and read once where its entry is complete."""

POOLING = 3.0 + SOFTMAX
"""Vector work: bias of the gate's place, softmax, weight and sum — for each element of a vector."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Compressor:
    """One compressor of one layer.

    Parameters
    ----------
    width
        Elements of an entry [1].
    ratio
        Tokens for each entry [token].
    series
        Vectors that one token gives: 1, or 2 where windows overlap [1].
    """

    width: Scalar
    ratio: Scalar
    series: float

    @property
    def row(self) -> Scalar:
        """Vectors and gates of one token [1]."""
        return VECTORS_AND_GATES * self.series * self.width

    def weights(self, llm: LLM) -> Scalar:
        r"""Projections of vectors and gates: :math:`2\,s\,d\,D` [1] (published)."""
        return llm.hidden_size * self.row

    def norms(self) -> Scalar:
        r"""Norm of an entry, and a bias of the gates for each place: :math:`D + s\,m\,D` [1].

        Published.
        """
        return self.width + self.series * self.ratio * self.width

    def state(self) -> Scalar:
        """Elements of the state of one sequence [1] (published)."""
        return self.series * self.ratio * self.row

    def vector_flops(self) -> Scalar:
        """Vector work a token: pooling, and its share of an entry's norm and rotation [FLOP].

        A complete entry comes once in so many tokens; the mean counts. Ours.
        """
        entry = (RMS_NORM + ROTARY) * self.width
        return POOLING * self.series * self.width + entry / self.ratio


def element_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes of one element of a state, copies included [B].

    Where KV is sharded by ``heads``, every TP chip holds the states, since all heads read what they
    give, but for chips that divide the sequence: a state lies with the entry that it becomes.
    """
    copies = head_chips(deployment) if deployment.kv_sharding == "heads" else 1.0
    return copies * (llm.state_bits / 8.0)


def decode_traffic(llm: LLM, deployment: Deployment, row: Scalar) -> Scalar:
    """Bytes of states that one step writes and, in the mean of many steps, reads [B].

    Parameters
    ----------
    row
        Vectors and gates of one token, over all layers [1].
    """
    tokens = deployment.batch_size * deployment.query_tokens
    return READ_AND_WRITTEN * tokens * row * element_bytes(llm, deployment)


def prefill_traffic(llm: LLM, deployment: Deployment, state: Scalar) -> Scalar:
    """Bytes of states that all chunks of the prompts read and write: each the whole state [B].

    Parameters
    ----------
    state
        Elements of the states of one sequence, over all layers [1].
    """
    chunks = deployment.seq_len / deployment.query_tokens
    sequences = deployment.batch_size * element_bytes(llm, deployment)
    return READ_AND_WRITTEN * chunks * sequences * state
