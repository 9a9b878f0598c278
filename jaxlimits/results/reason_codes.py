"""Codes of why a result has no value at a point, and their words."""

import enum
from collections.abc import Mapping


class Reason(enum.IntEnum):
    """Whether a variable has a value at a point, and why not."""

    NOT_COMPUTED = -1
    FITS = 0
    DOES_NOT_FIT = 1
    NO_REQUEST = 2
    NOT_STATED = 3
    NOT_REACHED = 4
    CANNOT_BE = 5


WORDS: Mapping[int, str] = {
    Reason.NOT_COMPUTED: "not computed",
    Reason.FITS: "fits",
    Reason.DOES_NOT_FIT: "does not fit",
    Reason.NO_REQUEST: "no request stated",
    Reason.NOT_STATED: "power or price not stated",
    Reason.NOT_REACHED: "target not reached",
    Reason.CANNOT_BE: "cannot be",
}
"""The reasons as people read them."""

HATCHED = (Reason.DOES_NOT_FIT, Reason.NOT_REACHED, Reason.CANNOT_BE)
"""Reasons that say something of the machine: the others say what was not asked, and stay plain."""
