"""What is asked for the best of: a metric, and the targets that a point must keep."""

import dataclasses
import re
from collections.abc import Sequence

from jaxlimits import schema, units
from jaxlimits.errors import InputError, placed, unknown_name
from jaxlimits.grid.axes import read_value
from jaxlimits.grid.requirements import read_target
from jaxlimits.grid.rules import Budget
from jaxlimits.questions.solve import parse_target

_RELATION = re.compile(r"\s*(?P<name>\w+)\s*(?P<relation><=|>=|=)\s*(?P<value>.+)")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Within:
    """Values of an axis that count.

    Parameters
    ----------
    name
        The axis, or a field that is linked to one.
    relation
        ``<=``, ``>=`` or ``=``.
    values
        What it is compared with, in SI units; several only with ``=``.
    """

    name: str
    relation: str
    values: tuple[float | str, ...]

    @property
    def words(self) -> str:
        """The condition as a user writes it."""
        info = schema.FIELDS.get(self.name)
        shown = (
            units.show(value, info.unit) if info and not isinstance(value, str) else f"{value}"
            for value in self.values
        )
        return f"{self.name} {self.relation} {', '.join(shown)}"

    def holds(self, value: float | int | str) -> bool:
        """Whether a value of the axis counts."""
        if self.relation == "=" or isinstance(value, str):
            return value in self.values
        bound = float(self.values[0])
        return value <= bound if self.relation == "<=" else value >= bound


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is the best, and which points count.

    Parameters
    ----------
    objective, maximise
        The metric, and whether more of it is better.
    targets
        Bounds that a point must keep, in SI units.
    count
        How many points to return, best first.
    also
        Further metrics of them.
    within
        Values of axes that count.
    per
        Axes of which each value has its own best points.
    """

    objective: str
    maximise: bool
    targets: tuple[Budget, ...] = ()
    within: tuple[Within, ...] = ()
    per: tuple[str, ...] = ()
    count: int = 1
    also: tuple[str, ...] = ()

    def __repr__(self) -> str:
        each = f" per {', '.join(self.per)}" if self.per else ""
        return f"Question({self.words}; best {self.count}{each})"

    @property
    def words(self) -> str:
        """What is best, and which points count, as a user says it."""
        aim = "maximise" if self.maximise else "minimise"
        conditions = [*map(_words, self.targets), *(each.words for each in self.within)]
        kept = f" where {' and '.join(conditions)}" if conditions else ""
        return f"{aim} {self.objective}{kept}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a point shows."""
        bounded = (target.of for target in self.targets)
        return tuple(dict.fromkeys((self.objective, *bounded, *self.also)))


@placed("ask")
def ask(
    *,
    maximise: str | None = None,
    minimise: str | None = None,
    where: str | Sequence[str] = (),
    targets: str | Sequence[str] = (),
    count: int = 1,
    also: str | Sequence[str] = (),
    per: str | Sequence[str] = (),
) -> Question:
    """Check a question as a user writes it.

    Parameters
    ----------
    maximise, minimise
        The metric; one of the two.
    where
        A target, or several: ``"utps >= 50"``, ``"tpot <= 20 ms/token"``; also values of axes that
        count: ``"tp_size <= 8"``, ``"chip = h100, h200"``.
    targets
        Another name of ``where``.
    count, also
        How many points, and further metrics of them.
    per
        Axes of which each value has its own best points, as ``"chip"``.

    Raises
    ------
    InputError
        Neither or both of the metrics, an unknown metric, a target that cannot be read, targets
        that exclude each other, ``where`` and ``targets`` at once.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> jl.ask(minimise="dollars_per_token", where="utps >= 50", count=3)
    Question(minimise dollars_per_token where utps >= 50 token/s; best 3)
    """
    if (maximise is None) == (minimise is None):
        remedy = "choose one metric to maximise or to minimise"
        given = "both" if maximise else "neither"
        raise InputError(f"{given} of maximise and minimise is given", remedy=remedy)
    objective = maximise or minimise or ""
    also = _listed(also)
    for name in (objective, *also):
        if name not in schema.OUTPUTS:
            raise unknown_name("metric", name, schema.OUTPUTS)
    if objective in schema.FLAGS:
        raise InputError(f"{objective!r} is a category and cannot be ranked")
    if count < 1:
        raise InputError("must be at least 1", key="count", value=count)
    if where and targets:
        problem = "where and targets are two names of one thing"
        raise InputError(problem, key="targets", value=targets, remedy="give where alone")
    texts = _listed(where or targets)
    read = {text: _within(text) for text in texts}
    within = tuple(condition for condition in read.values() if condition is not None)
    return Question(
        objective=objective,
        maximise=maximise is not None,
        targets=read_targets([text for text, condition in read.items() if condition is None]),
        within=within,
        per=_listed(per),
        count=count,
        also=also,
    )


def read_targets(where: str | Sequence[str]) -> tuple[Budget, ...]:
    """Return the bounds that texts state.

    Raises
    ------
    InputError
        A target that cannot be read; two that no point can keep.
    """
    budgets = tuple(_budget(text) for text in _listed(where))
    _refuse_contradictions(budgets)
    return budgets


def _listed(texts: str | Sequence[str]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _within(text: str) -> Within | None:
    """Values of an axis that a text states; none where it is a target of a metric."""
    parts = _RELATION.fullmatch(text)
    if parts is None:
        return None
    name, relation = parts["name"], parts["relation"]
    if name in schema.OUTPUTS or not (name in schema.writable() or schema.is_numeric(name)):
        return None
    written = parts["value"].split(",") if relation == "=" else [parts["value"]]
    if relation != "=" and not schema.is_numeric(name):
        remedy = f"write '{name} = {parts['value']}'"
        raise InputError("names have no order", key="where", value=text, remedy=remedy)
    values = tuple(read_value(name, each.strip(), where="where", key=name) for each in written)
    return Within(name=name, relation=relation, values=values)


def _budget(text: str) -> Budget:
    metric, side, value = parse_target(text, key="where")
    return Budget(of=metric, most=side == "at_most", limit=read_target(metric, value, key=metric))


def _refuse_contradictions(budgets: Sequence[Budget]) -> None:
    """Raise where a metric must exceed a value that it may not reach."""
    for least in budgets:
        for most in budgets:
            if least.of == most.of and most.most and not least.most and least.limit > most.limit:
                problem = f"no point has {_words(least)} and {_words(most)}"
                raise InputError(problem, key="where", remedy="move one of the two, or drop it")


def _words(target: Budget) -> str:
    """A target as a user writes it."""
    relation = "<=" if target.most else ">="
    return f"{target.of} {relation} {units.show(target.limit, schema.output(target.of).unit)}"
