"""Strictness for every test, and how many examples Hypothesis draws."""

import os

import jax
import pytest
from hypothesis import HealthCheck, settings

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

settings.register_profile(
    "quick",
    deadline=None,  # the first example of a combination of switches compiles
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True, max_examples=100)
settings.load_profile("ci" if os.environ.get("CI") else "quick")


def pytest_configure(config):
    # Records are built inside strategies, and beartype picks the items that it checks at random.
    config.addinivalue_line("filterwarnings", "ignore:Do not use the `random` module")


@pytest.fixture
def x64():
    """Compute in float64, for tests that call the model's functions by hand."""
    with jax.enable_x64(True):
        yield
