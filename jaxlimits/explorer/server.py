"""The server: on this machine alone, or behind a token; tabs that are closed leave nothing."""

import contextlib
import errno
import hmac
import ipaddress
import logging
import os
import socket
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import panel as pn
from bokeh.server.auth_provider import NullAuth
from panel.io.resources import LOCAL_DIST
from tornado.web import HTTPError

from jaxlimits.errors import InputError
from jaxlimits.explorer.app import App
from jaxlimits.explorer.closed_tabs import quiet_closed_tabs
from jaxlimits.explorer.links import TOKEN
from jaxlimits.explorer.start import Start

PORT = 5006
LOOPBACK = "127.0.0.1"
_TRIED = 100
"""Ports tried one after another where the first is in use."""

_LOST_AFTER = 15_000
"""Milliseconds after which what a closed tab held is given up; a broken connection comes back."""

_LOOKED_EVERY = 2_000

_HERE = Path(__file__).parent

Say = Callable[[str], None]


def check_address(address: str, token: str | None) -> None:
    """Raise unless an address may be served.

    Raises
    ------
    InputError
        One beyond this machine without a token.
    """
    if is_loopback(address) or token:
        return
    remedy = "add `token=SECRET`, which the address in the browser then needs, or leave it out"
    raise InputError(
        "can be reached from other machines", where="explore", key="`address`", value=address,
        remedy=remedy,
    )  # fmt: skip


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class TokenProvider(NullAuth):
    """Lets in who has the token in the address; every page and socket is asked for it."""

    def __init__(self, token: str):
        self._token = token
        super().__init__()

    @property
    def get_user(self) -> Any:
        """Return the check of a request: 403 where the token is missing or another."""

        def check(handler: Any) -> str:
            given = handler.get_query_argument(TOKEN, "")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise HTTPError(403, reason="the address lacks the token")
            return "user"

        return check

    @property
    def login_url(self) -> Any:
        """Return where Bokeh would send who is not let in; nobody is sent there."""
        return "/"


class Page(pn.template.VanillaTemplate):
    """A page of landmarks, bar above and one column where it is narrow, that fetches no font."""

    _template = _HERE / "page.html"
    _css = []  # noqa: RUF012  (as the class above declares it)
    _resources = {"css": {}}  # noqa: RUF012  (as the class above declares it)

    def __init__(self, **params: Any):
        super().__init__(
            meta_viewport="width=device-width, initial-scale=1",
            meta_description="The limit of LLM inference hardware: speed, what binds, machines.",
            **params,
        )

    def _init_doc(self, doc: Any = None, *args: Any, **options: Any) -> Any:
        """Fill the document; its models are gathered once, not again for every part of the page."""
        document: Any = doc or pn.state.curdoc
        with document.models.freeze():
            return super()._init_doc(doc, *args, **options)

    def show_plan(self, view: Any) -> None:
        """Put what the plan tab shows into its place."""
        self._render_items["plan"] = (view, ["plan"])


def _page_parts() -> dict[str, str]:
    """The styles and the script that stand in the page itself."""
    return {
        f"page_{key}": (_HERE / f"page.{key}").read_text(encoding="utf-8") for key in ("css", "js")
    }


def make_server(
    begun: Start,
    *,
    address: str = LOOPBACK,
    port: int = PORT,
    token: str | None = None,
    lost_after: int = _LOST_AFTER,
    say: Say = print,
) -> Any:
    """Return the server, bound to a port but not yet running.

    Parameters
    ----------
    begun
        What every tab starts with.
    address, port
        Where it listens; the next free port where this one is in use.
    token
        What the address in the browser must have; none on this machine.
    lost_after
        Milliseconds after which a closed tab is forgotten.
    say
        Told where it is another port.

    Raises
    ------
    InputError
        An address beyond this machine without a token, one that is not this machine's, no port.
    """
    check_address(address, token)
    quiet_closed_tabs()
    logging.getLogger("tornado.access").setLevel(logging.ERROR)  # a refusal is not worth a line

    def page() -> Any:
        # Panel says where a page loads its styles from when it writes the page: what changes
        # before that, as in tabs that open at once, would load them from the network.
        document: Any = pn.state.curdoc
        document.template_variables["dist_url"] = LOCAL_DIST
        document.template_variables.update(_page_parts())
        template = Page(title="jaxlimits explorer")
        query = pn.state.location.search if pn.state.location is not None else ""
        return App(begun, query or "").page(template)

    guard: dict[str, Any] = {"auth_provider": TokenProvider(token)} if token else {}
    for candidate in range(port, port + _TRIED):
        if not _is_free(address, candidate):
            continue
        try:
            server = pn.io.server.get_server(
                {"/": page},
                port=candidate,
                address=address,
                websocket_origin=_origins(address, candidate),
                **guard,
                title="jaxlimits explorer",
                unused_session_lifetime_milliseconds=lost_after,
                check_unused_sessions_milliseconds=min(_LOOKED_EVERY, lost_after),
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _unusable(address, error) from None
            continue  # another one took it in between
        if candidate != port:
            say(f"port {port} is in use; took {candidate}")
        return server
    problem = f"and the {_TRIED - 1} behind it are in use"
    raise InputError(problem, where="explore", key="`port`", value=port, remedy="give another")


def _is_free(address: str, port: int) -> bool:
    """Whether nothing listens on a port; asked first, since a server that fails leaves a socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise _unusable(address, error) from None
    return True


def _unusable(address: str, error: OSError) -> InputError:
    problem = f"cannot be listened on: {error.strerror or error}"
    remedy = "give an address of this machine, or another port"
    return InputError(problem, where="explore", key="`address`", value=address, remedy=remedy)


def _origins(address: str, port: int) -> list[str]:
    """Where pages may come from; behind a token from anywhere, since they need it too."""
    if is_loopback(address):
        return [f"{name}:{port}" for name in ("localhost", LOOPBACK, f"[{address}]", address)]
    return ["*"]


def address_of(server: Any, *, address: str, token: str | None) -> str:
    """Return what to open in a browser."""
    host = f"[{address}]" if ":" in address else address
    query = f"/?{urlencode({TOKEN: token})}" if token else "/"
    return f"http://{host}:{server.port}{query}"


def open_browser(url: str) -> bool:
    """Open a browser if there is one with a display; whether there was."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in displays):
        return False
    with contextlib.suppress(webbrowser.Error):
        return webbrowser.open(url)
    return False


def run(server: Any) -> None:
    """Serve until Ctrl-C."""
    server.start()
    try:
        server.io_loop.start()
    finally:
        server.stop()
