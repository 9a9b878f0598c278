"""Traces of requests in the forms of two public ones, and what is wrong with others."""

import subprocess
import sys

import pytest

import jaxlimits as jl

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2225670,879,55
"""
MOONCAKE = """{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}
{"timestamp": 3000, "input_length": 7322, "output_length": 490, "hash_ids": [0, 2]}
{"timestamp": 6000, "input_length": 7236, "output_length": 794, "hash_ids": [0, 3]}
"""


def written(folder, text: str, name: str = "trace.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_form_of_azures_trace_is_read(tmp_path):
    work = jl.read_trace(written(tmp_path, AZURE))
    assert work.rate == pytest.approx(2 / (51.222567 - 46.680590), rel=1e-6)
    assert work.mean_input_len == pytest.approx((374 + 396 + 879) / 3)
    assert work.mean_output_len == pytest.approx((44 + 109 + 55) / 3)


def test_the_form_of_mooncakes_trace_is_read_in_milliseconds(tmp_path):
    work = jl.read_trace(written(tmp_path, MOONCAKE, "trace.jsonl"))
    assert work.rate == pytest.approx(2 / 6.0)
    assert work.input_lens == (6758.0, 7236.0, 7322.0)


def test_blocks_that_a_prompt_before_had_are_reused(tmp_path):
    # Of 21,316 tokens the second and the third prompt find their first block of 512.
    work = jl.read_trace(written(tmp_path, MOONCAKE, "trace.jsonl"))
    assert work.prefix_share == 2 * 512 / (6758 + 7322 + 7236)
    # A block counts at the beginning of a prompt alone, and no more tokens than the prompt has.
    rows = ["input_len,output_len,hash_ids", '1024,10,"[7, 8]"', '1000,10,"[9, 8]"']
    rows += ['600,10,"[7, 8]"', '512,10,""']
    work = jl.read_trace(written(tmp_path, "\n".join(rows)), rate=1)
    assert work.prefix_share == 600 / (1024 + 1000 + 600 + 512)


def test_a_further_turn_of_a_session_reuses_all_before_it(tmp_path):
    # 100 + 20 tokens are there at the second turn of a; b is new; the third turn is shorter.
    rows = ["input_len,output_len,session_id", "100,20,a", "100,20,b", "150,30,a", "170,5,a"]
    work = jl.read_trace(written(tmp_path, "\n".join(rows)), rate=1)
    assert work.prefix_share == (120 + 170) / 520


def test_a_row_says_how_much_of_its_prompt_is_reused(tmp_path):
    # Half of 1,000, 300 of 600, one token, all of 50, none: 851 of 1,950 tokens.
    rows = ["input_len,output_len,prefix", "1000,10,0.5", "600,10,300", "200,10,1", "50,10,1.0"]
    rows += ["100,10,0"]
    work = jl.read_trace(written(tmp_path, "\n".join(rows)), rate=1)
    assert work.prefix_share == pytest.approx((500 + 300 + 1 + 50) / 1950, rel=1e-15)
    lines = [f'{{"input_length": 8, "output_length": 1, "prefix": {n}}}' for n in ("0.25", "1", 4)]
    work = jl.read_trace(written(tmp_path, "\n".join(lines), "t.jsonl"), rate=1)
    assert work.prefix_share == (2 + 1 + 4) / 24


def test_what_a_row_says_comes_before_what_blocks_show(tmp_path):
    # The second prompt's block was there before, but a cache found 100 tokens; the third one's row
    # says nothing, and its block of 512 tokens was there.
    rows = ["input_len,output_len,hash_ids,prefix", "600,10,[1],", "600,10,[1],100", "600,10,[1],"]
    work = jl.read_trace(written(tmp_path, "\n".join(rows)), rate=1)
    assert work.prefix_share == (100 + 512) / 1800


PREFIX = "input_len,output_len,prefix\n100,10,0.5\n100,10,{}\n"


def test_without_names_nothing_is_known_to_be_reused(tmp_path):
    assert jl.read_trace(written(tmp_path, AZURE)).prefix_share == 0.0


def test_a_stated_rate_takes_the_place_of_the_traces(tmp_path):
    path = written(tmp_path, "input_len,output_len\n100,10\n300,10\n")
    work = jl.read_trace(path, rate="5 request/s")
    assert work.rate == 5.0
    with pytest.raises(jl.InputError, match="does not say how often"):
        jl.read_trace(path)


def test_many_lengths_are_grouped_and_keep_their_means():
    lengths = [(100 + 7 * n, 10 + n % 50) for n in range(5000)]
    work = jl.Workload.of_lengths(lengths, rate=1)
    assert len(work.shares) == 16
    assert sum(work.shares) == pytest.approx(1.0)
    mean = sum(n for n, _ in lengths) / 5000
    assert work.mean_input_len == pytest.approx(mean, rel=1e-3)
    assert work.prompt_at(50.0) == pytest.approx(mean, rel=0.1)
    assert work.prompt_at(100.0) == work.input_lens[-1]


def test_the_context_in_the_mean_is_that_of_tokens_not_of_requests():
    # 10 tokens at 1,005, 1,000 tokens at 600: (10 x 1005 + 1000 x 600) / 1010 = 604.0.
    work = jl.Workload.of_lengths([(1000, 10), (100, 1000)], rate=1)
    assert work.mean_context == pytest.approx((10 * 1005 + 1000 * 600) / 1010)


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (AZURE.replace("396", "0"), "t.csv", r"line 3.*contexttokens.*above 0"),
        (AZURE.replace("396", "4.5"), "t.csv", r"line 3.*whole number"),
        (AZURE.replace("109", ""), "t.csv", r"line 3.*no output length"),
        (AZURE.replace("18:15:51", "18:15:41"), "t.csv", r"line 4.*before the row above"),
        (AZURE.replace("2023-11-16 18:15:51.2225670", "now"), "t.csv", r"line 4.*is not a time"),
        ("TIMESTAMP,ContextTokens\n1,2\n", "t.csv", r"line 2.*no output length"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "t.csv", "holds no request"),
        ("", "t.csv", "holds no request"),
        (MOONCAKE.replace("[0, 2]", "5"), "t.jsonl", r"line 2.*hash_ids.*are not a list"),
        (MOONCAKE.replace("[0, 2]", "[[1]]"), "t.jsonl", r"line 2.*hash_ids.*are not a list"),
        ('{"input_length": 1}\n[]\n', "t.jsonl", r"line 1.*no output length"),
        ("{\n", "t.jsonl", r"line 1.*is not a JSON object"),
        (PREFIX.format("-0.1"), "t.csv", r"t\.csv: line 3: prefix.*-0\.1.*neither a share"),
        (PREFIX.format("1.5"), "t.csv", r"line 3: prefix.*1\.5.*neither a share"),
        (PREFIX.format("nan"), "t.csv", r"line 3: prefix.*nan.*neither a share"),
        (PREFIX.format("inf"), "t.csv", r"line 3: prefix"),
        (PREFIX.format("half"), "t.csv", r"line 3: prefix.*half.*neither a share"),
        (PREFIX.format("101"), "t.csv", r"line 3: prefix.*101.*more than the prompt.*100 tokens"),
        (
            '{"input_length": 9, "output_length": 1, "prefix": [1]}',
            "t.jsonl",
            r"line 1: prefix.*neither a share",
        ),
        (
            '{"input_length": 9, "output_length": 1, "prefix": true}',
            "t.jsonl",
            r"line 1: prefix.*neither a share",
        ),
    ],
)
def test_a_row_that_is_wrong_is_named_by_its_line(tmp_path, text, name, says):
    with pytest.raises(jl.InputError, match=says):
        jl.read_trace(written(tmp_path, text, name))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(jl.InputError, match=r"none\.csv.*cannot be read"):
        jl.read_trace(tmp_path / "none.csv")


def test_a_share_of_prompts_lies_between_none_and_all():
    with pytest.raises(jl.InputError, match="prefix_share"):
        jl.Workload.of_lengths([(5, 1)], rate=1, prefix_share=1.5)
    assert "40.0% of them reused" in repr(
        jl.Workload.of_lengths([(5, 1)], rate=1, prefix_share=0.4)
    )


@pytest.mark.parametrize(
    ("lengths", "rate", "says"),
    [
        ([], 1, "holds no request"),
        ([(0, 1)], 1, "request 1"),
        ([(5, 1), (5, 1.5)], 1, "request 2"),
        ([(5, 1)], 0, "must be above 0"),
        ([(5, 1)], "3 GB", "rate"),
    ],
)
def test_a_workload_that_cannot_be_is_refused(lengths, rate, says):
    with pytest.raises(jl.InputError, match=says):
        jl.Workload.of_lengths(lengths, rate=rate)


READ = """
import resource, sys
import jaxlimits as jl
def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
jl.read_trace(sys.argv[1])
before = peak()
work = jl.read_trace(sys.argv[2])
print(work.rate, peak() - before)
"""
"""The rate of the second trace, and memory beyond what the first one took [1/s, B]."""


@pytest.mark.slow
def test_ten_million_rows_are_read_in_little_memory(tmp_path):
    for name, count in (("short", 1000), ("long", 10_000_000)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8") as file:
            file.write("timestamp,input_len,output_len\n")
            for start in range(0, count, 1000):
                rows = (f"{n},{n % 97 + 1},{n % 89 + 1}" for n in range(start, start + 1000))
                file.write("\n".join(rows) + "\n")
    traces = [str(tmp_path / f"{name}.csv") for name in ("short", "long")]
    command = [sys.executable, "-c", READ, *traces]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    rate, grown = map(float, done.stdout.split())
    assert rate == pytest.approx(1.0)
    assert grown < 64e6
