"""Distributions of uncertain inputs: as a file states them, and their quantiles."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pydantic
from scipy.special import ndtr, ndtri

from jaxlimits import schema
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.file import Raw
from jaxlimits.model.fields import Quantity
from jaxlimits.values import parse_number

_EDGE = 2.0**-32
"""Shares are kept so far from 0 and 1: a sequence of 32 bits has both, and tails have no end."""

_LEAST_SHARE = 1e-9
"""Less of a distribution than this cannot be left of it: its tail has too few digits."""

_PLAIN = Quantity(unit="1", display="1", meaning="", lower=-math.inf)


class DistributionTable(pydantic.BaseModel):
    """A distribution as a file states it: one form, and an interval to keep of it."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    uniform: list[Raw] | None = pydantic.Field(default=None, description="First and last value.")
    loguniform: list[Raw] | None = pydantic.Field(
        default=None, description="First and last value, uniform in the logarithm."
    )
    normal: list[Raw] | None = pydantic.Field(
        default=None, description="Mean and standard deviation."
    )
    lognormal: list[Raw] | None = pydantic.Field(
        default=None, description="Median, and standard deviation of the logarithm."
    )
    triangular: list[Raw] | None = pydantic.Field(
        default=None, description="First value, mode and last value."
    )
    within: list[Raw] | None = pydantic.Field(
        default=None, description="The interval to keep of the distribution."
    )


class _Family(NamedTuple):
    """One form of distribution.

    ``holds`` is the condition on its parameters, ``says`` the same in words.
    """

    parameters: tuple[str, ...]
    cumulative: Callable[..., Any]
    inverse: Callable[..., Any]
    holds: Callable[..., bool]
    says: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """One uncertain input.

    Parameters
    ----------
    kind
        ``uniform`` (least, most), ``loguniform`` (least, most), ``normal`` (mean, standard
        deviation), ``lognormal`` (median, standard deviation of the natural logarithm),
        ``triangular`` (least, likeliest, most).
    parameters
        In that order, in SI units.
    lower, upper
        What lies outside is cut off.
    whole
        Whether each value is taken to the nearest whole number.
    text
        How it was written.
    """

    kind: str
    parameters: tuple[float, ...]
    lower: float = -math.inf
    upper: float = math.inf
    whole: bool = False
    text: str = ""

    def quantile(self, shares: np.ndarray) -> np.ndarray:
        """Return the values below which these shares of the distribution lie."""
        family = _FAMILIES[self.kind]
        start, end = self._kept()
        inner = start + np.clip(shares, _EDGE, 1.0 - _EDGE) * (end - start)
        values = np.clip(family.inverse(inner, *self.parameters), self.lower, self.upper)
        return np.asarray(np.round(values) if self.whole else values)

    @property
    def share_kept(self) -> float:
        """Share of the distribution that lies between its bounds."""
        start, end = self._kept()
        return end - start

    def _kept(self) -> tuple[float, float]:
        cumulative = _FAMILIES[self.kind].cumulative
        return (
            float(cumulative(self.lower, *self.parameters)),
            float(cumulative(self.upper, *self.parameters)),
        )


def read_distribution(name: str, table: DistributionTable, *, where: str) -> Distribution:
    """Return the distribution of a field or a scale factor.

    It is cut at the bounds of its field; a whole-number field takes the nearest whole number.

    Raises
    ------
    InputError
        An unknown field, no or several forms, parameters that cannot be, a distribution that lies
        outside of what its field can take.
    """
    key = f"uncertain.{name}"
    info = _numeric(name, where=where, key=key)
    given = {kind: raws for kind in _FAMILIES if (raws := getattr(table, kind)) is not None}
    if len(given) != 1:
        problem = f"has both {' and '.join(given)}" if given else "has no distribution"
        raise InputError(problem, where=where, key=key, remedy=f"write one of {_names()}")
    ((kind, raws),) = given.items()
    parameters = _parameters(info, kind, raws, where=where, key=f"{key}.{kind}")
    lower, upper = _bounds(info, table.within, where=where, key=f"{key}.within")
    cut = "" if table.within is None else f" within {_listed(table.within)}"
    distribution = Distribution(
        kind=kind,
        parameters=parameters,
        lower=lower,
        upper=upper,
        whole=info.whole,
        text=f"{kind} {_listed(raws)}{cut}",
    )
    if not distribution.share_kept > _LEAST_SHARE:
        problem = f"has next to nothing between {lower:g} and {upper:g} [{info.unit}]"
        raise InputError(problem, where=where, key=key, remedy="move it, or widen within")
    return distribution


