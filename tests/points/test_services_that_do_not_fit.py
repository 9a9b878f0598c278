"""Services of several points say which of them a request does not fit on."""

import math

import pytest

import jaxlimits as jl

ROOMY = {"chip": "h200", "tp_size": 8}
SMALL = {"chip": "h100", "tp_size": 1}
TIGHT = {"chip": "l40s", "tp_size": 1}


@pytest.mark.parametrize(
    ("prefill", "decode", "named"),
    [
        (ROOMY, ROOMY, ()),
        (SMALL, ROOMY, ("prefill needs",)),
        (ROOMY, SMALL, ("decode needs",)),
        (SMALL, SMALL, ("prefill needs", "decode needs")),
        (ROOMY, {**ROOMY, "batch_size": 1000}, ("decode needs",)),
    ],
)
def test_what_does_not_fit_is_named_and_by_how_much(prefill, decode, named):
    found = jl.disaggregated(
        "llama3-70b", prefill=prefill, decode=decode, input_len=32_768, output_len=1024
    )
    assert math.isnan(found.request_latency) == bool(named)
    assert (found.reason == "fits") == (not named)
    for part in named:
        assert part in found.reason
        assert part in repr(found)
    share = found.decode.capacity_utilisation
    assert (f"decode needs {share:.2f} × the usable memory" in found.reason) == (share > 1.0)


@pytest.mark.parametrize(
    ("writes", "judges", "named"),
    [
        (ROOMY, None, ()),
        (TIGHT, None, ("generation needs",)),
        (ROOMY, ROOMY, ()),
        (ROOMY, TIGHT, ("judgement needs",)),
        (TIGHT, TIGHT, ("generation needs", "judgement needs")),
    ],
)
def test_the_call_that_does_not_fit_is_named(writes, judges, named):
    found = jl.best_of(
        4,
        "llama3-70b",
        judge=None if judges is None else {"llm": "llama3-70b", **judges},
        input_len=1024,
        output_len=128,
        **writes,
    )
    assert math.isnan(found.latency) == bool(named)
    assert (found.reason == "fits") == (not named)
    for part in named:
        assert part in found.reason
        assert part in repr(found)
