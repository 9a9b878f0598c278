"""Units: numbers worked by hand, every refusal with its message, and the round trip."""

import contextlib
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlimits import units
from jaxlimits.units import UnitError, cf_unit, convert, example, parse, show

KNOWN = sorted(units._KINDS)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("3.35 TB/s", "B/s", 3.35e12),
        ("3.35TB/s", "B/s", 3.35e12),
        ("  3.35  TB / s ", "B/s", 3.35e12),
        ("18 TiB/s", "B/s", 18 * 2**40),
        ("4 Tb/s", "B/s", 0.5e12),  # 4e12 bit / 8
        ("100 Gb/s", "B/s", 12.5e9),  # 1e11 bit / 8
        ("8 Kib", "B", 1024.0),  # 8 * 1024 bit / 8
        ("80 GB", "B", 80e9),
        ("80 GiB", "B", 85_899_345_920.0),  # 80 * 1,073,741,824
        ("512 bytes", "B", 512.0),
        ("2.25 PFLOPS", "FLOP/s", 2.25e15),
        ("2.25 PFLOP/s", "FLOP/s", 2.25e15),
        ("750 TOPS", "FLOP/s", 7.5e14),
        ("750 TOP/s", "FLOP/s", 7.5e14),
        ("3 GFLOPs", "FLOP", 3e9),
        ("2 TFLOP/s/W", "FLOP/J", 2e12),  # FLOP/s over J/s
        ("1.5 us", "s", 1.5e-6),
        ("1.5 µs", "s", 1.5e-6),  # micro sign
        ("1.5 μs", "s", 1.5e-6),  # Greek mu
        ("1.1 us", "s", 1.1e-6),  # 1.1 * 1e-6 in floats is another number
        ("2 min", "s", 120.0),
        ("1.5 hours", "s", 5400.0),
        ("1 kWh", "J", 3.6e6),  # 1000 W * 3600 s
        ("700 W", "W", 700.0),
        ("814 mm^2", "m^2", 814e-6),
        ("814 mm**2", "m^2", 814e-6),
        ("814 mm²", "m^2", 814e-6),
        ("1.1 W/mm^2", "W/m^2", 1.1e6),  # 1.1 / 1e-6
        ("1.1 W*mm^-2", "W/m^2", 1.1e6),
        ("30 pJ/B", "J/B", 30e-12),
        ("3.75 pJ/b", "J/B", 30e-12),  # 3.75 pJ * 8 bit
        ("0.5 token/s/W", "token/J", 0.5),
        ("0.5 USD/Mtoken", "USD/token", 5e-7),
        ("3.6 $/h", "USD/s", 1e-3),  # 3.6 / 3600
        ("30000 $", "USD", 30000.0),
        ("0.09 $/kWh", "USD/J", 2.5e-8),  # 0.09 / 3.6e6
        ("20 USD/GB", "USD/B", 2e-8),
        ("2 Mtoken/$", "token/USD", 2e6),
        ("2 days", "s", 172_800.0),
        ("4 year", "s", 126_230_400.0),  # 4 * 365.25 * 86,400
        ("12,345 token/s", "token/s", 12345.0),
        ("8", "1", 8.0),
        ("-.5e-3", "1", -0.0005),
        ("3.", "1", 3.0),
        ("65536", "token", 65536.0),
        ("65,536 tokens", "token", 65536.0),
        ("1e6", "token", 1e6),
        ("64 Ki", "1", 65536.0),  # 64 * 1024
        ("64Ki", "token", 65536.0),
        ("64 Kitokens", "token", 65536.0),
        ("1 M", "1", 1e6),
        ("95 %", "1", 0.95),
        ("95percent", "1", 0.95),
    ],
)
def test_text_becomes_its_si_value(text, unit, expected):
    assert parse(text, unit) == expected


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("18", "B/s", "'18': bare number; write it with its unit, as '18 TB/s'"),
        ("64 Ki", "B", "'64 Ki': bare number; write it with its unit, as '80 GB'"),
        ("4 TB", "B/s", "'4 TB': TB is a size [B]; a rate such as '18 TB/s' is due"),
        ("4 TB/s", "B", "TB/s is a rate [B/s]; a size such as '80 GB' is due"),
        ("3 GHz", "B/s", "GHz is a frequency [Hz]; a rate such as '18 TB/s' is due"),
        ("95 %", "B", "% is a plain number [1]; a size such as '80 GB' is due"),
        ("8 tokens", "1", "tokens is a number of tokens [token]; a plain number such as '8'"),
        (
            "2 TOPs",
            "FLOP/s",
            "TOPs is an amount of work [FLOP]; a compute rate such as '2.25 PFLOP",
        ),
        ("2 PFLOP/s", "B/s", "PFLOP/s is a compute rate [FLOP/s]; a rate such as '18 TB/s' is due"),
        ("5 B/s/s", "B/s", "B/s/s is of another kind; a rate such as '18 TB/s' is due"),
        ("1 B", "m*s", "B is a size [B]; a value in m*s such as '1 m*s' is due"),
        ("1 XB/s", "B/s", "unknown unit 'XB' in 'XB/s'; known are B, bit, FLOP"),
        ("100 gb/s", "B/s", "unknown unit 'gb' in 'gb/s'; did you mean 'GB' or 'Gb'?"),
        ("9 tokns", "token", "unknown unit 'tokns'; did you mean 'tokens'"),
        ("80 mB", "B", "unknown unit 'mB'; did you mean 'MB' or 'Mb'?"),  # no millibytes
        ("18 TBs", "B", "unknown unit 'TBs'; did you mean 'TB'"),  # pint has plurals of all
        ("5 Ws", "W", "unknown unit 'Ws'"),
        ("3 kmin", "s", "unknown unit 'kmin'"),
        ("64 K", "1", "'K' may be 1000 or 1024; write 65536 or '64 Ki'"),
        ("64K", "token", "'64K': 'K' may be 1000 or 1024; write 65536 or '64 Ki'"),
        ("64K", "B", "'K' may be 1000 or 1024; write it with its unit, as '80 GB'"),
        ("64 KB/s", "B/s", "'K' may be 1000 or 1024; write '64 KiB/s' or '64 kB/s'"),
        ("", "B", "'': empty; write it as '80 GB'"),
        (" ", "1", "' ': empty; write it as '8'"),
        ("nan", "1", "not a finite number"),
        ("-inf", "s", "not a finite number"),
        ("Infinity TB/s", "B/s", "not a finite number"),
        ("1e999 s", "s", "too large for a float"),
        ("1e308 EB", "B", "too large for a float"),
        ("1e-999 s", "s", "too small for a float"),
        ("TB/s", "B/s", "'TB/s': no number; write it as '18 TB/s'"),
        ("٣ B", "B", "no number"),  # a digit, but not one of ours
        ("3..4 TB/s", "B/s", "not one number and one unit; write it as '18 TB/s'"),
        ("2*3 TB/s", "B/s", "not one number and one unit"),
        ("1 TB/s + 1", "B/s", "not one number and one unit"),
        ("4 TB//s", "B/s", "not one number and one unit"),
        ("4 TB per s", "B/s", "not one number and one unit"),
        ("0x10 B", "B", "not one number and one unit"),
        ("2 64", "1", "not one number and one unit"),
        ("1e9999 s", "s", "not one number and one unit"),
        ("1 m^9999999", "m", "not one number and one unit"),
        ("1 (B)", "B", "not one number and one unit"),
        ("4 __import__('os')", "B", "not one number and one unit"),
        ("1,500 us", "s", "a comma in the number; write 1500 or 1.5, not 1,500"),
        ("12,34 token", "token", "a comma in the number"),
        ("1" * 101, "1", "text of 101 characters; write it as '8'"),
    ],
)
def test_other_text_is_refused_with_the_remedy(text, unit, message):
    with pytest.raises(UnitError) as caught:
        parse(text, unit)
    assert message in str(caught.value)


