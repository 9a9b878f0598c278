"""Models from their ``config.json``, as published on Hugging Face, in the catalog's own form.

What a configuration says of the shape goes into the same fields that the shipped entries have; what
the record has no field for is named in the entry's note, or refused where the shape would be wrong
without it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxlimits.catalog.config_keys import Config
from jaxlimits.catalog.entries import Entry
from jaxlimits.catalog.model_families import Family, families, family_fields
from jaxlimits.catalog.quantisation import stored_bits
from jaxlimits.errors import InputError

_TEXT_PARTS = ("text_config", "language_config", "llm_config")
_TOWERS = ("vision_config", "audio_config", "vision_tower")


def is_model_config(name: str, folder: Path) -> bool:
    """Whether the name of an LLM is a path to a configuration, or to a folder that holds one."""
    inside = (Path(name, "config.json"), folder / name / "config.json")
    return name.endswith(".json") or any(path.is_file() for path in inside)


def read_model_config(path: Path, *, name: str) -> Entry:
    """Read a ``config.json`` into a catalog entry.

    Parameters
    ----------
    path
        The file, or the folder that it lies in.
    name
        What to call the entry.

    Raises
    ------
    InputError
        No such file, no JSON, no language model, an architecture that is not known or that has a
        part which the record cannot hold.
    """
    file = path / "config.json" if path.is_dir() else path
    whole = _parsed(file)
    inner = next((whole[part] for part in _TEXT_PARTS if isinstance(whole.get(part), dict)), None)
    values = {**whole, **(inner or {})}
    family = _family(values, where=str(file))
    config = Config(values, where=str(file), defaults=family.defaults)
    config.left_out += [f"{key} (not the language model)" for key in _TOWERS if whole.get(key)]
    fields = family_fields(family, config)
    return Entry(
        kind="llms",
        name=name,
        origin=str(file),
        words={
            "title": _title(whole),
            "source": f"{file}; norms and biases as in transformers",
            "note": _note(config),
        },
        raw={field: value for field, value in fields.items() if value},
    )


def _parsed(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"is no JSON: {error}", where=str(file)) from None
    if not isinstance(content, dict) or not ({"model_type", "architectures"} & content.keys()):
        remedy = "name the config.json of a model on Hugging Face"
        raise InputError("is no model configuration", where=str(file), remedy=remedy)
    return content


def _family(values: Mapping[str, Any], *, where: str) -> Family:
    kind, known = str(values.get("model_type")), families()
    if kind in known:
        return known[kind]
    raise InputError(
        "is no architecture that is known",
        where=where,
        key="model_type",
        value=kind,
        remedy=f"known are {', '.join(known)}; or write an entry by hand",
    )


def _title(whole: Mapping[str, Any]) -> str:
    named = whole.get("_name_or_path") or (whole.get("architectures") or ["a model"])[0]
    return f"{named} (from its configuration)"


def _note(config: Config) -> str:
    for key in ("num_nextn_predict_layers", "num_mtp_modules", "mtp_num_hidden_layers"):
        if config.count(key):
            config.left_out.append(f"{key} = {config.count(key)} (multi-token prediction)")
    if config.count("n_group") > 1:
        config.left_out.append("n_group (routing is taken as uniform over all experts)")
    stored = stored_bits(config.values, where=config.where)
    left_out = f" Left out: {'; '.join(config.left_out)}." if config.left_out else ""
    return f"Stored with {stored}.{left_out}"
