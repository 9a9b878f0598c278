"""Distributions: quantiles against SciPy's, cut at bounds, and what a file may say of them."""

import numpy as np
import pytest
from scipy import stats

from jaxlimits.errors import InputError
from jaxlimits.uncertainties.distributions import Distribution, DistributionTable, read_distribution

SHARES = np.linspace(0.001, 0.999, 101)

SAME = {
    ("uniform", (2.0, 5.0)): stats.uniform(2.0, 3.0),
    ("loguniform", (1e-6, 1e-4)): stats.loguniform(1e-6, 1e-4),
    ("normal", (3.0, 0.5)): stats.norm(3.0, 0.5),
    ("lognormal", (5e-6, 0.4)): stats.lognorm(0.4, scale=5e-6),
    ("triangular", (1.0, 4.0, 5.0)): stats.triang(0.75, 1.0, 4.0),
    ("triangular", (1.0, 1.0, 5.0)): stats.triang(0.0, 1.0, 4.0),
    ("triangular", (1.0, 5.0, 5.0)): stats.triang(1.0, 1.0, 4.0),
}


def read(name, **table):
    return read_distribution(name, DistributionTable(**table), where="file")


@pytest.mark.parametrize(("stated", "expected"), SAME.items(), ids=[str(stated) for stated in SAME])
def test_quantiles_are_those_of_scipy(stated, expected):
    kind, parameters = stated
    found = Distribution(kind=kind, parameters=parameters).quantile(SHARES)
    np.testing.assert_allclose(found, expected.ppf(SHARES), rtol=1e-10)


@pytest.mark.parametrize(("stated", "whole"), SAME.items(), ids=[str(stated) for stated in SAME])
def test_what_is_cut_off_leaves_the_quantiles_of_the_rest(stated, whole):
    kind, parameters = stated
    lower, upper = whole.ppf([0.2, 0.7])
    cut = Distribution(kind=kind, parameters=parameters, lower=lower, upper=upper)
    np.testing.assert_allclose(cut.share_kept, 0.5, rtol=1e-9)
    np.testing.assert_allclose(cut.quantile(SHARES), whole.ppf(0.2 + 0.5 * SHARES), rtol=1e-9)


def test_a_truncated_normal_is_that_of_scipy():
    found = Distribution(kind="normal", parameters=(1.0, 2.0), lower=0.0).quantile(SHARES)
    np.testing.assert_allclose(found, stats.truncnorm(-0.5, np.inf, 1.0, 2.0).ppf(SHARES), 1e-9)


def test_no_share_gives_an_infinite_or_impossible_value():
    ends = np.array([0.0, 1.0])
    assert np.isfinite(Distribution(kind="normal", parameters=(0.0, 1.0)).quantile(ends)).all()
    assert (read("mem_bw", normal=["1 TB/s", "5 TB/s"]).quantile(ends) > 0.0).all()


def test_units_are_read_and_bounds_are_those_of_the_field():
    found = read("sync_latency", normal=["1 us", "500 ns"])
    np.testing.assert_allclose(found.parameters, (1e-6, 5e-7))
    assert found.lower == 0.0
    assert read("usable_fraction", normal=[0.9, 0.1]).quantile(np.array(1.0)) <= 1.0
    assert read("mem_bw", lognormal=["3 TB/s", 0.2]).parameters == (3e12, 0.2)


def test_a_whole_number_field_takes_the_nearest_whole_number():
    values = read("batch_size", lognormal=[16, 1.0], within=[2, 64]).quantile(SHARES)
    assert (values == np.round(values)).all()
    assert values.min() >= 2.0
    assert values.max() <= 64.0
    assert read("batch_size", normal=[1, 5]).quantile(np.array(0.0)) == 1.0


@pytest.mark.parametrize(
    ("name", "table", "says"),
    [
        ("mem_bandwidth", {"uniform": [1, 2]}, "uncertain.mem_bandwidth.*mem_bw"),
        ("accounting", {"uniform": [1, 2]}, "numeric field 'accounting'"),
        ("utps", {"uniform": [1, 2]}, "numeric field 'utps'"),
        ("compute_bits", {"uniform": [4, 8]}, "one of 4, 8, 16"),
        ("batch_size_scale", {"uniform": [1, 2]}, "batch_size itself"),
        ("mem_bw", {}, "no distribution.*lognormal"),
        ("mem_bw", {"uniform": ["1 TB/s", "2 TB/s"], "normal": ["1 TB/s", "1 TB/s"]}, "both"),
        ("mem_bw", {"uniform": ["1 TB/s"]}, r"\[least, most\]"),
        ("mem_bw", {"uniform": [1e12, 2e12]}, "mem_bw.uniform.*bare"),
        ("mem_bw", {"uniform": ["2 TB/s", "1 TB/s"]}, "least < most"),
        ("mem_bw", {"uniform": ["0 TB/s", "1 TB/s"]}, "above 0"),
        ("sync_latency", {"loguniform": ["0 us", "1 us"]}, "0 < least"),
        ("mem_bw", {"normal": ["3 TB/s", "0 TB/s"]}, "deviation above 0"),
        ("mem_bw", {"normal": ["3 TB/s", "-1 TB/s"]}, "deviation above 0"),
        ("mem_bw", {"lognormal": ["3 TB/s", 0]}, "sigma above 0"),
        ("mem_bw", {"triangular": ["3 TB/s", "1 TB/s", "4 TB/s"]}, "likeliest"),
        ("mem_bw", {"normal": ["3 TB/s", "1 TB/s"], "within": ["4 TB/s", "2 TB/s"]}, "within"),
        ("mem_bw", {"normal": ["3 TB/s", "1 TB/s"], "within": ["4 TB/s"]}, "within"),
        ("usable_fraction", {"normal": [3, 0.1]}, "next to nothing"),
        ("batch_size", {"uniform": [1.5, 4]}, "whole"),
    ],
)
def test_what_cannot_be_is_named_with_its_key(name, table, says):
    with pytest.raises(InputError, match=says):
        read(name, **table)
