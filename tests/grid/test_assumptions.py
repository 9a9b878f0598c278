"""What a grid's answers rest on beside bits, in words."""

import pytest

import jaxlimits as jl

NAMED = {"llm": "llama3-8b", "chip": "h100"}


@pytest.mark.parametrize(
    ("axes", "base", "says"),
    [
        ({"batch_size": [1, 2]}, {}, "seq_len = 4,096 token (default); kv_sharding = split (def"),
        ({"batch_size": [1, 2]}, {"seq_len": 9}, "seq_len = 9 token (set); "),
        (
            {"seq_len": [1, 2]},
            {"kv_sharding": "heads"},
            "seq_len varies; kv_sharding = heads (set)",
        ),
        (
            {"kv_sharding": ["split", "heads"]},
            {},
            "; kv_sharding varies; collective_algorithm = con",
        ),
        (
            {"batch_size": [1, 2]},
            {"input_len": 1000, "output_len": 500},
            "context of the request: decode at 1,250 token in the mean, room for 1,500; ",
        ),
        (
            {"input_len": [10, 20]},
            {},
            "context of each request: decode at input_len + output_len / 2,"
            " room for input_len + output_len; ",
        ),
    ],
)
def test_a_result_says_at_which_context_and_by_which_conventions_it_is(axes, base, says):
    result = jl.sweep({"outputs": ["utps"], "base": {**NAMED, **base}, "axes": axes})
    assert says in result.attrs["rests_on"]
