"""What lies over a heat map: lines between what binds, stripes where nothing fits, and names."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jaxlimits.results.reason_codes import HATCHED, Reason

NOTHING, LINE, GREY, STRIPE = range(4)
COVER = ("#00000000", "#000000ff", "#f0f0f0ff", "#bdbdbdff")
"""Colours of the cover's codes."""

_STRIPES = 64
"""Stripes across a map."""

_COARSE = 64
"""Cells to a side in which the middle of a region is looked for."""

_EDGE = 0.14
"""Share of a map's width that half a name takes."""

_LEAST_SHARE = 0.004
"""Share of the map from which on a region is named."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """Words at a place of a map, in cells across and up."""

    across: float
    up: float
    words: str


def cover_of(codes: np.ndarray, reasons: np.ndarray) -> np.ndarray:
    """Return the cover of a map.

    Parameters
    ----------
    codes
        What binds, (y, x).
    reasons
        Why there is no value to show, (y, x): what says something of a machine is striped, what
        was not asked is grey.
    """
    lacking, striped = reasons != Reason.FITS, np.isin(reasons, HATCHED)
    rows, columns = codes.shape
    up, across = np.arange(rows)[:, None], np.arange(columns)
    phase = up * (_STRIPES / max(rows, 1)) + across * (_STRIPES / max(columns, 1))
    stripes = np.where((phase % 2.0 < 0.7) & striped, STRIPE, GREY)
    cover = np.where(lacking, stripes, NOTHING).astype(np.uint8)
    if min(rows, columns) < 2 * _COARSE:  # a line would hide a cell
        return cover
    regions = np.where(lacking, -1 - reasons, codes)
    edge = np.zeros(codes.shape, bool)
    edge[:, 1:] |= regions[:, 1:] != regions[:, :-1]
    edge[1:] |= regions[1:] != regions[:-1]
    edge[:, :-1] |= edge[:, 1:]
    edge[:-1] |= edge[1:]
    cover[edge] = LINE
    return cover


def names_of(codes: np.ndarray, words: Mapping[int, str]) -> list[Name]:
    """Return the name of each region at the place that is farthest from all else."""
    found = []
    for code, word in words.items():
        here = codes == code
        if here.mean() >= _LEAST_SHARE:
            up, across = _deepest(here)
            rows, columns = codes.shape
            place = {  # words that stand at the very edge would be cut off
                "across": min(max(across, _EDGE * columns), (1.0 - _EDGE) * columns),
                "up": min(max(up, _EDGE / 2 * rows), (1.0 - _EDGE / 2) * rows),
            }
            found.append(Name(words=word, **place))
    return found


def _deepest(here: np.ndarray) -> tuple[float, float]:
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415  (takes a moment to import)

    rows, columns = here.shape
    steps = max(1, rows // _COARSE), max(1, columns // _COARSE)
    coarse = here[:: steps[0], :: steps[1]]
    if not coarse.any():
        up, across = np.argwhere(here)[0]
        return float(up), float(across)
    surrounded = np.pad(coarse, 1)
    wide = (1.0 / coarse.shape[0], 0.4 / coarse.shape[1])  # words are wider than high
    depth = np.asarray(distance_transform_edt(surrounded, sampling=wide))[1:-1, 1:-1]
    up, across = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(up * steps[0]), float(across * steps[1])
