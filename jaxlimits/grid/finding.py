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
    nan_means
        What a missing value means where it is not that no point fits: a name in words joined by
        underscores.
    flags
        Meanings of the values 0, 1 and so on, in the same form, where they are codes.
    """

    name: str
    dims: tuple[str, ...]
    values: np.ndarray
    quantity: str | None
    meaning: str
    nan_means: str = ""
    flags: tuple[str, ...] = ()