@given(st.text(max_size=30), st.sampled_from(KNOWN))
def test_any_text_gives_a_finite_number_or_a_unit_error(text, unit):
    with contextlib.suppress(UnitError):
        assert math.isfinite(parse(text, unit))


@given(st.from_regex(r"\A-?[0-9]{1,3}\.?[0-9]{0,2} ?[A-Za-z*/^2µ%]{1,6}\Z"), st.sampled_from(KNOWN))
def test_near_misses_give_a_finite_number_or_a_unit_error(text, unit):
    with contextlib.suppress(UnitError):
        assert math.isfinite(parse(text, unit))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_literal_and_its_text_are_the_same_float(value):
    assert parse(f"{value!r} s", "s") == value


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (3.35e12, "B/s", "3.35 TB/s"),
        (881 * 2**30, "B", "946 GB"),  # 881 * 1.073741824 = 945.97
        (999.96e9, "B", "1 TB"),
        (999.4e9, "B", "999 GB"),
        (0.5, "B", "0.5 B"),  # no millibytes
        (-2e12, "B", "-2 TB"),
        (5e21, "B", "5000 EB"),
        (1.5e-6, "s", "1.5 µs"),
        (0.0, "s", "0 s"),
        (-0.0, "s", "0 s"),
        (3600.0, "s", "3600 s"),
        (1e-14, "s", "0.01 ps"),
        (814e-6, "m^2", "814 mm²"),
        (1.1e6, "W/m^2", "1.1 W/mm²"),
        (700.0, "W", "700 W"),
        (120e3, "W", "120 kW"),
        (30e-12, "J/B", "30 pJ/B"),
        (3.2, "J/token", "3.2 J/token"),
        (0.012, "s/token", "12 ms/token"),
        (2.25e15, "FLOP/s", "2.25 PFLOP/s"),
        (776.0, "token/s", "776 token/s"),
        (12345.6, "token/s", "12,346 token/s"),
        (0.1234, "token/s/W", "0.123 token/s/W"),
        (65536.0, "token", "65,536 token"),
        (30000.0, "USD", "30000 USD"),
        (1e-3, "USD/s", "3.6 USD/h"),
        (5e-7, "USD/token", "0.5 USD/Mtoken"),
        (2.5e-8, "USD/J", "0.09 USD/kWh"),
        (2e-8, "USD/B", "20 USD/GB"),
        (2e6, "token/USD", "2 Mtoken/USD"),
        (0.987, "1", "0.987"),
        (8, "1", "8"),
        (65536, "1", "65536"),
        (12345678, "1", "1.23457e+07"),
        (math.inf, "s", "inf"),
        (-math.inf, "m^2", "-inf"),
        (math.nan, "1", "nan"),
    ],
)
def test_values_are_shown_as_people_write_them(value, unit, expected):
    assert show(value, unit) == expected


