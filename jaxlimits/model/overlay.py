r"""The calibrated overlay: the time that an engine needs for a step whose limit is known.

Beside the limit, never mixed with it: its results are named ``calibrated_*``. The form is ours,

.. math::
    t = \sum_\text{operators} \Big\Vert \frac{t_\mathrm{mem}}{\eta_\mathrm{mem}},
        \frac{t_\mathrm{compute}}{\eta_\mathrm{flops}} \Big\Vert + t_\mathrm{activations}
        + n_\mathrm{kernels}\,\tau_\mathrm{kernel} + B\,\tau_\mathrm{host} + t_\mathrm{collectives}

over the same operators and volumes as the limit's. What a step consists of, :func:`overlay_parts`,
knows no constant of an engine; :func:`timed` applies those of a
:class:`~jaxlimits.model.calibration.Calibration`, so that a fit evaluates the model once. With the
defaults of the records it is the limit under the ``operator`` roofline.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.attention import forms, layers_with_heads, other_kinds, parts
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip, memory_rate
from jaxlimits.model.collectives import Waits, reduces_experts, waits, with_combines
from jaxlimits.model.dense_groups import group_replicas, has_groups
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import is_expert_parallel, routed_tokens, touched_experts
from jaxlimits.model.fabric import Fabric, measured_all_reduce_time
from jaxlimits.model.ffn import expert_width
from jaxlimits.model.layers import dense_layers, ffn_layers, mixing_layers
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import Operators
from jaxlimits.model.roofline import compute_time, mem_time, stage_rates
from jaxlimits.model.volumes import added

FFN_KERNELS = 4.0
"""Norm, gate and up projection, activation, down projection."""

MOE_KERNELS = 6.0
"""Norm, router with its selection, sorting of tokens by expert, grouped gate and up projection with
the activation, grouped down projection, sum over experts."""

SHARED_EXPERT_KERNELS = 4.0
"""Gate and up projection, activation, down projection, sum with the routed experts."""

ACTIVATION_BYTES = 2.0
"""Activations between kernels are 16 bits wide."""


class Work(eqx.Module):
    """One operator of a step at the peak rates.

    Parameters
    ----------
    mem, compute
        Time of its streaming and of its arithmetic [s].
    streams
        What it streams: ``weights``, those of routed ``experts``, or what ``sequences`` keep.
    """

    mem: Scalar
    compute: Scalar
    streams: str = eqx.field(static=True)


class OverlayParts(eqx.Module):
    """What a step consists of, before any constant of an engine.

    Parameters
    ----------
    work
        Its operators.
    expected, expert_slots
        Tokens expected at each expert of a layer, and experts of a layer; 0 in a dense model [1].
    touched
        Experts of a layer that uniform routing touches [1].
    activations
        Time of one pass over the activations of the routed experts [s].
    kernels, sequences
        Kernels that run one after another, and sequences that the host serves [1].
    measured, waiting
        Time of all-reduces as measured, and of what no measurement stands for [s].
    """

    work: tuple[Work, ...]
    expected: Scalar
    expert_slots: Scalar
    touched: Scalar
    activations: Scalar
    kernels: Scalar
    sequences: Scalar
    measured: Scalar
    waiting: Scalar


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
    host
        What the host does for each sequence.
    collectives
        All-reduces, all-to-alls and hops.
    """

    operators: Scalar
    activations: Scalar
    kernels: Scalar
    host: Scalar
    collectives: Scalar

    @property
    def t_step(self) -> Scalar:
        """Time of one decode step [s]."""
        return self.operators + self.activations + self.kernels + self.host + self.collectives


def overlay_parts(
    operators: Operators,
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    *,
    fabric: Fabric,
    waiting: Waits | None = None,
    sequences: Scalar | None = None,
) -> OverlayParts:
    """What one step consists of, as an engine runs it.

    Parameters
    ----------
    operators
        Volumes of the step: every operator that the limit has.
    chip, llm, deployment
        The point. ``roofline`` does not matter: overlap is taken kernel by kernel.
    fabric
        Measured collectives, or none.
    waiting
        The limit's synchronisation of the step, where it is known.
    sequences
        Those that the host serves; by default the deployment's.
    """
    if waiting is None:
        waiting = waits(chip, llm, deployment)
    measured, rest = collective_times(llm, deployment, fabric, waiting=waiting)
    expected, slots, touched = routing(llm, deployment)
    return OverlayParts(
        work=operator_work(operators, chip, deployment),
        expected=expected,
        expert_slots=slots,
        touched=touched,
        activations=activation_pass(chip, llm, deployment),
        kernels=kernels_per_step(llm, deployment),
        sequences=deployment.batch_size if sequences is None else sequences,
        measured=measured,
        waiting=rest,
    )


