"""Laws of the model, checked at many random points at once.

A law is a test that asks for points with ``yield`` where it would otherwise call the model::

    @law(scenario=scenarios(), added=st.floats(0.0, 1e-3))
    def test_a_longer_latency_never_helps(scenario, added):
        fast, slow = yield scenario, scenario.but(sync_latency=scenario["sync_latency"] + added)
        assert slow.utps <= fast.utps

Hypothesis draws the examples, and what all of them ask for is evaluated together: points of one
choice of switches are one batch. Where a law fails it is tried again example by example, so that
Hypothesis reports the smallest that breaks it.
"""

import functools
import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from jaxlimits.model.collectives import sync
from jaxlimits.model.evaluate import evaluate
from tests.helpers import COMBINATIONS, Scenario

BATCH = 128
"""Points of a batch; it is filled up, so that each operation is compiled for one length."""


class Slopes(NamedTuple):
    """Ask for the derivative of a metric by every numeric field, in float64."""

    scenario: Scenario
    output: str = "utps"


class Single(NamedTuple):
    """Ask for a point in float32."""

    scenario: Scenario


class Sync(NamedTuple):
    """Ask for the synchronisation of a point alone: its total, its latency, its payload [s]."""

    scenario: Scenario


Ask = Scenario | Slopes | Single | Sync
"""What a law can ask for: a scenario alone stands for its metrics in float64."""

Law = Generator[Any, Any, Any]
Strategy = st.SearchStrategy | Callable[..., st.SearchStrategy]


def law(
    *, max_examples: int | None = None, **strategies: Strategy
) -> Callable[[Callable[..., Law]], Callable[..., None]]:
    """Make a test of a law: Hypothesis draws what is named here, pytest gives the rest.

    A strategy that depends on a parameter of the test is a function of that parameter. As many
    examples are drawn as the profile says, where ``max_examples`` does not say it.
    """

    def decorate(body: Callable[..., Law]) -> Callable[..., None]:
        def test(**given_by_pytest: Any) -> None:
            hold_for_all(
                functools.partial(body, **given_by_pytest),
                {
                    name: _strategy(strategy, given_by_pytest)
                    for name, strategy in strategies.items()
                },
                num_examples=max_examples or settings.default.max_examples,
            )

        signature = inspect.signature(body)
        rest = [p for name, p in signature.parameters.items() if name not in strategies]
        test.__signature__ = signature.replace(parameters=rest)
        test.__name__, test.__qualname__ = body.__name__, body.__qualname__
        test.__module__ = body.__module__
        return test

    return decorate


def hold_for_all(
    body: Callable[..., Law], strategies: dict[str, st.SearchStrategy], *, num_examples: int
) -> None:
    """Check a law at a number of examples, all of them together."""
    drawn = []

    @settings(max_examples=num_examples, phases=[Phase.generate], database=None)
    @given(**strategies)
    def draw(**values: Any) -> None:
        drawn.append(values)

    draw()
    try:
        hold(body(**values) for values in drawn)
    except Exception:
        given(**strategies)(lambda **values: hold([body(**values)]))()
        raise


def hold(laws: Iterable[Law]) -> None:
    """Run laws side by side, answering what they ask for in rounds, until all have ended."""
    waiting = [(law, next(law, None)) for law in laws]
    while waiting := [(law, asked) for law, asked in waiting if asked is not None]:
        lists = [[asked] if _is_single(asked) else list(asked) for _, asked in waiting]
        answers = iter(answered([ask for asks in lists for ask in asks]))
        waiting = [
            (law, _resumed(law, asked, [next(answers) for _ in asks]))
            for (law, asked), asks in zip(waiting, lists, strict=True)
        ]


def answered(asks: Sequence[Ask]) -> list[Any]:
    """Answer questions in their order, those of one kind and one choice of switches together."""
    groups: dict[Any, list[int]] = {}
    for place, ask in enumerate(asks):
        groups.setdefault(_batch_key(ask), []).append(place)
    found: list[Any] = [None] * len(asks)
    for places in groups.values():
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            answers = _answer_batch([asks[place] for place in batch])
            for place, answer in zip(batch, answers, strict=True):
                found[place] = answer
    return found


def _resumed(law: Law, asked: Any, answers: list[Any]) -> Any:
    try:
        return law.send(answers[0] if _is_single(asked) else answers)
    except StopIteration:
        return None


def _is_single(asked: Any) -> bool:
    return isinstance(asked, Ask)


def _strategy(strategy: Strategy, given_by_pytest: dict[str, Any]) -> st.SearchStrategy:
    if isinstance(strategy, st.SearchStrategy):
        return strategy
    return strategy(
        **{name: given_by_pytest[name] for name in inspect.signature(strategy).parameters}
    )


def _scenario(ask: Ask) -> Scenario:
    return ask if isinstance(ask, Scenario) else ask.scenario


def _batch_key(ask: Ask) -> Any:
    return type(ask), getattr(ask, "output", None), jax.tree.structure(_scenario(ask))


def _answer_batch(asks: Sequence[Ask]) -> Iterator[Any]:
    first = asks[0]
    dtype = np.float32 if isinstance(first, Single) else np.float64
    rows = [jax.tree.leaves(_scenario(ask)) for ask in asks]
    rows += rows[-1:] * (BATCH - len(rows))
    columns = [np.array(column, dtype) for column in zip(*rows, strict=True)]
    points = jax.tree.unflatten(jax.tree.structure(_scenario(first)), columns)
    with jax.enable_x64(dtype is np.float64):
        found = _batched(first)(points)
        arrays = [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(found)]
    kind = jax.tree.structure(found)
    for row in list(zip(*arrays, strict=True))[: len(asks)]:
        yield _read(jax.tree.unflatten(kind, row))


def _read(answer: Any) -> Any:
    if isinstance(answer, Scenario):  # the slopes
        return answer.numbers
    return answer


def _batched(ask: Ask) -> Callable[[Scenario], Any]:
    """Return what answers a batch of questions of one kind.

    The usual combinations occur in dozens of laws and are compiled. Any other occurs in a few: to
    run its operations one by one takes a fraction of what compiling them takes.
    """
    compiled, mapped = _both_ways(type(ask), getattr(ask, "output", None))
    is_compiled = not isinstance(ask, Slopes | Sync) and _is_usual(_scenario(ask))
    return compiled if is_compiled else mapped


@functools.cache
def _both_ways(kind: type, output: str | None) -> tuple[Callable, Callable]:
    def answer(scenario: Scenario) -> Any:
        if kind is Sync:
            return sync(scenario.chip, scenario.llm, scenario.deployment)
        return evaluate(*scenario)

    def metric(scenario: Scenario) -> jax.Array:
        return getattr(evaluate(*scenario), str(output))

    mapped = jax.vmap(jax.grad(metric) if kind is Slopes else answer)
    return jax.jit(mapped), mapped


def _is_usual(scenario: Scenario) -> bool:
    plain = not any(scenario[name] for name in ("input_len", "sram_capacity", "lpddr_capacity"))
    return plain and scenario.switches in COMBINATIONS.values()
