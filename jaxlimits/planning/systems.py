"""Operating points of machines: what each layout does at each batch, computed by the engine.

Grids over chip, layout and batch: decode steps alone, at the mean context of the workload and
with room for it, for the bound; prompts alone, class by class; and steps as an engine runs them,
with room for whole requests, for plans.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlimits import schema
from jaxlimits.engine.reduction import Arrays
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.axes import read_value
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.layouts import Layout, all_layouts
from jaxlimits.grid.scenario import Scenario, bind
from jaxlimits.planning.machine_grids import MachineGrid, machine_grid
from jaxlimits.planning.targets import OF_THE_FLEET
from jaxlimits.planning.workload import Workload
from jaxlimits.run.pipeline import load_grid

EVERY_BATCH = 256
"""Batches up to which every whole number is tried; above, two percent lie between two."""

_STEP = 1.02
_TIMES = ("t_mem", "t_compute")
MICRO_BATCHES = (1.0, 2.0, 3.0, 4.0)
"""Micro-batches in flight that are tried where feed-forward parts lie on chips of their own."""

_OF_THE_REQUEST = ("input_len", "output_len", "seq_len", "batch_size", "mixed_steps")
_OF_THE_LAYOUT = (*schema.LAYOUT_SIZES, schema.LAYOUT)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Machines:
    """What may be built: chips and layouts for one model.

    Parameters
    ----------
    llm
        The model, by its name or file.
    chips
        Chips by their names.
    layouts
        Layouts of one group of chips; those with chips for feed-forward parts alone come last.
    settings
        Further fields and switches, as text.
    catalog
        Further catalog files.
    """

    llm: str
    chips: tuple[str, ...]
    layouts: tuple[Layout, ...]
    settings: Mapping[str, object]
    catalog: tuple[Any, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Chips and layouts."""
        return len(self.chips), len(self.layouts)

    @property
    def alike(self) -> "Machines":
        """Those whose chips all do the same; they come first."""
        layouts = tuple(each for each in self.layouts if not each.ffn_chips)
        return dataclasses.replace(self, layouts=layouts)

    @property
    def apart(self) -> "Machines":
        """Those with chips for feed-forward parts alone, which may be none."""
        layouts = tuple(each for each in self.layouts if each.ffn_chips)
        return dataclasses.replace(self, layouts=layouts)

    def collect(self, outputs: Sequence[str], *, base: Mapping[str, object]) -> Arrays:
        """Evaluate every machine once: outputs by name, of chips and layouts."""
        parts = (part for part in (self.alike, self.apart) if part.layouts)
        found = [part.grid(outputs, base=base).collect() for part in parts]
        return {name: np.concatenate([each[name] for each in found], axis=1) for name in outputs}

    def grid(
        self,
        outputs: Sequence[str],
        *,
        axes: Mapping[str, object] | None = None,
        base: Mapping[str, object],
    ) -> MachineGrid:
        """Plan a grid over chips, layouts and further axes, none of them of a switch."""
        scenario = self.scenario({"chip": list(self.chips), **(axes or {})}, base)
        return machine_grid(scenario, self.layouts, outputs)

    def scenario(self, axes: Mapping[str, object], base: Mapping[str, object]) -> Scenario:
        """Return a checked grid over some axes."""
        whole = {"llm": self.llm, **self.settings, **base}
        spec = load_grid(
            {"precision": "float64", "base": whole, "axes": axes}, catalog=self.catalog
        )
        scenario = bind(spec)
        check_scenario(scenario)
        return scenario