def test_digits_are_significant_digits():
    assert show(3.3512e12, "B/s", digits=2) == "3.4 TB/s"
    assert show(3.3512e12, "B/s", digits=4) == "3.351 TB/s"
    assert show(946e9, "B", digits=2) == "946 GB"
    assert show(np.float32(0.25), "1", digits=1) == "0.2"


@given(
    st.sampled_from(KNOWN),
    st.floats(min_value=1e-14, max_value=1e20),
    st.sampled_from([1.0, -1.0]),
    st.integers(min_value=1, max_value=6),
)
def test_what_is_shown_reads_back_within_its_digits(unit, size, sign, digits):
    # Rounding moves a number by half a unit of its last digit, at most half of 10^(1 - digits).
    shown = parse(show(sign * size, unit, digits=digits), unit)
    assert shown == pytest.approx(sign * size, rel=0.5001 * 10.0 ** (1 - digits))


@pytest.mark.parametrize("unit", KNOWN)
def test_every_example_is_read_in_its_unit(unit):
    assert parse(example(unit), unit) > 0.0


def test_examples_suit_their_unit():
    assert example("B/s") == "18 TB/s"
    assert example("m*s") == "1 m*s"


def test_conversion_is_exact_for_numbers_and_arrays():
    assert convert(3.35e12, "B/s", "TB/s") == 3.35
    assert convert(4e12, "bit", "B") == 0.5e12
    assert convert(2, "h", "s") == 7200.0
    rates = convert(np.array([1e12, 3.35e12]), "B/s", "TB/s")
    np.testing.assert_array_equal(rates, [1.0, 3.35])
    assert convert(np.ones(2, np.float32), "B", "GB").dtype == np.float32


