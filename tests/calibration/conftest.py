"""The shipped measurements, read once."""

import pytest

from jaxlimits.calibration.calibrate import calibrate
from jaxlimits.calibration.cases import choose_fabrics
from jaxlimits.calibration.measured_tables import shipped_tables
from jaxlimits.calibration.measurements import read_measurements
from jaxlimits.catalog.loader import load_catalog

SPARSE = {"model": "DeepSeek-V3.2 (DSA)"}
"""Rows of the static batches whose attention is sparse, which the model here does not have."""


@pytest.fixture(scope="session")
def catalog():
    return load_catalog()


@pytest.fixture(scope="session")
def static_batch(catalog):
    """The rows that the shipped calibration rests on."""
    return read_measurements(shipped_tables()["static_batch"], catalog, without=SPARSE)


@pytest.fixture(scope="session")
def fabrics(static_batch, catalog):
    chips = [each.chip for each in static_batch]
    return choose_fabrics(chips, catalog, stack="vllm", named={}, where="")


@pytest.fixture(scope="session")
def fitted(static_batch, catalog, fabrics):
    return calibrate(static_batch, catalog, fabrics=fabrics)