def timed(consists: OverlayParts, calibration: Calibration) -> OverlayTimes:
    """Times of one step with the constants of an engine, part by part [s]."""
    return OverlayTimes(
        operators=operator_time(consists, calibration),
        activations=calibration.routed_passes * consists.activations,
        kernels=consists.kernels * calibration.kernel_latency,
        host=consists.sequences * calibration.sequence_latency,
        collectives=calibration.collective_factor * consists.measured + consists.waiting,
    )


def predicted_spread(
    chip: Chip,
    llm: LLM,
    calibration: Calibration,
    fabric: Fabric,
    *,
    t_step: Scalar,
    t_kernels: Scalar,
    t_sync: Scalar,
) -> Scalar:
    r"""Standard deviation of the logarithm of a predicted time [1].

    .. math:: \sqrt{w\,(s^2 + \kappa^2 s_\mathrm{kernel}^2)
              + \left(\tfrac{t_\mathrm{collectives}}{t_\mathrm{step}}\,s_\mathrm{fabric}\right)^2},
              \qquad w = 1 + \sum_i (1 - m_i)(w_i^2 - 1)

    with :math:`\kappa` the share of the step that is latency of kernels; over chip, model and kinds
    of attention, each with :math:`m` 1 where measured rates stand behind it and 0 where it is new.
    Collectives that are inferred add to it. Ours.

    Parameters
    ----------
    t_step, t_kernels, t_sync
        Predicted time of the step, and of it latency of kernels and measured collectives [s].
    """
    new = (
        (chip.measured_chip, calibration.chip_widening),
        (llm.measured_model, calibration.model_widening),
        (llm.measured_attention, calibration.attention_widening),
    )
    widened = 1.0 + added((1.0 - known) * (factor**2 - 1.0) for known, factor in new)
    kernels = t_kernels / t_step * calibration.kernel_spread
    waits = t_sync / t_step * fabric.fabric_spread
    variance = widened * (calibration.spread**2 + kernels**2) + waits**2
    some = variance > 0.0
    return jnp.where(some, jnp.sqrt(jnp.where(some, variance, 1.0)), 0.0)


def operator_work(operators: Operators, chip: Chip, deployment: Deployment) -> tuple[Work, ...]:
    """Every operator at the peak rates, and what it streams.

    What sequences keep (caches, index keys, states) is told from weights.
    """
    of_sequences = ("attention", *operators.own_names)

    def streams(name: str) -> str:
        return (
            "sequences" if name in of_sequences else "experts" if name == "experts" else "weights"
        )

    rates = stage_rates(chip, deployment)
    return tuple(
        Work(
            mem=mem_time(operator, rates),
            compute=compute_time(operator, rates),
            streams=streams(name),
        )
        for name, operator in operators.named().items()
    )


def operator_time(consists: OverlayParts, calibration: Calibration) -> Scalar:
    """Streaming and arithmetic of all operators at the achieved rates [s]. Ours."""
    return added(streaming_times(consists, calibration).values())


def streaming_times(consists: OverlayParts, calibration: Calibration) -> dict[str, Scalar]:
    """Times of the operators, their arithmetic overlapped, by what they stream [s].

    The routed experts' bytes are those of the experts that skewed routing touches. Ours.
    """
    achieved = {
        "weights": calibration.mem_efficiency,
        "experts": calibration.expert_efficiency / routing_share(consists, calibration),
        "sequences": calibration.kv_efficiency,
    }

    def time(one: Work) -> Scalar:
        return overlapped(
            one.mem / achieved[one.streams],
            one.compute / calibration.flops_efficiency,
            loss=calibration.overlap_loss,
        )

    return {
        name: added(time(one) for one in consists.work if one.streams == name) for name in achieved
    }


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


