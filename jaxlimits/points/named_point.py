"""One point of the model, by names and text or by records."""

import math
import warnings
from collections.abc import Collection, Mapping

from jaxlimits import schema
from jaxlimits.catalog.loader import Catalog, load_catalog, record_values, with_models
from jaxlimits.engine.idle import idle_in_words, idle_settings
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import make_job
from jaxlimits.errors import IdleSettingWarning, InputError, placed
from jaxlimits.grid.axes import check_name, read_value
from jaxlimits.grid.bits_in_words import bits_in_words, named_model
from jaxlimits.grid.checks import check_scenario, remarks_in_words
from jaxlimits.grid.layouts import sizes_of
from jaxlimits.grid.scenario import Scenario, own_parts
from jaxlimits.grid.stated import refuse_two_contexts
from jaxlimits.model.chip import Chip
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Metrics
from jaxlimits.store.template import sizes_of_scenario
from jaxlimits.values import as_written


@placed("evaluate")
def evaluate(
    llm: str | LLM,
    chip: str | Chip,
    *,
    catalog: Catalog | None = None,
    x64: bool = False,
    **settings: object,
) -> Metrics:
    """Evaluate the limit model at one point.

    Parameters
    ----------
    llm, chip
        Names from the catalog, or records.
    catalog
        Where the names are looked up; the shipped one by default.
    x64
        Compute in float64.
    **settings
        Any field or switch by its name, as in a grid file: ``tp_size=8``, ``mem_bw="8 TB/s"``,
        ``accounting="layers"``, ``mem_bw_scale=2``. Further names too: ``interconnect="nvlink5"``,
        and those of the calibrated overlay, ``calibration="vllm"``, ``fabric="vllm-b200"``. Numbers
        may be NumPy's or JAX's, values with units pint's or a result's: ``mem_bw=ds.mem_bw[3]``.

    Returns
    -------
    Metrics
        Python numbers in SI units; the ``calibrated_*`` are NaN where no calibration is named, and
        the metrics of a request where no ``input_len`` is stated.

    Raises
    ------
    InputError
        An unknown name, a value that its field cannot take, an array, values that exclude each
        other, llm and chip in the other order.

    Warns
    -----
    IdleSettingWarning
        A setting that changes no metric of the point.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> paper = dict(accounting="nominal", kv_sharding="split", collective_algorithm="constant")
    >>> point = jl.evaluate("llama3-405b", "xpu-hbm3", tp_size=128, weight_bits=8, **paper)
    >>> round(point.utps)
    776
    """
    scenario = point_scenario(llm, chip, settings, catalog=catalog)
    metrics = checked_metrics(scenario, settings, x64=x64)
    warn_of_idle(scenario, settings, catalog=catalog, precision="float64" if x64 else "float32")
    return metrics


def point_bits(
    scenario: Scenario, llm: str, settings: Mapping[str, object], *, catalog: Catalog
) -> str:
    """Say which bits a point uses for weights, cache and products, and where they come from.

    Parameters
    ----------
    scenario
        The point, resolved to numbers.
    llm, settings, catalog
        What it was resolved from.
    """
    drafted = scenario.switches["speculation"] == "draft"
    named = {"llm": llm, **({"draft": str(settings["draft"])} if drafted else {})}
    known = with_models(catalog, named.values())
    return bits_in_words(scenario, [named_model(known, name, key) for key, name in named.items()])


_USUAL = ("tp_size", "batch_size", "seq_len", "input_len", "weight_bits")
"""Fields that count in every point, or whose effect is said apart; nothing is traced for them."""


def idle_in_point(
    scenario: Scenario,
    settings: Mapping[str, object],
    *,
    catalog: Catalog | None = None,
    moving: Collection[str] = (),
    precision: str = "float32",
) -> list[str]:
    """Say which settings of a point change none of its metrics, one sentence each.

    Parameters
    ----------
    scenario
        The point, resolved to numbers.
    settings, catalog
        What it was resolved from; the shipped catalog by default.
    moving
        Fields that may take other values than the point's, as what is solved for.
    precision
        That of the point's metrics, whose program then serves both.
    """
    fields: dict[str, Collection[str]] = {
        name: (name,)
        for name in settings
        if schema.is_numeric(name) and not {name, schema.scaled_field(name)} & {*_USUAL, *moving}
    }
    named = [name for name in (*schema.OVERLAID, "draft") if name in settings]
    if named:  # to load the shipped catalog takes longer than all else here
        catalog = catalog or load_catalog()
        fields |= {name: catalog.values(name, str(settings[name])).keys() for name in named}
    outputs = _stated_metrics(scenario, calibrated="calibration" in settings)
    idle = idle_settings(scenario, fields, outputs, moving=moving, precision=precision)
    return [idle_in_words(name) for name in idle]


def remarks_on_point(
    scenario: Scenario, settings: Mapping[str, object], *, catalog: Catalog
) -> list[str]:
    """Say what no machine would be of a point; parameters as for :func:`idle_in_point`."""
    named = [kind for kind in schema.OVERLAID if kind in settings]
    overlaid = {name for kind in named for name in catalog.values(kind, str(settings[kind]))}
    return remarks_in_words(scenario, overlaid | {*settings})


def warn_of_idle(
    scenario: Scenario,
    settings: Mapping[str, object],
    *,
    catalog: Catalog | None = None,
    moving: Collection[str] = (),
    precision: str = "float32",
) -> None:
    """Warn of settings that change nothing; parameters as for :func:`idle_in_point`."""
    told = idle_in_point(scenario, settings, catalog=catalog, moving=moving, precision=precision)
    for sentence in told:
        warnings.warn(sentence, IdleSettingWarning, stacklevel=4)


