"""From measurements and catalog names to stacked points of the model, and what their steps hold."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlimits._types import Scalar
from jaxlimits.calibration.mean_step import MeanParts
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.catalog.entries import find_entry
from jaxlimits.catalog.loader import Catalog
from jaxlimits.engine.program_cache import keep_programs
from jaxlimits.errors import InputError
from jaxlimits.model import capacity
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.kv_cache import sequence_bytes
from jaxlimits.model.llm import LLM
from jaxlimits.model.mixed import mixed_operators, whole_chunks, with_prompt_tokens
from jaxlimits.model.operators import Operators, step_operators
from jaxlimits.model.overlay import OverlayParts, overlay_parts
from jaxlimits.model.prefix import Stored
from jaxlimits.model.request import Request
from jaxlimits.model.roofline import StepTimes, step_times

keep_programs()  # rows are evaluated, and fits compiled, outside the engine

Rows = Float[np.ndarray, " rows"]
PREFILL_CHUNK = 8192.0
"""Tokens that engines compute of prompts at once where a table does not say: the default of servers
of vLLM, SGLang and TensorRT-LLM on chips of 80 GB and more. With 2,048 the predicted times of rows
of 8k in and 1k out are off by 0.6 points more in the mean."""

DEFAULT_STACK = "vllm"
"""Whose measured all-reduces a row takes that names no engine, or one without any of its chip."""


class Cases(eqx.Module):
    """Points to predict, stacked: one along the first axis of every number."""

    chip: Chip
    llm: LLM
    deployment: Deployment
    fabric: Fabric
    request: Request


def choose_fabrics(
    measurements: Iterable[Measurement],
    catalog: Catalog,
    *,
    stack: str = DEFAULT_STACK,
    named: Mapping[str, str],
    where: str,
) -> dict[tuple[str, str], str]:
    """Return the name of the measured all-reduces by engine and chip, where there are any.

    Parameters
    ----------
    measurements
        Rows: ``ENGINE-CHIP`` is taken where the catalog has it, else ``STACK-CHIP``.
    catalog
        The fabrics.
    stack
        Software for rows of no engine, or of one without measured all-reduces on a chip.
    named
        Names by chip that take precedence.
    where
        What to name in an error of ``named``.
    """
    for chip, name in named.items():
        find_entry(catalog.entries, "fabrics", name, where=where, key=chip)
    found: dict[tuple[str, str], str] = {}
    for engine, chip in dict.fromkeys((each.engine, each.chip) for each in measurements):
        usual = (f"{software}-{chip}" for software in (engine, stack))
        known = (name for name in usual if name in catalog.fabrics)
        name = named.get(chip) or next(known, None)
        if name is not None:
            found[engine, chip] = name
    return found


def refuse_without_fabric(
    measurements: Iterable[Measurement], fabrics: Mapping[tuple[str, str], str]
) -> None:
    """Raise at the first row of several chips whose all-reduces nothing measures."""
    for each in measurements:
        if each.settings["tp_size"] > 1.0 and (each.engine, each.chip) not in fabrics:
            problem = f"no fabric names {each.chip}, whose all-reduces are a part of each step"
            remedy = f"name one (`fabric={each.chip}=NAME`), or fit one (`all_reduce=True`)"
            where = {"where": each.where, "key": "system", "value": each.system}
            raise InputError(problem, **where, remedy=remedy)


def make_cases(
    measurements: Sequence[Measurement],
    catalog: Catalog,
    fabrics: Mapping[tuple[str, str], str],
) -> Cases:
    """Stack the points of several measurements.

    Parameters
    ----------
    measurements
        The rows. A server runs as many of the requests that it holds as fit in memory.
    catalog
        Where their names are looked up.
    fabrics
        Names of measured all-reduces by engine and chip; the limit's own collectives elsewhere.
    """
    chips = {name: catalog.chip(name) for name in {each.chip for each in measurements}}
    llms = {name: catalog.llm(name) for name in {each.llm for each in measurements}}
    known = {name: catalog.fabric(name) for name in set(fabrics.values())}
    points = []
    for each in measurements:
        fabric = fabrics.get((each.engine, each.chip))
        prompt = each.input_len if each.served else 0.0
        case = Cases(
            chip=chips[each.chip],
            llm=llms[each.llm],
            deployment=_as_engines_run(each),
            fabric=Fabric() if fabric is None else known[fabric],
            request=Request(
                input_len=prompt, output_len=each.output_len, prefill_chunk=PREFILL_CHUNK
            ),
        )
        points.append(case)
    cases = jax.tree.map(lambda *numbers: np.array(numbers, dtype=np.float64), *points)
    served = np.array([each.served for each in measurements])
    return _as_many_as_fit(cases, served) if served.any() else cases


def _as_engines_run(each: Measurement) -> Deployment:
    """A deployment whose chips beyond the KV heads hold copies of the cache.

    Collectives that no fabric measures take the constant: what the shipped constants were fitted
    with.
    """
    settings: dict[str, Any] = {**each.settings, "kv_sharding": "heads", "mixed_steps": "chunks"}
    return Deployment(**settings, collective_algorithm="constant", reused_prefixes=False)


def _as_many_as_fit(cases: Cases, served: np.ndarray) -> Cases:
    """The points, of servers with no more sequences than their memory holds, and one at least."""
    with jax.enable_x64(True):
        fits = np.asarray(_fitting(cases))
    held = cases.deployment.batch_size
    running = np.where(served, np.maximum(np.minimum(held, np.floor(fits)), 1.0), held)
    return eqx.tree_at(lambda points: points.deployment.batch_size, cases, running)


def limit_times(cases: Cases) -> StepTimes:
    """Times of the bare limit at each point [s]: nothing fitted, no prompt in a step."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, _limits(cases))


def parts_of(cases: Cases) -> MeanParts:
    """What the steps of each point consist of, those with a chunk of a prompt apart."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, _parts(cases))


def _limit(case: Cases) -> StepTimes:
    operators = step_operators(case.llm, case.deployment)
    times = step_times(operators, case.chip, case.llm, case.deployment)
    return jax.tree.map(jnp.asarray, times)


def _consists(case: Cases) -> MeanParts:
    decoding = case.deployment
    carried, share = whole_chunks(decoding, case.request)
    steps = MeanParts(
        alone=_step(case, decoding, step_operators(case.llm, decoding)),
        carrying=_step(
            case,
            with_prompt_tokens(decoding, carried),
            mixed_operators(case.llm, decoding, carried),
        ),
        share=share,
    )
    return jax.tree.map(jnp.asarray, steps)


def _step(case: Cases, running: Deployment, operators: Operators) -> OverlayParts:
    """A step of some operators, of the sequences that decode whatever else it carries."""
    return overlay_parts(
        operators,
        case.chip,
        case.llm,
        running,
        fabric=case.fabric,
        sequences=case.deployment.batch_size,
    )


def _fit_in_memory(case: Cases) -> Scalar:
    whole = case.deployment
    return capacity.batch_capacity(
        whole,
        capacity=capacity.replica_capacity(case.chip, whole),
        weights=capacity.weight_bytes(case.llm, whole),
        stored=Stored(own=sequence_bytes(case.llm, whole), shared=None),
    )


_fitting = jax.jit(jax.vmap(_fit_in_memory))
_limits = jax.jit(jax.vmap(_limit))
_parts = jax.jit(jax.vmap(_consists))
