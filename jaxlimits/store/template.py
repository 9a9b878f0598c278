"""The template: dimensions, coordinates and attributes of a result, laid out before any data.

The only module that knows how the model's names become CF variables.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from jaxlimits import schema, units
from jaxlimits.grid.assumptions import assumptions_in_words
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.checks import remarks_in_words
from jaxlimits.grid.derived import derived_coordinates, excluded_in_words
from jaxlimits.grid.file import shipped_grids
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.requirements import Requirement, codes, is_output, output
from jaxlimits.grid.scenario import Scenario, overlaid_fields
from jaxlimits.grid.spec import GridSpec
from jaxlimits.model.fields import Quantity
from jaxlimits.store.provenance import describe_run

NOT_COMPUTED = np.float32(9.969209968386869e36)
"""``_FillValue`` of every real output: netCDF's own default, never a result (those are NaN)."""

Entry = tuple[Sequence[str], np.ndarray, dict[str, Any]]
"""Dimensions, values and attributes of a variable."""

_REMARKS: dict[str, str] = dict.fromkeys(
    ("power", "energy_per_token", "stps_per_watt"),
    "rests on power inputs that are partly illustrative (die areas are ours)",
)


def build_dataset(
    spec: GridSpec,
    scenario: Scenario,
    arrays: Mapping[str, np.ndarray],
    findings: Iterable[Finding] = (),
) -> xr.Dataset:
    """Label the outputs of a sweep.

    Parameters
    ----------
    spec, scenario
        What was swept: as written, and as numbers.
    arrays
        Outputs by name, of the grid's shape.
    findings
        What reductions say.

    Returns
    -------
    xarray.Dataset
        Dimensions and coordinates named as the axes, variables as the outputs, CF attributes.
    """
    dims = [axis.name for axis in spec.axes]
    coordinates: dict[str, Entry] = {
        name: entry for axis in spec.axes for name, entry in axis_coordinates(axis).items()
    }
    variables: dict[str, Entry] = {
        name: (
            dims,
            array,
            {
                **output_attributes(name, spec.requirements),
                **absence_attributes(name, scenario),
                **_rounding(name, spec),
            },
        )
        for name, array in arrays.items()
    }
    for finding in findings:
        attributes = finding_attributes(finding, spec)
        attributes |= absence_attributes(finding.quantity or "", scenario)
        entry = (finding.dims, finding.values, attributes)
        own = finding.dims == (finding.name,)
        (coordinates if own else variables)[finding.name] = entry
    fixed = fixed_values(spec, scenario)
    attributes = global_attributes(spec, scenario)
    for derived in derived_coordinates(scenario, spec.requirements):
        if derived.dims or not is_shipped(spec):
            entry = (derived.dims, derived.values, finding_attributes(derived, spec))
            coordinates[derived.name] = entry
    if not is_shipped(spec):
        coordinates |= {
            name: single_coordinate(name, value)
            for name, value in fixed.items()
            if name not in {*variables, *coordinates}
        }
    else:
        attributes |= fixed
    dataset = xr.Dataset(variables, coordinates, attrs=attributes)
    unused = [axis.name for axis in spec.axes if not _is_used(axis.name, dataset)]
    return dataset.drop_dims(unused)


_WHO = ("tp_size", "pp_size", "dp_size", "batch_size", "seq_len")
"""Fields that say which point a result is of, also where they stand at their defaults."""


def fixed_values(spec: GridSpec, scenario: Scenario) -> dict[str, str | float]:
    """Return what does not vary and was set, and the sizes: who a result is, once it is joined.

    Numbers are in SI units. The context of a request takes the place of ``seq_len``.
    """
    named = {**spec.file.tables.base, **spec.overrides}
    switches = {name: choice for name, choice in spec.switches.items() if name in named}
    return {**spec.names, **switches, **sizes_of_scenario(scenario), **spec.base}


def sizes_of_scenario(scenario: Scenario) -> dict[str, float]:
    """Return the sizes that do not vary, also where they stand at their defaults."""
    requested = scenario.reaches("input_len", above=0.0)
    known = (name for name in _WHO if name in scenario.base)
    return {name: scenario.base[name] for name in known if not (name == "seq_len" and requested)}


def is_shipped(spec: GridSpec) -> bool:
    """Whether a grid is one of the package's as it is, whose results keep their coordinates."""
    path = shipped_grids().get(spec.file.stem)
    if path is None or spec.overrides:
        return False
    return path.read_text(encoding="utf-8") == spec.file.text


def single_coordinate(name: str, value: str | float | int) -> Entry:
    """Return what does not vary as a coordinate without a dimension."""
    return (), coordinate_array(name, (value,)).reshape(()), field_attributes(name)


def axis_coordinates(axis: Axis) -> dict[str, Entry]:
    """Return the coordinates along one dimension: the axis itself and what is linked to it."""
    columns = {axis.name: axis.values, **axis.linked}
    return {
        name: ((axis.name,), coordinate_array(name, values), field_attributes(name))
        for name, values in columns.items()
    }


def field_attributes(name: str) -> dict[str, Any]:
    """Return the CF attributes of a field, scale factor, switch or record name."""
    if name in schema.SWITCHES:
        return {"long_name": schema.SWITCHES[name].meaning, "units": "1"}
    if name == schema.LAYOUT:
        return {"long_name": "sizes of the parallel groups", "units": "1"}
    if name in schema.NAMED:
        return {"long_name": f"{name} by its name in the catalog", "units": "1"}
    return {**quantity_attributes(schema.describe(name)), **_sets(name)}


