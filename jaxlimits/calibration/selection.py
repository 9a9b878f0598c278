"""Which measured rows a fit takes: those that are plain decode, each of the others with its reason.

Nothing is left out for its error: a rule says what a row is, from the table alone.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from jaxlimits.calibration.measurements import Measurement
from jaxlimits.errors import InputError

MOST_PROMPT = 0.25
"""Prompt tokens by decoded token up to which a server's step is nearly pure decode."""

_SAME = 0.03

_CROWD, _HARDLY_SLOWER = 8.0, 0.95
"""Times as many requests at once, and the share of a user's speed that no server keeps under them:
where one does, it runs fewer of them than the table says."""

_REASONER, _CHAT = "DeepSeek-R1", "DeepSeek-V3"

PROMPTS = (
    "holds more than a prompt token for four that are decoded: scheduling, not decode, sets it"
)
TWIN = f"is the run of {_CHAT} of the same shape once more"
DRAFTED = "its series drafts tokens in some rows and does not say in which"
CROWDED = "contradicts its series: eight times as many requests at once hardly slow a user"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Rows that a fit takes, and why not the others.

    Parameters
    ----------
    kept
        Those that it takes.
    left_out
        Pairs of a row and the reason.
    """

    kept: list[Measurement]
    left_out: list[tuple[Measurement, str]]

    def checked(self) -> "Selection":
        """The selection, which must keep a row.

        Raises
        ------
        InputError
            With the reason why the first is left out.
        """
        if not self.kept:
            first, why = self.left_out[0]
            where = first.where.rpartition(": line")[0]
            raise InputError(f"has no row of plain decode: the first {why}", where=where)
        return self

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows are left out, by the reason."""
        counts: dict[str, int] = defaultdict(int)
        for _, why in self.left_out:
            counts[why] += 1
        return dict(counts)

    def because(self, why: str) -> list[Measurement]:
        """Rows that are left out for one reason."""
        return [each for each, reason in self.left_out if reason == why]


def select(measurements: Sequence[Measurement]) -> Selection:
    """Part rows of plain decode from the others.

    Left out are runs of DeepSeek-R1 that repeat one of DeepSeek-V3 (one model), series of DeepSeek
    of which a run is quicker than its twin, and so drafts tokens, with all of their rows; runs of a
    server that eight times as many requests hardly slow; and steps that hold many prompt tokens,
    which are compared but not fitted.
    """
    drafted, twins = _drafted(measurements), _twins(measurements)
    crowded = _crowded(measurements)

    def why(each: Measurement) -> str:
        if _series(each) in drafted:
            return DRAFTED
        if id(each) in twins:
            return TWIN
        if id(each) in crowded:
            return CROWDED
        if each.served and each.input_len > MOST_PROMPT * each.output_len:
            return PROMPTS
        return ""

    reasons = [(each, why(each)) for each in measurements]
    return Selection(
        kept=[each for each, reason in reasons if not reason],
        left_out=[(each, reason) for each, reason in reasons if reason],
    )


def _series(each: Measurement) -> tuple[object, ...]:
    """A run's model and software on one machine."""
    widths = tuple(each.settings.get(name, 0.0) for name in ("tp_size", "ep_size", "weight_bits"))
    return each.system, each.model, each.engine, each.version, each.served, *widths


def _pairs(measurements: Sequence[Measurement]) -> list[tuple[Measurement, Measurement]]:
    """Runs of DeepSeek-R1 with those of DeepSeek-V3 at the same point in the same software."""
    chats = {_point(each): each for each in measurements if each.model == _CHAT}
    reasoners = (each for each in measurements if each.model == _REASONER)
    return [(each, chats[_point(each)]) for each in reasoners if _point(each) in chats]


def _point(each: Measurement) -> tuple[object, ...]:
    sizes = tuple(sorted(each.settings.items()))
    return each.system, each.engine, each.version, each.input_len, each.output_len, sizes


def _twins(measurements: Sequence[Measurement]) -> set[int]:
    return {id(one) for one, _ in _pairs(measurements)}


def _drafted(measurements: Sequence[Measurement]) -> set[tuple[object, ...]]:
    """Series of which a run is quicker than its twin; and a version that is so throughout."""
    quicker = {
        _series(one) for one, other in _pairs(measurements) if other.utps < one.utps * (1.0 - _SAME)
    }
    known = {_series(each) for each in measurements if each.version in _DRAFTING_VERSIONS}
    return quicker | {series for series in known if series[1] in (_REASONER, _CHAT)}


_DRAFTING_VERSIONS = ("1.2.0rc6.post3",)
"""Of TensorRT-LLM: all of its DeepSeek-R1 runs are nearly twice as quick as those of the release
before and after, and it has none of DeepSeek-V3."""


def _crowded(measurements: Sequence[Measurement]) -> set[int]:
    """Runs of a server in which many more requests at once than in another hardly slow a user."""
    alike: dict[tuple[object, ...], list[Measurement]] = defaultdict(list)
    for each in measurements:
        if each.served:
            alike[_served_alike(each)].append(each)
    return {
        id(many)
        for runs in alike.values()
        for many in runs
        if any(_is_crowd(many, few) for few in runs)
    }


def _served_alike(each: Measurement) -> tuple[object, ...]:
    """What two runs share that differ in the number of requests, and in the engine's version."""
    sizes = {name: size for name, size in each.settings.items() if name != "batch_size"}
    named = each.system, each.model, each.engine, each.input_len, each.output_len
    return (*named, *sorted(sizes.items()))


def _is_crowd(many: Measurement, few: Measurement) -> bool:
    more = many.settings["batch_size"] >= _CROWD * few.settings["batch_size"]
    return more and many.utps >= _HARDLY_SLOWER * few.utps
