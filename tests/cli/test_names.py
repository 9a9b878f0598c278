"""Fields, metrics and switches by ``jaxlimits catalog``, and American spellings."""

import pytest

from jaxlimits import schema
from tests.command_line import run


@pytest.mark.parametrize(
    ("kind", "known"),
    [("fields", schema.FIELDS), ("metrics", schema.OUTPUTS), ("switches", schema.SWITCHES)],
)
def test_every_name_is_listed_with_its_meaning(kind, known):
    lines = run("catalog", kind).out.splitlines()
    first = [line.split()[0] for line in lines if line.startswith("  ")]
    assert set(known) <= set(first)
    facts = run("catalog", kind, "--json").json
    assert [each["name"] for each in facts] == list(known)
    assert all(each["meaning"] for each in facts)


def test_a_field_says_its_record_unit_default_and_values():
    facts = run("catalog", "fields", "sync_latency", "--json").json
    assert (facts["record"], facts["unit"]) == ("chip", "s")
    shown = run("catalog", "fields", "batch_size").out
    for part in ("sequences in one micro-batch", "deployment", "a whole number, at least 1"):
        assert part in shown
    assert "weight_bits" in run("catalog", "fields", "expert_bits").out


def test_a_metric_says_what_it_needs_and_a_code_what_it_means():
    assert "input_len" in run("catalog", "metrics", "ttft").out
    assert "base_power" in run("catalog", "metrics", "power").out
    assert "3 capacity" in run("catalog", "metrics", "limit").out


def test_a_switch_says_its_choices():
    facts = run("catalog", "switches", "kv_sharding", "--json").json
    assert (facts["default"], facts["choices"]) == ("heads", ["heads", "split"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fields", "mem_bww"), "unknown field 'mem_bww'; did you mean mem_bw"),
        (("metrics", "utpss"), "unknown metric 'utpss'; did you mean utps"),
        (("switches", "rooflin"), "unknown switch 'rooflin'; did you mean roofline"),
        (("field",), "unknown kind of entry 'field'; did you mean fields"),
    ],
)
def test_an_unknown_name_is_said_with_what_is_near(arguments, says):
    done = run("catalog", *arguments)
    assert done.code == 2
    assert says in done.err


def test_american_spellings_are_accepted():
    british = run("best", "smoke", "--where", "utps >= 50", "--maximise", "stps", "--json")
    american = run("best", "smoke", "--where", "utps >= 50", "--maximize", "stps", "--json")
    assert american.json == british.json
    assert run("best", "smoke", "--minimize", "tpot", "--json").code == 0
    help_page = run("optimize", "--help")
    assert help_page.code == 0
    assert "--maximise" in help_page.out
    assert "optimize" not in run("--help").out


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            (),
            "seq_len = 4,096 token (default); kv_sharding = heads (default); "
            "collective_algorithm = auto: best (default)",
        ),
        (
            ("seq_len=100", "kv_sharding=split"),
            "seq_len = 100 token (set); kv_sharding = split (set)",
        ),
        (("link_bw=0 GB/s",), "collective_algorithm = auto: constant (default)"),
        (
            ("input_len=1000", "output_len=500"),
            "context of the request: decode at 1,250 token in the mean, room for 1,500",
        ),
        (("collective_algorithm=best",), "collective_algorithm = best (set)"),
    ],
)
def test_a_point_says_at_which_context_and_by_which_conventions_it_is(settings, says):
    options = ["--llm", "llama3-8b", "--chip", "h100"]
    for setting in settings:
        options += ["--set", setting]
    assert says in run("point", *options).out
    assert says in run("point", *options, "--json").json["rests_on"]


def test_a_solution_says_at_which_context_and_by_which_conventions_it_is():
    options = ("--llm", "llama3-8b", "--chip", "h100", "--set", "seq_len=100")
    done = run("solve", *options, "--for", "batch_size", "--target", "utps >= 5")
    assert "seq_len = 100 token (set); kv_sharding = heads (default)" in done.out


@pytest.mark.parametrize(
    ("sought", "says"),
    [("seq_len", "context as sought"), ("input_len", "its mean, room for its full length")],
)
def test_a_context_that_is_sought_is_said_to_be(sought, says):
    options = ("--llm", "llama3-8b", "--chip", "h100", "--for", sought)
    assert says in run("solve", *options, "--target", "tpot <= 10 ms/token").out
