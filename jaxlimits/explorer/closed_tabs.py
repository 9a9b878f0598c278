"""What is logged of tabs that are closed while something is sent to them: nothing."""

import logging
from typing import Any

from tornado.websocket import WebSocketClosedError

_BOKEH, _LOOP = "bokeh.server.views.ws", "asyncio"
"""Who logs that a message could not be sent: a warning, and a traceback of the same."""


def quiet_closed_tabs() -> None:
    """Have messages that find a tab closed be no news; all other warnings and errors stay."""
    for name in (_BOKEH, _LOOP):
        logger = logging.getLogger(name)
        if _is_news not in logger.filters:
            logger.addFilter(_is_news)


def _is_news(record: Any) -> bool:
    """Whether a record tells of anything else than of a connection that its tab has closed."""
    error = record.exc_info[1] if record.exc_info else None
    closed = isinstance(error, WebSocketClosedError)
    return not (closed or "connection was closed" in record.getMessage())
