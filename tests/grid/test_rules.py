"""Prices and budgets, worked by hand."""

import math

import pytest

from jaxlimits.grid.rules import NO_RULES, Budget, Price, Rules, Term


def test_a_price_is_a_constant_and_terms_with_their_powers():
    terms = (Term(field="die_area", factor=3.0, power=2.0), Term(field="bw", factor=5.0, power=1.0))
    price = Price(name="chip_price", unit="USD", constant=7.0, terms=terms)
    assert price.value({"die_area": 4.0, "bw": 2.0}) == 65.0  # 7 + 3 * 4^2 + 5 * 2
    assert Price(name="p", unit="1", constant=7.0, terms=()).value({}) == 7.0


def test_a_price_may_rest_on_an_earlier_one_and_stands_in_its_field():
    first = Price(name="a", unit="1", constant=1.0, terms=(Term(field="x", factor=2.0, power=1.0),))
    second = Price(
        name="x", unit="1", constant=0.0, terms=(Term(field="a", factor=3.0, power=1.0),)
    )
    fields = {"x": 5.0}
    assert Rules(prices=(first, second)).priced(fields) == {"a": 11.0, "x": 33.0}
    assert fields == {"x": 5.0}
    assert NO_RULES.priced(fields) == fields


@pytest.mark.parametrize(("most", "within", "beyond"), [(True, 1.0, 3.0), (False, 3.0, 1.0)])
def test_a_budget_keeps_its_limit_and_what_is_within(most, within, beyond):
    budget = Budget(of="power", most=most, limit=2.0)
    assert budget.keeps(within)
    assert budget.keeps(2.0)
    assert not budget.keeps(beyond)
    assert not budget.keeps(math.nan)
