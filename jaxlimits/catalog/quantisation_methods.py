"""How each quantisation method writes in a configuration what it quantised, and to what.

A format's bits are those of one value and its share of a scale and a zero point. What the formats
of ModelOpt are, and which module is which part of a model, is data: ``quantisation.toml``.

References
----------
The configuration classes of transformers, compressed-tensors, ModelOpt, Quark and MLX (published);
which modules a method leaves where its file says nothing is inferred from their code.
"""

from collections.abc import Callable, Mapping, Sequence

from jaxlimits.catalog.config_keys import Table
from jaxlimits.catalog.module_names import Format, Patterns, Scheme, stated

ELSEWHERE = "or take quantization_config out of a copy, and set weight_bits"
"""What to do about a quantisation that is not known."""

_EXPERT_DTYPES = {"": None, "fp8": None, "fp4": Format(4.0 + 8.0 / 32.0, 8)}
_BLOCKED = 32.0 / (128 * 128)
_INFINITE_GROUP = -1


def scheme_of(table: Table) -> Scheme:
    """Return what a table of quantisation says is quantised, and how.

    Raises
    ------
    InputError
        A method that is not known, or one that is not stated as it should be.
    """
    method = table.text("quant_method").lower() or _unnamed(table)
    if method not in _METHODS:
        remedy = f"known are {', '.join(_METHODS)}; {ELSEWHERE}"
        raise table.wrong("quant_method", "is not a known quantisation", remedy=remedy)
    return _METHODS[method](table)


def _unnamed(table: Table) -> str:
    """The method of a table that does not name it, by its other keys."""
    keys = {"quant_algo": "modelopt", "config_groups": "compressed-tensors", "bits": "mlx"}
    return next((method for key, method in keys.items() if key in table.values), "")


def _patterns(table: Table, written: Sequence[str], key: str) -> Patterns:
    return Patterns(written, where=table.where, key=f"{table.key}.{key}")


def _but(table: Table, *keys: str, always: Sequence[str] = ()) -> tuple[Patterns, None]:
    """Modules that stay as they were."""
    written = [text for key in keys for text in table.texts(key)]
    return _patterns(table, [*written, *always], keys[0]), None


def _linear(table: Table, how: Format | None) -> tuple[Patterns, Format | None]:
    return _patterns(table, ["Linear"], "targets"), how


def _group(table: Table, key: str, default: int) -> int:
    """Values that share a scale; 0 where a whole channel does."""
    if table.values.get(key) == _INFINITE_GROUP:
        return 0
    return table.whole(key, default)


_HEAD = ("lm_head",)


def _fp8(table: Table) -> Scheme:
    """FP8 weights and activations, in blocks or whole; transformers leaves the LM head."""
    bits, key = 8.0, "weight_block_size"
    if table.values.get(key) is not None:
        block = table.values[key]
        sizes = block if isinstance(block, list) else ()
        if len(sizes) != 2 or not all(isinstance(n, int) and n >= 1 for n in sizes):
            remedy = "write [128, 128]"
            raise table.wrong(key, "must be a list of two whole numbers above 0", remedy=remedy)
        bits += 32.0 / (sizes[0] * sizes[1])
    stay = _but(table, "modules_to_not_convert", "ignored_layers", always=_HEAD)
    own = _named_modules(table) or _fp4_experts(table)
    return Scheme("fp8", (stay, *own, _linear(table, Format(bits, 8))))


def _fp4_experts(table: Table) -> list[tuple[Patterns, Format]]:
    """Routed experts in MXFP4 beside FP8, whose products keep FP8 activations (DeepSeek-V4)."""
    dtype = table.text("expert_dtype")
    if dtype not in _EXPERT_DTYPES:
        remedy = f"known are {', '.join(filter(None, _EXPERT_DTYPES))}; {ELSEWHERE}"
        raise table.wrong("expert_dtype", "is not a known format", remedy=remedy)
    how = _EXPERT_DTYPES[dtype]
    return [] if how is None else [(_patterns(table, ["experts"], "expert_dtype"), how)]


def _fbgemm_fp8(table: Table) -> Scheme:
    """FP8 with a scale a row of weights and a token of activations."""
    stay = _but(table, "modules_to_not_convert", always=_HEAD)
    return Scheme("fbgemm_fp8", (stay, _linear(table, Format(8.0, 8))))


def _integers(table: Table, *, zeros: bool) -> Format:
    """Integers with a scale, and where stored a zero point, a group."""
    bits, group = table.whole("bits", least=1), _group(table, "group_size", 128)
    shared = 16.0 + (bits if zeros else 0.0)
    return Format(float(bits) + (shared / group if group else 0.0), 16)