def make_machines(
    llm: str,
    chips: Sequence[str],
    *,
    most: int,
    only: Mapping[str, Collection[int | float]],
    settings: Mapping[str, object],
    catalog: tuple[Any, ...] = (),
) -> Machines:
    """Return every machine of at most so many chips a group.

    Replicas that share neither experts nor chips of feed-forward parts are groups of their own:
    ``dp_size`` exceeds 1 only with either.

    Raises
    ------
    InputError
        No chip, a setting that the plan chooses itself, no layout, none of those asked for that
        have chips for feed-forward parts alone, or only such.
    """
    if not chips:
        raise InputError("names no chip", key="chip", remedy="name one or more, as h200")
    for name in (*_OF_THE_REQUEST, *_OF_THE_LAYOUT):
        if name in settings:
            remedy = "leave it out: `only` limits the sizes, and the workload states the request"
            raise InputError("is chosen by the plan or given to it", key=name, remedy=remedy)
    sizes = _sizes(only)
    point = {"base": {"llm": llm, "chip": chips[0], **settings}, "axes": {"batch_size": [1]}}
    scenario = bind(load_grid(point, catalog=catalog))
    found = all_layouts(most, [{**scenario.base, **scenario.switches}], only=sizes)
    sharing = (each for each in found if each.dp_size == 1 or each.ep_size > 1 or each.ffn_chips)
    layouts = tuple(sorted(sharing, key=lambda each: each.ffn_chips > 0))
    machines = Machines(
        llm=llm,
        chips=tuple(dict.fromkeys(chips)),
        layouts=layouts,
        settings=settings,
        catalog=catalog,
    )
    if not machines.alike.layouts:
        problem = f"no layout of at most {most} chips is valid for {llm}"
        raise InputError(problem, key="only", remedy="allow more chips or other sizes")
    if any(sizes.get("ffn_chips", ())) and not machines.apart.layouts:
        problem = (
            f"no layout of at most {most} chips with some for feed-forward parts alone is valid"
        )
        remedy = (
            "allow more chips, other sizes, or no such chips: see what excludes them in the guide"
        )
        raise InputError(problem, key="ffn_chips", remedy=remedy)
    names = {schema.LAYOUT: [layout.name for layout in layouts]}
    machines.scenario({"chip": list(machines.chips), **names}, {"batch_size": 1})
    return machines


def _sizes(only: Mapping[str, Collection[int | float]]) -> dict[str, list[float]]:
    """The sizes to consider, as numbers, by field."""
    for name in only:
        if name not in schema.LAYOUT_SIZES:
            raise unknown_name("size", name, schema.LAYOUT_SIZES, key="only")
    sizes = {
        name: [read_value(name, size, key=name) for size in values] for name, values in only.items()
    }
    apart = sizes.get("ffn_chips", [0.0])
    if 0.0 not in apart:
        problem = "leaves no machine that prefills: those with chips for feed-forward parts decode"
        raise InputError(problem, key="ffn_chips", value=apart, remedy="name 0 among them")
    if "ffn_micro_batches" in sizes and not any(apart):
        problem = "counts where feed-forward parts lie on chips of their own"
        remedy = "name numbers of these too, as ffn_chips: 0, 4, 8"
        raise InputError(problem, key="ffn_micro_batches", remedy=remedy)
    return {"ffn_micro_batches": list(MICRO_BATCHES), **sizes} if any(apart) else sizes


def batches(largest: float) -> np.ndarray:
    """Batches to try, ascending: every one at first, then two percent apart."""
    most = max(int(largest), 1)
    every = np.arange(1, min(most, EVERY_BATCH) + 1, dtype=np.float64)
    if most <= EVERY_BATCH:
        return every
    count = math.ceil(math.log(most / EVERY_BATCH) / math.log(_STEP)) + 1
    further = np.unique(np.floor(np.geomspace(EVERY_BATCH, most, count)))
    return np.concatenate([every, further[further > EVERY_BATCH]])


class Prompts(NamedTuple):
    """Prefill on every chip and layout: arrays of chips, layouts, and classes of prompts.

    Parameters
    ----------
    ttft
        Time of the whole prefill of one prompt [s].
    memory, compute
        What one prompt adds to both times of a step that reads the weights anyway [s].
    lanes
        Prompts that are prefilled at once, each with this time: ``dp_size * pp_size``.
    """

    ttft: np.ndarray
    memory: np.ndarray
    compute: np.ndarray
    lanes: np.ndarray


