"""The site record: what a machine's years and its electricity cost where it stands."""

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.fields import check_record, documented, quantity

_YEAR = 31_557_600.0  # 365.25 days [s]
_KILOWATT_HOUR = 3.6e6  # [J]


@documented
class Site(eqx.Module):
    """Where and for how long a machine runs. All defaults are illustrative (ours).

    Examples
    --------
    >>> import jaxlimits as jl
    >>> float(jl.Site(pue=1.1).pue)
    1.1
    """

    depreciation_time: Scalar = quantity(
        "s",
        "time over which the capital cost is spread (illustrative)",
        display="year",
        default=4.0 * _YEAR,
        positive=True,
    )
    utilisation: Scalar = quantity(
        "1",
        "share of its time in which the machine serves; 1 is the limit",
        default=1.0,
        positive=True,
        upper=1.0,
    )
    electricity_price: Scalar = quantity(
        "USD/J",
        "price of electricity (illustrative)",
        display="USD/kWh",
        default=0.08 / _KILOWATT_HOUR,
    )
    pue: Scalar = quantity(
        "1",
        "power usage effectiveness: power of the site over power of its machines (illustrative)",
        default=1.2,
        lower=1.0,
    )

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds."""
        check_record(self)


DEFAULT_SITE = Site()
