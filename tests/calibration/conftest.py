"""The shipped measurements, read and fitted once."""

import pytest

from jaxlimits.calibration.calibrate import calibrate
from jaxlimits.calibration.cases import choose_fabrics
from jaxlimits.calibration.measured_tables import shipped_tables
from jaxlimits.calibration.measurements import read_measurements
from jaxlimits.calibration.selection import select
from jaxlimits.catalog.loader import load_catalog

SPARSE = {"model": "DeepSeek-V3.2 (DSA)"}
"""Rows of the static batches whose attention is sparse."""

SHIPPED = ("static_batch", "serving")
"""The tables that the shipped calibrations rest on."""


@pytest.fixture(scope="session")
def catalog():
    return load_catalog()


@pytest.fixture(scope="session")
def static_batch(catalog):
    """Rows of one engine on four machines and models."""
    return read_measurements(shipped_tables()["static_batch"], catalog, without=SPARSE)


@pytest.fixture(scope="session")
def selection(catalog):
    """Rows that the shipped calibrations rest on, and those that they leave out."""
    return select(read_measurements([shipped_tables()[name] for name in SHIPPED], catalog))


@pytest.fixture(scope="session")
def fabrics(static_batch, catalog):
    return choose_fabrics(static_batch, catalog, named={}, where="")


@pytest.fixture(scope="session")
def fitted(selection, catalog):
    """The shipped fit."""
    named = choose_fabrics(selection.kept, catalog, named={}, where="")
    return calibrate(selection.kept, catalog, fabrics=named)
