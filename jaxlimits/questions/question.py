"""What is asked for the best of: a metric, and the targets that a point must keep."""

import dataclasses
from collections.abc import Sequence

from jaxlimits import schema, units
from jaxlimits.errors import InputError, placed, unknown_name
from jaxlimits.grid.requirements import read_target
from jaxlimits.grid.rules import Budget
from jaxlimits.questions.solve import parse_target


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
    """

    objective: str
    maximise: bool
    targets: tuple[Budget, ...] = ()
    count: int = 1
    also: tuple[str, ...] = ()

    def __repr__(self) -> str:
        aim = "maximise" if self.maximise else "minimise"
        kept = " and ".join(_words(target) for target in self.targets)
        return f"Question({aim} {self.objective}{kept and f' where {kept}'}; best {self.count})"

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
) -> Question:
    """Check a question as a user writes it.

    Parameters
    ----------
    maximise, minimise
        The metric; one of the two.
    where
        A target, or several: ``"utps >= 50"``, ``"tpot <= 20 ms/token"``.
    targets
        Another name of ``where``.
    count, also
        How many points, and further metrics of them.

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
    return Question(
        objective=objective,
        maximise=maximise is not None,
        targets=read_targets(where, targets),
        count=count,
        also=also,
    )


def read_targets(
    where: str | Sequence[str], targets: str | Sequence[str] = ()
) -> tuple[Budget, ...]:
    """Return the bounds that ``where``, or ``targets``, which is the same, states.

    Raises
    ------
    InputError
        Both are given; a target that cannot be read; two that no point can keep.
    """
    if where and targets:
        problem = "where and targets are two names of the same"
        raise InputError(problem, key="targets", value=targets, remedy="give where alone")
    budgets = tuple(_budget(text) for text in _listed(where or targets))
    _refuse_contradictions(budgets)
    return budgets


def _listed(texts: str | Sequence[str]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


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
