"""What a grid must state, and must not state twice, for its answers to mean what they say."""

from collections.abc import Collection, Iterable

from jaxlimits import schema
from jaxlimits.errors import InputError


def refuse_two_contexts(named: Collection[str], *, requested: bool, where: str = "") -> None:
    """Raise where a context is stated beside a request, which has a context of its own.

    Parameters
    ----------
    named
        Every name that is set, varied or solved for.
    requested
        Whether an ``input_len`` above 0 is stated, or one is solved for.
    where
        What to name in an error.

    Raises
    ------
    InputError
        With both names and what to leave out.
    """
    stated = next(
        (name for name in ("seq_len", f"seq_len{schema.SCALE_SUFFIX}") if name in named), None
    )
    if stated is None or not requested:
        return
    problem = (
        "is stated beside a request, whose lengths set the context: decode steps are at"
        " input_len + output_len / 2, and input_len + output_len has to fit"
    )
    remedy = f"leave out {stated}, or input_len and output_len"
    raise InputError(problem, where=where, key=stated, remedy=remedy)


_CALLS_FOR = {
    "calibration": ("a calibration", 'calibration = "vllm" or another'),
    "input_len": ("a request", "input_len = 4096 or another length"),
}
"""What metrics need, by the name to set, and how it is written."""


def refuse_unstated(
    metrics: Iterable[str], named: Collection[str], *, where: str = "", key: str
) -> None:
    """Raise where a metric, or one that a sensitivity is of, says nothing for lack of a setting.

    Parameters
    ----------
    metrics
        Metrics, sensitivities of metrics, or anything else, which is passed over.
    named
        Every name that is set, varied or solved for.
    where, key
        What to name in an error.

    Raises
    ------
    InputError
        A calibrated metric without a calibration, one of a request without a request.
    """
    unstated = schema.unstated_metrics(named)
    for name in metrics:
        asked = schema.sensitivity(name)
        metric = name if asked is None else asked.metric
        if metric in unstated:
            setting = next(s for s, found in schema.CONDITIONAL.items() if metric in found)
            needed, example = _CALLS_FOR[setting]
            remedy = f"state {example}, in [base], as an axis or by `overrides`"
            raise InputError(f"needs {needed}", where=where, key=key, value=name, remedy=remedy)
