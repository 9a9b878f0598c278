"""What a grid's answers rest on beside bits, in words."""

import pytest

import jaxlimits as jl

NAMED = {"llm": "llama3-8b", "chip": "h100"}


@pytest.mark.parametrize(
    ("axes", "base", "says"),
    [
        ({"batch_size": [1, 2]}, {}, "seq_len = 4,096 token (default); kv_sharding = heads (def"),
        ({"batch_size": [1, 2]}, {"seq_len": 9}, "seq_len = 9 token (set); "),
        (
            {"seq_len": [1, 2]},
            {"kv_sharding": "split"},
            "seq_len varies; kv_sharding = split (set)",
        ),
        (
            {"kv_sharding": ["split", "heads"]},
            {},
            "; kv_sharding varies; collective_algorithm = auto: best (def",
        ),
        ({"batch_size": [1, 2]}, {"chip": "xpu-hbm3"}, "= auto: constant (default)"),
        (
            {"batch_size": [1, 2]},
            {"chip": "xpu-hbm3", "interconnect": "nvlink4"},
            "= auto: best (default)",
        ),
        ({"link_bw": ["1 GB/s", "2 GB/s"]}, {"chip": "xpu-hbm3"}, "= auto: best (default)"),
        (
            {"chip": ["h100", "xpu-hbm3", "b200"]},
            {"collective_algorithm": "auto"},
            "collective_algorithm = auto: best on h100 and b200, constant on xpu-hbm3 (set)",
        ),
        (
            {"chip": ["a100", "h100", "h200", "xpu-hbm4", "b200"]},
            {},
            "= auto: best on a100, h100, h200 and others, constant on xpu-hbm4 (default)",
        ),
        (
            {"link_bw": ["0 GB/s", "1 GB/s"]},
            {},
            "= auto: best where link_bw is stated, constant where it is not (default)",
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
    named = {name: value for name, value in NAMED.items() if name not in axes}
    result = jl.sweep({"outputs": ["utps"], "base": {**named, **base}, "axes": axes})
    assert says in result.attrs["rests_on"]
