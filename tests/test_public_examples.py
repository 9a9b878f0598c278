"""Every public name has an example in its docstring, and the example is true."""

import doctest
import inspect

import pytest

import jaxlimits as jl


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a result, as an example may read one."""
    folder = tmp_path_factory.mktemp("examples")
    jl.sweep("smoke", folder / "smoke.nc")
    return folder


@pytest.mark.parametrize("name", sorted(set(jl.__all__) - {"__version__"}))
def test_the_example_of(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = getattr(jl, name)
    written = inspect.cleandoc(found.__doc__ or "")
    assert "\nExamples\n--------\n>>> " in written, f"{name} has no example"
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(found, name, module=False, globs={})
    assert any("jl." in line.source for line in example.examples)
    said: list[str] = []
    doctest.DocTestRunner().run(example, out=said.append)
    assert not said, "".join(said)
