"""A server in a thread of this process, and a headless Chromium that looks at it.

Without Chromium and its driver the tests of the browser are skipped, or fail where
``REQUIRE_READERS=1`` says that they must run.
"""

import asyncio
import contextlib
import json
import os
import shutil
import threading
import time

import pytest

from jaxlimits.explorer import server as serving
from jaxlimits.explorer.start import start

_PATIENCE = 40.0
"""Seconds that a page may take, compiling included."""

_FIND = """
const found = []
const walk = (root) => { for (const each of root.querySelectorAll("*")) {
  if (each.matches(arguments[0])) found.push(each)
  if (each.shadowRoot) walk(each.shadowRoot)
} }
walk(document)
return found
"""


class Page:
    """One tab: what stands in it, whatever shadow it stands in."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get(url)
        return self

    def all(self, selector):
        return self.driver.execute_script(_FIND, selector)

    def text(self, selector):
        return [
            self.driver.execute_script("return arguments[0].textContent", each)
            for each in self.all(selector)
        ]

    def metric(self, name="utps"):
        return self.text(f'[data-metric="{name}"]')

    def wait(self, what, *, seconds=_PATIENCE):
        """Wait until something is so; return it."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            with contextlib.suppress(Exception):  # what is looked at may be drawn anew
                if found := what(self):
                    return found
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s; the page says {self.text('section')}")

    def loaded(self):
        self.wait(lambda page: page.metric())
        return self

    def press(self, selector, *, text=""):
        found = [each for each in self.all(selector) if text in (each.text or "")]
        self.driver.execute_script("arguments[0].click()", found[0])

    def problems(self):
        """What the console has against the page: errors of scripts and of loading."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def requests(self):
        """Every address that was asked for since the last call."""
        messages = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]


def _installed():
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if not missing:
        return
    if os.environ.get("REQUIRE_READERS") == "1":
        pytest.fail(f"{' and '.join(missing)} are missing, and REQUIRE_READERS=1 asks for them")
    pytest.skip(f"{' and '.join(missing)} are not installed")


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium without a window; what is downloaded lies in ``browser.folder``."""
    _installed()
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    folder = tmp_path_factory.mktemp("downloads")
    options = Options()
    options.binary_location = shutil.which("chromium")
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=1400,1100")
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    page = Page(driver)
    page.folder = folder
    try:
        yield page
    finally:
        driver.quit()


class Running:
    """A server at work in a thread of its own."""

    def __init__(self, **options):
        self.said = []
        self._ready = threading.Event()
        self._options = options
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        assert self._ready.wait(60.0)

    def _work(self):
        asyncio.set_event_loop(asyncio.new_event_loop())
        self.server = serving.make_server(say=self.said.append, **self._options)
        self.server.start()
        self._ready.set()
        self.server.io_loop.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.port}/"

    def sessions(self):
        return self.server.get_sessions()

    def settle(self):
        """Wait until the server has done what it was told so far."""
        done = threading.Event()
        self.server.io_loop.add_callback(done.set)
        assert done.wait(20.0)

    def stop(self):
        def end():
            self.server.stop()
            self.server.io_loop.stop()

        self.server.io_loop.add_callback(end)
        self._thread.join(20.0)


@pytest.fixture(scope="session")
def running():
    """An explorer that forgets closed tabs after two seconds, and asks for two fields alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxlimits.explorer.needs.ASKED", ("mem_bw", "sync_latency"))
        found = Running(begun=start(), port=5206, lost_after=2_000)
        yield found
        found.stop()
