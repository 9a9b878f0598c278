"""Devices that are not there, that are full, that fail: said in a line, and no bit lost."""

import dataclasses
import os
import subprocess
import sys

import jax
import pytest
from jax.errors import JaxRuntimeError

import jaxlimits as jl
from jaxlimits.engine import stream as engine
from jaxlimits.engine import sweep_job
from jaxlimits.engine.failures import explained
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import halved, kept_axes
from jaxlimits.errors import DeviceError, DeviceMemoryError
from jaxlimits.grid.plan import make_plan
from jaxlimits.grid.scenario import bind
from jaxlimits.run.pipeline import load_grid, spec_job
from tests.command_line import run
from tests.failing_device import FULL, GONE, Device
from tests.run.test_streamed import GRID

MEMORY = 8e5


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    grid = tmp_path_factory.mktemp("grid") / "grid.toml"
    grid.write_text(GRID, encoding="utf-8")
    spec = dataclasses.replace(load_grid(grid), memory=MEMORY)
    return spec_job(spec, bind(spec))


@pytest.fixture(scope="module")
def found(job):
    """What comes of a sweep on a device with memory enough."""
    return collect(job)


def assert_same(found, expected):
    (arrays, states), (expected_arrays, expected_states) = found, expected
    for name, array in expected_arrays.items():
        assert array.tobytes() == arrays[name].tobytes()
    for name, state in expected_states.items():
        for part, array in state.items():
            assert array.tobytes() == states[name][part].tobytes(), (name, part)


@pytest.mark.parametrize("arrives", [True, False], ids=["when it comes", "when it starts"])
@pytest.mark.parametrize("fails_at", [{1}, {3}, {2, 3, 4}])
def test_a_full_device_computes_one_chunk_at_a_time_to_the_same_bits(
    monkeypatch, job, found, fails_at, arrives
):
    device = Device(monkeypatch, fails_at=fails_at, arrives=arrives)
    assert job.plan.num_chunks > 4
    assert_same(collect(job), found)
    assert device.starts > job.plan.num_chunks


def test_a_chunk_that_never_fits_is_halved_until_it_does(monkeypatch, job):
    monkeypatch.setattr(sweep_job, "_FEWEST_POINTS", 64)
    smaller = halved(halved(job))
    expected = collect(smaller)
    Device(monkeypatch, largest=smaller.plan.points_per_chunk, arrives=False)
    assert_same(collect(job), expected)


def test_halved_chunks_are_those_of_a_plan_of_half_the_points(monkeypatch, job):
    monkeypatch.setattr(sweep_job, "_FEWEST_POINTS", 64)
    assert halved(job).plan == make_plan(
        job.scenario,
        points=job.plan.points_per_chunk // 2,
        kept=kept_axes(job.scenario, job.reductions),
    )
    assert 1 < job.plan.points_per_chunk / halved(job).plan.points_per_chunk <= 4


def test_a_device_without_any_memory_ends_in_a_line(monkeypatch, job):
    Device(monkeypatch, largest=0, arrives=False)
    with pytest.raises(jl.InputError, match=r"no room for [\d,]+ points at once.*nvidia-smi"):
        collect(job)


def test_numbers_of_the_grid_that_do_not_fit_are_a_full_device(monkeypatch, job):
    def place_inputs(*_arguments, **_options):
        raise JaxRuntimeError(FULL)

    monkeypatch.setattr(engine, "place_inputs", place_inputs)
    with pytest.raises(DeviceMemoryError, match="no room for"):
        next(engine.stream(job))


def test_a_device_that_fails_is_said_in_a_line(monkeypatch, job):
    Device(monkeypatch, fails_at={2}, error=GONE)
    told = r"cpu: the device failed \(INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: [^\n]*encountered\); "
    with pytest.raises(DeviceError, match=told):
        collect(job)


def test_a_mistake_in_a_program_is_no_failure_of_a_device(monkeypatch, job):
    Device(monkeypatch, fails_at={1}, error="INVALID_ARGUMENT: shapes", arrives=False)
    with pytest.raises(JaxRuntimeError, match="shapes"):
        collect(job)


# On the command line: whatever asks for a device, and finds none.


@pytest.mark.parametrize(
    ("said", "code", "says"),
    [
        (FULL, 1, "the device's memory is full; another process may hold it (`nvidia-smi`"),
        ("INTERNAL: the library was not initialized: CUBLAS_STATUS_ALLOC_FAILED", 1, "is full"),
        (GONE, 1, "the device failed (INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS"),
    ],
)
@pytest.mark.parametrize(
    "command", [("point", "--llm", "llama3-8b", "--chip", "h100"), ("sweep", "smoke")]
)
def test_a_command_whose_device_fails_ends_in_a_line(
    monkeypatch, tmp_path, command, said, code, says
):
    Device(monkeypatch, fails_at=range(100), error=said, arrives=False)
    output = ["-o", tmp_path / "out.nc"] if command[0] == "sweep" else []
    done = run(*command, *output)
    if said == FULL:
        assert done.code in (1, 2)
        assert "nvidia-smi" in done.err
    else:
        assert done.code == code
        assert says in done.err
    assert done.err.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            "Unable to initialize backend 'cuda': FAILED_PRECONDITION: No visible GPU devices. "
            "(set JAX_PLATFORMS='' to automatically choose an available backend)",
            "JAX finds no such device (FAILED_PRECONDITION: No visible GPU devices.); see that "
            "`nvidia-smi` lists a GPU and run pip install 'jaxlimits[cuda13]'; or unset JAX_",
        ),
        (
            "Unable to initialize backend 'cuda': INTERNAL: no supported devices found: "
            "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
            "the GPU has no memory left for one more process; another process may hold it",
        ),
    ],
)
def test_a_platform_that_does_not_start_is_told_with_its_remedy(monkeypatch, said, says):
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    told = explained(RuntimeError(said))
    assert isinstance(told, jl.InputError)
    assert str(told).startswith(f"JAX_PLATFORMS = 'cuda': {says}")


def test_an_error_of_something_else_stays_as_it_is():
    assert explained(RuntimeError("shapes do not match")) is None
    assert explained(AssertionError("mine")) is None


COMMANDS = """
import shlex, sys
from jaxlimits.cli import main
from jaxlimits.cli.registry import commands

for name in sys.argv[1:]:
    sys.argv = shlex.split(commands()[name].examples[0])
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code
    print("ended", name, code or 0, flush=True)
"""

COMPUTE = ("point", "sweep", "optimise", "plan", "solve", "uncertainty", "calibrate", "compare")


def test_every_command_says_in_a_line_that_there_is_no_such_device(tmp_path):
    if jax.default_backend() == "cuda":
        pytest.skip("there is one here")
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, *COMPUTE],
        env={**os.environ, "JAX_PLATFORMS": "cuda"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    ended = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("ended ")]
    codes = {name: int(code) for name, code in ended}
    told = [line for line in done.stderr.splitlines() if "JAX_PLATFORMS = 'cuda'" in line]
    assert codes == dict.fromkeys(COMPUTE, 2)
    assert len(told) == len(COMPUTE)
    assert all("nvidia-smi" in line for line in told)


def test_what_a_report_of_an_issue_states_includes_that_there_is_no_device(monkeypatch):
    def devices():
        raise RuntimeError("Unable to initialize backend 'tpu': no such file")

    monkeypatch.setattr(jax, "devices", devices)
    done = run("--version", "--verbose")
    assert done.code == 0
    assert "JAX finds no such device (no such file)" in " ".join(done.out.split())
