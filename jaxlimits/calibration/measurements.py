"""Measured decode rates: a table's rows as points of the model."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from jaxlimits.calibration.measured_tables import Row, read_table, selected
from jaxlimits.catalog.entries import find_entry
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fields import Quantity, quantities

COLUMNS = ("system", "precision", "model", "tp", "batch", "ctx_in", "ctx_out", "utps")
"""Columns that a table must have; others, but for those below, are not read."""

WIDTHS = ("weight_bits", "kv_bits", "compute_bits")
"""Columns that take precedence over ``precision`` where a table has them."""

_FIELDS = quantities(Deployment)
_TOKENS = Quantity(unit="1", display="1", meaning="tokens", whole=True)
_RATE = Quantity(
    unit="token/s", display="token/s", meaning="tokens a second of one user", positive=True
)
_SYSTEM = re.compile(r"(?P<count>[1-9][0-9]*)x(?P<chip>\S.*)")
_PRECISIONS = {"bf16": (16.0, 16.0), "fp16": (16.0, 16.0), "fp8": (8.0, 8.0)}
_PRECISIONS |= {"fp4": (4.5, 4.0), "nvfp4": (4.5, 4.0), "mxfp4": (4.25, 4.0)}
"""Bits of weights, block scales included, and of operands, by the first word of a precision."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One measured decode rate.

    Parameters
    ----------
    where
        File and line.
    group
        Machine and model: what a calibration must predict without having seen it.
    chip, llm
        Names in the catalog.
    settings
        Fields of the deployment.
    utps
        Tokens per second of one user, measured [token/s].
    """

    where: str
    group: str
    chip: str
    llm: str
    settings: Mapping[str, float]
    utps: float

    @property
    def t_step(self) -> float:
        """Measured time of one step [s]."""
        return 1.0 / self.utps


def read_measurements(
    path: str | Path, catalog: Catalog, *, without: Mapping[str, str] | None = None
) -> list[Measurement]:
    """Read a table of decode rates.

    A row is a machine (``system``: ``8xB200-SXM``), a ``precision``, a ``model``, ``tp`` chips,
    ``batch`` sequences, ``ctx_in`` prompt and ``ctx_out`` generated tokens, and ``utps``, the
    tokens per second of one user in plain decode. The context is its mean over the generation,
    ``ctx_in`` + ``ctx_out``/2. Of the precision, the first word (BF16, FP16, FP8, FP4, NVFP4,
    MXFP4) gives weights and operands; the KV cache has 16 bits where it says "FP16 act", "BF16
    act", "FP16 KV" or "BF16 KV" or has a 16-bit first word, otherwise 8.

    Parameters
    ----------
    path
        The table.
    catalog
        Chips and models.
    without
        Values by column; rows with one of them are left out.

    Raises
    ------
    InputError
        Naming file, line and column: missing columns, unknown chips or models, values that are no
        numbers, zero rates, rates that are not those of the batch, duplicate rows.
    """
    rows = selected(read_table(path, required=COLUMNS), without=without or {}, where=str(path))
    measurements = [_measurement(row, catalog) for row in rows]
    _refuse_duplicates(measurements)
    return measurements


def read_what_can_be(
    path: str | Path, catalog: Catalog
) -> list[tuple[Row, Measurement | InputError]]:
    """Read a table of decode rates of which some rows may be no points of the model.

    Parameters
    ----------
    path, catalog
        As for :func:`read_measurements`.

    Returns
    -------
    list
        Each row with its measurement, or with what keeps it from being one.

    Raises
    ------
    InputError
        A file that cannot be read, or lacks columns.
    """
    found: list[tuple[Row, Measurement | InputError]] = []
    for row in read_table(path, required=COLUMNS):
        try:
            found.append((row, _measurement(row, catalog)))
        except InputError as error:
            found.append((row, error))
    return found


def _measurement(row: Row, catalog: Catalog) -> Measurement:
    chip, count = _machine(row, catalog)
    llm = find_entry(catalog.entries, "llms", row.text("model"), where=row.where, key="model")
    tp_size = row.number("tp", _FIELDS["tp_size"])
    if tp_size > count:
        raise InputError(f"exceeds the {count:g} chips", where=row.where, key="tp", value=tp_size)
    context = row.number("ctx_in", _TOKENS) + row.number("ctx_out", _TOKENS) / 2.0
    batch = row.number("batch", _FIELDS["batch_size"])
    utps = row.number("utps", _RATE)
    _check_system_rate(row, batch=batch, utps=utps)
    return Measurement(
        where=row.where,
        group=f"{row.text('system')} {row.text('model')}",
        chip=chip,
        llm=llm.name,
        settings={"tp_size": tp_size, "batch_size": batch, "seq_len": context, **_widths(row)},
        utps=utps,
    )


def _machine(row: Row, catalog: Catalog) -> tuple[str, float]:
    system = row.text("system")
    found = _SYSTEM.fullmatch(system)
    if found is None:
        remedy = "write the number of chips and the chip, as 8xB200-SXM or 8xb200"
        raise InputError(
            "names no machine", where=row.where, key="system", value=system, remedy=remedy
        )
    chip = find_entry(catalog.entries, "chips", found["chip"], where=row.where, key="system")
    return chip.name, float(found["count"])


def _widths(row: Row) -> dict[str, float]:
    precision = row.text("precision")
    first = precision.split()[0].lower()
    if first not in _PRECISIONS:
        known = ", ".join(name.upper() for name in _PRECISIONS)
        problem = f"must begin with one of {known}"
        raise InputError(problem, where=row.where, key="precision", value=precision)
    weight_bits, compute_bits = _PRECISIONS[first]
    wide = first in ("bf16", "fp16") or re.search(r"\b(FP16|BF16) (act|KV)\b", precision)
    widths = {
        "weight_bits": weight_bits,
        "kv_bits": 16.0 if wide else 8.0,
        "compute_bits": compute_bits,
    }
    given = {name: row.number(name, _FIELDS[name]) for name in WIDTHS if row.cells.get(name)}
    return {**widths, **given}


def _check_system_rate(row: Row, *, batch: float, utps: float) -> None:
    """Refuse a user's rate that contradicts the system's, as a time in its column would."""
    if not row.cells.get("stps"):
        return
    stps = row.number("stps", _RATE)
    if not 1.0 / 1.5 <= stps / (batch * utps) <= 1.5:
        problem = f"is not that of one user in a batch of {batch:g} with stps = {stps:g}"
        remedy = "give utps and stps in tokens a second"
        raise InputError(problem, where=row.where, key="utps", value=utps, remedy=remedy)


def _refuse_duplicates(measurements: list[Measurement]) -> None:
    seen: dict[tuple, str] = {}
    for each in measurements:
        point = (each.group, each.chip, each.llm, *sorted(each.settings.items()))
        if point in seen:
            line = seen[point].rpartition(": ")[2]
            remedy = "keep one, or give one of them another system"
            raise InputError(f"measures the same point as {line}", where=each.where, remedy=remedy)
        seen[point] = each.where
