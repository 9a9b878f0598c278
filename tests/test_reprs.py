"""What a session shows of records and results: a line or a few, with units."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.run.pipeline import load_grid

CATALOG = jl.load_catalog()


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (jl.Deployment(), "Deployment()"),
        (jl.Site(electricity_price=1e-8), "Site(electricity_price=1e-08 USD/J)"),
        (
            jl.Deployment(tp_size=8.0, roofline="operator"),
            "Deployment(tp_size=8, roofline='operator')",
        ),
        (jl.Deployment(tp_size=jnp.float32(2.0)), "Deployment(tp_size=2)"),
        (
            eqx.tree_at(lambda d: d.tp_size, jl.Deployment(), np.ones(3)),
            "Deployment(tp_size=float64[3])",
        ),
    ],
)
def test_a_record_shows_what_is_not_as_by_default(record, text):
    assert repr(record) == text


def test_a_traced_record_shows_what_is_traced():
    shown = []
    jax.eval_shape(lambda x: shown.append(repr(jl.Deployment(tp_size=x))), jnp.float32(8.0))
    assert shown == ["Deployment(tp_size=float32[])"]
    assert repr(jax.tree.map(lambda _: None, jl.Site())).startswith("Site(depreciation_time=None")


@pytest.mark.parametrize("llm", CATALOG.llms)
def test_no_model_takes_more_than_a_few_lines(llm):
    assert len(repr(CATALOG.llm(llm)).splitlines()) <= 9


@pytest.mark.filterwarnings("ignore::jaxlimits.AnnouncedChipWarning")
@pytest.mark.parametrize("chip", CATALOG.chips)
def test_a_chip_shows_its_rates_with_units(chip):
    text = repr(CATALOG.chip(chip))
    assert len(text.splitlines()) <= 6
    assert max(map(len, text.splitlines())) <= 100
    assert " B/s" in text
    assert " FLOP/s" in text


def test_metrics_show_the_rates_and_what_binds():
    text = repr(jl.evaluate("llama3-8b", "h100"))
    assert text.startswith("Metrics(utps=219")
    assert text.endswith("limit=memory, feasible=True)")
    assert len(text.splitlines()) <= 3


def test_a_solution_shows_what_is_needed_for_what():
    found = jl.solve("llama3-8b", "h200", solve_for="mem_bw", target=250)
    assert repr(found) == "Solution(mem_bw=3.82 TB/s for utps >= 250 token/s: met; now 4.8 TB/s)"


def test_a_catalog_counts_its_entries_and_an_entry_says_where_it_stands():
    assert repr(CATALOG).startswith(f"Catalog({len(CATALOG.llms)} llms, ")
    assert repr(CATALOG.chips["h100"]).startswith("Entry(chips.h100: ")


def test_a_grid_shows_its_axes_and_not_its_text():
    spec = load_grid("smoke")
    assert repr(spec).startswith("GridSpec(smoke: mem_bw 25 × sync_latency 10 × seq_len 5")
    assert len(repr(spec.file)) < 100


def test_services_show_times_and_rates():
    machine = {"chip": "h100"}
    both = jl.disaggregated(
        "llama3-8b", prefill=machine, decode=machine, input_len=64, output_len=64
    )
    assert repr(both).startswith("Disaggregated(ttft=")
    vote = jl.best_of(2, "llama3-8b", "h100", input_len=64, output_len=64)
    assert repr(vote).startswith("Answer(latency=")
    assert len(repr(both)) + len(repr(vote)) < 300
