"""Rows that a fit takes, by rules that look at the table alone."""

from jaxlimits.calibration.measurements import read_measurements
from jaxlimits.calibration.selection import CROWDED, PROMPTS, select

HEADER = "system,precision,model,tp,concurrency,ctx_in,ctx_out,utps,engine,version"


def selected(tmp_path, catalog, *rows):
    path = tmp_path / "served.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return select(read_measurements([path], catalog))


def test_runs_that_many_more_requests_hardly_slow_contradict_their_series(tmp_path, catalog):
    found = selected(
        tmp_path,
        catalog,
        "8xH200-SXM,FP8,Llama-3-70B,8,64,1024,8192,50,vllm,0.1",
        "8xH200-SXM,FP8,Llama-3-70B,8,511,1024,8192,49,vllm,0.1",  # not eight times as many
        "8xH200-SXM,FP8,Llama-3-70B,8,512,1024,8192,47.4,vllm,0.1",  # 0.948 of the speed
        "8xH200-SXM,FP8,Llama-3-70B,8,513,1024,8192,47.6,vllm,0.2",  # 0.952, in another version
        "8xH200-SXM,FP8,Llama-3-70B,8,514,1024,8192,49,sglang,0.1",  # another engine
        "4xH200-SXM,FP8,Llama-3-70B,4,515,1024,8192,49,vllm,0.1",  # another machine
    )
    crowded = [each.settings["batch_size"] for each in found.because(CROWDED)]
    assert crowded == [513.0]
    assert len(found.kept) == 5


def test_steps_with_many_prompt_tokens_are_compared_and_not_fitted(tmp_path, catalog):
    rows = [f"8xH200-SXM,FP8,Llama-3-70B,8,{n},{n},4096,50,vllm,0.1" for n in (1024, 1025)]
    found = selected(tmp_path, catalog, *rows)
    assert [each.input_len for each in found.because(PROMPTS)] == [1025.0]
    assert [each.input_len for each in found.kept] == [1024.0]