def _numeric(name: str, *, where: str, key: str) -> Quantity:
    """Meaning and bounds of what a distribution can be given to."""
    if not schema.is_numeric(name):
        raise unknown_name("numeric field", name, schema.FIELDS, where=where, key=key)
    info = schema.describe(name)
    if info.allowed:
        remedy = "fix it in [base]"
        raise InputError(f"must be {info.bounds}", where=where, key=key, remedy=remedy)
    field = schema.scaled_field(name)
    if field is not None and (schema.FIELDS[field].whole or schema.FIELDS[field].allowed):
        remedy = f"give the distribution to {field} itself"
        problem = f"{field} takes no fractions, and a factor would make some"
        raise InputError(problem, where=where, key=key, remedy=remedy)
    return info


def _parameters(
    info: Quantity, kind: str, raws: list[Raw], *, where: str, key: str
) -> tuple[float, ...]:
    family = _FAMILIES[kind]
    if len(raws) != len(family.parameters):
        form = f"[{', '.join(family.parameters)}]"
        raise InputError(f"must be {form}", where=where, key=key, value=raws)
    free = dataclasses.replace(
        info, lower=-math.inf, upper=math.inf, positive=False, whole=False, allowed=()
    )
    meant = {"mean": free, "standard deviation": free, "sigma": _PLAIN}
    parameters = tuple(
        parse_number(meant.get(name, info), raw, where=where, key=key)
        for name, raw in zip(family.parameters, raws, strict=True)
    )
    if not family.holds(*parameters):
        raise InputError(f"must have {family.says}", where=where, key=key, value=raws)
    return parameters


def _bounds(
    info: Quantity, within: list[Raw] | None, *, where: str, key: str
) -> tuple[float, float]:
    lower = max(info.lower, 1.0) if info.whole and info.positive else info.lower
    if within is None:
        return lower, info.upper
    if len(within) != 2:
        raise InputError("must be [least, most]", where=where, key=key, value=within)
    least, most = (parse_number(info, raw, where=where, key=key) for raw in within)
    if not least < most:
        raise InputError("must have least < most", where=where, key=key, value=within)
    return least, most


def _names() -> str:
    return ", ".join(_FAMILIES)


def _listed(raws: list[Raw]) -> str:
    return f"[{', '.join(map(str, raws))}]"


def _log(values: Any) -> Any:
    """Natural logarithm; of what is not above zero, minus infinity."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(values, 0.0))


def _uniform_cumulative(x: Any, least: float, most: float) -> Any:
    return np.clip((x - least) / (most - least), 0.0, 1.0)


def _uniform_inverse(share: Any, least: float, most: float) -> Any:
    return least + share * (most - least)


def _triangular_cumulative(x: Any, least: float, mode: float, most: float) -> Any:
    if x <= mode:
        rise = max(x - least, 0.0)
        return rise**2 / ((most - least) * (mode - least)) if rise else 0.0
    return 1.0 - max(most - x, 0.0) ** 2 / ((most - least) * (most - mode)) if x < most else 1.0


def _triangular_inverse(share: Any, least: float, mode: float, most: float) -> Any:
    width = most - least
    rising = least + np.sqrt(share * width * (mode - least))
    falling = most - np.sqrt((1.0 - share) * width * (most - mode))
    return np.where(share * width < mode - least, rising, falling)


_FAMILIES: Mapping[str, _Family] = {
    "uniform": _Family(
        ("least", "most"),
        _uniform_cumulative,
        _uniform_inverse,
        lambda least, most: least < most,
        "least < most",
    ),
    "loguniform": _Family(
        ("least", "most"),
        lambda x, a, b: _uniform_cumulative(_log(x), math.log(a), math.log(b)),
        lambda share, a, b: np.exp(_uniform_inverse(share, math.log(a), math.log(b))),
        lambda least, most: 0.0 < least < most,
        "0 < least < most",
    ),
    "normal": _Family(
        ("mean", "standard deviation"),
        lambda x, mean, deviation: ndtr((x - mean) / deviation),
        lambda share, mean, deviation: mean + deviation * ndtri(share),
        lambda _, deviation: deviation > 0.0,
        "a standard deviation above 0",
    ),
    "lognormal": _Family(
        ("median", "sigma"),
        lambda x, median, sigma: ndtr((_log(x) - math.log(median)) / sigma),
        lambda share, median, sigma: median * np.exp(sigma * ndtri(share)),
        lambda median, sigma: median > 0.0 and sigma > 0.0,
        "a median and a sigma above 0",
    ),
    "triangular": _Family(
        ("least", "likeliest", "most"),
        _triangular_cumulative,
        _triangular_inverse,
        lambda least, mode, most: least <= mode <= most and least < most,
        "least <= likeliest <= most, and least < most",
    ),
}
"""Forms of distributions by name."""
