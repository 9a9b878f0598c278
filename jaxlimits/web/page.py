"""One HTML file that stands alone: everything Bokeh needs is inside it."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from jaxlimits.errors import ResultError

_FILES = ("bokeh.min.js", "bokeh-widgets.min.js")

_PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<meta name="description" content="$title: a result of jaxlimits, with its figures and numbers.">
<title>$title</title>
<style>
  :root { color-scheme: light; }
  body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 68rem; }
  body { margin: 2rem auto; padding: 0 1.25rem; }
  h1 { line-height: 1.2; margin-bottom: .3rem; }
  h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; padding-bottom: .25rem; }
  .note { color: #444; font-size: .9rem; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; font-size: .88rem; margin: .6rem 0; }
  caption { text-align: left; font-weight: 600; padding-bottom: .3rem; white-space: nowrap; }
  th, td { padding: .25rem .6rem; border-bottom: 1px solid #e4e4e4; text-align: right; }
  th, td { font-variant-numeric: tabular-nums; vertical-align: top; }
  th { border-bottom: 2px solid #bbb; font-weight: 600; }
  tbody th { border-bottom: 1px solid #e4e4e4; font-weight: 400; text-align: left; }
  td { white-space: nowrap; }
  .word { text-align: left; white-space: normal; }
  pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: .82rem; }
  summary { cursor: pointer; color: #0055aa; }
  @page { margin: 14mm; }
  @media print {
    body { font-size: 10.5pt; max-width: none; margin: 0; padding: 0; }
    .scroll { overflow: visible; }
    table { font-size: 8.5pt; }
    td { white-space: normal; }
    h2, h3 { break-after: avoid; }
    details::details-content { content-visibility: visible; }
    figure, tr, .bk-Figure { break-inside: avoid; }
    pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  }
</style>
$resources
</head>
<body>
$body
$script
</body>
</html>
"""
)


def write_page(path: Path, *, title: str, body: str, figures: Mapping[str, Any]) -> None:
    """Write a page whose figures stand where ``{{ NAME }}`` does in its body.

    Parameters
    ----------
    path
        File to write.
    title, body
        As HTML.
    figures
        Bokeh models by name.

    Raises
    ------
    ResultError
        It cannot be written there.
    """
    script, places = _embedded(figures) if figures else ("", {})
    for name, place in places.items():
        body = body.replace(f"{{{{ {name} }}}}", place)
    resources = _scripts() if figures else ""
    text = _PAGE.substitute(title=title, resources=resources, body=body, script=script)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultError(f"{path}: cannot be written: {error.strerror}") from None


def _embedded(figures: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """The script of some figures, and the place of each.

    Bokeh looks at the current document, which may be one that an explorer in this process has
    closed: a page has its own.
    """
    from bokeh.document import Document  # noqa: PLC0415
    from bokeh.embed import components  # noqa: PLC0415
    from bokeh.io.doc import patch_curdoc  # noqa: PLC0415

    own = Document()
    with patch_curdoc(own):
        return components(dict(figures))


def _scripts() -> str:
    """Bokeh's own scripts. Its ``INLINE`` would add links to those of whatever else is imported."""
    from bokeh.util.paths import bokehjs_path  # noqa: PLC0415

    folder = bokehjs_path() / "js"
    texts = [(folder / name).read_text(encoding="utf-8") for name in _FILES]
    return "".join(f"<script>{text}</script>\n" for text in texts)