def routing(llm: LLM, deployment: Deployment) -> tuple[Scalar, Scalar, Scalar]:
    r"""Tokens expected at each expert, experts of a layer, and those that are touched [1].

    .. math:: \lambda = -t \ln(1 - k/E)

    All 0, 0 and 1 for a dense model, or one that chooses all of its experts.
    """
    if not deployment.routed_experts:
        return 0.0, 0.0, 1.0
    tokens = routed_tokens(deployment)
    sparse = llm.num_experts > llm.experts_per_token
    share = llm.experts_per_token / jnp.where(sparse, llm.num_experts, 1.0)
    expected = -tokens * jnp.log1p(-jnp.where(sparse, share, 0.0))
    slots = jnp.where(sparse, llm.num_experts, 0.0)
    return expected, slots, jnp.where(sparse, touched_experts(llm, tokens=tokens), 1.0)


def routing_share(consists: OverlayParts, calibration: Calibration) -> Scalar:
    r"""Experts touched under skewed routing over those under uniform routing [1].

    With the experts' popularity gamma-distributed, of squared coefficient of variation v, and
    :math:`\lambda = -t \ln(1 - k/E)` tokens expected at each expert, a share

    .. math:: 1 - (1 + v \lambda)^{-1/v} \;\to\; 1 - (1 - k/E)^t \quad (v \to 0)

    of the experts is touched. 1 for a dense model. Ours; v = 1 gives the number of experts that
    the measured times of grouped products under aiconfigurator's power-law routing imply
    (DeepSeek-V3's shape on B200).
    """
    some = (calibration.routing_spread > 0.0) & (consists.expert_slots > 0.0)
    spread = jnp.where(some, calibration.routing_spread, 1.0)
    expected = jnp.where(some, consists.expected, 1.0)
    skewed = -consists.expert_slots * jnp.expm1(-jnp.log1p(spread * expected) / spread)
    return jnp.where(some, skewed / consists.touched, 1.0)


def activation_pass(chip: Chip, llm: LLM, deployment: Deployment) -> Scalar:
    r"""Time of one pass over the activations of the routed experts [s].

    .. math:: 2\,\mathrm{B} \cdot t\,k\,\ell\,L_\mathrm{MoE} / W

    Gathering, quantising, both grouped products and the sum read and write each routed token once
    for each of its experts, ``routed_passes`` times in all, on every chip: TP does not divide it.
    Ours; 16 passes in vLLM's kernels on B200, H200 and H100 (10 to 24 by chip and width).
    """
    if not deployment.routed_experts:
        return 0.0
    tokens = deployment.batch_size * deployment.query_tokens
    width = expert_width(llm, deployment)
    elements = tokens * llm.experts_per_token * width * llm.num_moe_layers
    return ACTIVATION_BYTES * elements / memory_rate(chip)


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
    beside = (part.kernels(llm) for part in parts(deployment) if part.kernels is not None)
    mixers = added([layers_with_heads(llm, deployment) * attention, *without_heads, *beside])
    experts = llm.num_moe_layers * (MOE_KERNELS + shared)
    return mixers + dense_layers(llm, deployment) * FFN_KERNELS + experts


def collective_times(
    llm: LLM, deployment: Deployment, fabric: Fabric, *, waiting: Waits
) -> tuple[Scalar, Scalar]:
    """All-reduces of one step as measured, and what else it waits for, as the limit has it [s].

    An all-reduce after each mixer and each feed-forward part, none where an all-to-all replaces it,
    or an exchange with other replicas, and under context parallelism one more for each layer with
    heads. Engines all-reduce experts of one replica, and exchange their tokens where several
    replicas share them. All-to-alls, these exchanges and hops are the limit's. Without measurements
    all is the limit's.

    Parameters
    ----------
    waiting
        The limit's synchronisation of the step.
    """
    tokens = deployment.batch_size * deployment.query_tokens
    payload = ACTIVATION_BYTES * tokens * llm.hidden_size
    each = measured_all_reduce_time(fabric, payload=payload, chips=deployment.tp_size)
    reduced = reduces_experts(deployment, unless_asked=True)
    placed = jnp.where(is_expert_parallel(deployment), llm.num_moe_layers, 0.0)
    exchanged = jnp.where(reduced, 0.0, placed)
    usual = mixing_layers(llm, deployment) + ffn_layers(llm, deployment) - exchanged
    if has_groups(deployment):
        shared = group_replicas(deployment) > 1.0
        usual = usual - jnp.where(shared, dense_layers(llm, deployment), 0.0)
    count = with_combines(usual, llm, deployment)
    limit = waiting.whole.total
    beside = limit - waiting.tensor.total - jnp.where(reduced, waiting.expert.total, 0.0)
    known = fabric.one_shot_latency > 0.0
    return jnp.where(known, count * each, 0.0), jnp.where(known, beside, limit)
