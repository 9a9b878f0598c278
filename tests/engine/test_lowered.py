"""Programs for an H200, compiled without one: their costs are counted, and must not grow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from benchmarks.lowered.__main__ import RESULTS
from benchmarks.lowered.costs import cost_of
from benchmarks.lowered.hlo import read_module

ROOT = Path(__file__).parents[2]
FEW = ("billion", "billion_frontier", "bandwidth_sync_fine", "every metric", "only top")
"""The cases of the gate."""

SMALL = """\
HloModule small

%fused (p.0: f32[1000], p.1: s32[]) -> f32[10] {
  %p.0 = f32[1000]{0} parameter(0)
  %p.1 = s32[] parameter(1)
  %cut = f32[10]{0} dynamic-slice(%p.0, %p.1), dynamic_slice_sizes={10}
  %log = f32[10]{0} log(%cut)
  ROOT %sum = f32[10]{0} add(%log, %cut)
}

%body (state: (s32[], f32[10])) -> (s32[], f32[10]) {
  %state = (s32[], f32[10]{0}) parameter(0)
  %count = s32[] get-tuple-element(%state), index=0
  %held = f32[10]{0} get-tuple-element(%state), index=1
  %negated = f32[10]{0} negate(%held)
  ROOT %next = (s32[], f32[10]{0}) tuple(%count, %negated)
}

ENTRY %main (a: f32[1000], b: s32[], c: s32[40,1], d: s32[40]) -> s32[8] {
  %a = f32[1000]{0} parameter(0)
  %b = s32[] parameter(1)
  %c = s32[40,1]{1,0} parameter(2)
  %d = s32[40]{0} parameter(3)
  %few = f32[10]{0} fusion(%a, /*index=1*/%b), kind=kLoop, calls=%fused
  %start = (s32[], f32[10]{0}) tuple(%b, %few)
  %loop = (s32[], f32[10]{0}) while(%start), body=%body, x={"known_trip_count":{"n":"7"}}
  %none = s32[8]{0} constant({0,0,0,0,0,0,0,0})
  ROOT %counts = s32[8]{0} scatter(%none, %c, %d), to_apply=%add
}
"""


def test_costs_are_those_of_a_program_counted_by_hand() -> None:
    cost = cost_of(read_module(SMALL))
    # The fusion, seven times the loop's negation, the scatter.
    assert cost.kernels == 1 + 7 + 1
    # Fusion: 10 of 1000 numbers and the place read, 10 written. Loop: 10 read and written each
    # time. Scatter: counters, indices and updates read, counters written.
    assert cost.bytes == (40 + 4 + 40) + 7 * (40 + 40) + (32 + 160 + 160 + 32)
    # A logarithm is eight slots; the slice is none.
    assert cost.slots == 10 * (8 + 1) + 7 * 10
    assert cost.atomics == 40


def test_text_without_an_entry_is_no_program() -> None:
    with pytest.raises(ValueError, match="no ENTRY computation"):
        read_module("HloModule nothing")


def compiled(names: tuple[str, ...], folder: Path) -> dict:
    """Compile cases in a process of their own, with the plug-in that the environment names."""
    if "LOWERED_PLUGINS" not in os.environ and importlib.util.find_spec("jax_plugins") is None:
        pytest.skip("the plug-in of CUDA is not installed: see benchmarks/lowered/targets.py")
    paths = [str(ROOT), *filter(None, [os.environ.get("LOWERED_PLUGINS")])]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(paths)}
    environment |= {"JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_FLAGS": ""}
    command = [sys.executable, "-m", "benchmarks.lowered", "--out", str(folder), *names]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "h200.json").read_text(encoding="utf-8"))["cases"]


def hold(names: tuple[str, ...], folder: Path) -> None:
    recorded = json.loads((RESULTS / "h200.json").read_text(encoding="utf-8"))
    if recorded["jax"] != jax.__version__:
        pytest.skip(f"the costs on record are those of jax {recorded['jax']}")
    wanted = names or tuple(recorded["cases"])
    for name, found in compiled(names, folder).items():
        assert name in wanted
        for figure in ("bytes_per_point", "slots_per_point", "atomics_per_point", "kernels"):
            before, now = recorded["cases"][name][figure], found[figure]
            assert now <= 1.05 * before + 1e-3, f"{name}: {figure} was {before} and is {now}"
        assert found["transfers"] == 0, name


def test_the_largest_grids_cost_an_accelerator_no_more_than_on_record(tmp_path: Path) -> None:
    hold(FEW, tmp_path)


@pytest.mark.slow
def test_every_program_costs_an_accelerator_no_more_than_on_record(tmp_path: Path) -> None:
    hold((), tmp_path)


def test_what_is_on_record_keeps_its_bounds() -> None:
    cases = json.loads((RESULTS / "h200.json").read_text(encoding="utf-8"))["cases"]
    bounds = {"billion": 1.0, "billion_frontier": 8.0, "bandwidth_sync_fine": 26.0}
    for name, most in {**bounds, "every metric": 4.0}.items():
        assert cases[name]["bytes_per_point"] <= most, name
    assert cases["billion"]["predicted_ms"] <= 12.0
    assert {name for name, case in cases.items() if case["points"] >= 1e9} >= bounds.keys()
