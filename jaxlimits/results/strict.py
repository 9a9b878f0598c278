"""Values as strict JSON takes them."""

import math
from typing import Any


def strict(value: Any) -> Any:
    """Return a value with NaN as ``null`` and infinities as text, which strict JSON lacks."""
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    return value
