"""What must hold between the fields of a point."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxlimits import schema
from jaxlimits.model.alpha_beta import ALGORITHMS_ON, ALL_REDUCES
from jaxlimits.model.attention import KINDS
from jaxlimits.model.attention.kind import Kind
from jaxlimits.model.topology import DIMENSIONS

Arrays = Mapping[str, Any]
"""Values of fields by name: arrays of numpy, or traced ones."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """A condition between fields.

    Parameters
    ----------
    fields
        Names of the fields; the first is the one to blame. None where the settings of switches
        alone exclude each other.
    holds
        Function of their arrays: where the condition holds.
    says, remedy
        The condition in words, and what to do.
    needs
        Switch settings under which it applies, by name.
    ordered
        Whether the values of one field that satisfy it, the others given, lie side by side.
    unless
        Names of which one that somebody states makes it hold.
    """

    fields: tuple[str, ...]
    holds: Callable[[Arrays], Any]
    says: str
    remedy: str
    needs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ordered: bool = True
    unless: tuple[str, ...] = ()


def _without_path(algorithm: str, topology: str) -> Constraint:
    """An algorithm that a topology has no path for."""
    others = " or ".join(t for t, known in ALGORITHMS_ON.items() if algorithm in known)
    known = ", ".join(ALGORITHMS_ON[topology])
    return Constraint(
        fields=(),
        holds=lambda _: False,
        says=f"{topology} has no path for the collective algorithm {algorithm}",
        remedy=f"choose {known}, auto, best or constant there, or the topology {others}",
        needs={"collective_algorithm": algorithm, "topology": topology},
    )


def _without(f: Arrays, name: str, other: str) -> Any:
    """Where one of two fields is 0."""
    return (f[name] == 0.0) | (f[other] == 0.0)


def _no_more_than_all(kinds: Sequence[Kind]) -> Constraint:
    """Layers of kinds are layers of the model."""
    counts = [kind.layers for kind in kinds]
    *names, last = (kind.name for kind in kinds)
    return Constraint(
        fields=(*counts, "num_layers"),
        holds=lambda f: sum(f[count] for count in counts) <= f["num_layers"],
        says=f"there cannot be more {', '.join(names)} and {last} layers than layers",
        remedy="lower their number, or link the axes",
    )


def _no_more_shared_than_all(kind: Kind, others: Sequence[Kind]) -> Constraint:
    """Layers without keys or values of their own are layers of their kind.

    Parameters
    ----------
    others
        Kinds that leave the layers of this one, where it is that of all that is left.
    """
    without = [field for field in (kind.shared, kind.keyed) if field is not None]
    others_counts = [other.layers for other in others]
    names = " and ".join(without)
    return Constraint(
        fields=(*without, kind.layers, *others_counts),
        holds=lambda f: (
            sum(f[field] for field in without)
            <= f[kind.layers] - sum(f[count] for count in others_counts)
        ),
        says=f"{names} cannot exceed the number of {kind.name} layers",
        remedy="lower them, or link the axes",
    )


def _at_least_one(kind: Kind, field: str) -> Constraint:
    """A field without which layers of a kind mean nothing."""
    return Constraint(
        fields=(field, kind.layers),
        holds=lambda f: (f[field] >= 1.0) | (f[kind.layers] == 0.0),
        says=f"a {kind.name} layer {kind.at_least_one[field]}",
        remedy=f"state {field}",
    )


def _is_no_larger(f: Arrays) -> Any:
    """Whether a draft has no more parameters than its model, by their names' totals.

    Where one states none, layers times the square of the width stand for them.
    """
    stated = (f["draft_nominal_params"] > 0.0) & (f["nominal_params"] > 0.0)
    by_name = f["draft_nominal_params"] <= f["nominal_params"]
    draft = f["draft_num_layers"] * f["draft_hidden_size"] ** 2
    by_shape = draft <= f["num_layers"] * f["hidden_size"] ** 2
    return (stated & by_name) | (~stated & by_shape)


CONSTRAINTS = (
    *(
        _without_path(algorithm, topology)
        for topology, known in ALGORITHMS_ON.items()
        for algorithm in ALL_REDUCES
        if algorithm not in known
    ),
    *(
        Constraint(
            fields=("mesh_rows", "tp_size"),
            holds=lambda f: f["tp_size"] % f["mesh_rows"].clip(min=1.0) == 0.0,
            says="mesh_rows must divide tp_size",
            remedy="choose another mesh_rows, 0 for a shape by itself, or link the axes",
            needs={"topology": topology},
            ordered=False,
        )
        for topology in DIMENSIONS
    ),
    Constraint(
        fields=("ep_size", "tp_size", "dp_size", "ffn_chips"),
        holds=lambda f: (
            ((f["tp_size"] * f["dp_size"]) % f["ep_size"] == 0.0) | (f["ffn_chips"] > 0.0)
        ),
        says="ep_size must divide tp_size * dp_size",
        remedy="choose another ep_size, or link the axes",
        ordered=False,
    ),
    Constraint(
        fields=("ffn_chips", "ep_size"),
        holds=lambda f: f["ffn_chips"] % f["ep_size"] == 0.0,
        says="ep_size must divide ffn_chips, the chips that hold the experts",
        remedy="choose another ep_size or ffn_chips, or link the axes",
        ordered=False,
    ),
    Constraint(
        fields=("ffn_chips", "ep_size", "expert_hidden_size"),
        holds=lambda f: (f["ep_size"] == 1.0) | _without(f, "ffn_chips", "expert_hidden_size"),
        says="tokens cannot go straight to experts that take a latent of another width",
        remedy="set ep_size = 1, so that all ffn_chips share every expert, or ffn_chips = 0",
    ),
    *(
        Constraint(
            fields=("ffn_chips", other),
            holds=lambda f, other=other: _without(f, "ffn_chips", other),
            says=f"chips for feed-forward parts alone and {what} exclude each other",
            remedy=f"set {other} = 0, or ffn_chips = 0",
        )
        for other, what in (
            ("dense_tp_size", "dense layers that replicas share"),
            ("sram_capacity", "a tier of SRAM"),
            ("lpddr_capacity", "a tier of LPDDR"),
        )
    ),
    *(
        Constraint(
            fields=("ffn_chips",),
            holds=lambda f: f["ffn_chips"] == 0.0,
            says=f"chips for feed-forward parts alone and {switch} = {choice!r} exclude each other",
            remedy=f"set ffn_chips = 0, or {switch} = {plain!r}",
            needs={switch: choice},
        )
        for switch, plain in schema.switch_defaults().items()
        if switch in ("weight_placement", "speculation", "mixed_steps")
        for choice in schema.SWITCHES[switch].choices
        if choice != plain
    ),
    Constraint(
        fields=("ep_size", "num_experts", "redundant_experts"),
        holds=lambda f: (f["num_experts"] + f["redundant_experts"]) % f["ep_size"] == 0.0,
        says="ep_size must divide num_experts + redundant_experts",
        remedy="choose another ep_size or redundant_experts, or link the axes",
        ordered=False,
    ),
    Constraint(
        fields=("dense_tp_size", "tp_size", "dp_size"),
        holds=lambda f: (
            (f["dense_tp_size"] % f["tp_size"] == 0.0)
            & ((f["tp_size"] * f["dp_size"]) % f["dense_tp_size"].clip(min=1.0) == 0.0)
        ),
        says="tp_size must divide dense_tp_size, and this tp_size * dp_size",
        remedy="choose another dense_tp_size, 0 for tp_size, or link the axes",
        ordered=False,
    ),
    Constraint(
        fields=("cp_size", "tp_size"),
        holds=lambda f: f["tp_size"] % f["cp_size"] == 0.0,
        says="cp_size must divide tp_size",
        remedy="choose another cp_size, or link the axes",
        ordered=False,
    ),
    Constraint(
        fields=("experts_per_token", "num_experts"),
        holds=lambda f: f["experts_per_token"] <= f["num_experts"],
        says="a token cannot use more experts than there are",
        remedy="lower experts_per_token, or link the axes",
    ),
    Constraint(
        fields=("num_moe_layers", "num_mixer_only_layers", "num_layers"),
        holds=lambda f: f["num_moe_layers"] + f["num_mixer_only_layers"] <= f["num_layers"],
        says="there cannot be more MoE layers and layers without a feed-forward part than layers",
        remedy="lower num_moe_layers, or link the axes",
    ),
    Constraint(
        fields=("num_mixer_only_layers", "num_ffn_only_layers", "num_layers"),
        holds=lambda f: f["num_mixer_only_layers"] + f["num_ffn_only_layers"] <= f["num_layers"],
        says="a layer has a mixer or a feed-forward part: not more can lack one than there are",
        remedy="lower num_mixer_only_layers or num_ffn_only_layers, or link the axes",
    ),
    Constraint(
        fields=("num_indexer_layers", "num_sparse_layers"),
        holds=lambda f: f["num_indexer_layers"] <= f["num_sparse_layers"],
        says="there cannot be more indexers than sparse layers",
        remedy="lower num_indexer_layers, 0 for one in each sparse layer, or link the axes",
    ),
    _no_more_than_all(KINDS[1:]),
    *(
        _no_more_shared_than_all(kind, KINDS[1:] if kind is KINDS[0] else ())
        for kind in KINDS
        if kind.shared is not None
    ),
    Constraint(
        fields=("value_head_dim", "windowed_head_dim", "windowed_value_head_dim", "head_dim"),
        holds=lambda f: (
            (f["head_dim"] > 0.0)
            | (f["value_head_dim"] + f["windowed_head_dim"] + f["windowed_value_head_dim"] == 0.0)
        ),
        says="heads of MLA have their widths in qk_nope_head_dim, qk_rope_head_dim and v_head_dim",
        remedy="state these, or head_dim",
    ),
    *(_at_least_one(kind, field) for kind in KINDS for field in kind.at_least_one),
    Constraint(
        fields=("nominal_active_params", "nominal_params"),
        holds=lambda f: (
            (f["nominal_active_params"] > 0.0) & (f["nominal_active_params"] <= f["nominal_params"])
        ),
        says="nominal accounting needs both totals, active at most the whole",
        remedy="state nominal_params and nominal_active_params, or choose accounting = 'full'",
        needs={"accounting": "nominal"},
    ),
    Constraint(
        fields=("nominal_active_params", "nominal_params", "num_experts", "experts_per_token"),
        holds=lambda f: (
            f["nominal_active_params"] * (f["num_experts"] - f["experts_per_token"])
            >= f["experts_per_token"] * (f["nominal_params"] - f["nominal_active_params"])
        ),
        says="the experts in use hold more than the nominal active total",
        remedy="raise nominal_active_params, or choose accounting = 'full'",
        needs={"accounting": "nominal"},
    ),
    *(
        Constraint(
            fields=("acceptance_length", "draft_length"),
            holds=lambda f: f["acceptance_length"] <= f["draft_length"] + 1.0,
            says="a step gives at most what its draft proposes and one token more",
            remedy="lower acceptance_length, raise draft_length, or link the axes",
            needs={"speculation": speculation},
        )
        for speculation in ("draft", "mtp")
    ),
    Constraint(
        fields=("draft_num_layers",),
        holds=lambda f: f["draft_num_layers"] >= 1.0,
        says="speculation = 'draft' needs a draft",
        remedy="name an LLM of the catalog, as draft = 'llama3-8b', or choose speculation = 'mtp'",
        needs={"speculation": "draft"},
    ),
    Constraint(
        fields=(
            *("draft_nominal_params", "draft_num_layers", "draft_hidden_size"),
            *("nominal_params", "num_layers", "hidden_size"),
        ),
        holds=_is_no_larger,
        # Ordered although 0 stands for a total that is not stated: brackets begin at 1.
        says="a draft must not be larger than its model",
        remedy="name a smaller draft, or link the axes of llm and draft",
        needs={"speculation": "draft"},
    ),
    Constraint(
        fields=("ep_size",),
        holds=lambda f: f["ep_size"] == 1.0,
        says="sharded weights and expert parallelism exclude each other",
        remedy="set ep_size = 1, or choose weight_placement = 'resident'",
        needs={"weight_placement": "sharded"},
    ),
    Constraint(
        fields=("sram_bw", "sram_capacity"),
        holds=lambda f: (f["sram_bw"] > 0.0) | (f["sram_capacity"] == 0.0),
        says="a tier of SRAM needs a bandwidth",
        remedy="state sram_bw, as '20 TB/s'",
    ),
    Constraint(
        fields=("lpddr_bw", "lpddr_capacity"),
        holds=lambda f: (f["lpddr_bw"] > 0.0) | (f["lpddr_capacity"] == 0.0),
        says="a tier of LPDDR needs a bandwidth",
        remedy="state lpddr_bw, as '500 GB/s'",
    ),
)


def _within_a_domain(algorithm: str) -> tuple[Constraint, ...]:
    """Chips that exchange a payload across scale-up domains."""
    fields, moves = ("tp_size", "scale_up_size"), {"collective_algorithm": algorithm}
    return (
        Constraint(
            fields=fields,
            holds=lambda f: f["tp_size"] <= f["scale_up_size"],
            says="tensor parallelism leaves the scale-up domain, and topology = 'switched' times"
            " it as if one switch joined all chips",
            remedy="for links between domains choose topology = 'rail', or lower tp_size",
            needs={**moves, "topology": "switched"},
        ),
        Constraint(
            fields=fields,
            holds=lambda f: f["tp_size"] <= f["scale_up_size"],
            says="tensor parallelism leaves the scale-up domain over links that nobody states, at"
            " the default scale_out_bw",
            remedy="state scale_out_bw, or name an interconnect that does",
            needs={**moves, "topology": "rail"},
            unless=("scale_out_bw",),
        ),
    )


REMARKS = (
    Constraint(
        fields=("pp_size", "num_layers"),
        holds=lambda f: f["pp_size"] <= f["num_layers"],
        says="there are more pipeline stages than layers: the stages share them evenly, fractions"
        " of a layer each",
        remedy="lower pp_size for a machine that can be built",
    ),
    Constraint(
        fields=("tp_size", "hidden_size"),
        holds=lambda f: f["tp_size"] <= f["hidden_size"],
        says="there are more tensor-parallel chips than columns of a matrix: each has a fraction of"
        " one",
        remedy="lower tp_size for a machine that can be built",
    ),
    *(remark for algorithm in (*ALL_REDUCES, "best") for remark in _within_a_domain(algorithm)),
)
"""What no machine would be, or does not say of itself, in the form of a constraint: it is evaluated
all the same, as a limit, and said."""


def constraints_on(field: str, switches: Mapping[str, Any]) -> list[Constraint]:
    """Return the constraints that name a field and apply under some settings of the switches."""
    return [
        rule
        for rule in CONSTRAINTS
        if field in rule.fields and rule.needs.items() <= switches.items()
    ]
