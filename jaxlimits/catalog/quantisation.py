"""How many bits a stored weight takes, scales included, from a model's configuration."""

from collections.abc import Callable, Mapping
from typing import Any

_DTYPES = {"bfloat16": 16, "float16": 16, "float32": 32, "float8_e4m3fn": 8}
_SCALE_BITS = 16.0


def stored_bits(values: Mapping[str, Any], *, where: str) -> str:
    """Say which ``weight_bits`` a model's published weights have, and what they leave out.

    Parameters
    ----------
    values
        The configuration: ``quantization_config``, else ``torch_dtype`` (or ``dtype``).
    where
        The file, for the words.
    """
    quantised = values.get("quantization_config")
    if not isinstance(quantised, Mapping):
        dtype = str(values.get("torch_dtype") or values.get("dtype") or "bfloat16")
        bits = _DTYPES.get(dtype.removeprefix("torch."))
        return f"weight_bits = {bits} ({dtype})" if bits else f"{dtype}, which is not known"
    method = str(quantised.get("quant_method", "")).lower()
    bits = _bits(method, quantised)
    if bits is None:
        return f"a quantisation that is not known ({method or where}): set weight_bits yourself"
    kept = quantised.get("modules_to_not_convert") or quantised.get("ignore") or ()
    beside = f", all but {len(kept)} kinds of modules" if kept else ""
    return f"weight_bits = {bits:.4g} ({method}, scales included{beside})"


def _bits(method: str, quantised: Mapping[str, Any]) -> float | None:
    return _METHODS[method](quantised) if method in _METHODS else None


def _fp8(quantised: Mapping[str, Any]) -> float:
    rows, columns = quantised.get("weight_block_size") or (0, 0)
    return 8.0 + (32.0 / (rows * columns) if rows * columns else 0.0)


def _grouped(quantised: Mapping[str, Any]) -> float:
    """Integers with a scale and a zero point a group."""
    width, group = float(quantised["bits"]), float(quantised.get("group_size", 128))
    return width + ((_SCALE_BITS + width) / group if group > 0 else 0.0)


def _compressed_tensors(quantised: Mapping[str, Any]) -> float | None:
    groups = list((quantised.get("config_groups") or {}).values())
    weights = groups[0].get("weights") if groups else None
    if not weights:
        return None
    group = float(weights.get("group_size") or 0)
    return float(weights["num_bits"]) + (_SCALE_BITS / group if group > 0 else 0.0)


def _modelopt(quantised: Mapping[str, Any]) -> float | None:
    algorithm = str(quantised.get("quant_algo", "")).upper()
    return {"FP8": 8.0, "NVFP4": 4.0 + 8.0 / 16.0}.get(algorithm)


def _bitsandbytes(quantised: Mapping[str, Any]) -> float:
    return 8.0 if quantised.get("load_in_8bit") else 4.0 + 32.0 / 64.0


def _mxfp4(_quantised: Mapping[str, Any]) -> float:
    return 4.0 + 8.0 / 32.0


_METHODS: Mapping[str, Callable[[Mapping[str, Any]], float | None]] = {
    "fp8": _fp8,
    "mxfp4": _mxfp4,
    "gptq": _grouped,
    "awq": _grouped,
    "compressed-tensors": _compressed_tensors,
    "modelopt": _modelopt,
    "bitsandbytes": _bitsandbytes,
}
