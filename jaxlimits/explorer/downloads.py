"""What can be taken away: the map as a grid file, and as an ordinary result."""

import io
from collections.abc import Callable
from typing import Any

import panel as pn

from jaxlimits.errors import InputError, ResultError
from jaxlimits.explorer.grid_text import NAME, grid_text, result_bytes
from jaxlimits.explorer.session import Session

_WHOLE_BUTTON = ".bk-btn { padding: 0; } .bk-btn a { display: block; padding: 7px 12px; }"
"""Panel listens to the words alone; they are made as large as the button."""


def download_buttons(session: Session, said: Callable[[str], None]) -> list[Any]:
    """Return the buttons; what cannot be taken away is said."""

    def file_of(make: Callable[[], bytes]) -> Callable[[], io.BytesIO]:
        def content() -> io.BytesIO:
            try:
                return io.BytesIO(make())
            except (InputError, ResultError) as error:
                said(str(error))
                return io.BytesIO(str(error).encode())

        return content

    def as_grid() -> bytes:
        return grid_text(session.state, session.catalog).encode()

    def as_result() -> bytes:
        return result_bytes(session.state, session.catalog)

    return [
        pn.widgets.FileDownload(
            callback=file_of(make), filename=f"{NAME}{suffix}", label=label, width=300,
            margin=(6, 10), stylesheets=[_WHOLE_BUTTON],
            css_classes=[f"download{suffix.replace('.', '-')}"],
        )
        for make, suffix, label in (
            (as_grid, ".toml", "Grid file (.toml)"),
            (as_result, ".nc", "Result (.nc)"),
        )
    ]  # fmt: skip
