"""Published anchors from Python: a row for each, and what moves them."""

import pytest

import jaxlimits as jl


def test_every_anchor_holds_and_says_what_it_is():
    found = jl.validate()
    assert found.sizes["anchor"] > 40
    assert set(found.verdict.values) == {"ok", "known"}
    assert set(found.status.values) <= {"published", "inferred", "ours"}
    first = found.sel(anchor="utps llama3-405b xpu-hbm3 TP8 4096")
    assert first.stated == 86.0
    assert round(float(first.value)) == 86


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"llm": "llama3-8b"}, "validate: llm: each anchor has its own"),
        ({"mem": 2}, "validate: mem: unknown field 'mem'; did you mean mem_bw"),
        ({"mem_bw_scale": [1, 2]}, "validate: mem_bw_scale: holds 2 values"),
        ({"mem_bw_scale": "2 s"}, "validate: mem_bw_scale: '2 s'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(jl.InputError, match=says):
        jl.validate(**settings)
