"""A layout as engines are told it: the options of vLLM, SGLang and TensorRT-LLM.

Names of options are the engines' own (vLLM 0.11, SGLang 0.5, ``trtllm-serve`` 1.1); the meaning of
a layout in them is ours. ``batch_size`` is that of a replica, pipeline stages included, which is
what engines call the largest number of sequences.
"""

from collections.abc import Callable, Mapping

from jaxlimits.grid.layouts import Layout


def _vllm(layout: Layout, sequences: int) -> list[str]:
    flags = [f"--tensor-parallel-size {layout.tp_size}"]
    if layout.pp_size > 1:
        flags.append(f"--pipeline-parallel-size {layout.pp_size}")
    if layout.dp_size > 1:
        flags.append(f"--data-parallel-size {layout.dp_size}")
    if layout.ep_size > 1:
        flags.append("--enable-expert-parallel")
    if layout.cp_size > 1:
        flags.append(f"--decode-context-parallel-size {layout.cp_size}")
    return [*flags, f"--max-num-seqs {sequences}"]


def _sglang(layout: Layout, sequences: int) -> list[str]:
    # SGLang counts the chips of attention and of its replicas together as TP.
    flags = [f"--tp-size {layout.tp_size * layout.dp_size}"]
    if layout.pp_size > 1:
        flags.append(f"--pp-size {layout.pp_size}")
    if layout.dp_size > 1:
        flags.append(f"--dp-size {layout.dp_size} --enable-dp-attention")
    if layout.ep_size > 1:
        flags.append(f"--ep-size {layout.ep_size}")
    if layout.cp_size > 1:
        flags.append(f"--dcp-size {layout.cp_size}")
    return [*flags, f"--max-running-requests {sequences * layout.dp_size}"]


def _tensorrt_llm(layout: Layout, sequences: int) -> list[str]:
    # Attention of the ranks apart, as TensorRT-LLM does it: TP counts all of them, but for the
    # chips that divide the sequence (Helix), which it counts beside TP.
    flags = [f"--tp_size {layout.tp_size * layout.dp_size // layout.cp_size}"]
    if layout.pp_size > 1:
        flags.append(f"--pp_size {layout.pp_size}")
    if layout.ep_size > 1:
        flags.append(f"--ep_size {layout.ep_size}")
    if layout.cp_size > 1:
        flags.append(f"--cp_size {layout.cp_size}")
    return [*flags, f"--max_batch_size {sequences}"]


ENGINES: Mapping[str, Callable[[Layout, int], list[str]]] = {
    "vLLM": _vllm,
    "SGLang": _sglang,
    "TensorRT-LLM": _tensorrt_llm,
}
"""Engines, and what tells each of them a layout."""


def engine_flags(layout: Layout, batch_size: float) -> dict[str, str]:
    """Return the options of each engine that give a layout.

    None where feed-forward parts lie on chips of their own: these engines have no option for it.

    Parameters
    ----------
    layout
        One group.
    batch_size
        Sequences of one micro-batch of a replica; one for each stage is in flight.
    """
    if layout.ffn_chips:
        return {}
    sequences = int(batch_size) * layout.pp_size
    return {name: " ".join(flags(layout, sequences)) for name, flags in ENGINES.items()}
