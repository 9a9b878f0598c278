"""The result of a co-design as a labelled dataset."""

import datetime
import json
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits._version import __version__
from jaxlimits.codesign.choices import evaluate_designs
from jaxlimits.codesign.problem import Problem, budget_name
from jaxlimits.codesign.search import Optimum
from jaxlimits.model.fields import Quantity
from jaxlimits.results.records import WAY
from jaxlimits.store.provenance import describe_run
from jaxlimits.store.template import field_attributes, output_attributes, quantity_attributes

STATUS = {"optimal": 0, "infeasible": 1}
BOUNDS = {"inside": 0, "at_lower": 1, "at_upper": 2}

Along = tuple[np.ndarray, dict[str, Any]]
"""Values by place in the sweep, and the attributes of the variable that they make."""

_AT_BOUND = 1e-6
_MATTERS = 1e-6


def label_optimum(problem: Problem, optimum: Optimum) -> xr.Dataset:
    """Label the best designs.

    Parameters
    ----------
    problem, optimum
        What was asked, and what was found.

    Returns
    -------
    xarray.Dataset
        A variable for each field that varies, each metric and price, each budget with the share of
        it that is used and its shadow price; along the swept budget's limits where there are any.
        The ways of the searches that found it are along ``search`` and ``round``. Where no design
        meets all budgets everything but ``unmet``, ``worst_miss`` and the ways is NaN.
    """
    dim = None if problem.swept is None else budget_name(problem.budgets[problem.swept])
    variables = {
        **_design_entries(problem, optimum),
        **_metric_entries(problem, optimum),
        **_budget_entries(problem, optimum),
        **_search_entries(problem, optimum),
    }
    whole = {name: _variable(entry, dim) for name, entry in variables.items()}
    for name, (values, attributes) in _ways(problem, optimum).items():
        along = (dim, *WAY) if dim else WAY
        whole[name] = xr.Variable(along, values if dim else values[0], attributes)
    coordinates = {dim: whole.pop(dim)} if dim else {}
    return xr.Dataset(whole, coordinates, attrs=_attributes(problem))


def _variable(along: Along, dim: str | None) -> xr.Variable:
    """Values along the sweep; without one, the only one."""
    values, attributes = along
    return xr.Variable(dim, values, attributes) if dim else xr.Variable((), values[0], attributes)


def _design_entries(problem: Problem, optimum: Optimum) -> dict[str, Along]:
    found = optimum.feasible
    entries: dict[str, Along] = {}
    free = {span.name: place for place, span in enumerate(problem.ranges)}
    for place, axis in enumerate(problem.scenario.axes):
        for name, values in {axis.name: axis.values, **axis.linked}.items():
            at = optimum.choices.positions[optimum.chosen, place]
            chosen = np.array(values)[at]
            if name in free:
                chosen = np.exp(optimum.logs[:, free[name]])
            missing = "" if chosen.dtype.kind == "U" else np.nan
            entries[name] = (np.where(found, chosen, missing), field_attributes(name))
    for name, place in free.items():
        entries[f"{name}_bound"] = (_bound_codes(problem, optimum, place), _bound_words(name))
    return entries


def _bound_codes(problem: Problem, optimum: Optimum, place: int) -> np.ndarray:
    """Which end of its range a continuous field lies at."""
    span, logs = problem.ranges[place], optimum.logs[:, place]
    lower = np.abs(logs - np.log(span.lower)) < _AT_BOUND
    upper = np.abs(logs - np.log(span.upper)) < _AT_BOUND
    codes = np.where(lower, BOUNDS["at_lower"], np.where(upper, BOUNDS["at_upper"], 0))
    return np.where(optimum.feasible, codes, 0).astype(np.int8)


def _bound_words(name: str) -> dict[str, Any]:
    return _flags(f"which end of its range holds {name}", BOUNDS)


def _metric_entries(problem: Problem, optimum: Optimum) -> dict[str, Along]:
    entries: dict[str, Along] = {}
    values = evaluate_designs(optimum.choices, optimum.chosen, optimum.logs)
    for name, array in values.items():
        if name in schema.FLAGS:
            missing = schema.FLAGS[name]["not_computed"]
            codes = np.where(optimum.feasible, array, missing).astype(np.int8)
            entries[name] = (codes, output_attributes(name))
        else:
            attributes = (
                output_attributes(name)
                if schema.is_output(name)
                else quantity_attributes(problem.describe(name))
            )
            entries[name] = (np.where(optimum.feasible, array, np.nan), attributes)
    return entries


def _budget_entries(problem: Problem, optimum: Optimum) -> dict[str, Along]:
    places = range(len(problem.limits))
    limits = np.array([problem.limits_at(place) for place in places])
    entries: dict[str, Along] = {}
    for number, budget in enumerate(problem.budgets):
        name = budget_name(budget)
        info = problem.describe(budget.of)
        words = f"the {'most' if budget.most else 'least'} that is allowed of {budget.of}"
        attributes = {**quantity_attributes(info), "long_name": words}
        entries[name] = (limits[:, number], attributes)
        share = np.exp((1.0 if budget.most else -1.0) * optimum.misses[:, number])
        entries[f"{name}_share"] = (
            np.where(optimum.feasible, share, np.nan),
            _plain(f"{budget.of} over {name}; 1 where it binds"),
        )
        entries[f"{name}_shadow_price"] = (
            _shadow_price(problem, optimum, number, most=budget.most),
            _plain(_priced(problem, f"{name} is 1 % larger")),
        )
    entries["memory_shadow_price"] = (
        _shadow_price(problem, optimum, len(problem.budgets), most=True),
        _plain(_priced(problem, "the memory, at no cost, is 1 % larger")),
    )
    return entries