def _sets(*names: str) -> dict[str, str]:
    """What fields that set the bits of parts say of these."""
    remarks = [
        f"{name} sets {', '.join(parts)} where these are not set beside it; "
        "its elasticity is the sum of theirs"
        for name in names
        if (parts := [part for part, setter in schema.SETTERS.items() if setter == name])
    ]
    return {"comment": "; ".join(remarks)} if remarks else {}


def output_attributes(name: str, requirements: Iterable[Requirement] = ()) -> dict[str, Any]:
    """Return the CF attributes of an output, of a requirement's where it is one of these."""
    info, flags = output(name, tuple(requirements)), codes(name)
    if not flags:
        attributes = quantity_attributes(info)
        comment = _REMARKS.get(name)
        if comment:
            return {**attributes, "comment": comment}
        asked = schema.sensitivity(name)
        return {**attributes, **(_sets(*asked.by) if asked else {}), **_meaning_of_nan(name)}
    return {
        "long_name": info.meaning,
        "flag_values": np.array(list(flags.values()), dtype=np.int8),
        "flag_meanings": " ".join(flags),
    }


def absence_attributes(name: str, scenario: Scenario) -> dict[str, str]:
    """Return why an output is NaN for some chips: the attribute ``absent``, where there is one."""
    why = scenario.why_absent(name)
    return {} if why is None else {"absent": why.replace("`", "")}


def _rounding(name: str, spec: GridSpec) -> dict[str, Any]:
    """What was done to an output's values; its bits go by the name that CF 1.12 gives them."""
    if spec.digits is None or schema.is_code(name):
        return {}
    bits = schema.mantissa_bits(spec.digits, spec.precision)
    return {"significant_digits": np.int32(spec.digits), "quantization_nsb": np.int32(bits)}


def _meaning_of_nan(name: str) -> dict[str, str]:
    """What NaN may mean in an output, where it is not only that the point does not fit."""
    asked = schema.sensitivity(name)
    metric = name if asked is None else asked.metric
    needed = [setting for setting, found in schema.CONDITIONAL.items() if metric in found]
    return {"nan_means": "no_request does_not_fit"} if needed == ["input_len"] else {}


def finding_attributes(finding: Finding, spec: GridSpec) -> dict[str, Any]:
    """Return the CF attributes of what a reduction says: those of its quantity, its own meaning."""
    name = finding.quantity
    if name is None:
        if finding.flags:
            values = np.arange(len(finding.flags), dtype=finding.values.dtype)
            return {
                "long_name": finding.meaning,
                "flag_values": values,
                "flag_meanings": " ".join(finding.flags),
            }
        numbers = finding.values.dtype.kind != "U"
        return {"long_name": finding.meaning, **({"units": "1"} if numbers else {})}
    known = is_output(name, spec.requirements)
    attributes = output_attributes(name, spec.requirements) if known else field_attributes(name)
    own = {"nan_means": finding.nan_means} if finding.nan_means else {}
    return {**attributes, "long_name": finding.meaning, **own}


def _is_used(dim: str, dataset: xr.Dataset) -> bool:
    """Whether any variable keeps an axis; a grid that is only reduced may keep none."""
    return any(dim in variable.dims for variable in dataset.data_vars.values())


def text_encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return how coordinates and names are stored: names as characters, nothing missing."""
    stored: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        text = variable.dtype.kind == "U"
        characters = {"dtype": "S1"} if text else {}
        stored[str(name)] = {"_FillValue": None, **characters}
    return stored


def fill_value(dtype: np.dtype) -> np.generic | Literal[False]:
    """Return what stands where nothing was computed; codes have a flag for it instead."""
    return dtype.type(NOT_COMPUTED) if dtype.kind == "f" else False


def global_attributes(spec: GridSpec, scenario: Scenario) -> dict[str, Any]:
    """Return the attributes of the whole file."""
    tables = spec.file.tables
    run = describe_run(spec, scenario)
    written = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    remarks = [
        *excluded_in_words(scenario),
        *remarks_in_words(scenario, spec.named | overlaid_fields(spec)),
    ]
    made_by = f"jaxlimits {run['jaxlimits_version']}"
    return {
        "Conventions": "CF-1.11",
        "title": tables.title or f"Limits of LLM inference over the grid {run['grid_name']}",
        "summary": tables.description,
        "source": f"{made_by}, limit model of arXiv:2507.14397",
        "references": "https://arxiv.org/abs/2507.14397",
        "history": f"{written} {made_by}: swept the grid {run['grid_name']}",
        "comment": (
            "A limit study, not a prediction. NaN: the point does not fit in memory, lacks what "
            "the attribute absent of a variable names, or what its attribute nan_means says. "
            "_FillValue: not computed."
        ),
        "rests_on": assumptions_in_words(scenario, {*tables.base, *spec.overrides}),
        **({"remarks": "\n".join(remarks)} if remarks else {}),
        **run,
    }


def coordinate_array(name: str, values: tuple) -> np.ndarray:
    """Return values as stored: names as text, counts as integers where they fit, else float64."""
    array = np.asarray(values)
    if array.dtype.kind == "U":
        return array
    whole = schema.describe(name).whole and np.all(np.abs(array) < 2**31)
    return array.astype(np.int32 if whole else np.float64)


def quantity_attributes(info: Quantity) -> dict[str, str]:
    """Return the CF attributes of any quantity."""
    return {
        "long_name": info.meaning,
        "units": units.cf_unit(info.unit),
        "si_unit": info.unit,
        "display_unit": info.display,
    }
