"""The outputs of a grid: metrics, sensitivities of metrics, and what is required."""

import itertools
from collections.abc import Collection, Iterable, Iterator

from jaxlimits import schema
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.file import GridTables, SensitivityTable
from jaxlimits.grid.requirements import Requirement
from jaxlimits.grid.stated import refuse_unstated

_SENSITIVITIES = {
    "elasticities": "elasticity",
    "derivatives": "derivative",
    "doublings": "doubling",
}
"""Keys of a grid file, and the kind of sensitivity that each lists."""


def outputs_of(
    tables: GridTables,
    requirements: Iterable[Requirement],
    *,
    named: Collection[str],
    where: str,
) -> tuple[str, ...]:
    """Outputs to keep whole: metrics in the model's order, sensitivities, requirements.

    Where something is reduced or required only what is named, else all metrics by default; with
    sensitivities comes ``limit``, which says on which side of a kink a point lies. Calibrated
    metrics are there where a calibration is named, those of a request where one is stated, and
    only there.
    """
    sensitivities = list(_sensitivities(tables, where=where))
    kept = [asked for asked in requirements if tables.require[asked.name].keep]
    outputs = tables.outputs
    if outputs is None and (tables.reduce or sensitivities or tables.require):
        outputs = []
    elif outputs is None or outputs == "all":
        unstated = schema.unstated_metrics(named)
        outputs = [name for name in schema.OUTPUTS if name not in unstated]
    elif not (outputs or tables.reduce or sensitivities or kept):
        raise InputError("is empty", where=where, key="outputs", remedy="leave it out to keep all")
    for name in outputs:
        if not schema.is_output(name):
            raise unknown_name("output", name, schema.OUTPUTS, where=where, key="outputs")
    refuse_unstated([*outputs, *sensitivities], named, where=where, key="outputs")
    if len(set(outputs)) != len(outputs):
        raise InputError("has a name twice", where=where, key="outputs", value=outputs)
    asked = dict.fromkeys([name for name in outputs if name not in schema.OUTPUTS] + sensitivities)
    metrics = {*outputs, *(["limit"] if asked else [])}
    required = [name for asked in kept for name in asked.quantities]
    return (*(name for name in schema.OUTPUTS if name in metrics), *asked, *required)


def _sensitivities(tables: GridTables, *, where: str) -> Iterator[str]:
    """Names of the outputs that ``elasticities``, ``derivatives`` and ``doublings`` ask for."""
    for key, kind in _SENSITIVITIES.items():
        table = getattr(tables, key)
        if isinstance(table, list):
            table = SensitivityTable(by=table)
        for metric, text in itertools.product(*((table.of, table.by) if table else ((), ()))):
            if metric not in schema.CONTINUOUS:
                raise unknown_name("metric", metric, schema.CONTINUOUS, where=where, key=key)
            by = tuple(field.strip() for field in text.split("*"))
            for field in by:
                if field not in schema.FIELDS:
                    raise unknown_name("field", field, schema.FIELDS, where=where, key=key)
            if len(by) > schema.SENSITIVITIES[kind]:
                remedy = "write one field, or for a second order 'mem_bw * sync_latency'"
                raise InputError("too many fields", where=where, key=key, value=text, remedy=remedy)
            yield schema.Sensitivity(metric=metric, by=by, kind=kind).name