def _priced(problem: Problem, when: str) -> str:
    return f"percent by which {problem.objective} rises where {when}"


def _shadow_price(problem: Problem, optimum: Optimum, number: int, *, most: bool) -> np.ndarray:
    """How the objective answers to a limit, in logarithms of both."""
    loosened = optimum.worth.budgets[:, number]
    sign = (1.0 if problem.maximise else -1.0) * (1.0 if most else -1.0)
    return np.where(optimum.feasible, sign * loosened + 0.0, np.nan)


def _search_entries(problem: Problem, optimum: Optimum) -> dict[str, Along]:
    names = [*map(budget_name, problem.budgets), "memory"]
    masks = np.array([1 << number for number in range(len(names))], dtype=np.int32)
    blamed = optimum.worth.budgets > _MATTERS
    # A single one is blamed where the program could not tell.
    blamed |= optimum.misses >= optimum.misses.max(axis=1, keepdims=True) - _MATTERS
    blamed &= ~optimum.feasible[:, None] & (optimum.misses > 0.0)
    unmet = {
        "long_name": "budgets that cannot be met together",
        "flag_masks": masks,
        "flag_meanings": " ".join(names),
    }
    missed = np.where(optimum.feasible, 0.0, np.expm1(optimum.misses.max(axis=1)))
    status = np.where(optimum.feasible, STATUS["optimal"], STATUS["infeasible"]).astype(np.int8)
    return {
        "status": (status, _flags("whether any design meets all budgets", STATUS)),
        "unmet": ((blamed @ masks).astype(np.int32), unmet),
        "worst_miss": (missed, _plain("share by which the nearest design misses a budget")),
        "num_starts": (
            optimum.starts.astype(np.int32),
            _plain("searches in the winning combination of whole numbers"),
        ),
        "num_agreeing": (
            optimum.agreeing.astype(np.int32),
            _plain("searches that end within 0.01 % of the best"),
        ),
    }


def unmet_budgets(dataset: xr.Dataset) -> list[str]:
    """Return the names of the budgets that a dataset of one place says cannot be met."""
    names = dataset.unmet.attrs["flag_meanings"].split()
    masks = np.atleast_1d(dataset.unmet.attrs["flag_masks"])
    return [n for n, mask in zip(names, masks, strict=True) if int(dataset.unmet) & int(mask)]


def _ways(problem: Problem, optimum: Optimum) -> dict[str, Along]:
    """The objective and the worst miss of a budget, round by round, in each search."""
    sign = -1.0 if problem.maximise else 1.0
    info = quantity_attributes(problem.describe(problem.objective))
    words = f"{problem.objective} at each round of a search"
    missed = np.expm1(np.maximum(optimum.goal_misses, 0.0))
    return {
        "search_objective": (np.exp(sign * optimum.goals), {**info, "long_name": words}),
        "search_miss": (missed, _plain("share by which each round's design misses a budget")),
    }


def _plain(meaning: str) -> dict[str, Any]:
    return quantity_attributes(Quantity(unit="1", display="1", meaning=meaning))


def _flags(meaning: str, codes: dict[str, int]) -> dict[str, Any]:
    values = np.array(list(codes.values()), dtype=np.int8)
    return {"long_name": meaning, "flag_values": values, "flag_meanings": " ".join(codes)}


def _attributes(problem: Problem) -> dict[str, Any]:
    file, tables = problem.file, problem.file.tables
    made_by = f"jaxlimits {__version__}"
    written = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = describe_run(problem.spec, problem.scenario)
    kept = ("format_version", "jaxlimits_version", "catalog", "precision", "scenario")
    return {
        "Conventions": "CF-1.11",
        "title": tables.title or f"Best design of the problem {file.stem}",
        "summary": tables.description,
        "source": f"{made_by}, limit model of arXiv:2507.14397",
        "references": "https://arxiv.org/abs/2507.14397",
        "history": f"{written} {made_by}: optimised the problem {file.stem}",
        "comment": (
            "A limit study, not a prediction. An optimum at the problem's own prices. "
            "NaN: no design meets all budgets."
        ),
        "problem_name": file.stem,
        "problem": file.text,
        "options": json.dumps(dict(file.options), sort_keys=True, default=str),
        "objective": f"{'maximise' if problem.maximise else 'minimise'} {problem.objective}",
        "fields": " ".join(n for axis in problem.spec.axes for n in (axis.name, *axis.linked)),
        "budgets": " ".join(map(budget_name, problem.budgets)),
        "prices": " ".join(price.name for price in problem.scenario.rules.prices),
        "starts": np.int32(tables.starts),
        "seed": np.int64(tables.seed),
        **{name: run[name] for name in kept},
    }