def prefill_of(machines: Machines, workload: Workload) -> Prompts:
    """Evaluate the prefill of each class of prompts on every machine."""
    lengths = sorted(set(workload.input_lens))
    base = {"output_len": 1, "batch_size": 1, "roofline": "step"}
    alone, both = (
        machines.grid(names, axes={"input_len": lengths}, base={**base, "mixed_steps": mode})
        for names, mode in ((("t_mem", "t_compute", "ttft"), "off"), (_TIMES, "bound"))
    )
    without, found = alone.collect(), both.collect()
    tokens = _tokens_per_step(machines)
    memory, compute = (
        np.maximum(found[name] - without[name], 0.0) / tokens for name in ("t_mem", "t_compute")
    )
    places = np.searchsorted(lengths, workload.input_lens)
    return Prompts(
        ttft=without["ttft"][..., places],
        memory=memory[..., places],
        compute=compute[..., places],
        lanes=np.array([layout.dp_size * layout.pp_size for layout in machines.layouts], float),
    )


def _tokens_per_step(machines: Machines) -> float:
    """Tokens that one step gives to a user: the same on every machine that fits."""
    if machines.settings.get("speculation", "off") == "off":
        return 1.0
    found = machines.grid(("utps", "t_step"), base={"seq_len": 1}).collect()
    tokens = found["utps"] * found["t_step"]
    return float(np.nanmax(tokens)) if not np.isnan(tokens).all() else 1.0


class Sizes(NamedTuple):
    """What a group is, by chip and layout.

    Parameters
    ----------
    totals
        Chips, power [W] and dollars [USD/s, USD] of one group; NaN where they are not stated.
    largest_batch
        The largest batch that fits on any group at the workload's mean context; 0 where none does.
    """

    totals: Mapping[str, np.ndarray]
    largest_batch: float


def sizes_of_groups(machines: Machines, workload: Workload) -> Sizes:
    """Evaluate what each group costs, and how many sequences the largest holds."""
    base = {**mean_decode(workload), "batch_size": 1}
    outputs = (*OF_THE_FLEET, "max_batch_size")
    found = machines.collect(outputs, base=base)
    whole = found["max_batch_size"]
    return Sizes(
        totals={name: found[name] for name in OF_THE_FLEET},
        largest_batch=float(np.max(np.where(np.isfinite(whole), whole, 65_536.0))),
    )


def mean_decode(workload: Workload) -> dict[str, object]:
    """Return fields of decode steps at the workload's mean context, with room for it and no more.

    Where a share of the prompts is stored once, a request of one token says which share of the
    mean context that is.
    """
    context, reused = math.floor(workload.mean_context), workload.reused_tokens
    if reused <= 0.0 or context <= 1:
        return {"seq_len": context}
    one = {"output_len": 1, "prefill_batch": 1}
    return {"input_len": context - 1, **one, "prefix_share": min(reused / (context - 1), 1.0)}


def shares_filled(machines: Machines, workload: Workload) -> np.ndarray:
    """Memory that the model and one whole request take over what each group has [1]."""
    base = {**workload.mean_request, "batch_size": 1}
    return machines.collect(("capacity_utilisation",), base=base)["capacity_utilisation"]


def decode_grid(
    machines: Machines, workload: Workload, *, tried: np.ndarray, objective: str
) -> MachineGrid:
    """Plan decode steps alone at the mean context, at the batches to try."""
    base = {**mean_decode(workload), "roofline": "step"}
    outputs = (*_TIMES, "t_sync", "t_step", "stps", "users", objective)
    return machines.grid(outputs, axes={"batch_size": tried.tolist()}, base=base)