def _awq(table: Table) -> Scheme:
    how = _integers(table, zeros=table.flag("zero_point", default=True))
    stay = _but(table, "modules_to_not_convert", always=_HEAD)
    return Scheme("awq", (stay, _linear(table, how)))


def _gptq(table: Table) -> Scheme:
    """GPTQ's packed form keeps a zero point a group, symmetric or not."""
    how = _integers(table, zeros=True)
    head = () if table.flag("lm_head", default=False) else _HEAD
    name = table.text("quant_method").lower()
    return Scheme(
        name,
        (
            *_dynamic(table),
            _but(table, "modules_to_not_convert", always=head),
            _linear(table, how),
        ),
    )


def _dynamic(table: Table) -> list[tuple[Patterns, Format | None]]:
    """Modules with settings of their own: ``+:`` an expression, ``-:`` for those that stay."""
    rules: list[tuple[Patterns, Format | None]] = []
    for written, own in table.tables("dynamic").items():
        names = _patterns(table, [f"re:{written.removeprefix('+:').removeprefix('-:')}"], "dynamic")
        values = {**table.values, **own.values}
        merged = Table(values, where=own.where, key=own.key)
        rules.append((names, None if written.startswith("-:") else _integers(merged, zeros=True)))
    return rules


def _bitsandbytes(table: Table) -> Scheme:
    """NF4 in blocks of 64 with FP32 scales, or FP8 ones in blocks of 256; or INT8 by rows.

    References
    ----------
    QLoRA, arXiv:2305.14314 (published).
    """
    stay = _but(table, "llm_int8_skip_modules", always=_HEAD)
    if table.flag("load_in_8bit", default=False):
        return Scheme("bitsandbytes 8-bit", (stay, _linear(table, Format(8.0, 8))))
    if not table.flag("load_in_4bit", default=False):
        remedy = "state load_in_4bit or load_in_8bit as true"
        raise table.wrong("load_in_4bit", "is not true, nor is load_in_8bit", remedy=remedy)
    double = table.flag("bnb_4bit_use_double_quant", default=False)
    scales = 8.0 / 64.0 + 32.0 / (64.0 * 256.0) if double else 32.0 / 64.0
    return Scheme("bitsandbytes 4-bit", (stay, _linear(table, Format(4.0 + scales, 16))))


def _mxfp4(table: Table) -> Scheme:
    """Of GPT-OSS: experts alone are converted, whatever else is not named."""
    stay = _but(table, "modules_to_not_convert")
    experts = _patterns(table, ["mlp.experts"], "targets")
    return Scheme("mxfp4", (stay, (experts, Format(4.0 + 8.0 / 32.0, 16))))


def _compressed_tensors(table: Table) -> Scheme:
    """Every group of ``config_groups`` with the modules that it targets."""
    groups = table.tables("config_groups")
    rules: list[tuple[Patterns, Format | None]] = [_but(table, "ignore")]
    for group in groups.values():
        weights = group.table("weights")
        if weights is None:
            continue
        how = _compressed(weights, group, group.text("format") or table.text("format"))
        rules.append((_patterns(group, group.texts("targets") or ["Linear"], "targets"), how))
    if len(rules) == 1:
        remedy = "state config_groups with the weights of each"
        raise table.wrong("config_groups", "states no weights", remedy=remedy)
    return Scheme(table.text("quant_method").lower() or "compressed-tensors", rules)


def _compressed(weights: Table, group: Table, form: str) -> Format:
    bits = weights.whole("num_bits", least=1)
    activations = group.table("input_activations")
    operand = 16 if activations is None else _width(activations.whole("num_bits", least=1))
    return Format(bits + _compressed_scale(weights, bits, form), operand)


def _compressed_scale(weights: Table, bits: int, form: str) -> float:
    """Bits of scales a weight: one a group, or one a block; none a channel or a tensor."""
    if weights.values.get("block_structure") is not None:
        block = weights.values["block_structure"]
        if not isinstance(block, list) or not all(isinstance(n, int) and n > 0 for n in block):
            remedy = "write [128, 128]"
            raise weights.wrong("block_structure", "must be a list of whole numbers", remedy=remedy)
        rows, columns = [*block, 1, 1][:2]
        return 32.0 / (rows * columns)
    if weights.text("strategy") == "block":
        return _BLOCKED
    size = _group(weights, "group_size", 0)
    if not size:
        return 0.0
    is_float = weights.text("type") == "float"
    tiny = is_float and (bits == 4 or form.startswith("mx"))  # FP8 or E8M0
    zeros = 0 if is_float or weights.flag("symmetric", default=True) else bits
    return ((8.0 if tiny else 16.0) + zeros) / size


