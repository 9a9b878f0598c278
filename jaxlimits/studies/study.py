"""A study: claims with their tests, and families of systems."""

import dataclasses

from jaxlimits.studies.claim import Claim
from jaxlimits.studies.family import Family


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """What one command regenerates.

    Parameters
    ----------
    name, title, summary
        What it is.
    claims, families
        Its parts, in the order of the report.
    """

    name: str
    title: str
    summary: str
    claims: tuple[Claim, ...]
    families: tuple[Family, ...]

    def tested(self, *, quick: bool = False) -> tuple[Claim, ...]:
        """Claims of a run: all, or those that are quick to test."""
        return tuple(claim for claim in self.claims if not (quick and claim.is_long))

    def grids(self, *, quick: bool = False) -> tuple[str, ...]:
        """Names of the grids that it sweeps: those of claims, and of families unless quick."""
        needed = [grid for claim in self.tested(quick=quick) for grid in claim.grids]
        if not quick:
            needed += [family.grid for family in self.families]
        return tuple(dict.fromkeys(needed))
