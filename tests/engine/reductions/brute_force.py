"""A grid to reduce in many ways, cut in many ways, and its every point to compare with."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from jaxlimits.engine.findings import findings_of
from jaxlimits.engine.stream import collect
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import spec_job

GRID = """
[base]
accounting = "layers"
[axes]
llm = ["llama3-70b", "deepseek-v3", "gpt-oss-20b"]
chip = ["h100", "xpu-sram"]
roofline = ["step", "operator"]
tp_size = { values = [1, 8, 32], with = { sync_latency = ["0 us", "3 us", "4 us"] } }
batch_size = { pow2 = [1, 64] }
mem_bw_scale = { geometric = [0.5, 4], num = 5 }
"""
MEMORIES = (None, 4e3)  # one chunk a switch, many ragged ones
AXES = ("llm", "chip", "roofline", "tp_size", "batch_size", "mem_bw_scale")


def spec_of(text):
    file = parse_grid(text, where="test", stem="test", folder=Path())
    return build_spec(file, grid_catalog(file))


def job_of(body, *, memory):
    """Plan the grid with one reduction, called ``found``, or more tables behind it."""
    spec = dataclasses.replace(spec_of(f"{GRID}[reduce.found]\n{body}\n"), memory=memory)
    return spec_job(spec, bind(spec))


def found_by(job):
    """Compute a job; return what its reductions found by the names of the variables."""
    _, states = collect(job)
    return {finding.name: finding for finding in findings_of(job, states)}


def reduce(body, *, memory):
    return found_by(job_of(body, memory=memory))


@functools.cache
def dense():
    """Return every output of the whole grid, and the values of its axes."""
    spec = spec_of(GRID)
    arrays, _ = collect(spec_job(spec, bind(spec)))
    labels = dict(zip(AXES, (np.array(axis.values) for axis in spec.axes), strict=True))
    return arrays, labels
