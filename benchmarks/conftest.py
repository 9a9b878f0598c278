"""What every benchmark shares: options, and the measuring of several runs in turns."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from benchmarks.rounds import OURS, Row, Run, lines_of, rounded, row_of, seconds_of

_ROWS = pytest.StashKey[list[tuple[str, Row]]]()


def pytest_addoption(parser):
    """Options of the benchmarks."""
    group = parser.getgroup("jaxlimits")
    group.addoption("--rounds", type=int, default=5, help="rounds to take the median of")
    group.addoption("--full", action="store_true", help="also what takes minutes: whole grids")
    group.addoption("--genz", metavar="PYTHON", help="interpreter of an environment with genz-llm")


def pytest_configure(config):
    """Start without results."""
    config.stash[_ROWS] = []


def pytest_terminal_summary(terminalreporter, config):
    """Print every case."""
    for name, row in config.stash[_ROWS]:
        terminalreporter.write_line("\n".join(lines_of(name, row)))


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Measures runs in turns and keeps what comes out with pytest-benchmark's own results.

    pytest-benchmark times ours; before each of its rounds the others are run and timed once.
    """

    benchmark: Any
    rounds: int

    def __call__(
        self,
        runs: Mapping[str, Run],
        *,
        unit: str = "point",
        rounds: int | None = None,
        warm: bool = True,
    ) -> Row:
        """Measure ``runs``, of which the one named ours is the subject.

        Parameters
        ----------
        runs
            By name.
        unit
            Of their work.
        rounds
            How many; as the option says where left out.
        warm
            Whether to run each once before: what compiles, or touches memory for the first time.
        """
        rivals = {name: run for name, run in runs.items() if name != OURS}
        first = {name: seconds_of(run) for name, run in runs.items()} if warm else {}
        taken: dict[str, list[float]] = {name: [] for name in rivals}

        def rivals_first() -> None:
            for name, run in rivals.items():
                taken[name].append(seconds_of(run))
            runs[OURS].before()

        number = self.rounds if rounds is None else rounds
        self.benchmark.pedantic(runs[OURS].call, setup=rivals_first, rounds=number)
        taken = {OURS: list(self.benchmark.stats.stats.data), **taken}
        self.benchmark.extra_info |= row_of(runs, taken, unit=unit)
        if first:
            self.note(first_s=float(f"{first[OURS]:.4g}"))
        return self.benchmark.extra_info

    def aim(self, run: str = OURS, /, **targets: float) -> None:
        """Set what ratio ours, or another run, should reach over others; say whether it does."""
        row = self.benchmark.extra_info
        for name, wanted in targets.items():
            goal = name
            if run != OURS:
                goal, rates = f"{run} over {name}", row["per_second"]
                row["ratio"] |= rounded({goal: rates[run] / rates[name]})
            row.setdefault("target", {})[goal] = wanted
            row.setdefault("met", {})[goal] = row["ratio"][goal] >= wanted

    def against(self, name: str, per_second: float) -> None:
        """Add a ratio to a rate that was not measured in this row."""
        row = self.benchmark.extra_info
        row["ratio"] |= rounded({name: row["per_second"][OURS] / per_second})

    def note(self, **facts: object) -> None:
        """Add facts to the row."""
        self.benchmark.extra_info.setdefault("facts", {}).update(facts)


@pytest.fixture
def compare(benchmark, request) -> Iterator[Comparison]:
    """Measure runs in turns; what comes out is printed at the end."""
    comparison = Comparison(benchmark, request.config.getoption("rounds"))
    yield comparison
    if benchmark.extra_info:  # nothing where it was skipped
        request.config.stash[_ROWS].append((request.node.name, benchmark.extra_info))


@pytest.fixture
def full(request) -> bool:
    """Whether whole grids are wanted."""
    return request.config.getoption("full")
