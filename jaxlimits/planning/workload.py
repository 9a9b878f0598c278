"""A workload: how many requests come in a second, and how long they are."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from jaxlimits import schema, units
from jaxlimits.errors import InputError
from jaxlimits.values import as_written, parse_number

MOST_CLASSES = 16
"""Lengths of prompts that are told apart: more are grouped by quantiles, each at its mean."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """Requests by time and their lengths, in classes of prompts.

    Parameters
    ----------
    rate
        Requests in a second [1/s].
    input_lens, output_lens
        Tokens of the prompts and of the answers of each class, in the order of the prompts.
    shares
        Share of the requests that each class has; they add up to 1.
    source
        Where the lengths come from, in words.
    prefix_share
        Share of all tokens of prompts that prompts before them hold already [1].

    Examples
    --------
    >>> import jaxlimits as jl
    >>> jl.Workload.of_lengths([(1000, 100), (3000, 300)], rate="4 request/s").mean_input_len
    2000.0
    """

    rate: float
    input_lens: tuple[float, ...]
    output_lens: tuple[float, ...]
    shares: tuple[float, ...]
    source: str
    prefix_share: float = 0.0

    @classmethod
    def of_lengths(
        cls,
        lengths: Iterable[Sequence[float]],
        *,
        rate: object,
        source: str = "stated lengths",
        prefix_share: float = 0.0,
    ) -> "Workload":
        """Make a workload of pairs of a prompt's and an answer's length, one for each request.

        Parameters
        ----------
        lengths
            Tokens in and out; a third number is the weight of the pair, 1 by default.
        rate
            Requests in a second, as ``"10 request/s"`` or a number.
        source
            What the lengths are, in words.
        prefix_share
            Share of all tokens of prompts that are reused from a cache [1].

        Raises
        ------
        InputError
            No request, a length that is not a whole number above 0, a rate that is not above 0, a
            share outside 0 to 1.
        """
        rows = np.array([(*pair, 1.0)[:3] for pair in lengths], np.float64).reshape(-1, 3)
        if not len(rows):
            raise InputError("holds no request", key="lengths", remedy="give at least one")
        bad = (rows[:, :2] < 1.0) | (rows[:, :2] != np.floor(rows[:, :2])) | (rows[:, 2:] <= 0.0)
        if bad.any():
            place = int(np.argmax(bad.any(axis=1)))
            pair = ", ".join(f"{value:g}" for value in rows[place])
            problem = f"request {place + 1} has the lengths and weight {pair}"
            remedy = "lengths are whole numbers of tokens above 0, weights are above 0"
            raise InputError(problem, key="lengths", remedy=remedy)
        grouped = _grouped(rows)
        total = grouped[:, 2].sum()
        return cls(
            rate=read_rate(rate),
            input_lens=tuple(grouped[:, 0].tolist()),
            output_lens=tuple(grouped[:, 1].tolist()),
            shares=tuple((grouped[:, 2] / total).tolist()),
            source=source,
            prefix_share=parse_number(
                schema.FIELDS["prefix_share"], prefix_share, key="prefix_share"
            ),
        )

    @property
    def mean_input_len(self) -> float:
        """Mean tokens of a prompt."""
        return float(np.dot(self.shares, self.input_lens))

    @property
    def mean_output_len(self) -> float:
        """Mean tokens of an answer."""
        return float(np.dot(self.shares, self.output_lens))

    @property
    def reused_tokens(self) -> float:
        """Mean tokens of a prompt that are reused."""
        return self.prefix_share * self.mean_input_len

    @property
    def mean_request(self) -> dict[str, int]:
        """The fields of a request of the mean lengths, in whole tokens."""
        return {
            "input_len": max(round(self.mean_input_len), 1),
            "output_len": max(round(self.mean_output_len), 1),
        }

    @property
    def mean_context(self) -> float:
        r"""Context of a decode step in the mean over all tokens of answers.

        .. math:: \frac{\sum w\,O\,(I + O/2)}{\sum w\,O}
        """
        tokens = np.multiply(self.shares, self.output_lens)
        middle = np.add(self.input_lens, np.divide(self.output_lens, 2.0))
        return float(np.dot(tokens, middle) / tokens.sum())

    def prompt_at(self, percentile: float) -> float:
        """The least length that so many percent of the prompts do not exceed."""
        reached = np.cumsum(self.shares) >= percentile / 100.0 - 1e-12
        return self.input_lens[int(np.argmax(reached))]

    def __repr__(self) -> str:
        return f"Workload({self.words}; {self.source})"

    @property
    def words(self) -> str:
        """Rate and lengths in words."""
        lengths = f"{self.mean_input_len:,.0f} tokens in, {self.mean_output_len:,.0f} out"
        mean = " in the mean" if len(self.shares) > 1 else ""
        reused = f", {self.prefix_share:.1%} of them reused" if self.prefix_share else ""
        return f"{self.rate:g} request/s, {lengths}{mean}{reused}"


def read_rate(raw: object) -> float:
    """Return a rate of requests in SI units; a plain number is one by the second."""
    written = as_written(raw, key="rate")
    if isinstance(written, (int, float)) and not isinstance(written, bool):
        written = f"{written} request/s"
    remedy = "write how many requests come, as '10 request/s'"
    try:
        rate = parse_number(schema.output("request_rate"), written, key="rate")
    except InputError:
        problem = "is not a rate of requests"
        raise InputError(problem, key="rate", value=raw, remedy=remedy) from None
    if not (rate > 0.0 and math.isfinite(rate)):
        raise InputError("must be above 0", key="rate", value=raw, remedy=remedy)
    return rate


def _grouped(rows: np.ndarray) -> np.ndarray:
    """Requests in classes by the length of their prompts, each at the means of its lengths."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    if len(np.unique(rows[:, :2], axis=0)) <= MOST_CLASSES:
        pairs, places = np.unique(rows[:, :2], axis=0, return_inverse=True)
        weights = np.bincount(places.ravel(), weights=rows[:, 2])
        return np.column_stack([pairs, weights])
    middle = np.cumsum(rows[:, 2]) - 0.5 * rows[:, 2]
    groups = np.minimum((middle / rows[:, 2].sum() * MOST_CLASSES).astype(int), MOST_CLASSES - 1)
    weights = np.bincount(groups, weights=rows[:, 2], minlength=MOST_CLASSES)
    sums = [
        np.bincount(groups, weights=rows[:, column] * rows[:, 2], minlength=MOST_CLASSES)
        for column in (0, 1)
    ]
    kept = weights > 0.0
    means = [np.maximum(np.round(total[kept] / weights[kept]), 1.0) for total in sums]
    return np.column_stack([*means, weights[kept]])


def rate_in_words(rate: float) -> str:
    """A rate of requests as users write it."""
    return units.show(rate, "Hz").replace("Hz", "request/s")