def _width(bits: int) -> int:
    return 4 if bits <= 4 else 8 if bits <= 8 else 16


def _modelopt(table: Table) -> Scheme:
    """One format for all, or one a module (``quantized_layers``), or groups.

    ModelOpt leaves the LM head, whether the file says so or not.
    """
    stay = _but(table, "ignore", "exclude_modules", always=_HEAD)
    if own := _named_modules(table):
        return Scheme("modelopt, mixed", (stay, *own))
    groups = table.values.get("config_groups")
    if isinstance(groups, Mapping) and len(groups) > 1:
        return _compressed_tensors(table)
    how = _algorithm(table)
    return Scheme(f"modelopt {table.text('quant_algo')}", (stay, _linear(table, how)))


def _named_modules(table: Table) -> list[tuple[Patterns, Format]]:
    """Modules with a format of their own: files name each expert, in a few formats."""
    named: dict[Format, list[str]] = {}
    for name, layer in table.tables("quantized_layers").items():
        named.setdefault(_algorithm(layer), []).append(name)
    return [(_patterns(table, each, "quantized_layers"), how) for how, each in named.items()]


def _algorithm(table: Table) -> Format:
    known = stated()["algorithms"]
    name = table.text("quant_algo").upper()
    if name not in known:
        remedy = f"known are {', '.join(known)}; {ELSEWHERE}"
        raise table.wrong("quant_algo", "is not a known format", remedy=remedy)
    own = known[name]
    group = own.get("group", 1)
    if own.get("own_group"):
        group = _group(table, "group_size", group) or group
    return Format(float(own["bits"] + own.get("scale", 0) / group), own["operand"])


def _quark(table: Table) -> Scheme:
    """One format for all (``global_quant_config``), and modules with their own."""
    rules: list[tuple[Patterns, Format | None]] = [_but(table, "exclude")]
    for name, own in table.tables("layer_quant_config").items():
        rules.append((_patterns(table, [name], "layer_quant_config"), _quark_format(own)))
    common = table.table("global_quant_config")
    if common is None:
        raise table.wrong("global_quant_config", "is missing", remedy="state it, as Quark does")
    return Scheme("quark", (*rules, _linear(table, _quark_format(common))))


def _quark_format(table: Table) -> Format | None:
    weights, inputs = table.table("weight"), table.table("input_tensors")
    if weights is None:
        return None
    bits = _quark_width(weights)
    group = _group(weights, "group_size", 0)
    scale = 8.0 if weights.text("scale_format") == "e8m0" else 16.0
    operand = 16 if inputs is None else _width(_quark_width(inputs))
    return Format(float(bits) + (scale / group if group else 0.0), operand)


def _quark_width(table: Table) -> int:
    known = {"fp4": 4, "int4": 4, "uint4": 4, "fp8_e4m3": 8, "fp8_e5m2": 8, "int8": 8}
    name = table.text("dtype")
    if name not in known:
        remedy = f"known are {', '.join(known)}; {ELSEWHERE}"
        raise table.wrong("dtype", "is not a known format", remedy=remedy)
    return known[name]


_MLX_SCALES = {"affine": 32.0, "mxfp4": 8.0, "mxfp8": 8.0, "nvfp4": 8.0}
_MLX_GROUPS = {"affine": 64, "mxfp4": 32, "mxfp8": 32, "nvfp4": 16}


def _mlx(table: Table) -> Scheme:
    """Every linear layer and the embedding; modules with settings of their own by name."""
    rules: list[tuple[Patterns, Format | None]] = []
    for name, own in table.values.items():
        names = _patterns(table, [name], "quantization")
        if own is False:
            rules.append((names, None))
        elif isinstance(own, Mapping):
            rules.append((names, _mlx_format(Table(own, where=table.where, key=name))))
    everything = _patterns(table, ["Linear", "Embedding"], "quantization")
    return Scheme("MLX", (*rules, (everything, _mlx_format(table))))


def _mlx_format(table: Table) -> Format:
    mode = table.text("mode") or "affine"
    if mode not in _MLX_SCALES:
        remedy = f"known are {', '.join(_MLX_SCALES)}"
        raise table.wrong("mode", "is not a known format", remedy=remedy)
    group = table.whole("group_size", _MLX_GROUPS[mode], least=1)
    return Format(table.whole("bits", least=1) + _MLX_SCALES[mode] / group, 16)


_METHODS: Mapping[str, Callable[[Table], Scheme]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fbgemm_fp8,
    "awq": _awq,
    "gptq": _gptq,
    "auto-round": _gptq,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed_tensors,
    "mxfp4": _mxfp4,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "modelopt_mixed": _modelopt,
    "quark": _quark,
    "mlx": _mlx,
}
