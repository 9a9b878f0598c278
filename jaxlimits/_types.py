"""Type aliases of the traced code.

Everything in :mod:`jaxlimits.model` is written for one point: scalars in, a scalar out. Grids come
from :mod:`jaxlimits.engine`, which maps these functions over axes.
"""

import numpy as np
from jaxtyping import Array, Bool, Float, Int8

Scalar = Float[Array, ""] | float
"""One real number: a traced 0-d float array, or a Python float for callers who work by hand."""

Flag = Bool[Array, ""] | bool | np.bool_
"""One truth value."""

Code = Int8[Array, ""] | int
"""One entry of an enumeration, stored as int8."""
