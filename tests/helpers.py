"""Scenarios as records, evaluated and differentiated at one point."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pytest

from jaxlimits.catalog.loader import load_catalog
from jaxlimits.model.alpha_beta import ALGORITHMS_ON
from jaxlimits.model.chip import LINK_FIELDS, Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fields import switches
from jaxlimits.model.head_groups import Group, over_groups
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Metrics
from jaxlimits.model.request import NO_REQUEST, Request
from jaxlimits.model.site import DEFAULT_SITE, Site
from jaxlimits.schema import FIELDS, field_names

RECORDS = {
    "chip": Chip,
    "llm": LLM,
    "deployment": Deployment,
    "site": Site,
    "request": Request,
    "draft": LLM,
}
PLACES = {field: (key, own) for key in RECORDS for own, field in field_names(key).items()}
"""Record and name in it of every field."""

NUMBERS = {field: FIELDS[field] for field in PLACES}
DRAFT = LLM(
    num_layers=1.0,
    hidden_size=64.0,
    vocab_size=1000.0,
    num_heads=4.0,
    num_kv_heads=2.0,
    head_dim=16.0,
    intermediate_size=128.0,
    nominal_params=1e5,
    nominal_active_params=1e5,
)
"""A draft that is smaller than anything."""

DEFAULT = {name: info.choices[0] for name, info in switches(Deployment).items()}

PAPER_SHARING = {"kv_sharding": "split", "collective_algorithm": "constant"}
"""How the paper divides the cache among chips, and how long one of their collectives takes."""

PAPER = DEFAULT | {
    **PAPER_SHARING,
    "accounting": "nominal",
    "mla_weights": "absorbed",
    "attention_span": "full",
    "vector_work": "off",
}
COMBINATIONS = {
    "default": DEFAULT,
    "paper": PAPER,
    "engine": DEFAULT
    | {
        "accounting": "layers",
        "roofline": "operator",
        "kv_sharding": "heads",
        "mla_weights": "absorbed",
        "chunk_read": "mean",
        "collectives": "derived",
        "collective_algorithm": "best",
        "topology": "rail",
        "expert_exchange": "all-reduce",
        "power_model": "activity",
    },
    "derived": DEFAULT
    | {
        "roofline": "operator",
        "kv_sharding": "split",
        "chunk_read": "mean",
        "vector_work": "off",
        "collectives": "derived",
        "collective_algorithm": "one-shot",
        "topology": "torus-2d",
        "expert_exchange": "all-to-all",
        "memory_tiers": "add",
    },
}
"""A handful of combinations; each one compiles. Every choice of every switch occurs in them, but of
the algorithms only the automatic one, the constant, the simplest, and the least of all, and of the
topologies three; see ``ALGORITHMS`` and ``ON_TOPOLOGIES``."""

EXTENDED = {
    "draft": DEFAULT | {"speculation": "draft"},
    "mtp": PAPER | {"speculation": "mtp", "roofline": "operator", "accounting": "full"},
    "mtp, nominal": PAPER | {"speculation": "mtp"},
    "sharded": DEFAULT | {"weight_placement": "sharded"},
    "sharded on a torus": DEFAULT
    | {"weight_placement": "sharded", "collective_algorithm": "best", "topology": "torus-3d"},
}
"""Combinations with a draft or sharded weights, beside those above that have neither."""


def slow_but(values: Iterable[Any], *kept: Any) -> list[Any]:
    """Parameters of a test of which the gate runs a few, and ``-m slow`` the others."""
    marks = {True: [], False: [pytest.mark.slow]}
    return [pytest.param(value, marks=marks[value in kept]) for value in values]


def one_in(number: int, values: Iterable[Any], ids: Iterable[str] | None = None) -> list[Any]:
    """Parameters of a test of which the gate runs every so manyth, and ``-m slow`` the others.

    A tuple is the values of several parameters.
    """
    listed = list(values)
    names = [None] * len(listed) if ids is None else list(ids)
    return [
        pytest.param(
            *(value if type(value) is tuple else (value,)),  # a scenario is one value
            marks=[] if place % number == 0 else [pytest.mark.slow],
            id=name,
        )
        for place, (value, name) in enumerate(zip(listed, names, strict=True))
    ]


LINK_LATENCIES = tuple(name for name in LINK_FIELDS if name.endswith("_latency"))
"""Fields that say how long a message is exposed, whatever its payload."""

MIXED_STEPS = ("even", "stalls", "chunks", "bound")
"""Every way in which prompts come with decode steps."""

ALGORITHMS = switches(Deployment)["collective_algorithm"].choices
"""Every way to time a collective, for tests that go through all of them."""

ON_TOPOLOGIES = [(t, a) for t, known in ALGORITHMS_ON.items() for a in (*known, "best")]
"""Every topology with every algorithm that has a path there, and the best of them."""


IN_8_BITS = Deployment(weight_bits=8.0, kv_bits=8.0, compute_bits=8.0, **PAPER_SHARING)
"""In 8 bits, and as the paper shares the cache and counts the time of a collective."""


class Scenario(NamedTuple):
    """One point: what the model is asked."""

    chip: Chip
    llm: LLM
    deployment: Deployment
    site: Site = DEFAULT_SITE
    request: Request = NO_REQUEST
    draft: LLM = DRAFT

    def but(self, **values: float | str) -> "Scenario":
        """Return the scenario with some fields or switches of its records replaced."""
        changes: dict[str, dict[str, float | str]] = {}
        for name, value in values.items():
            key, own = PLACES.get(name, ("deployment", name))
            changes.setdefault(key, {})[own] = value
        records = {key: dataclasses.replace(getattr(self, key), **changes[key]) for key in changes}
        return self._replace(**records).as_the_engine_runs_it()

    def as_the_engine_runs_it(self) -> "Scenario":
        """Return the scenario with the terms spared that it does not need."""
        flags = {
            "sram_tier": self.chip.sram_capacity > 0.0,
            "lpddr_tier": self.chip.lpddr_capacity > 0.0,
            "stated_links": self.chip.link_bw > 0.0,
            "unstated_links": self.chip.link_bw <= 0.0,
            "requests": self.request.input_len > 0.0,
            "ffn_groups": self.deployment.ffn_chips > 0.0,
        }
        changed = {k: flag for k, flag in flags.items() if getattr(self.deployment, k) != flag}
        if not changed:  # records are checked as they are made, which takes most of a draw's time
            return self
        return self._replace(deployment=dataclasses.replace(self.deployment, **changed))

    def scaled(self, factor: float, names: Iterable[str]) -> "Scenario":
        """Return the scenario with some fields multiplied."""
        return self.but(**{name: factor * self[name] for name in names})

    def __getitem__(self, name: str) -> float:
        key, own = PLACES[name]
        return getattr(getattr(self, key), own)

    @property
    def numbers(self) -> dict[str, float]:
        """Every numeric field by name."""
        return {name: float(self[name]) for name in NUMBERS}

    @property
    def switches(self) -> dict[str, str]:
        """Every switch by name."""
        return {name: getattr(self.deployment, name) for name in DEFAULT}


def make_scenario(numbers: Mapping[str, float], chosen: Mapping[str, str]) -> Scenario:
    """Build the records of one point from plain numbers."""
    records: dict[str, dict[str, float]] = {key: {} for key in RECORDS}
    for name, value in numbers.items():
        key, own = PLACES[name]
        records[key][own] = value
    scenario = Scenario(
        chip=Chip(**records["chip"]),
        llm=LLM(**records["llm"]),
        deployment=Deployment(**records["deployment"], **chosen),
        site=Site(**records["site"]),
        request=Request(**records["request"]),
        draft=LLM(**records["draft"]) if records["draft"] else DRAFT,
    )
    return scenario.as_the_engine_runs_it()


def named_scenario(llm: str, chip: str, **values: float | str) -> Scenario:
    """Return a scenario of two catalog entries, by :data:`IN_8_BITS` where nothing else is said."""
    catalog = load_catalog()
    return Scenario(catalog.chip(chip), catalog.llm(llm), IN_8_BITS).but(**values)


def of_all_groups(
    term: Callable[[Group, Deployment], float],
) -> Callable[[LLM, Deployment], float]:
    """Return a function of a model that sums a term over its groups of layers."""
    return lambda llm, deployment: over_groups(llm, deployment, lambda g: term(g, deployment))


def evaluate_x64(*scenario: Chip | LLM | Deployment | Site) -> Metrics:
    """Evaluate one point in float64, operation by operation, as Python numbers."""
    from tests.batches import Plain, answered  # which are of scenarios

    return answered([Plain(Scenario(*scenario))])[0]


def evaluate_x32(*scenario: Chip | LLM | Deployment | Site) -> Metrics:
    """Evaluate one point in float32, as Python numbers."""
    from tests.batches import Single, answered

    return answered([Single(Scenario(*scenario))])[0]
