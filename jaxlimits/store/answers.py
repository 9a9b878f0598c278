"""What an answer that is not a sweep says of itself: its attributes, the values that it is of."""

import datetime
from collections.abc import Mapping
from typing import Any

from jaxlimits._version import __version__
from jaxlimits.store.provenance import FORMAT_VERSION
from jaxlimits.store.template import Entry, single_coordinate


def answer_attributes(title: str, *, question: str, done: str, comment: str = "") -> dict[str, Any]:
    """Return the attributes of an answer, as those of a sweep begin.

    Parameters
    ----------
    title
        What it is.
    question
        What was asked, in a line that a figure may have above it.
    done
        What was done, for its history.
    comment
        How to read it.
    """
    written = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    made_by = f"jaxlimits {__version__}"
    return {
        "Conventions": "CF-1.11",
        "title": title,
        "question": question,
        "source": f"{made_by}, limit model of arXiv:2507.14397",
        "references": "https://arxiv.org/abs/2507.14397",
        "history": f"{written} {made_by}: {done}",
        **({"comment": comment} if comment else {}),
        "format_version": FORMAT_VERSION,
        "jaxlimits_version": __version__,
    }


def single_coordinates(values: Mapping[str, str | float | int]) -> dict[str, Entry]:
    """Return fields and names that do not vary as coordinates without a dimension, in SI units."""
    return {name: single_coordinate(name, value) for name, value in values.items()}
