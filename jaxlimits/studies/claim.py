"""A claim, what tests it, and what came of the test.

A claim is true of cases: models, machines, points of a grid. Whether it holds in each is computed
from the grid's numbers; the verdict is the share of cases in which it does, never written by hand.
"""

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import xarray as xr

from jaxlimits.results.listing import Table
from jaxlimits.units import show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results = Mapping[str, xr.Dataset]
"""What grids gave, by the grid's name."""

MOST, HARDLY_ANY = 0.95, 0.05
"""Shares of the cases from which a claim holds, and below which it is not reproduced (ours)."""


class Verdict(enum.StrEnum):
    """What a study says of a claim."""

    HOLDS = "holds"
    IN_PART = "holds in part"
    NOT_REPRODUCED = "not reproduced"


class Judgement(NamedTuple):
    """In how many of its cases a claim holds.

    Parameters
    ----------
    share, cases
        Share of the cases in which the claim holds, and how many there are.
    verdict
        What follows from the share.
    """

    share: float
    cases: int
    verdict: Verdict

    @property
    def of_cases(self) -> str:
        """In how many of the cases, in words."""
        return of_cases(self.share, self.cases)

    @property
    def words(self) -> str:
        """The verdict with the share of the cases: ``holds in 36 % of cases``."""
        if not self.cases:
            return f"{self.verdict}: there is no case"
        held = f"holds in {_percent(self.share)} of cases"
        return f"{self.verdict}: {held}" if self.verdict == Verdict.NOT_REPRODUCED else held


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """One number of a finding, in its SI unit; NaN where there is none."""

    value: float
    unit: str = "1"
    meaning: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What came of a test.

    Parameters
    ----------
    judged
        In how many cases the claim holds, and the verdict that follows.
    sentence
        The verdict in words: by how much, where not, and why.
    numbers
        What the verdict rests on, by name.
    table
        The cases, or what they are made of.
    """

    judged: Judgement
    sentence: str
    numbers: Mapping[str, Number]
    table: Table

    @property
    def is_priced(self) -> bool:
        """Whether any of its numbers is in dollars."""
        return self.table.is_priced or any("USD" in n.unit for n in self.numbers.values())


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A figure of a study.

    Parameters
    ----------
    name
        Name of its file.
    caption
        What to see in it.
    draw
        Draws it.
    priced
        Whether it rests on prices, which its caption then says.
    """

    name: str
    caption: str
    draw: Callable[[Results], "Figure"]
    priced: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A claim and its test.

    Parameters
    ----------
    name
        Short name, by which files are named too.
    statement
        The claim in words.
    source
        ``published`` in arXiv:2507.14397 or notes to it, or ``ours``.
    cases
        What one case is, and when the claim holds in it.
    grids
        Shipped grids that the test needs.
    find
        Tests the claim.
    pictures
        Figures.
    is_long
        Whether a quick run leaves it out.
    """

    name: str
    statement: str
    source: Literal["published", "ours"]
    cases: str
    grids: tuple[str, ...]
    find: Callable[[Results], Finding]
    pictures: tuple[Picture, ...] = ()
    is_long: bool = False


def judge(held: xr.DataArray, *, among: xr.DataArray | None = None) -> Judgement:
    """Return the share of cases in which a claim holds, their number, and the verdict.

    Parameters
    ----------
    held
        Whether it holds, case by case.
    among
        Which of them are cases; by default all.
    """
    counted = np.ones(held.shape, dtype=bool) if among is None else among.to_numpy()
    return judge_cases(held.to_numpy()[counted])


def judge_cases(held: np.ndarray) -> Judgement:
    """Return the share of cases in which a claim holds, their number, and the verdict."""
    cases = held.size
    share = float(held.mean()) if cases else math.nan
    if not cases or share < HARDLY_ANY:
        return Judgement(share, cases, Verdict.NOT_REPRODUCED)
    return Judgement(share, cases, Verdict.HOLDS if share >= MOST else Verdict.IN_PART)


def said(value: float, unit: str) -> str:
    """Say a number with its unit; a dash where there is none."""
    return "—" if math.isnan(value) else show(value, unit)


def _percent(share: float) -> str:
    """A share as a whole percentage, of which 0 and 100 mean none and all."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(round(100.0 * share), 1), 99)} %"


def of_cases(share: float, cases: int) -> str:
    """Say of how many cases something is true."""
    return f"{round(share * cases) if cases else 0:,} of {cases:,}"
