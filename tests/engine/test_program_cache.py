"""Programs kept on disk: found by the next process, private, bounded, the same in results."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.engine import program_cache
from jaxlimits.engine.program_cache import FOLDER, keep_programs

COMMAND = """
import atexit, json, sys
from jax import monitoring

seen = []
monitoring.register_event_listener(lambda event, **_: seen.append(event.rpartition("/")[2]))
NAMES = ("compile_requests_use_cache", "cache_hits")
atexit.register(lambda: print(json.dumps([seen.count(name) for name in NAMES])))
sys.argv = ["jaxlimits", *sys.argv[1:]]
from jaxlimits.cli import main
main()
"""

TINY = """
import jax, jax.numpy as jnp
import jaxlimits.engine

jax.config.update("jax_compilation_cache_max_size", 20_000)
for power in range(12):
    jax.jit(lambda x: x ** power)(jnp.arange(3.0))
"""


def start(script, *args, cache, **settings):
    """Start Python without the cache of the tests."""
    hidden = [name for name in os.environ if name.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))]
    environment = {name: text for name, text in os.environ.items() if name not in hidden}
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        env=environment | {FOLDER: str(cache)} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=240)
    assert (process.returncode, err) == (0, "")
    return out


def requests_and_hits(process):
    return json.loads(finish(process).splitlines()[-1])


def values(path):
    with xr.open_dataset(path) as ds:
        return {name: np.asarray(variable).tobytes() for name, variable in ds.variables.items()}


def test_a_second_start_compiles_nothing_and_gives_the_same_bits(tmp_path):
    cache = tmp_path / "compiled"
    sweep = [(COMMAND, "sweep", "smoke", "-o", tmp_path / f"{n}.nc") for n in range(3)]
    at_once = [start(*words, cache=cache) for words in sweep[:2]]
    for process in at_once:
        assert requests_and_hits(process)[0] > 0
    assert cache.stat().st_mode & 0o777 == 0o700
    requests, hits = requests_and_hits(start(*sweep[2], cache=cache))
    assert requests == hits > 0
    jl.sweep("smoke", tmp_path / "3.nc").close()  # here, by the cache of the tests
    first = values(tmp_path / "0.nc")
    assert first
    assert all(values(tmp_path / f"{n}.nc") == first for n in (1, 2, 3))


@pytest.mark.slow
def test_workers_find_what_workers_compiled(tmp_path):
    cache, command = tmp_path / "compiled", ("sweep", "smoke", "--workers", "2", "--force")
    found = []
    for _ in range(2):
        finish(start(COMMAND, *command, "-o", tmp_path / "out.nc", cache=cache))
        used = sorted(cache.glob("*-atime"))
        found.append({path.name: path.read_bytes() for path in used})
    first, second = found
    assert first.keys() == second.keys() > set()
    assert all(second[name] != first[name] for name in first)


def test_the_least_recently_used_programs_leave_a_full_folder(tmp_path):
    finish(start(TINY, cache=tmp_path / "compiled"))
    sizes = [path.stat().st_size for path in (tmp_path / "compiled").glob("*-cache")]
    assert 0 < sum(sizes) <= 20_000
    assert len(sizes) < 12


@pytest.fixture
def undecided(monkeypatch):
    """No cache of the tests, and JAX as it was afterwards."""
    names = (
        "jax_compilation_cache_dir",
        "jax_compilation_cache_max_size",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_enable_xla_caches",
    )
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setattr(program_cache, "_SECONDS_TO_LOCK", 0.2)

    def keep(folder):
        monkeypatch.setenv(FOLDER, str(folder))
        return keep_programs.__wrapped__()

    yield keep
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_usual_folder_is_the_users_own(undecided, monkeypatch, tmp_path):
    monkeypatch.setattr(
        program_cache.platformdirs, "user_cache_path", lambda *_, **__: tmp_path / "a" / "jaxlimits"
    )
    undecided("off")
    monkeypatch.delenv(FOLDER)
    jax.config.update("jax_compilation_cache_dir", None)
    assert keep_programs.__wrapped__().folder == tmp_path / "a" / "jaxlimits"
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "a" / "jaxlimits")


@pytest.mark.parametrize("word", ["off", "OFF", "", " "])
def test_the_environment_turns_the_cache_off(undecided, word):
    kept = undecided(word)
    assert (kept.folder, str(kept)) == (None, f"off (turned off by {FOLDER})")
    assert jax.config.jax_compilation_cache_dir is None


def test_a_cache_that_the_user_has_set_stays(undecided, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    before = jax.config.jax_compilation_cache_max_size
    assert undecided(tmp_path / "other").folder == tmp_path / "mine"
    assert not (tmp_path / "other").exists()
    assert jax.config.jax_compilation_cache_max_size == before


def shared(folder):
    folder.mkdir()
    folder.chmod(0o770)


def link(folder):
    target = folder.with_name("target")
    target.mkdir(mode=0o700)
    folder.symlink_to(target)


def foreign(folder):
    folder.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(folder, 12345, -1)


def locked_away(folder):
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")


def in_use(folder):
    folder.mkdir(mode=0o700)
    lock = program_cache.filelock.FileLock(folder / ".lockfile", is_singleton=False)
    lock.acquire()
    return lock


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (shared, "others may write there"),
        (link, "is a symbolic link"),
        (foreign, "belongs to another user"),
        (locked_away, "cannot be written"),
        (Path.touch, "is not a folder"),
        (in_use, "another process has held its lock"),
    ],
)
def test_a_folder_that_is_not_private_is_not_used(undecided, tmp_path, make, why):
    folder = tmp_path / "compiled"
    lock = make(folder)
    kept = undecided(folder)
    del lock
    assert kept.folder is None
    assert why in str(kept)
    assert jax.config.jax_compilation_cache_dir is None


def test_root_makes_no_folder_in_the_home_of_a_user(undecided, tmp_path):
    home = tmp_path / "home"
    foreign(home)
    assert "belongs to another user" in undecided(home / ".cache" / "jaxlimits").note
    assert list(home.iterdir()) == []


def test_half_a_program_is_removed_and_a_whole_one_is_not(undecided, tmp_path):
    folder = tmp_path / "compiled"
    folder.mkdir(mode=0o700)
    for name in ("whole-1-cache", "whole-1-atime", "half-2-cache", "left-3-atime", "other.txt"):
        (folder / name).write_bytes(b"")
    kept = undecided(folder)
    assert kept.folder == folder
    assert str(kept) == f"{folder} (0.0 MB, at most 256 MiB)"
    left = {path.name for path in folder.iterdir()} - {".lockfile"}
    assert left == {"whole-1-cache", "whole-1-atime", "other.txt"}
