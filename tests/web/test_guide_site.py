"""The guide's site as a reader opens it: a file in a browser, without a server."""

import time

import pytest

import jaxlimits as jl
from jaxlimits.cli.guide_command import all_pages
from jaxlimits.guide.site import build_site
from jaxlimits.static_page.build import build_page

BUILT_IN = 300.0
"""What the site and the page without installation may take together [s]."""


@pytest.mark.slow
def test_the_whole_site_is_searched_from_a_file_without_a_request(tmp_path, browser):
    said = []
    started = time.monotonic()
    build_site(all_pages(), tmp_path / "site", force=False, say=said.append)
    build_page(jl.load_catalog(), tmp_path / "public", force=False)
    assert time.monotonic() - started < BUILT_IN
    assert (tmp_path / "public" / "index.html").exists()
    assert (tmp_path / "site" / "first.svg").exists()
    browser.requests()
    browser.open((tmp_path / "site" / "index.html").as_uri())
    (field,) = browser.all("input.md-search__input")
    field.send_keys("elasticity")
    found = browser.wait(lambda page: page.text(".md-search-result__item h1"))
    assert "Find which parameter pays" in found
    assert {url.partition(":")[0] for url in browser.requests()} <= {"file", "about", "data"}
    assert browser.driver.execute_script(
        "return document.querySelector('[role=dialog]').getAttribute('aria-label')"
    )
    assert browser.problems() == []
