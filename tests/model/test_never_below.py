"""A prediction is never below its limit: by construction, and at a million random points.

At so many its slopes are finite too; the gate has those of ``test_overlay.py``.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlimits.catalog.loader import load_catalog
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.evaluate import evaluate
from jaxlimits.model.request import Request
from jaxlimits.model.site import DEFAULT_SITE

LLMS = ("llama3-8b", "llama3-70b", "deepseek-v3", "deepseek-v3.2", "gpt-oss-120b", "qwen3-235b")
LLMS += ("kimi-k2", "kimi-linear-48b")
CHIPS = ("h100", "b200", "mi300x", "xpu-hbm4", "a100")
ENGINES = ("vllm", "sglang", "trtllm", "engines")
FABRICS = ("vllm-h100", "trtllm-b200", "vllm-b200", "vllm-mi300x")
BLOCK = 20_000


def stacked(records):
    return jax.tree.map(lambda *numbers: np.array(numbers, dtype=np.float32), *records)


@pytest.fixture(scope="module")
def times():
    """Predicted and limit times at a drawn point."""
    catalog = load_catalog()
    tables = (
        stacked([catalog.chip(name) for name in CHIPS]),
        stacked([catalog.llm(name) for name in LLMS]),
        stacked([catalog.calibration(name) for name in ENGINES]),
        stacked([catalog.fabric(name) for name in FABRICS]),
    )

    def point(places, sizes):
        chip, llm, calibration, fabric = (
            jax.tree.map(lambda column, at=at: jnp.asarray(column)[at], table)
            for table, at in zip(tables, places, strict=True)
        )
        tp, ep, dp, batch, seq, prompt, answer = sizes
        deployment = Deployment(
            tp_size=tp, ep_size=ep, dp_size=dp, batch_size=batch, seq_len=seq, mixed_steps="even"
        )
        request = Request(input_len=prompt, output_len=answer)
        return chip, llm, deployment, DEFAULT_SITE, request, None, calibration, fabric

    def times(places, sizes):
        chip, *others = point(places, sizes)
        roomy = jax.tree.map(lambda x: x, chip)
        roomy = roomy.__class__(**{**vars(chip), "mem_capacity": jnp.float32(1e18)})
        found = evaluate(roomy, *others)
        return found.calibrated_t_step, found.t_step

    return times


def drawn(count, random):
    places = [
        random.integers(0, len(names), count).astype(np.int32)
        for names in (CHIPS, LLMS, ENGINES, FABRICS)
    ]
    tp = 2.0 ** random.integers(0, 5, count)
    ep = np.where(random.random(count) < 0.5, 1.0, tp)
    dp = 2.0 ** random.integers(0, 4, count)
    batch = np.round(2.0 ** random.uniform(0.0, 11.0, count))
    seq = np.round(2.0 ** random.uniform(8.0, 20.0, count))
    prompt = np.where(random.random(count) < 0.5, 0.0, np.round(seq / 2.0))
    answer = np.round(2.0 ** random.uniform(4.0, 13.0, count))
    sizes = [x.astype(np.float32) for x in (tp, ep, dp, batch, seq, prompt, answer)]
    return places, sizes


def assert_never_below(predicted, limit):
    predicted, limit = np.asarray(predicted), np.asarray(limit)
    assert np.all(np.isfinite(predicted))
    assert np.all(predicted >= limit)


def test_no_prediction_is_below_its_limit(times):
    assert_never_below(*jax.jit(jax.vmap(times))(*drawn(BLOCK, np.random.default_rng(11))))


@pytest.mark.slow
def test_no_prediction_of_a_million_is_below_its_limit_and_its_slopes_are_finite(times):
    def both(places, sizes):
        return times(places, sizes), jax.grad(lambda sizes: times(places, sizes)[0])(sizes)

    program, random = jax.jit(jax.vmap(both)), np.random.default_rng(11)
    for _ in range(50):
        (predicted, limit), slopes = program(*drawn(BLOCK, random))
        assert_never_below(predicted, limit)
        assert all(np.all(np.isfinite(slope)) for slope in slopes)