def _stated_metrics(scenario: Scenario, *, calibrated: bool) -> tuple[str, ...]:
    """Metrics that a point has: calibrated ones where asked, a request's where one is stated."""
    requested = ("input_len",) if scenario.reaches("input_len", above=0.0) else ()
    stated = (*requested, *(("calibration",) if calibrated else ()))
    unstated = schema.unstated_metrics(stated)
    return tuple(name for name in schema.OUTPUTS if name not in unstated)


def checked_metrics(scenario: Scenario, settings: Collection[str], *, x64: bool = False) -> Metrics:
    """Evaluate one point that is resolved to numbers, unless its values exclude each other.

    Parameters
    ----------
    scenario
        The point.
    settings
        Names of what was set: metrics are calibrated where they hold ``calibration``.
    x64
        Compute in float64.
    """
    check_scenario(scenario)
    calibrated = "calibration" in settings
    return scenario_metrics(scenario, "float64" if x64 else "float32", calibrated=calibrated)


def scenario_metrics(scenario: Scenario, precision: str, *, calibrated: bool = False) -> Metrics:
    """Evaluate one point that is resolved to numbers.

    Calibrated metrics are NaN unless asked, and those of a request where none is stated.
    """
    outputs = _stated_metrics(scenario, calibrated=calibrated)
    arrays, _ = collect(make_job(scenario, outputs=outputs, precision=precision))
    nothing = dict.fromkeys(schema.OUTPUTS, math.nan)
    values = nothing | {name: array.item() for name, array in arrays.items()}
    return Metrics(**{**values, "feasible": bool(values["feasible"])})  # stored as a code


def point_scenario(
    llm: str | LLM,
    chip: str | Chip,
    settings: dict[str, object],
    *,
    catalog: Catalog | None = None,
    beside: Collection[str] = (),
) -> Scenario:
    """Resolve one point to numbers; parameters as for :func:`evaluate`.

    ``beside`` are fields that something else than the settings gives, as what is solved for.
    """
    catalog = catalog or load_catalog()
    settings = {name: as_written(raw, key=name) for name, raw in settings.items()}
    models = [name for name in (llm, settings.get("draft")) if isinstance(name, str)]
    catalog = with_models(catalog, models)
    _check_order(llm, chip, catalog)
    base = schema.base_defaults()
    base |= catalog.values("llm", llm, key="llm") if isinstance(llm, str) else record_values(llm)
    base |= _chip_values(chip, catalog, {**settings, **dict.fromkeys(beside)})
    switches: dict[str, str] = schema.switch_defaults()
    given: dict[str, float] = {}
    for name, raw in settings.items():
        check_name(name, key=name)
        value = read_value(name, raw, key=name)
        if name in schema.ASSUMED:
            continue
        if name == schema.LAYOUT:
            given |= sizes_of(value, settings, key=name)
            continue
        if name in schema.NAMED:
            base |= catalog.values(name, value, key=name)
        else:
            (switches if name in schema.SWITCHES else given)[name] = value
    requested = "input_len" in beside or given.get("input_len", 0.0) > 0.0
    refuse_two_contexts({*given, *beside}, requested=requested)
    base |= given
    named = chip if isinstance(chip, str) else type(chip).__name__
    unstated = {field: (named,) for field in schema.INPUTS if math.isnan(base[field])}
    own = own_parts(given)
    return Scenario(where="", base=base, switches=switches, unstated=unstated, own=own)


def who_a_point_is(
    llm: str | LLM, chip: str | Chip, settings: Mapping[str, object], scenario: Scenario
) -> dict[str, str | float]:
    """Return names, sizes and what was set of a point, in SI units: what tells it from others.

    Parameters
    ----------
    llm, chip, settings
        What was asked.
    scenario
        The point, resolved to numbers.
    """
    named = {"llm": llm, "chip": chip}
    names = {k: each if isinstance(each, str) else type(each).__name__ for k, each in named.items()}
    stated = {
        name: read_value(name, as_written(raw, key=name), key=name)
        for name, raw in settings.items()
        if name != schema.LAYOUT
    }
    return {**names, **sizes_of_scenario(scenario), **stated}


def _chip_values(
    chip: str | Chip, catalog: Catalog, settings: Mapping[str, object]
) -> dict[str, float]:
    """A chip's values, its power and price as what is set beside it has them."""
    if not isinstance(chip, str):
        return record_values(chip)
    assume = settings.get("assume")
    if assume is not None:
        assume = read_value("assume", assume, key="assume")
    return catalog.values("chip", chip, beside=settings, assume=assume, key="chip")


def _check_order(llm: object, chip: object, catalog: Catalog) -> None:
    """Raise unless one is a model and the other a chip, by their names or as records."""
    for key, given, record, known, others in (
        ("llm", llm, LLM, catalog.llms, catalog.chips),
        ("chip", chip, Chip, catalog.chips, catalog.llms),
    ):
        remedy = "the order is (llm, chip)"
        if not isinstance(given, (str, record)):
            problem = (
                f"is of type {type(given).__name__}; a name or an instance of {record.__name__}"
            )
            raise InputError(f"{problem} is due", key=key, remedy=remedy)
        if isinstance(given, str) and given not in known and given in others:
            other = "a chip" if key == "llm" else "an llm"
            raise InputError(f"{given!r} is {other}", key=key, remedy=remedy)
