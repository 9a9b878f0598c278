"""Programs are forgotten before the process has no memory mappings left for another."""

import itertools
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.engine import mappings

LINUX = pytest.mark.skipif(not mappings._USED.exists(), reason="mappings are counted on Linux")

HOLDS_NEARLY_ALL = """
import ctypes
import jaxlimits as jl
from jaxlimits.engine import mappings

mappings._PROGRAMS = 1  # counted each time: there is no room for sixteen
jl.evaluate("llama3-8b", "h100")
system = ctypes.CDLL(None)
system.mmap.restype = ctypes.c_void_p
system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
system.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
page, number = 4096, mappings._granted() - mappings._used() - 400
first = system.mmap(None, page * number, 1, 0x22, -1, 0)
for n in range(0, number, 2):  # neighbours that differ are mappings of their own
    system.mprotect(first + page * n, page, 3)
for llm in ("llama3-70b", "gpt-oss-120b", "deepseek-v3", "kimi-linear-48b", "nemotron-h-56b"):
    jl.evaluate(llm, "h100", tp_size=8, batch_size=2)
    jl.evaluate(llm, "h100", tp_size=8, batch_size=2, input_len=1000, output_len=100)
print("all answered")
"""


@pytest.fixture
def counted(monkeypatch):
    """Mappings are counted at the next call."""
    monkeypatch.setattr(mappings._programs, "uncounted", mappings._PROGRAMS)
    return monkeypatch


def compiled():
    double = jax.jit(lambda x: 2 * x)
    double(np.float32(1))
    return double


@LINUX
def test_mappings_of_this_process_are_counted():
    assert mappings._used() > 100
    assert mappings._granted() > mappings._used()


@LINUX
def test_programs_are_forgotten_where_half_of_the_mappings_are_used(counted):
    kept = compiled()
    counted.setattr(mappings, "_granted", lambda: 2 * mappings._used() + 1000)
    mappings.make_room()
    assert kept._cache_size() == 1
    counted.setattr(mappings, "_granted", lambda: 2 * mappings._used() - 1000)
    mappings.make_room()  # counted a moment ago
    assert kept._cache_size() == 1
    for _ in range(mappings._PROGRAMS):
        compiled()
    mappings.make_room()
    assert kept._cache_size() == 0
    assert kept(np.float32(1)) == 2


def test_nothing_is_forgotten_where_the_system_does_not_say(counted):
    kept = compiled()
    counted.setattr(mappings, "_granted", lambda: 0)
    counted.setattr(mappings, "_USED", mappings._USED / "nowhere")
    mappings.make_room()
    assert kept._cache_size() == 1


ASKED = {
    "points": lambda: jl.evaluate("llama3-8b", "h100"),
    "operators": lambda: jl.operators("llama3-8b", "h100"),
    "problems": lambda: jl.optimise("cost_for_speed"),
    "loops": lambda: jl.sweep(
        llm="llama3-8b", chip="h100", batch_size=[1, 8], outputs=["utps"], fast=True
    ),
}


@LINUX
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_questions_look_first(counted, ask):
    granted = itertools.chain([mappings._used()], itertools.repeat(1 << 20))
    counted.setattr(mappings, "_granted", lambda: next(granted))
    kept = compiled()
    ask()
    assert kept._cache_size() == 0


@LINUX
@pytest.mark.slow
def test_a_process_with_hardly_any_left_goes_on_answering():
    found = subprocess.run(
        [sys.executable, "-c", HOLDS_NEARLY_ALL],
        env={**os.environ, "XLA_FLAGS": ""},  # as for users: tests' programs have many more
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == "all answered\n", found.stderr
