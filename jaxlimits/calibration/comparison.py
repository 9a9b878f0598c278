"""The limit, a calibrated prediction and what was measured, side by side.

Every row of a table is answered for: with numbers, or with the reason why it is not a point of the
model. And the sixteen cases that other tools answer too, with the reason for each difference.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from jaxlimits.calibration.calibrate import assess
from jaxlimits.calibration.cases import DEFAULT_STACK, choose_fabrics, limit_times, make_cases
from jaxlimits.calibration.measured_tables import SHIPPED, Row
from jaxlimits.calibration.measurements import Measurement, read_what_can_be
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.model import capacity
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.kv_cache import sequence_bytes
from jaxlimits.points.named_point import evaluate

_NOT_PLAIN = {
    r"MTP ?[1-9]|speculative|EAGLE": "drafts tokens: several a step",
    r"DP ?\d|\bEP ?\d|EP\d": "runs data or expert parallel in a way that the table does not give",
    r"e2e .*includes prefill|incl\. prefill": "includes the prefill",
}
"""Words of a row's ``metric_note`` that make it something else than plain decode, and what."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One measured rate beside the limit and a prediction: tokens a second of one user [token/s].

    Parameters
    ----------
    line
        Line of the table.
    system, engine, model
        As the table names them; the engine is empty where it has no such column.
    batch_size, seq_len
        The point [1, token].
    measured, limit, calibrated
        The rates.
    lower, upper
        The prediction's 95 % interval.
    new
        What of the point no measured rates stand behind, so that the interval is wider.
    """

    line: str
    system: str
    engine: str
    model: str
    batch_size: float
    seq_len: float
    measured: float
    limit: float
    calibrated: float
    lower: float
    upper: float
    new: str = ""

    @property
    def achieved(self) -> float:
        """Measured rate as a share of the limit [1]."""
        return self.measured / self.limit

    @property
    def error(self) -> float:
        """Error of the predicted time of a step, as a share of the measured one [1]."""
        return self.measured / self.calibrated - 1.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A row that is not a point of the model, and why."""

    line: str
    system: str
    model: str
    why: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Rows of one machine and engine.

    Parameters
    ----------
    system, engine, rows
        Which, and how many.
    achieved
        Median share of the limit [1].
    error
        Mean absolute error of the predicted time [1].
    """

    system: str
    engine: str
    rows: int
    achieved: float
    error: float


def compare(
    path: str | Path,
    catalog: Catalog,
    *,
    calibration: str | None = None,
    stack: str = DEFAULT_STACK,
) -> tuple[list[Comparison], list[LeftOut]]:
    """Compare a table of decode rates with the limit and with a calibration.

    Parameters
    ----------
    path
        The table; its columns are those of :func:`read_measurements`.
    catalog, calibration
        Where names are looked up, and which prediction stands beside the limit: where none is
        named, that of each row's engine.
    stack
        Whose measured all-reduces the prediction takes for a row of no engine.

    Raises
    ------
    InputError
        A table that cannot be read, an unknown calibration, no row that can be compared.
    """
    kept: list[tuple[Row, Measurement]] = []
    left_out: list[LeftOut] = []
    for row, found in read_what_can_be(path, catalog):
        why = found.problem if isinstance(found, InputError) else _not_plain(row)
        if not why and not isinstance(found, InputError):
            why = _too_large(found, catalog)
        if why or isinstance(found, InputError):
            left_out.append(_left_out(row, why))
        else:
            kept.append((row, found))
    fabrics = choose_fabrics(
        (each for _, each in kept), catalog, stack=stack, named={}, where=str(path)
    )
    slower, faster = _parted(kept, catalog, fabrics)
    left_out += [_left_out(row, "is faster than the limit of its machine") for row, _ in faster]
    if not slower:
        raise InputError("has no row that can be compared", where=str(path))
    report = assess([each for _, each in slower], catalog, calibration, fabrics=fabrics)
    found = report.prediction
    times = zip(report.limit, found.t_step, found.upper, found.lower, found.new, strict=True)
    rows = [
        Comparison(
            line=_line(row),
            system=row.cells["system"],
            engine=row.cells.get("engine", ""),
            model=row.cells["model"],
            batch_size=each.settings["batch_size"],
            seq_len=each.settings["seq_len"],
            measured=each.utps,
            limit=1.0 / limit,
            calibrated=1.0 / predicted,
            lower=1.0 / longest,
            upper=1.0 / shortest,
            new=", ".join(new),
        )
        for (row, each), (limit, predicted, longest, shortest, new) in zip(
            slower, times, strict=True
        )
    ]
    return rows, sorted(left_out, key=lambda row: int(row.line))


def summarise(rows: Sequence[Comparison]) -> list[Summary]:
    """Return the achieved share of the limit by machine and engine, in the order of the rows."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for row in rows:
        groups.setdefault((row.system, row.engine), []).append(row)
    return [
        Summary(
            system=system,
            engine=engine,
            rows=len(own),
            achieved=median(row.achieved for row in own),
            error=float(np.mean([abs(row.error) for row in own])),
        )
        for (system, engine), own in groups.items()
    ]


