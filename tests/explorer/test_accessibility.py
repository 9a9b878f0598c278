"""What axe-core says of the explorer: it is fetched from npm, and without npm this is skipped.

The names of controls are tested without it too, in ``test_browser.py``.
"""

import shutil
import subprocess
import tarfile

import pytest

_VERSION = "4.14.1"

_AUDIT = """
const done = arguments[0]
const told = (each) =>
  `${each.impact} ${each.id}: ${each.nodes.map((node) => node.target.flat().join(" ")).join(", ")}`
axe.run(document, {resultTypes: ["violations"]}).then((found) => done(found.violations.map(told)))
"""


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The script of axe-core."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("npm is not installed")
    packed = [npm, "pack", f"axe-core@{_VERSION}", "--silent"]
    done = subprocess.run(packed, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm does not serve axe-core {_VERSION}: {done.stderr.strip()[-200:]}")
    with tarfile.open(folder / done.stdout.strip()) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


@pytest.fixture
def audited(browser, axe):
    """How to have axe look at what the browser shows; colours are set back in the end."""

    def emulate(scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def look(scheme):
        emulate(scheme)
        browser.driver.execute_script(axe)
        return browser.driver.execute_async_script(_AUDIT)

    browser.driver.set_script_timeout(120)
    yield look
    emulate("light")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_explorer(scheme, browser, running, audited):
    page = browser.open("about:blank").open(running.url).loaded()
    page.wait(lambda page: page.all(".nearest"))
    assert audited(scheme) == []
    for card in ("Chip", "Deployment", "Axes", "Operators", "All numbers"):
        page.wait(lambda page, card=card: page.press("button.card-header", text=card) is None)
    page.wait(lambda page: page.press('[data-operator="ffn"]') is None)
    assert audited(scheme) == []
    page.driver.find_element("id", "tab-plan").click()
    page.wait(lambda page: page.all(".plan-rate"))
    button = "return arguments[0].shadowRoot.querySelector('button')"
    now = page.wait(lambda page: page.driver.execute_script(button, page.all(".plan-now")[0]))
    now.click()
    page.wait(lambda page: page.all(".choices"), seconds=120.0)
    assert audited(scheme) == []
