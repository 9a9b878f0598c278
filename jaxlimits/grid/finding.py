"""One variable of a result, before it has a file: what a reduction found."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One variable of a result.

    Parameters
    ----------
    name, dims, values
        As in the dataset.
    quantity
        Output, field or switch whose meaning and unit the values have; none for a count.
    meaning
        What the values are.
    """

    name: str
    dims: tuple[str, ...]
    values: np.ndarray
    quantity: str | None
    meaning: str
