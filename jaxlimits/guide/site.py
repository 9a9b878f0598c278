"""The guide as a site that stands alone: no page asks a server for anything."""

import importlib.util
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jaxlimits.errors import InputError, ResultError
from jaxlimits.guide.fences import shown_commands, shown_files
from jaxlimits.guide.pages import FOLDER, KINDS, Page

_SETTINGS = FOLDER / "mkdocs.yml"
_BESIDE = tuple(FOLDER / name for name in ("iframe-worker.js", "site.css", "site.js"))
"""Files of the site's own: what its search needs from a file, its look, and names of its parts."""
_MARK = ".jaxlimits-guide"
"""A file of each site, by which a site that may be replaced is told from any other folder."""

_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")

Say = Callable[[str], None]


def build_site(pages: Sequence[Page], target: Path, *, force: bool, say: Say) -> None:
    """Build the site of some pages; its pictures are drawn by the commands of their pages.

    Parameters
    ----------
    pages
        The pages, in the order of the site.
    target
        The folder to write.
    force
        Whether an earlier site is replaced.
    say
        A function that is told what is being done.

    Raises
    ------
    InputError
        The generator or the figures' backend is not installed.
    ResultError
        The folder exists; a command of a page fails; a link leads nowhere.
    """
    _require_generator()
    _check_target(target, force=force)
    with tempfile.TemporaryDirectory(prefix="jaxlimits-guide-") as scratch:
        sources, site = Path(scratch, "sources"), Path(scratch, "site")
        for page in pages:
            _write_source(page, sources, say)
        for file in _BESIDE:
            shutil.copy(file, sources)
        say(f"{len(pages)} pages are rendered")
        _render(pages, sources, site)
        (site / _MARK).touch()
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(site, target)


def _require_generator() -> None:
    for module in ("mkdocs", "material", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            remedy = "pip install 'jaxlimits[docs]'"
            raise InputError(f"needs {module} to build a site", where="guide", remedy=remedy)


def _check_target(target: Path, *, force: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / _MARK).exists():
        raise ResultError(f"{target}: exists and is not a site of the guide; name another folder")
    if not force:
        raise ResultError(f"{target}: exists already; replace it with `force=True`")


def _write_source(page: Page, sources: Path, say: Say) -> None:
    """Write the Markdown of a page, and its pictures beside it."""
    text = page.make()
    source = sources / page.file
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text, encoding="utf-8")
    pictures = _PICTURE.findall(text)
    if pictures:
        say(f"the commands of {page.topic} draw {', '.join(pictures)}")
        _draw(text, pictures, source.parent, where=page.topic)


def _draw(text: str, pictures: Sequence[str], beside: Path, *, where: str) -> None:
    """Run the commands of a page in a folder of their own, and keep the pictures."""
    with tempfile.TemporaryDirectory(prefix="jaxlimits-guide-") as scratch:
        folder = Path(scratch)
        for name, content in shown_files(text).items():
            (folder / name).write_text(content, encoding="utf-8")
        for line in shown_commands(text):
            if all((folder / name).exists() for name in pictures):
                break  # further commands may take long, and draw nothing that is shown
            _run(line, folder, where=where)
        for name in pictures:
            if not (folder / name).exists():
                raise ResultError(f"guide: {where}: no command of the page draws {name}")
            shutil.copy(folder / name, beside / name)


def _run(line: str, folder: Path, *, where: str) -> None:
    command = [sys.executable, "-m", "jaxlimits", *shlex.split(line)[1:]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ResultError(f"guide: {where}: {line} failed: {done.stderr.strip()}")


def _render(pages: Sequence[Page], sources: Path, site: Path) -> None:
    """Let the generator render the sources; each of its warnings is an error."""
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException

    found = _Warnings()
    logger = logging.getLogger("mkdocs")
    logger.addHandler(found)
    try:
        with _SETTINGS.open("rb") as settings:
            config = load_config(
                settings,
                docs_dir=str(sources),
                site_dir=str(site),
                nav=[*_navigation(pages)],
                edit_uri=None,
            )
        build(config)
    except MkDocsException as error:
        raise ResultError(f"guide: {error}") from None
    finally:
        logger.removeHandler(found)
    if found.messages:
        raise ResultError("guide: " + "; ".join(found.messages))


def _navigation(pages: Sequence[Page]) -> Iterator[dict[str, object]]:
    """The menu: each page by its title, under its kind."""
    for kind, title in KINDS.items():
        yield {title: [{page.title: page.file} for page in pages if page.kind == kind]}


class _Warnings(logging.Handler):
    """Collects what the generator warns of."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
