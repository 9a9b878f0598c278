"""Rules over a whole grid: fields that are priced by others, and budgets that points must keep.

Plain arithmetic on whatever stands for the fields' values, so that it can be traced.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxlimits.grid.layouts import Validity


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    r"""One term of a price: :math:`a\,x^p`.

    Parameters
    ----------
    field
        Field, or an earlier price, that it grows with.
    factor, power
        The price at 1 SI unit of the field, and the exponent.
    """

    field: str
    factor: float
    power: float

    def value(self, fields: Mapping[str, Any]) -> Any:
        """Return the term, in SI units."""
        field = fields[self.field]
        return self.factor * (field if self.power == 1.0 else field**self.power)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    r"""A quantity made of others: :math:`a_0 + \sum_i a_i\,x_i^{p_i}`.

    Parameters
    ----------
    name
        A field of the model, which then has this value, or a name of its own.
    unit
        SI unit.
    constant, terms
        What it is made of.
    """

    name: str
    unit: str
    constant: float
    terms: tuple[Term, ...]

    def value(self, fields: Mapping[str, Any]) -> Any:
        """Return the price, in SI units."""
        return sum((term.value(fields) for term in self.terms), start=self.constant)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """A bound on one quantity.

    Parameters
    ----------
    of
        Metric, field or price.
    most
        Whether it is an upper bound; else a lower one.
    limit
        The bound, in SI units.
    """

    of: str
    most: bool
    limit: float

    def keeps(self, value: Any) -> Any:
        """Whether a value is within the bound; NaN is not."""
        return value <= self.limit if self.most else value >= self.limit


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What holds at every point of a grid beside the fields' own values.

    Parameters
    ----------
    prices
        In the order in which they rest on each other.
    budgets
        Points outside them never enter a reduction.
    layouts
        What the layouts of an axis keep at a point, where some are valid at some points only; what
        is not a valid point has no value and enters no reduction. ``None`` where all are valid.
    """

    prices: tuple[Price, ...] = ()
    budgets: tuple[Budget, ...] = ()
    layouts: Validity | None = None

    def priced(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields with every price in its place."""
        found = dict(fields)
        for price in self.prices:
            found[price.name] = price.value(found)
        return found


NO_RULES = Rules()
"""Every field as it stands, every point as good as any."""
