"""Totals of the classes of transformers, without weights: the independent reference of the shapes.

It runs with the Python of an environment that has torch and transformers, and uses nothing of
jaxlimits. Each configuration's class for language models is built on the meta device; towers for
images and sound are left out. With no option the table is printed.

    python tests/catalog/reference_totals.py --write   write the committed table
    python tests/catalog/reference_totals.py --check   fail where it is not what is committed

Configurations: ``golden/configs``, ``golden/model_files``, ``releases.py``, and those that the
package aiconfigurator_core ships, read where it is installed.
"""

import argparse
import copy
import csv
import difflib
import importlib.util
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from transformers import AutoConfig
from transformers.models.auto import modeling_auto as classes

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
TABLE = GOLDEN / "transformers_totals.csv"
HEADER = ("input", "model_type", "class", "transformers", "total_params", "active_params")

NOT_SHAPE = ("quantization_config", "auto_map", "torch_dtype", "dtype", "per_layer_config")
TEXT_PARTS = ("text_config", "language_config", "llm_config")
TOWER_PARTS = ("vision_config", "audio_config")
SAME_CLASS = {
    "deepseek_ref": "deepseek_v4",
    "kimi_k2": "deepseek_v3",
    "mimo": "qwen2",
    "minimax_m1": "minimax",
    "minimax_m3": "minimax_m3_vl_text",
    "minimax_text_01": "minimax",
}
"""Types that repositories use for what transformers has under another name."""

UNKNOWN = {"routed_expert_hidden_size"}
"""Keys of models that are more than the class of their type, which would leave them out unsaid."""

WITHIN = {"step3p5": "step3p7"}
"""Language models whose class is there with its towers alone."""

NO_MODEL = ("crash_", "draft_head")
"""Files that are broken on purpose, and a head that is not a model of the class it names."""

TOWERS = re.compile(r"vision|visual|audio|projector|embed_vision|embed_audio")
ROUTED = re.compile(r"\.(experts|block_sparse_moe\.(input|output)_linear)\.")
USED = ("num_experts_per_tok", "top_k_experts", "moe_k", "moe_topk", "moe_top_k")
HELD = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


def inputs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every configuration, by the name of its row."""
    for folder in ("configs", "model_files"):
        for path in sorted((GOLDEN / folder).rglob("*.json")):
            if not path.name.startswith((*NO_MODEL, "hf_quant_config")):
                name = path.relative_to(GOLDEN / folder).as_posix()
                yield f"{folder}/{name}", json.loads(path.read_text(encoding="utf-8-sig"))
    sys.path.insert(0, str(HERE))
    from releases import RELEASES

    yield from ((f"releases/{name}", release.config) for name, release in RELEASES.items())
    for path in corpus():
        yield f"aiconfigurator/{path.name}", json.loads(path.read_text(encoding="utf-8-sig"))


def corpus() -> list[Path]:
    """The files of aiconfigurator_core, none where it is not installed."""
    found = importlib.util.find_spec("aiconfigurator_core")
    places = found.submodule_search_locations if found is not None else None
    files = (file for place in places or () for file in Path(place).rglob("*_config.json"))
    return sorted(file for file in files if not file.name.endswith("_hf_quant_config.json"))


def row(name: str, stated: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The row of a configuration, ``None`` where transformers has no class for it."""
    values = {key: value for key, value in stated.items() if key not in NOT_SHAPE}
    inner = next((values[part] for part in TEXT_PARTS if isinstance(values.get(part), dict)), {})
    whole = {key: value for key, value in values.items() if key not in (*TEXT_PARTS, *TOWER_PARTS)}
    flat = translated({**whole, **inner})
    if not UNKNOWN.isdisjoint(flat):
        return None
    kind = inner.get("model_type") or values["model_type"]
    kind = SAME_CLASS.get(kind, kind)
    class_name = classes.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    if class_name is None or class_name.endswith("ForConditionalGeneration"):
        kind = WITHIN.get(values["model_type"], values["model_type"])
        class_name = classes.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(kind)
    if class_name is None:
        return None
    if class_name.endswith("ForConditionalGeneration"):
        flat = copy.deepcopy(dict(values)) if inner else {"text_config": flat}
    total, active = counted(kind, class_name, flat)
    return (name, kind, class_name, transformers.__version__, str(total), str(active))


def translated(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with lists as the classes know them."""
    known = copy.deepcopy(dict(values))
    if (kinds := known.pop("attn_type_list", None)) and 0 in kinds:
        known["layer_types"] = ["full_attention" if kind else "linear_attention" for kind in kinds]
    return known


def counted(kind: str, class_name: str, values: Mapping[str, Any]) -> tuple[int, int]:
    """Parameters in all, and those that one token uses."""
    config = AutoConfig.for_model(kind, **{k: v for k, v in values.items() if k != "model_type"})
    with torch.device("meta"):
        model = getattr(transformers, class_name)(config)
    model.tie_weights()
    parameters = {name: p for name, p in model.named_parameters() if not TOWERS.search(name)}
    total = sum(p.numel() for p in parameters.values())
    routed = sum(p.numel() for name, p in parameters.items() if ROUTED.search(name))
    if not routed:
        return total, total
    text = config.get_text_config()
    used, held = stated_number(text, USED), stated_number(text, HELD)
    idle = getattr(text, "zero_expert_num", 0) or 0
    # The class makes room for the first matrices of experts that compute nothing.
    empty = sum(
        p.numel() * idle // (held + idle)
        for name, p in parameters.items()
        if idle and name.endswith("experts.gate_up_proj")
    )
    routed -= empty
    return total - empty, total - empty - routed + routed * used // (held + idle)


def stated_number(config: Any, names: tuple[str, ...]) -> int:
    """The first number that a configuration states, one for all layers where it lists them."""
    places = (config, getattr(config, "ffn_config", None))
    value = next(found for at in places for name in names if (found := getattr(at, name, None)))
    return value[0] if isinstance(value, list) else value


def table() -> str:
    """The whole table, as it is committed."""
    rows = (row(name, values) for name, values in inputs())
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerows([HEADER, *(each for each in rows if each is not None)])
    return written.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the committed table")
    parser.add_argument("--check", action="store_true", help="fail where it differs")
    chosen = parser.parse_args()
    new = table()
    if chosen.write:
        TABLE.write_text(new, encoding="utf-8")
    elif not chosen.check:
        sys.stdout.write(new)
    else:
        old = TABLE.read_text(encoding="utf-8").splitlines()
        changes = list(difflib.unified_diff(old, new.splitlines(), "committed", "found", n=0))
        sys.stdout.write("\n".join([*changes, f"{len(old) - 1} rows, {len(changes)} changes\n"]))
        sys.exit(bool(changes))


if __name__ == "__main__":
    main()