def _not_plain(row: Row) -> str:
    """What makes a row something else than plain decode at a fixed batch, if anything."""
    note = row.cells.get("metric_note", "")
    if re.search(r"\bno MTP\b|without spec", note, re.IGNORECASE):
        note = re.sub(r"no MTP|without spec\w* decoding", "", note, flags=re.IGNORECASE)
    return next((why for words, why in _NOT_PLAIN.items() if re.search(words, note)), "")


def _too_large(each: Measurement, catalog: Catalog) -> str:
    """Why a static batch does not fit, if it does not; a server runs what fits of its requests."""
    if each.served:
        return ""
    chip, llm = catalog.chip(each.chip), catalog.llm(each.llm)
    settings: dict[str, Any] = {**each.settings}
    deployment = Deployment(**settings)
    weights = capacity.weight_bytes(llm, deployment)
    cache = each.settings["batch_size"] * sequence_bytes(llm, deployment)
    room = capacity.replica_capacity(chip, deployment)
    if weights + cache <= room:
        return ""
    needed, there = float(weights + cache) / 1e9, float(room) / 1e9
    return f"does not fit: {needed:.0f} GB in {there:.0f} GB of memory"


def _left_out(row: Row, why: str) -> LeftOut:
    return LeftOut(line=_line(row), system=row.cells["system"], model=row.cells["model"], why=why)


def _line(row: Row) -> str:
    return row.where.rpartition("line ")[2]


def _parted(
    rows: list[tuple[Row, Measurement]],
    catalog: Catalog,
    fabrics: Mapping[tuple[str, str], str],
) -> tuple[list[tuple[Row, Measurement]], list[tuple[Row, Measurement]]]:
    """Rows that respect memory and compute times of their machine, and those that do not."""
    if not rows:
        return [], []
    limit = limit_times(make_cases([each for _, each in rows], catalog, fabrics))
    least = np.maximum(np.asarray(limit.t_mem), np.asarray(limit.t_compute))
    slower = [each.t_step >= floor for (_, each), floor in zip(rows, least, strict=True)]
    pairs = list(zip(rows, slower, strict=True))
    return [row for row, fits in pairs if fits], [row for row, fits in pairs if not fits]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PeerCase:
    """One of the sixteen cases: times of a token [ms].

    Parameters
    ----------
    name
        The case.
    ours
        This model's limit, without exposed latency; NaN where it does not fit.
    by_hand
        The hand-worked limit, where there is one.
    answers
        What each tool says: a time, or why it says none.
    """

    name: str
    ours: float
    by_hand: float | None
    answers: Mapping[str, float | str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Peers:
    """The cases, and the assumptions that make each tool's answers what they are."""

    cases: Sequence[PeerCase]
    assumptions: Mapping[str, str]


def peers() -> Peers:
    """Answer the sixteen cases beside what eleven other tools say."""
    golden = json.loads((SHIPPED / "peer_cases.json").read_text(encoding="utf-8"))
    cases = [
        PeerCase(
            name=case["id"],
            ours=1e3 * _limit_of(case, golden["chips"][case["chip"]]),
            by_hand=case.get("hand_limit_ms", {}).get("sync0"),
            answers={
                tool: _answer(peer["answers"].get(case["id"], {}))
                for tool, peer in golden["peers"].items()
            },
        )
        for case in golden["cases"]
    ]
    assumptions = {tool: peer["assumptions"] for tool, peer in golden["peers"].items()}
    return Peers(cases=cases, assumptions=assumptions)


def _limit_of(case: Mapping[str, Any], chip: Mapping[str, float]) -> float:
    point = evaluate(
        case["model"],
        case["chip"].lower(),
        peak_flops=f"{chip['fp8']} FLOP/s",
        mem_bw=f"{chip['bw']} B/s",
        mem_capacity=f"{chip['cap']} B",
        usable_fraction=1,
        sync_latency="0 s",
        tp_size=case["tp"],
        batch_size=case["batch"],
        seq_len=case["ctx"],
        vector_work="off",
        kv_sharding="split",
        collective_algorithm="constant",
        weight_bits=8,
        kv_bits=8,
        compute_bits=8,
        x64=True,
    )
    return float(point.tpot)


def _answer(answer: Mapping[str, Any]) -> float | str:
    time = answer.get("ms_per_token")
    return float(time) if time is not None else str(answer.get("error", "no answer"))
