r"""The calibrated overlay: the time that an engine needs for a step whose limit is known.

Beside the limit, never mixed with it: its results are named ``calibrated_*``. The form is ours,

.. math::
    t = \sum_\text{operators} \Big\Vert \frac{t_\mathrm{mem}}{\eta_\mathrm{mem}},
        \frac{t_\mathrm{compute}}{\eta_\mathrm{flops}} \Big\Vert + t_\mathrm{activations}
        + n_\mathrm{kernels}\,\tau_\mathrm{kernel} + t_\mathrm{collectives}

over the same volumes as the limit's. The records :class:`~jaxlimits.model.calibration.Calibration`
and :class:`~jaxlimits.model.fabric.Fabric` hold its constants; with their defaults it is the limit
under the ``operator`` roofline.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.attention import forms, layers_with_heads, other_kinds
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip, memory_rate
from jaxlimits.model.collectives import Waits, waits, with_combines
from jaxlimits.model.dense_groups import group_replicas, has_groups
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import is_expert_parallel, routed_tokens, touched_experts
from jaxlimits.model.fabric import Fabric, measured_all_reduce_time
from jaxlimits.model.ffn import expert_width
from jaxlimits.model.layers import dense_layers, ffn_layers, mixing_layers
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import Operators
from jaxlimits.model.roofline import compute_time, mem_time
from jaxlimits.model.volumes import added

FFN_KERNELS = 4.0
"""Norm, gate and up projection, activation, down projection."""

MOE_KERNELS = 9.0
"""Norm, router, top-k, two that sort tokens by expert, grouped gate and up projection, activation,
grouped down projection, sum over experts."""

SHARED_EXPERT_KERNELS = 4.0
"""Gate and up projection, activation, down projection, sum with the routed experts."""

ACTIVATION_BYTES = 2.0
"""Activations between kernels are 16 bits wide."""


class OverlayTimes(eqx.Module):
    """What a calibrated step is made of; the parts add up to ``t_step`` [s].

    Parameters
    ----------
    operators
        Streaming and arithmetic at the achieved rates.
    activations
        Moving activations to and from the routed experts.
    kernels
        Latency of the kernels, one after another.
    collectives
        All-reduces, all-to-alls and hops.
    """

    operators: Scalar
    activations: Scalar
    kernels: Scalar
    collectives: Scalar

    @property
    def t_step(self) -> Scalar:
        """Time of one decode step [s]."""
        return self.operators + self.activations + self.kernels + self.collectives


def overlay_times(
    operators: Operators,
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    *,
    calibration: Calibration,
    fabric: Fabric,
    waiting: Waits | None = None,
) -> OverlayTimes:
    """Times of one step as an engine runs it, part by part [s].

    Parameters
    ----------
    operators
        Volumes of the step, as for the limit.
    chip, llm, deployment
        The point. ``roofline`` does not matter: overlap is taken kernel by kernel.
    calibration, fabric
        Fitted constants of the engine; measured collectives, or none.
    waiting
        The limit's synchronisation of the step, where it is known.
    """
    if waiting is None:
        waiting = waits(chip, llm, deployment)
    return OverlayTimes(
        operators=operator_time(operators, chip, llm, deployment, calibration),
        activations=activation_time(chip, llm, deployment, calibration),
        kernels=kernels_per_step(llm, deployment) * calibration.kernel_latency,
        collectives=collective_time(llm, deployment, fabric, waiting=waiting),
    )


def operator_time(
    operators: Operators, chip: Chip, llm: LLM, deployment: Deployment, calibration: Calibration
) -> Scalar:
    """Streaming and arithmetic of all operators at the achieved rates [s].

    The routed experts' bytes are those of the experts that skewed routing touches. What sequences
    keep (caches, index keys, states) streams at ``kv_efficiency``. Ours.
    """
    skewed = routing_share(llm, deployment, calibration)
    total = 0.0
    of_sequences = ("attention", *operators.own_names)
    for name, operator in operators.named().items():
        share = skewed if name == "experts" else 1.0
        of_kv = name in of_sequences
        achieved = calibration.kv_efficiency if of_kv else calibration.mem_efficiency
        mem = share * mem_time(operator, chip, deployment) / achieved
        compute = compute_time(operator, chip, deployment) / calibration.flops_efficiency
        total = total + overlapped(mem, compute, loss=calibration.overlap_loss)
    return total


def overlapped(mem: Scalar, compute: Scalar, *, loss: Scalar) -> Scalar:
    r"""Time of work that streams and computes at once, some overlap lost [s].

    .. math:: (a^{1/\lambda} + b^{1/\lambda})^{\lambda}

    The maximum at :math:`\lambda = 0`, the sum at 1. At one half, the root of the sum of squares,
    it fits measured 16-bit matrix products of 1 to 1024 rows on five NVIDIA chips within 7 to 11 %
    in the mean (kernel tables of aiconfigurator, where the best exponents are 1.8 to 2.5). Ours.
    """
    larger, smaller = jnp.maximum(mem, compute), jnp.minimum(mem, compute)
    ratio = smaller / jnp.where(larger > 0.0, larger, 1.0)
    some = loss > 0.0
    exponent = jnp.where(some, loss, 1.0)
    inside = jnp.where(ratio > 0.0, ratio, 1.0) ** (1.0 / exponent)
    inside = jnp.where(ratio > 0.0, inside, 0.0)
    return larger * jnp.where(some, (1.0 + inside) ** exponent, 1.0)


def routing_share(llm: LLM, deployment: Deployment, calibration: Calibration) -> Scalar:
    r"""Experts touched under skewed routing over those under uniform routing [1].

    With the experts' popularity gamma-distributed, of squared coefficient of variation v, and
    :math:`\lambda = -t \ln(1 - k/E)` tokens expected at each expert, a share

    .. math:: 1 - (1 + v \lambda)^{-1/v} \;\to\; 1 - (1 - k/E)^t \quad (v \to 0)

    of the experts is touched. 1 for a dense model. Ours; v = 1 gives the number of experts that
    the measured times of grouped products under aiconfigurator's power-law routing imply
    (DeepSeek-V3's shape on B200).
    """
    if not deployment.routed_experts:
        return 1.0
    tokens = routed_tokens(deployment)
    sparse = llm.num_experts > llm.experts_per_token
    chosen = llm.experts_per_token / jnp.where(sparse, llm.num_experts, 1.0)
    expected = -tokens * jnp.log1p(-jnp.where(sparse, chosen, 0.5))
    some = calibration.routing_spread > 0.0
    spread = jnp.where(some, calibration.routing_spread, 1.0)
    skewed = -llm.num_experts * jnp.expm1(-jnp.log1p(spread * expected) / spread)
    uniform = touched_experts(llm, tokens=tokens)
    share = skewed / jnp.where(sparse, uniform, 1.0)
    return jnp.where(sparse & some, share, 1.0)


def activation_time(
    chip: Chip, llm: LLM, deployment: Deployment, calibration: Calibration
) -> Scalar:
    r"""Time to move activations to and from the routed experts [s].

    .. math:: m\, \cdot 2\,\mathrm{B} \cdot t\,k\,\ell\,L_\mathrm{MoE} / W

    Gathering, quantising, both grouped products and the sum read and write each routed token once
    for each of its experts, m times in all, on every chip: TP does not divide it. Ours; m = 16 in
    vLLM's kernels on B200, H200 and H100 (10 to 24 by chip and width).
    """
    if not deployment.routed_experts:
        return 0.0
    tokens = deployment.batch_size * deployment.query_tokens
    width = expert_width(llm, deployment)
    elements = tokens * llm.experts_per_token * width * llm.num_moe_layers
    return calibration.routed_passes * ACTIVATION_BYTES * elements / memory_rate(chip)


def kernels_per_step(llm: LLM, deployment: Deployment) -> Scalar:
    """Kernels that run one after another in one step, collectives apart [1].

    Counted in vLLM's layers, with quantisation and residual sums fused into their neighbours. Ours.
    """
    usual, *others = forms(deployment)
    attention = usual.kernels
    for form in others:
        attention = jnp.where(getattr(llm, form.field) > 0.0, form.kernels, attention)
    shared = jnp.where(llm.num_shared_experts > 0.0, SHARED_EXPERT_KERNELS, 0.0)
    own = (kind for kind in other_kinds(deployment) if kind.kernels)
    without_heads = (getattr(llm, kind.layers) * kind.kernels for kind in own)
    mixers = added([layers_with_heads(llm, deployment) * attention, *without_heads])
    experts = llm.num_moe_layers * (MOE_KERNELS + shared)
    return mixers + dense_layers(llm, deployment) * FFN_KERNELS + experts


def collective_time(llm: LLM, deployment: Deployment, fabric: Fabric, *, waiting: Waits) -> Scalar:
    """Collectives of one step: measured all-reduces where there are, otherwise the limit's [s].

    An all-reduce after each mixer and each feed-forward part, none where an all-to-all replaces it,
    or an exchange with other replicas, and under context parallelism one more for each layer with
    heads. All-to-alls, these exchanges and hops are the limit's in either case.

    Parameters
    ----------
    waiting
        The limit's synchronisation of the step.
    """
    tokens = deployment.batch_size * deployment.query_tokens
    payload = ACTIVATION_BYTES * tokens * llm.hidden_size
    each = measured_all_reduce_time(fabric, payload=payload, chips=deployment.tp_size)
    replaced = jnp.where(is_expert_parallel(deployment), llm.num_moe_layers, 0.0)
    usual = mixing_layers(llm, deployment) + ffn_layers(llm, deployment) - replaced
    if has_groups(deployment):
        shared = group_replicas(deployment) > 1.0
        usual = usual - jnp.where(shared, dense_layers(llm, deployment), 0.0)
    count = with_combines(usual, llm, deployment)
    limit = waiting.whole.total
    measured = limit - waiting.tensor.total + count * each
    return jnp.where(fabric.one_shot_latency > 0.0, measured, limit)
