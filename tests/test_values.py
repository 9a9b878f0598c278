"""What Python has as a value, and what a file would state for it."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pint
import pytest
import xarray as xr

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.values import as_written, parse_number

USUAL = pint.UnitRegistry()
OWN = pint.UnitRegistry()  # as a user may have it
OWN.define("FLOP = [operation]")
OWN.define("USD = [currency]")


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        (8, 8),
        (True, True),
        ("8 TB/s", "8 TB/s"),
        (np.str_("h100"), "h100"),
        (np.int64(8), 8),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.array(8.0), 8.0),
        (jnp.float32(0.25), 0.25),
        (jnp.array(3), 3),
        (Fraction(1, 4), 0.25),
        (xr.DataArray(8.0), 8.0),
        (xr.DataArray("h100"), "h100"),
        (xr.DataArray(2.5e12, attrs={"si_unit": "B/s"}), "2500000000000.0 B/s"),
        (xr.DataArray(64, attrs={"si_unit": "token"}), 64),
        (USUAL.Quantity(8, ""), 8),
        (USUAL.Quantity(np.float64(3.35), "TB/s"), "3.35 TB/s"),
    ],
)
def test_a_value_of_any_library_is_a_number_or_text(raw, written):
    found = as_written(raw, key="x")
    assert found == written
    assert type(found) is type(written)


@pytest.mark.parametrize(
    ("field", "quantity", "value"),
    [
        ("mem_bw", USUAL.Quantity(3.35, "terabyte / second"), 3.35e12),
        ("mem_bw", USUAL.Quantity(8, "Tbit/s"), 1e12),
        ("mem_capacity", USUAL.Quantity(80, "gibibyte"), 80 * 2**30),
        ("sync_latency", USUAL.Quantity(1.5, "microsecond"), 1.5e-6),
        ("base_power", USUAL.Quantity(0.7, "kilowatt"), 700.0),
        ("die_area", USUAL.Quantity(814, "millimeter ** 2"), 814e-6),
        ("peak_flops", OWN.Quantity(2.25, "petaFLOP / second"), 2.25e15),
        ("mem_energy", OWN.Quantity(30, "picojoule / byte"), 30e-12),
        ("chip_price", OWN.Quantity(30000, "USD"), 30000.0),
        ("electricity_price", OWN.Quantity(0.08, "USD / kilowatt_hour"), 0.08 / 3.6e6),
        ("utilisation", USUAL.Quantity(60, "percent"), 0.6),
    ],
)
def test_a_quantity_of_any_registry_is_read_as_its_text_would_be(field, quantity, value):
    written = as_written(quantity, key=field)
    found = parse_number(schema.FIELDS[field], written, key=field)
    assert found == pytest.approx(value, rel=1e-15)


def test_what_only_divides_is_written_with_negative_powers():
    rate = schema.OUTPUTS["request_rate"]
    assert parse_number(rate, as_written(USUAL.Quantity(3, "1/s"), key="x"), key="x") == 3.0
    per = as_written(USUAL.Quantity(3, "1/s/m**2"), key="x")
    assert per in ("3 m**-2*s**-1", "3 s**-1*m**-2")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ([1, 2], "x: holds 2 values, where one is needed; jl.sweep takes lists and arrays"),
        (range(3), "holds 3 values"),
        (np.ones((2, 3)), "holds 2 × 3 values"),
        (jnp.ones(4), "holds 4 values"),
        (xr.DataArray([1.0, 2.0]), "holds 2 values"),
        (USUAL.Quantity(np.ones(2), "TB/s"), "holds 2 values"),
        (None, "is of type NoneType; give a number, or text with a unit"),
        (object(), "is of type object"),
        ({"a": 1}, "is of type dict"),
        (1j, "is of type complex"),
    ],
)
def test_what_is_no_one_value_is_refused_with_what_it_is(raw, says):
    with pytest.raises(InputError, match=says):
        as_written(raw, key="x")


@pytest.mark.parametrize(
    ("quantity", "says"),
    [
        (USUAL.Quantity(8, "second"), "'8 s': s is a time"),
        (USUAL.Quantity(8, "kelvin"), "unknown unit 'K'|'K' may be"),
        (USUAL.Quantity(8, ""), "mem_bw = 8: a bare number"),
        (USUAL.Quantity(float("nan"), "B/s"), "not a finite number"),
    ],
)
def test_a_quantity_of_another_kind_is_refused(quantity, says):
    with pytest.raises(InputError, match=says):
        parse_number(schema.FIELDS["mem_bw"], as_written(quantity, key="mem_bw"), key="mem_bw")


def test_a_traced_value_is_refused_with_what_takes_it():
    with pytest.raises(InputError, match=r"is traced by JAX.*jaxlimits\.model\.evaluate"):
        jax.jit(lambda x: as_written(x, key="tp_size"))(8.0)
