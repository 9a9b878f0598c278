"""Measured decode rates: a table's rows as points of the model."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxlimits.calibration.engines import cache_bits_of, engine_of, engine_version
from jaxlimits.calibration.measured_tables import Row, read_table, selected
from jaxlimits.catalog.entries import find_entry
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fields import Quantity, quantities

COLUMNS = ("system", "precision", "model", "tp", "ctx_in", "ctx_out", "utps")
"""Columns that a table must have, beside one of :data:`SIZES`; others, but for those below, are not
read."""

SIZES = ("batch", "concurrency")
"""Sequences in each step of a static batch, or requests that a server holds at once: a table has
one of the two."""

OPTIONAL = ("engine", "version", "ep", "metric_note", "stps")
"""Columns that are read where a table has them."""

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
_SERVED = re.compile(r"max(imum)? concurrency|continuous batching", re.IGNORECASE)
_EP = re.compile(r"(?:\bep |moe_ep=)(?P<ranks>[0-9]+)")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One measured decode rate.

    Parameters
    ----------
    where
        File and line.
    system, model
        Machine and model, as the table names them.
    chip, llm
        Names in the catalog.
    engine, version
        Software: ``vllm``, ``sglang``, ``trtllm`` or another; empty where the table does not say.
    settings
        Fields of the deployment. Of a server ``batch_size`` is what it holds at once at most.
    served
        Whether prompts are prefilled between or in the steps (continuous batching).
    input_len, output_len
        Tokens of a prompt and of an answer [token].
    utps
        Tokens per second of one user, measured [token/s].
    """

    where: str
    system: str
    model: str
    chip: str
    llm: str
    settings: Mapping[str, float]
    utps: float
    engine: str = ""
    version: str = ""
    served: bool = False
    input_len: float = 0.0
    output_len: float = 1.0

    @property
    def group(self) -> str:
        """Machine and model, and the engine where it is told."""
        return " ".join(text for text in (self.system, self.model, self.engine) if text)

    @property
    def t_step(self) -> float:
        """Measured time of one step [s]."""
        return 1.0 / self.utps


def read_measurements(
    paths: str | Path | Sequence[str | Path],
    catalog: Catalog,
    *,
    without: Mapping[str, str] | None = None,
) -> list[Measurement]:
    """Read tables of decode rates.

    A row is a machine (``system``: ``8xB200-SXM``), a ``precision``, a ``model``, ``tp`` chips,
    ``batch`` sequences, ``ctx_in`` prompt and ``ctx_out`` generated tokens, and ``utps``, the
    tokens per second of one user in plain decode. The context is its mean over the generation,
    ``ctx_in`` + ``ctx_out``/2. A table of a server's runs has ``concurrency`` in place of
    ``batch``, or says "max concurrency" in its ``metric_note``: its steps carry prompts.

    Of the precision, the first word (BF16, FP16, FP8, FP4, NVFP4, MXFP4) gives weights and
    operands. The KV cache has 16 bits where it says "FP16 act", "BF16 act", "FP16 KV" or "BF16 KV"
    or has a 16-bit first word; else what the engine's recipes set
    (:func:`jaxlimits.calibration.engines.cache_bits_of`). Columns ``weight_bits``, ``kv_bits`` and
    ``compute_bits`` say it outright.

    Parameters
    ----------
    paths
        One table, or several.
    catalog
        Chips and models.
    without
        Values by column; rows with one of them are left out.

    Raises
    ------
    InputError
        Naming file, line and column: missing columns, unknown chips or models, values that are not
        numbers, zero rates, rates that are not those of the batch, duplicate rows in one table or
        over several.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    tables = [read_table(path, required=COLUMNS) for path in several]
    for path, rows in zip(several, tables, strict=True):
        _check_sizes(rows, where=f"{path}: line 1")
    where = ", ".join(str(path) for path in several)
    rows = selected(list(itertools.chain(*tables)), without=without or {}, where=where)
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
    rows = read_table(path, required=COLUMNS)
    _check_sizes(rows, where=f"{path}: line 1")
    found: list[tuple[Row, Measurement | InputError]] = []
    for row in rows:
        try:
            found.append((row, _measurement(row, catalog)))
        except InputError as error:
            found.append((row, error))
    return found


def _check_sizes(rows: Sequence[Row], *, where: str) -> None:
    """Refuse a table with no column of sizes, or with both."""
    has = [name for name in SIZES if name in rows[0].cells]
    if len(has) == 1:
        return
    remedy = (
        "give the sequences of each step in batch, or the requests that a server holds at once, "
        "which its steps do not always fill, in concurrency"
    )
    problem = "has both columns batch and concurrency" if has else "lacks the column batch"
    raise InputError(problem, where=where, remedy=remedy)


def _measurement(row: Row, catalog: Catalog) -> Measurement:
    chip, count = _machine(row, catalog)
    llm = find_entry(catalog.entries, "llms", row.text("model"), where=row.where, key="model")
    tp_size = row.number("tp", _FIELDS["tp_size"])
    if tp_size > count:
        raise InputError(f"exceeds the {count:g} chips", where=row.where, key="tp", value=tp_size)
    prompt, answer = row.number("ctx_in", _TOKENS), row.number("ctx_out", _TOKENS)
    size = "concurrency" if "concurrency" in row.cells else "batch"
    batch, utps = row.number(size, _FIELDS["batch_size"]), row.number("utps", _RATE)
    _check_system_rate(row, batch=batch, utps=utps)
    engine, note = engine_of(row.cells), row.cells.get("metric_note", "")
    sizes = {"tp_size": tp_size, "batch_size": batch, "seq_len": prompt + answer / 2.0}
    served = size == "concurrency" or bool(_SERVED.search(note))
    return Measurement(
        where=row.where,
        system=row.text("system"),
        model=row.text("model"),
        chip=chip,
        llm=llm.name,
        engine=engine,
        version=engine_version(row.cells),
        settings={**sizes, **_ranks(row, note), **_widths(row, chip, engine)},
        served=served,
        input_len=prompt,
        output_len=max(answer, 1.0),
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


def _ranks(row: Row, note: str) -> dict[str, float]:
    """Expert parallelism, where the table or its note tells of any."""
    if row.cells.get("ep"):
        ranks = row.number("ep", _FIELDS["ep_size"])
    else:
        found = _EP.search(note)
        ranks = float(found["ranks"]) if found else 1.0
    return {"ep_size": ranks} if ranks > 1.0 else {}


def _widths(row: Row, chip: str, engine: str) -> dict[str, float]:
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
        "kv_bits": 16.0 if wide else cache_bits_of(engine, chip),
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


def _refuse_duplicates(measurements: Iterable[Measurement]) -> None:
    seen: dict[tuple, str] = {}
    for each in measurements:
        lengths = (each.input_len, each.output_len, each.served)
        who = (each.group, each.version, each.chip, each.llm)
        point = (*who, *lengths, *sorted(each.settings.items()))
        if point in seen:
            file, _, line = seen[point].rpartition(": ")
            other = line if each.where.startswith(f"{file}: ") else f"{line} of {file}"
            remedy = "keep one, or give one of them another system"
            problem = f"measures the same point as {other}"
            raise InputError(problem, where=each.where, key="utps", value=each.utps, remedy=remedy)
        seen[point] = each.where
