"""Laws of the model, checked at many random points at once.

A law is a test that asks for points with ``yield`` where it would otherwise call the model::

    @law(scenario=scenarios(), added=st.floats(0.0, 1e-3))
    def test_a_longer_latency_never_helps(scenario, added):
        fast, slow = yield scenario, scenario.but(sync_latency=scenario["sync_latency"] + added)
        assert slow.utps <= fast.utps

Hypothesis draws the examples, and what all of them ask for is evaluated together. Where a law fails
it is tried again example by example, so that Hypothesis reports the smallest that breaks it.
"""

import functools
import inspect
import zlib
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.batches import Ask, answered

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
        return pytest.mark.law(test)

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

    if settings.default.derandomize:  # which laws would all draw the same by: the function is one
        draw = seed(zlib.crc32(repr(body).split(" at 0x")[0].encode()))(draw)
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
