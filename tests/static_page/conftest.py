"""The page as a folder, built once, and the browser that opens it as files."""

import pytest

import jaxlimits as jl
from jaxlimits.static_page.build import build_page
from tests.explorer.conftest import browser

__all__ = ["browser"]


@pytest.fixture(scope="session")
def catalog():
    return jl.load_catalog()


@pytest.fixture(scope="session")
def folder(tmp_path_factory, catalog):
    target = tmp_path_factory.mktemp("site") / "public"
    build_page(catalog, target, force=False)
    return target


@pytest.fixture(scope="module")
def scripts(browser, folder):
    """A window in which the page's scripts are there, whatever they show."""
    browser.open((folder / "index.html").as_uri())
    return browser.driver.execute_script
