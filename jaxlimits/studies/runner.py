"""A study run: grids, sweeps, findings, tables, figures and the report, in one folder."""

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import xarray as xr

from jaxlimits import plot, schema
from jaxlimits.errors import InputError, ResultError, unknown_name
from jaxlimits.grid.axes import check_name
from jaxlimits.grid.file import read_grid
from jaxlimits.grid.spec import GridSpec, build_spec, grid_catalog
from jaxlimits.results.listing import markdown, write_csv
from jaxlimits.results.strict import strict
from jaxlimits.run.pipeline import run_spec
from jaxlimits.store.netcdf import write_dataset
from jaxlimits.studies.claim import Claim, Finding, Picture
from jaxlimits.studies.family import family_table
from jaxlimits.studies.outcome import Outcome
from jaxlimits.studies.paper import STUDIES
from jaxlimits.studies.prices import NOTE, SPREAD
from jaxlimits.studies.study import Study
from jaxlimits.studies.study_report import require_template_engine, write_report

NO_CASE = "No case fits in memory."
"""What is said of a claim that nothing is a case of."""

FINDINGS = "findings.json"
"""What a folder must hold to be a study's, which ``force`` may replace."""

_MOST_AT_ONCE = 4
"""Grids that are swept at the same time."""

_SWEEPING = 0.75
"""Share of the work that goes into sweeps."""

Progress = Callable[[str, float], None]
"""Called with each stage and the share of the work that is done."""


def _silent(_stage: str, _share: float) -> None:
    pass


def find_study(name: str) -> Study:
    """Return a study by its name, or raise ``InputError`` with those there are."""
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES, where="study")
    return STUDIES[name]


def run_study(
    study: Study,
    output: str | Path,
    *,
    overrides: Mapping[str, str] | None = None,
    quick: bool = False,
    force: bool = False,
    progress: Progress = _silent,
) -> Outcome:
    """Regenerate a study into a folder, which appears whole or not at all.

    Parameters
    ----------
    study
        What to run.
    output
        Folder to make: ``data/*.nc``, ``tables``, ``figures``, ``findings.json``, ``report.html``.
    overrides
        Values of fields by name, set in every grid that does not vary or solve for them:
        ``{"sync_latency_scale": "0.1"}``.
    quick
        Leave out the families of systems.
    force
        Replace the folder of an earlier run.
    progress
        Told what is done.

    Raises
    ------
    InputError
        An override that is not a field; figures or report cannot be made for lack of a library.
    ResultError
        The folder exists, or cannot be written.
    """
    target = Path(output)
    plot.require_backend()
    require_template_engine()
    check_folder(target, force=force)
    specs = study_specs(study, overrides or {}, quick=quick)
    with _whole_folder(target, force=force) as folder:
        started = time.perf_counter()
        results = dict(_swept(specs, folder / "data", progress))
        outcome = evaluate_study(study, results, overrides=overrides, quick=quick)
        outcome = dataclasses.replace(outcome, seconds=time.perf_counter() - started)
        _write_tables(outcome, folder / "tables")
        _draw_all(outcome, results, folder / "figures", progress)
        (folder / FINDINGS).write_text(findings_json(outcome), encoding="utf-8")
        progress("report", 1.0)
        write_report(outcome, results, folder)
    return outcome


def evaluate_study(
    study: Study,
    results: Mapping[str, xr.Dataset],
    *,
    overrides: Mapping[str, str] | None = None,
    quick: bool = False,
) -> Outcome:
    """Test every claim on what its grids gave, and tabulate the families."""
    findings = {claim.name: _tested(claim, results) for claim in study.tested(quick=quick)}
    tables = {name: finding.table for name, finding in findings.items()}
    if not quick:
        for family in study.families:
            tables[f"family_{family.name}"] = family_table(family.title, results[family.grid])
    return Outcome(
        study=study,
        findings=findings,
        tables=tables,
        overrides=dict(overrides or {}),
        quick=quick,
        seconds=0.0,
    )


def _tested(claim: Claim, results: Mapping[str, xr.Dataset]) -> Finding:
    finding = claim.find(results)
    return finding if finding.judged.cases else dataclasses.replace(finding, sentence=NO_CASE)


def study_specs(study: Study, overrides: Mapping[str, str], *, quick: bool) -> dict[str, GridSpec]:
    """Read every grid that a study needs.

    An override is left out of grids that vary its field as an axis or solve for it: there every
    value is tried anyway. One that a grid links to another axis can only be scaled.
    """
    for name in overrides:
        check_name(name, where="`overrides`", key=name)
        if name in schema.NAMED:
            raise InputError("each grid has its own", where="`overrides`", key=name)
    return {name: _read_spec(name, overrides) for name in study.grids(quick=quick)}


