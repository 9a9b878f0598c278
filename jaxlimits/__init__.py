"""The limits of LLM inference hardware, over grids of any size.

Names load on first use, so that the command line answers before jax is imported.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxlimits.on_import import when_imported

if TYPE_CHECKING:
    from jaxlimits import plots as plot
    from jaxlimits.catalog.loader import Catalog as Catalog
    from jaxlimits.catalog.loader import load_catalog as load_catalog
    from jaxlimits.codesign.optimise import optimise as optimise
    from jaxlimits.errors import DamagedResultWarning as DamagedResultWarning
    from jaxlimits.errors import InputError as InputError
    from jaxlimits.errors import OtherVersionWarning as OtherVersionWarning
    from jaxlimits.errors import ResultError as ResultError
    from jaxlimits.model.chip import Chip as Chip
    from jaxlimits.model.deployment import Deployment as Deployment
    from jaxlimits.model.llm import LLM as LLM
    from jaxlimits.model.metrics import Limit as Limit
    from jaxlimits.model.metrics import Metrics as Metrics
    from jaxlimits.model.request import Request as Request
    from jaxlimits.model.site import Site as Site
    from jaxlimits.points.labelled_operators import operators as operators
    from jaxlimits.points.labelled_operators import operators_of as operators_of
    from jaxlimits.points.named_point import evaluate as evaluate
    from jaxlimits.points.service import Answer as Answer
    from jaxlimits.points.service import Disaggregated as Disaggregated
    from jaxlimits.points.service import best_of as best_of
    from jaxlimits.points.service import disaggregated as disaggregated
    from jaxlimits.questions.best import ask as ask
    from jaxlimits.questions.best import best as best
    from jaxlimits.questions.best import frontier_near as frontier_near
    from jaxlimits.questions.solve import Solution as Solution
    from jaxlimits.questions.solve import solve as solve
    from jaxlimits.run.pipeline import sweep as sweep
    from jaxlimits.run.pipeline import sweep_again as sweep_again
    from jaxlimits.store.results import IncompleteResultWarning as IncompleteResultWarning
    from jaxlimits.store.results import open_result as open
    from jaxlimits.uncertainties.uncertainty import morris as morris
    from jaxlimits.uncertainties.uncertainty import sobol as sobol
    from jaxlimits.uncertainties.uncertainty import uncertainty as uncertainty

_PUBLIC = {
    "Answer": ("jaxlimits.points.service", "Answer"),
    "Catalog": ("jaxlimits.catalog.loader", "Catalog"),
    "Chip": ("jaxlimits.model.chip", "Chip"),
    "DamagedResultWarning": ("jaxlimits.errors", "DamagedResultWarning"),
    "Deployment": ("jaxlimits.model.deployment", "Deployment"),
    "Disaggregated": ("jaxlimits.points.service", "Disaggregated"),
    "IncompleteResultWarning": ("jaxlimits.store.results", "IncompleteResultWarning"),
    "InputError": ("jaxlimits.errors", "InputError"),
    "LLM": ("jaxlimits.model.llm", "LLM"),
    "Limit": ("jaxlimits.model.metrics", "Limit"),
    "Metrics": ("jaxlimits.model.metrics", "Metrics"),
    "OtherVersionWarning": ("jaxlimits.errors", "OtherVersionWarning"),
    "Request": ("jaxlimits.model.request", "Request"),
    "ResultError": ("jaxlimits.errors", "ResultError"),
    "Site": ("jaxlimits.model.site", "Site"),
    "Solution": ("jaxlimits.questions.solve", "Solution"),
    "ask": ("jaxlimits.questions.best", "ask"),
    "best": ("jaxlimits.questions.best", "best"),
    "best_of": ("jaxlimits.points.service", "best_of"),
    "disaggregated": ("jaxlimits.points.service", "disaggregated"),
    "evaluate": ("jaxlimits.points.named_point", "evaluate"),
    "frontier_near": ("jaxlimits.questions.best", "frontier_near"),
    "load_catalog": ("jaxlimits.catalog.loader", "load_catalog"),
    "morris": ("jaxlimits.uncertainties.uncertainty", "morris"),
    "open": ("jaxlimits.store.results", "open_result"),
    "operators": ("jaxlimits.points.labelled_operators", "operators"),
    "operators_of": ("jaxlimits.points.labelled_operators", "operators_of"),
    "optimise": ("jaxlimits.codesign.optimise", "optimise"),
    "plot": ("jaxlimits.plots", ""),
    "sobol": ("jaxlimits.uncertainties.uncertainty", "sobol"),
    "solve": ("jaxlimits.questions.solve", "solve"),
    "sweep": ("jaxlimits.run.pipeline", "sweep"),
    "sweep_again": ("jaxlimits.run.pipeline", "sweep_again"),
    "uncertainty": ("jaxlimits.uncertainties.uncertainty", "uncertainty"),
}

__all__ = [
    "LLM",
    "Answer",
    "Catalog",
    "Chip",
    "DamagedResultWarning",
    "Deployment",
    "Disaggregated",
    "IncompleteResultWarning",
    "InputError",
    "Limit",
    "Metrics",
    "OtherVersionWarning",
    "Request",
    "ResultError",
    "Site",
    "Solution",
    "ask",
    "best",
    "best_of",
    "disaggregated",
    "evaluate",
    "frontier_near",
    "load_catalog",
    "morris",
    "open",
    "operators",
    "operators_of",
    "optimise",
    "plot",
    "sobol",
    "solve",
    "sweep",
    "sweep_again",
    "uncertainty",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'jaxlimits' has no attribute {name!r}")
    place, attribute = _PUBLIC[name]
    module = importlib.import_module(place)
    return getattr(module, attribute) if attribute else module


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])


def _extend_datasets() -> None:
    """Give every dataset of xarray its ``limits``."""
    importlib.import_module("jaxlimits.accessor")


when_imported("xarray", _extend_datasets)
