"""Strictness for every test, and how many examples Hypothesis draws."""

import atexit
import gc
import os
import shutil
import tempfile

# Tests compile thousands of programs and run each a few times: they are compiled in less time,
# unless the environment has flags of its own. Most of it is saved by XLA's older emitter of loops.
# Without its algebra (`algsimp`: two divisions become one, two constant factors their product) XLA
# gives the bits of NumPy, which runs programs in its place (see tests/quick_programs.py): no test
# depends on which of the two a program has come to.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    " --xla_disable_hlo_passes=algsimp",
)

import jax
import psutil
import pytest
from beartype import BeartypeConf
from beartype.claw import beartype_packages
from hypothesis import HealthCheck, settings

CHECKED = [
    "calibration",
    "catalog",
    "codesign",
    "engine",
    "grid",
    "model",
    "points",
    "questions",
    "results",
    "schema",
    "store",
    "uncertainties",
    "units",
    "values",
    "web",
]
"""Rooms whose functions check the types of their arguments while tests run.

The others name types that only type checkers import.
"""

beartype_packages(
    [f"jaxlimits.{room}" for room in CHECKED], conf=BeartypeConf(violation_type=TypeError)
)

if "--xla_cpu_use_fusion_emitters=false" in os.environ["XLA_FLAGS"]:
    from jaxlimits.engine.program import UNFUSED

    # By that emitter a program takes less time to compile fused than unfused. Said before what
    # compiles with these options is imported.
    UNFUSED.clear()
    from tests import quick_programs, quick_tracing

    quick_tracing.install()
    quick_programs.install()

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# What one test compiled, the others load: in this process, in the other workers of pytest-xdist and
# in the commands that tests start, all of which inherit the environment. Under a lock, because
# several write at once.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.mkdtemp(prefix="jaxlimits-compiled-")
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    os.environ["JAXLIMITS_CACHE"] = os.path.join(compiled, "jaxlimits")  # nothing of the user's
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(8 << 30)
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
# A cache from outside has its own bound, or none.
most = int(os.environ.get("JAX_COMPILATION_CACHE_MAX_SIZE", "-1"))
jax.config.update("jax_compilation_cache_max_size", most)

MOST_USED = 75.0
"""Percent of the machine's memory in use from which on a worker forgets what it compiled."""

settings.register_profile(
    "quick",
    deadline=None,  # the first example of a combination of switches compiles
    max_examples=20,
    derandomize=True,  # the same commit passes or fails each time; new examples are for --slow
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("quick"), max_examples=100, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_configure(config):
    # Records are built inside strategies, and beartype picks the items that it checks at random.
    config.addinivalue_line("filterwarnings", "ignore:Do not use the `random` module")


def pytest_collection_finish(session):
    # Tracing makes millions of objects, few of them in cycles: to look for those as often as Python
    # does by itself takes a tenth of all time, most of it for what was imported and stays.
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 5)


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    """Forget programs once they fill memory: thousands of them take gigabytes.

    Or once they fill the mappings of the process, which they do sooner with the flags above.
    """
    yield
    from jaxlimits.engine import mappings  # once its types are checked

    if psutil.virtual_memory().percent > MOST_USED or mappings.left() <= 0:
        jax.clear_caches()


@pytest.fixture
def x64():
    """Compute in float64, for tests that call the model's functions by hand."""
    with jax.enable_x64(True):
        yield
