"""Models from their ``config.json``, as published on Hugging Face, in the catalog's own form.

What a configuration says of the shape goes into the same fields that the shipped entries have, and
so does the precision that it states; what the record has no field for is named in the entry's note,
or refused where the shape would be wrong without it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlimits.catalog.block_configs import with_lists
from jaxlimits.catalog.config_keys import Config
from jaxlimits.catalog.entries import Entry
from jaxlimits.catalog.model_families import Family, family_fields, family_of
from jaxlimits.catalog.module_names import Anatomy
from jaxlimits.catalog.quantisation import read_precision
from jaxlimits.catalog.text_files import read_json
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
        The file, or the folder that it lies in. A ``hf_quant_config.json`` beside it counts.
    name
        What to call the entry.

    Raises
    ------
    InputError
        No such file, no JSON, no language model, an architecture that is not known or that has a
        part which the record cannot hold, a quantisation that is not known.
    """
    file = path / "config.json" if path.is_dir() else path
    whole = _parsed(file)
    inner = next((whole[part] for part in _TEXT_PARTS if isinstance(whole.get(part), dict)), None)
    values = {**whole, **(inner or {})}
    anatomy, left_out = read_anatomy(values, where=str(file))
    towers = [f"{key} (not the language model)" for key in _TOWERS if whole.get(key)]
    precision = read_precision(values, anatomy, where=str(file), beside=file.parent)
    return Entry(
        kind="llms",
        name=name,
        origin=str(file),
        words={
            "title": _title(whole, where=str(file)),
            "source": f"{file}; norms and biases as in transformers",
            "note": _note([*towers, *left_out], precision.words),
        },
        raw={key: value for key, value in {**anatomy.fields, **precision.fields}.items() if value},
    )


def read_anatomy(values: Mapping[str, Any], *, where: str) -> tuple[Anatomy, list[str]]:
    """Read the shape of a language model, and what that leaves out.

    Parameters
    ----------
    values
        The keys of the language model.
    where
        The file.
    """
    values = with_lists(values, where=where)
    family = family_of(values, where=where)
    config = _config(values, family, where=where)
    fields, places = family_fields(family, config)
    anatomy = Anatomy(fields=fields, places=places, mixer=family.mixer, called=family.called)
    return anatomy, [*config.left_out, *_beside(config)]


def _parsed(file: Path) -> dict[str, Any]:
    content = read_json(file)
    if not isinstance(content, dict) or not ({"model_type", "architectures"} & content.keys()):
        remedy = "name the config.json of a model on Hugging Face"
        raise InputError("is not a model configuration", where=str(file), remedy=remedy)
    return content


def _config(values: Mapping[str, Any], family: Family, *, where: str) -> Config:
    """The keys of a family, with those of its tables within."""
    within = [values[key] for key in family.tables if isinstance(values.get(key), dict)]
    merged = {key: value for table in within for key, value in table.items()}
    return Config(
        {**merged, **values},
        where=where,
        defaults=family.defaults,
        keys=family.keys,
        kinds=family.kinds,
        counted=family.counted,
    )


def _title(whole: Mapping[str, Any], *, where: str) -> str:
    classes = whole.get("architectures") or ["a model"]
    if not isinstance(classes, list):
        remedy = 'write ["LlamaForCausalLM"]'
        raise InputError(
            "must be a list", where=where, key="architectures", value=classes, remedy=remedy
        )
    return f"{whole.get('_name_or_path') or classes[0]} (from its configuration)"


def _beside(config: Config) -> list[str]:
    """What no family counts."""
    mtp = ("num_nextn_predict_layers", "num_mtp_modules", "mtp_num_hidden_layers")
    words = [f"{key} = {n} (multi-token prediction)" for key in mtp if (n := config.count(key))]
    if config.count("n_group") > 1:
        words.append("n_group (routing is taken as uniform over all experts)")
    return words


def _note(left_out: Sequence[str], precision: str) -> str:
    return f"{precision} Left out: {'; '.join(left_out)}." if left_out else precision
