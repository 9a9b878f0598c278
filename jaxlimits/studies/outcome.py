"""What the run of a study gave."""

import dataclasses
from collections.abc import Mapping

from jaxlimits.results.listing import Table
from jaxlimits.studies.claim import Claim, Finding
from jaxlimits.studies.study import Study


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a run gave.

    Parameters
    ----------
    study
        What was run.
    findings
        What came of each claim, by its name.
    tables
        Every table, by the name of its files: those of claims, then of families.
    overrides
        What was set beside the grids.
    quick
        Whether families were left out.
    seconds
        How long the sweeps and tests took [s].
    """

    study: Study
    findings: Mapping[str, Finding]
    tables: Mapping[str, Table]
    overrides: Mapping[str, str]
    quick: bool
    seconds: float

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Claims that were tested."""
        return self.study.tested(quick=self.quick)
