"""The report of a study: one HTML file that stands alone, its figures inside it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from jaxlimits.errors import InputError
from jaxlimits.results.listing import Table
from jaxlimits.studies.claim import Picture, Verdict, said
from jaxlimits.studies.outcome import Outcome
from jaxlimits.studies.prices import NOTE

REPORT = "report.html"
_TEMPLATE = "report.html.j2"

_SIGNS = {Verdict.HOLDS: "✓", Verdict.IN_PART: "◐", Verdict.NOT_REPRODUCED: "✗"}
_CLASSES = {Verdict.HOLDS: "holds", Verdict.IN_PART: "conditions", Verdict.NOT_REPRODUCED: "not"}


def require_template_engine() -> None:
    """Raise ``InputError`` unless the report can be written."""
    try:
        import jinja2  # noqa: F401, PLC0415
    except ImportError:
        remedy = "pip install 'jaxlimits[plot]'"
        raise InputError("the report needs jinja2", where="study", remedy=remedy) from None


def write_report(outcome: Outcome, results: Mapping[str, xr.Dataset], folder: Path) -> None:
    """Write the report into a folder that has the figures of a run."""
    import jinja2  # noqa: PLC0415

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    text = environment.get_template(_TEMPLATE).render(_content(outcome, results, folder))
    (folder / REPORT).write_text(text, encoding="utf-8")


def _content(outcome: Outcome, results: Mapping[str, xr.Dataset], folder: Path) -> dict[str, Any]:
    """What the template shows."""
    families = () if outcome.quick else outcome.study.families
    return {
        "study": outcome.study,
        "claims": [_claim(claim, outcome, folder) for claim in outcome.claims],
        "families": [
            {
                "family": family,
                "table": _table(outcome.tables[f"family_{family.name}"]),
                "pictures": list(_pictures(family.pictures, folder)),
            }
            for family in families
        ],
        "grids": [_grid(name, result) for name, result in results.items()],
        "overrides": outcome.overrides,
        "quick": outcome.quick,
        "priced": NOTE,
        "version": next(iter(results.values())).attrs["jaxlimits_version"],
    }


def _claim(claim: Any, outcome: Outcome, folder: Path) -> dict[str, Any]:
    finding = outcome.findings[claim.name]
    return {
        "claim": claim,
        "finding": finding,
        "sign": _SIGNS[finding.judged.verdict],
        "style": _CLASSES[finding.judged.verdict],
        "numbers": [(n.meaning, said(n.value, n.unit)) for n in finding.numbers.values()],
        "table": _table(finding.table),
        "pictures": list(_pictures(claim.pictures, folder)),
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "heads": [(column.heading, not column.unit) for column in table.columns],
        "rows": [
            list(zip(words, (not column.unit for column in table.columns), strict=True))
            for words in table.words()
        ],
        "priced": table.is_priced,
    }


def _pictures(pictures: Iterable[Picture], folder: Path) -> Iterable[dict[str, Any]]:
    import markupsafe  # noqa: PLC0415

    for picture in pictures:
        svg = (folder / "figures" / f"{picture.name}.svg").read_text(encoding="utf-8")
        drawing = svg[svg.index("<svg") :]  # without the header of a file of its own
        yield {"picture": picture, "svg": markupsafe.Markup(drawing)}


def _grid(name: str, result: xr.Dataset) -> dict[str, str]:
    sizes = " × ".join(f"{dim} {length}" for dim, length in result.sizes.items())
    points = 1
    for length in result.sizes.values():
        points *= length
    hashed = result.attrs["content_hash"].partition(":")[2][:12]
    return {"name": name, "sizes": sizes, "points": f"{points:,}", "hash": hashed,
            "title": result.attrs["title"]}  # fmt: skip