def _read_spec(name: str, overrides: Mapping[str, str]) -> GridSpec:
    file = read_grid(name)
    tried = {*file.tables.axes, *(table.unknown for table in file.tables.require.values())}
    used = {n: v for n, v in overrides.items() if n not in tried and _field(n) not in tried}
    return build_spec(file, grid_catalog(file), overrides=used)


def _field(name: str) -> str:
    return schema.scaled_field(name) or name


def _swept(
    specs: Mapping[str, GridSpec], folder: Path, progress: Progress
) -> Iterator[tuple[str, xr.Dataset]]:
    """Yield what each grid gives, once it is written."""
    folder.mkdir()
    progress("sweeping", 0.0)
    for done, (name, result) in enumerate(_computed(specs), start=1):
        write_dataset(result, folder / f"{name}.nc")
        progress(f"swept {name}", _SWEEPING * done / len(specs))
        yield name, result


def _computed(specs: Mapping[str, GridSpec]) -> Iterator[tuple[str, xr.Dataset]]:
    """Yield what each grid gives, in their order.

    Most of the time of a small grid goes into compiling, which leaves the interpreter free.
    """
    workers = ThreadPoolExecutor(min(len(specs), os.cpu_count() or 1, _MOST_AT_ONCE))
    try:
        running = {name: workers.submit(run_spec, spec) for name, spec in specs.items()}
        for name, result in running.items():
            yield name, result.result()
    finally:
        workers.shutdown(cancel_futures=True)


def _write_tables(outcome: Outcome, folder: Path) -> None:
    folder.mkdir()
    for name, table in outcome.tables.items():
        write_csv(table, folder / f"{name}.csv")
        text = markdown(table) + (f"\n{NOTE}\n" if table.is_priced else "")
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def study_pictures(study: Study, *, quick: bool) -> Iterator[Picture]:
    """Yield every figure of a run."""
    for part in (*study.tested(quick=quick), *(() if quick else study.families)):
        yield from part.pictures


def _draw_all(
    outcome: Outcome, results: Mapping[str, xr.Dataset], folder: Path, progress: Progress
) -> None:
    folder.mkdir()
    pictures = list(study_pictures(outcome.study, quick=outcome.quick))
    for done, picture in enumerate(pictures):
        progress(f"drawing {picture.name}", _SWEEPING + (1.0 - _SWEEPING) * done / len(pictures))
        plot.save(picture.draw(results), folder / f"{picture.name}.svg")


def findings_json(outcome: Outcome) -> str:
    """Return every finding as strict JSON: a list, in the order of the study."""
    listed = [finding_facts(claim, outcome) for claim in outcome.claims]
    return json.dumps(strict(listed), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def finding_facts(claim: Claim, outcome: Outcome) -> dict[str, Any]:
    """Return one finding as plain data."""
    finding = outcome.findings[claim.name]
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "grids": list(claim.grids),
        "cases": {
            "meaning": claim.cases,
            "count": finding.judged.cases,
            "share": finding.judged.share,
        },
        "verdict": str(finding.judged.verdict),
        "sentence": finding.sentence,
        "rests_on_prices": finding.is_priced,
        "price_spread": list(SPREAD) if finding.is_priced else None,
        "numbers": {name: dataclasses.asdict(n) for name, n in finding.numbers.items()},
        "overrides": dict(outcome.overrides),
    }


def check_folder(target: Path, *, force: bool) -> None:
    """Raise unless a study can be written to a folder; an earlier one only with ``force``.

    Raises
    ------
    ResultError
        Something is there already; with ``force`` too where it is not a study.
    """
    if not target.parent.is_dir():
        raise ResultError(f"{target}: the folder {target.parent} does not exist; make it first")
    if not target.exists():
        return
    if not (target / FINDINGS).is_file():
        problem = f"exists and is not a study's folder (it has no {FINDINGS})"
        raise ResultError(f"{target}: {problem}; choose another name")
    if not force:
        raise ResultError(f"{target}: exists; choose another name, or replace it with `force=True`")


@contextlib.contextmanager
def _whole_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """Give a temporary folder beside a target; take its place on success, vanish on failure."""
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield partial
            check_folder(target, force=force)
            partial.chmod(0o755)
            with tempfile.TemporaryDirectory(prefix=".old.", dir=target.parent) as aside:
                if target.exists():
                    target.rename(Path(aside) / target.name)
                partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except ResultError:
        raise
    except OSError as error:
        raise ResultError(f"{target}: cannot be written: {error.strerror}") from None
