"""Shipped models beside their configurations, transformers' classes, and the names of a board."""

import csv
import json
import math
from pathlib import Path

import pytest

import jaxlimits as jl
from jaxlimits.catalog.entries import find_entry
from jaxlimits.catalog.loader import entry_values, load_catalog
from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from tests.catalog.releases import RELEASES

GOLDEN = Path(__file__).parents[1] / "golden"
CATALOG = load_catalog()
_TABLE = (GOLDEN / "transformers_totals.csv").read_text(encoding="utf-8")
TOTALS = {row["input"]: row for row in csv.DictReader(_TABLE.splitlines())}

# Shipped models by the configuration that they come from, a file here or a release's keys.
CONFIGURED = {
    "qwen2.5-7b": "configs/qwen2.5-7b.json",
    "qwen2.5-72b": "configs/qwen2.5-72b.json",
    "qwen3-8b": "configs/qwen3-8b.json",
    "qwen3-32b": "configs/qwen3-32b.json",
    "llama3.2-1b": "configs/llama-3.2-1b.json",
    "mistral-7b": "configs/mistral-7b-v0.1.json",
    "mixtral-8x7b": "configs/mixtral-8x7b.json",
    "gemma2-9b": "configs/gemma-2-9b.json",
    "gemma3-4b": "configs/gemma-3-4b-it.json",
    "gemma3-27b": "configs/gemma-3-27b-it.json",
    "deepseek-v2-lite": "configs/deepseek-v2-lite.json",
    "deepseek-v2": "configs/deepseek-v2.json",
    "glm-4.5": "configs/glm-4.5.json",
    "glm-4.5-air": "configs/glm-4.5-air.json",
    "minimax-m2": "configs/minimax-m2.json",
    "gemma3n-e4b": "releases/gemma-3n-e4b",
    "phi-4": "releases/phi-4",
    "kimi-linear-48b": "releases/kimi-linear-48b-a3b",
    "minimax-text-01": "releases/minimax-text-01",
    "olmo3-32b": "releases/olmo-3-32b",
    "seed-oss-36b": "releases/seed-oss-36b",
    "hunyuan-a13b": "releases/hunyuan-a13b",
    "longcat-flash": "releases/longcat-flash",
    "dbrx": "releases/dbrx",
    "jamba": "releases/jamba-v0.1",
    "granite-4.0-h-small": "releases/granite-4.0-h-small",
    "falcon-h1-7b": "releases/falcon-h1-7b",
    "lfm2-8b": "releases/lfm2-8b-a1b",
    "dots1": "releases/dots.llm1",
    "command-r-plus": "releases/command-r-plus",
}
# Those of which no file lies here, by the row of a file that aiconfigurator ships.
COUNTED = {
    "qwen3-0.6b": "Qwen--Qwen3-0.6B",
    "qwen3-coder-480b": "Qwen--Qwen3-Coder-480B-A35B-Instruct",
    "qwen3.5-27b": "Qwen--Qwen3.5-27B",
    "qwen3.5-35b": "Qwen--Qwen3.5-35B-A3B",
    "qwen3.5-122b": "Qwen--Qwen3.5-122B-A10B",
    "qwen3.5-397b": "Qwen--Qwen3.5-397B-A17B",
    "mixtral-8x22b": "mistralai--Mixtral-8x22B-v0.1",
    "gemma4-26b": "google--gemma-4-26B-A4B",
    "gemma4-31b": "nvidia--Gemma-4-31B-IT-NVFP4",
    "deepseek-v4-flash": "deepseek-ai--DeepSeek-V4-Flash",
    "deepseek-v4-pro": "deepseek-ai--DeepSeek-V4-Pro",
    "kimi-k2.5": "moonshotai--Kimi-K2.5",
    "glm-5": "zai-org--GLM-5",
    "glm-5.2": "zai-org--GLM-5.2",
    "minimax-m2.5": "MiniMaxAI--MiniMax-M2.5",
    "minimax-m3": "MiniMaxAI--MiniMax-M3",
    "nemotron-h-56b": "nvidia--Nemotron-H-56B-Base-8K",
    "nemotron-3-nano": "nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    "nemotron-3-super": "nvidia--NVIDIA-Nemotron-3-Super-120B-A12B-FP8",
    "nemotron-3-ultra": "nvidia--NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16",
    "mimo-v2-flash": "XiaomiMiMo--MiMo-V2-Flash",
    "step-3.7-flash": "stepfun-ai--Step-3.7-Flash",
}
BY_HAND = {"kimi-k3", "llama-nemotron-49b"}
"""No class of transformers has their layers: hand counts are in ``test_more_families.py``."""

NOT_THE_SHAPE = {"nominal_params", "nominal_active_params"}
NOT_THE_SHAPE |= {"measured_model", "measured_attention"}


def configuration(row, folder):
    """The file of a row of totals."""
    kind, _, inside = row.partition("/")
    if kind == "configs":
        return GOLDEN / row
    path = folder / "config.json"
    path.write_text(json.dumps(RELEASES[inside].config), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", CONFIGURED)
def test_a_shipped_model_has_the_shape_of_its_configuration(name, tmp_path):
    shipped = CATALOG.values("llm", name)
    read = entry_values(read_model_config(configuration(CONFIGURED[name], tmp_path), name="mine"))
    shape = {field for field in shipped if not field.endswith("_bits")} - NOT_THE_SHAPE
    assert {field: shipped[field] for field in shape} == {field: read[field] for field in shape}


ROWS = CONFIGURED | {name: f"aiconfigurator/{file}_config.json" for name, file in COUNTED.items()}


@pytest.mark.parametrize("name", ROWS)
def test_totals_of_a_shipped_model_are_those_of_its_class_in_transformers(name):
    shape, row = shape_of(find_entry(CATALOG.entries, "llms", name)), TOTALS[ROWS[name]]
    assert shape.total_params == pytest.approx(float(row["total_params"]), rel=1e-3)
    assert shape.active_params == pytest.approx(float(row["active_params"]), rel=1e-3)


@pytest.mark.parametrize("name", sorted({*ROWS, *BY_HAND}))
def test_names_state_about_as_many_parameters_as_are_stored(name):
    entry = find_entry(CATALOG.entries, "llms", name)
    nominal = entry.raw.get("nominal_params")
    if nominal:
        assert math.isclose(shape_of(entry).total_params, nominal, rel_tol=0.06)


# The board of InferenceX: chips and models as it writes them.
CHIPS = ("H100", "H200", "B200", "B300", "GB200", "GB300", "MI300X", "MI325X", "MI355X")
MODELS = (
    *("DeepSeek-R1", "gpt-oss-120b", "Llama-3.3-70B", "Qwen3.5-397B-A17B", "Kimi-K2.5"),
    *("MiniMax-M2.5", "GLM-5", "DeepSeek-V4"),
)


def test_all_72_cells_of_the_board_evaluate_by_their_names():
    cells = jl.sweep(llm=list(MODELS), chip=list(CHIPS), tp_size=16, outputs=["utps", "feasible"])
    assert cells.utps.shape == (8, 9)
    assert cells.utps.where(cells.feasible == 1).notnull().sum() == (cells.feasible == 1).sum()
    assert int((cells.feasible == 1).sum()) >= 64  # sixteen chips of 80 GB hold no DeepSeek-V4
