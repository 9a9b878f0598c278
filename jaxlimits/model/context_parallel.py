r"""Context parallelism: the chips of one TP group divide the KV cache along the sequence too.

Of ``tp_size`` chips :math:`a = \mathrm{tp}/\mathrm{cp}` share the heads of attention, and
:math:`\mathrm{cp}` divide the tokens of each head's cache. Beyond the KV heads chips hold copies
of it, :math:`a/\min(a, n_\mathrm{kv})` in all: at :math:`\mathrm{cp} = \mathrm{tp}/n_\mathrm{kv}`
none but one, as under ``split``. Every layer with heads then ends in one more collective, which
combines the parts of its attention. Weights stay divided among all TP chips, and a replica has no
more chips than before.

States of recurrent layers have no tokens to divide. The state of a compressor lies with the entry
that it becomes.

References
----------
Decode context parallel of vLLM (its documentation) and Helix, arXiv:2507.07120: the division is
published. Its place in the limit model, and one collective for the exchange of queries and partial
outputs, are ours.
"""

from jaxlimits._types import Flag, Scalar
from jaxlimits.model.deployment import Deployment


def head_chips(deployment: Deployment) -> Scalar:
    r"""Chips that share the heads of attention: :math:`\mathrm{tp}/\mathrm{cp}` [1]."""
    if not deployment.context_parallel:
        return deployment.tp_size
    return deployment.tp_size / deployment.cp_size


def splits_sequences(deployment: Deployment) -> Flag:
    """Whether chips divide the cache of one head along the sequence."""
    return deployment.cp_size > 1.0 if deployment.context_parallel else False