def test_conversion_refuses_other_dimensions_and_unknown_units():
    with pytest.raises(UnitError, match=r"GHz is a frequency \[Hz\]; a rate such as"):
        convert(1.0, "GHz", "B/s")
    with pytest.raises(UnitError, match="unknown unit 'kelvin'"):
        convert(1.0, "kelvin", "B")
    with pytest.raises(UnitError, match="'2 B' is not a unit"):
        show(1.0, "2 B")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("1", "1"),
        ("B", "byte"),
        ("B/s", "byte s-1"),
        ("FLOP", "1"),
        ("FLOP/s", "s-1"),
        ("FLOP/B", "byte-1"),
        ("token", "1"),
        ("token/s", "s-1"),
        ("token/s/W", "s-1 W-1"),
        ("token/J", "J-1"),
        ("s", "s"),
        ("s/token", "s"),
        ("Hz", "Hz"),
        ("W", "W"),
        ("W/m^2", "W m-2"),
        ("J/B", "J byte-1"),
        ("J/token", "J"),
        ("m^2", "m2"),
        ("USD", "1"),
        ("USD/s", "s-1"),
        ("USD/J", "J-1"),
        ("USD/B", "byte-1"),
        ("USD/token", "1"),
        ("token/USD", "1"),
    ],
)
def test_cf_spelling_has_only_what_udunits_knows(unit, expected):
    assert cf_unit(unit) == expected


def test_cf_spelling_is_for_si_units():
    with pytest.raises(UnitError, match="'TB/s' is not one of the SI units"):
        cf_unit("TB/s")
    with pytest.raises(UnitError, match="unknown unit 'furlong'"):
        cf_unit("furlong")


@pytest.mark.parametrize("name", ["meter", "kelvin", "K", "inch", "barn", "gilbert", "radian"])
def test_the_registry_has_no_units_of_others(name):
    assert name not in units._registry()._units


def test_the_registry_has_seven_base_dimensions():
    assert {str(base) for base in units._registry()._dimensions if base != "[]"} == {
        "[information]",
        "[operation]",
        "[token]",
        "[currency]",
        "[time]",
        "[power]",
        "[length]",
    }


def test_every_prefixed_name_is_its_prefix_times_its_unit():
    # "min" is no milli-inch, "Pb" no lead, "ms" no plural of the metre.
    powers = {**units._FRACTIONS, "": 0, **units._DECIMAL}
    factors = {prefix: Fraction(10) ** power for prefix, power in powers.items()}
    factors |= {prefix: Fraction(2**power) for prefix, power in units._POWERS_OF_TWO.items()}
    for definition, prefixes in units._UNITS:
        name, _, *aliases = (part.strip() for part in definition.split("="))
        for word in (name, *aliases):
            for prefix in prefixes if word != "_" else ():
                assert units._scale(prefix + word, name) == factors[prefix], prefix + word


def test_pint_never_builds_its_own_registry():
    program = (
        "import pint\n"
        "from jaxlimits import units\n"
        "units.parse('3.35 TB/s', 'B/s'), units.show(1.0, 's'), units.cf_unit('J/B')\n"
        "print(type(pint.application_registry.get()).__name__)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "LazyRegistry"  # it turns into a UnitRegistry when built
