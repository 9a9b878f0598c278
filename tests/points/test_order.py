"""A model and a chip in the other order are refused, with the right one, at every entry."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxlimits as jl

ROOT = Path(__file__).parents[2]
SERVICE = {"input_len": 64, "output_len": 64}
ENTRIES = {
    "evaluate": jl.evaluate,
    "operators": jl.operators,
    "solve": lambda *pair: jl.solve(*pair, solve_for="mem_bw", target=10),
    "best_of": lambda *pair: jl.best_of(2, *pair, **SERVICE),
}
SWAPPED = """
import json
import jaxlimits as jl

catalog = jl.load_catalog()
llm, chip = catalog.llm("llama3-8b"), catalog.chip("h100")
entries = {
    "evaluate": jl.evaluate,
    "operators": jl.operators,
    "solve": lambda *pair: jl.solve(*pair, solve_for="mem_bw", target=10),
}
said = {}
for name, entry in entries.items():
    for given in ((chip, llm), (llm, 7), ("llama3-8b", llm)):
        try:
            entry(*given)
        except jl.InputError as error:
            said.setdefault(name, []).append(str(error))
try:
    jl.sweep(llm="llama3-8b", chip=["h100"], output=["utps"])
except jl.InputError as error:
    said["sweep"] = str(error)
print(json.dumps(said))
"""


@pytest.mark.parametrize("entry", ENTRIES)
def test_names_in_the_other_order_are_told_what_they_are(entry):
    place = f"^{entry}: llm: "
    with pytest.raises(jl.InputError, match=place + r"'h200' is a chip; the order is \(llm, chip"):
        ENTRIES[entry]("h200", "llama3-8b")
    with pytest.raises(jl.InputError, match=r"chip: 'llama3-70b' is an llm; the order is"):
        ENTRIES[entry]("llama3-8b", "llama3-70b")


def test_a_name_that_is_neither_is_told_the_nearest():
    with pytest.raises(jl.InputError, match="evaluate: chip: unknown chip 'h10'; did you mean"):
        jl.evaluate("llama3-8b", "h10")


def test_services_take_records_and_counts_as_any_library_has_them():
    catalog = jl.load_catalog()
    sizes = {"tp_size": np.int64(2), "batch_size": "8"}
    named = jl.disaggregated(
        "llama3-8b", prefill={"chip": "h100"}, decode={"chip": "h100", **sizes}, **SERVICE
    )
    chip = catalog.chip("h100")
    by_record = jl.disaggregated(
        catalog.llm("llama3-8b"), prefill={"chip": chip}, decode={"chip": chip, **sizes}, **SERVICE
    )
    assert repr(by_record) == repr(named)


def test_an_error_within_a_service_names_its_part():
    with pytest.raises(jl.InputError, match=r"^disaggregated: prefill: names no chip"):
        jl.disaggregated("llama3-8b", prefill={}, decode={"chip": "h100"}, **SERVICE)
    both = {"prefill": {"chip": "h100"}, "decode": {"chip": "h100", "tp_sise": 2}}
    with pytest.raises(jl.InputError, match=r"^disaggregated: decode\.tp_sise: unknown field"):
        jl.disaggregated("llama3-8b", **both, **SERVICE)


def test_records_in_the_other_order_are_told_the_right_one():
    # In a process of its own, where no type checker of the tests stands before.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SWAPPED], capture_output=True, text=True, env=environment, check=True
    )
    said = json.loads(done.stdout)
    for entry in ("evaluate", "operators", "solve"):
        swapped, number, twice = said[entry]
        assert swapped == (
            f"{entry}: llm: is of type Chip; a name or an instance of LLM is due; "
            "the order is (llm, chip)"
        )
        assert number.startswith(f"{entry}: chip: is of type int; a name or an instance of Chip")
        assert twice.startswith(f"{entry}: chip: is of type LLM; a name or an instance of Chip")
    assert said["sweep"].startswith(
        "sweep: output = ['utps']: is not a path; give the path of a file"
    )
