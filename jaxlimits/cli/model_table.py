"""What a model's entry comes to: parameters and bytes by part, its cache, its layers.

Counts are those of the limit model itself, in a form to be checked against the model's card.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from jaxlimits.catalog.entries import Entry
from jaxlimits.cli.tables import Column, label, number, print_table, text

if TYPE_CHECKING:
    from jaxlimits.model.llm import LLM

_COLUMNS: tuple[Column, ...] = (
    label("part"),
    *(number("params [1e9]"), number("active [1e9]"), number("bits"), number("bytes [GB]")),
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Weights of one part over all layers.

    Parameters
    ----------
    title
        What it is.
    params, active
        Elements stored, and those that one token uses [1].
    bits
        Of one, scales included [1].
    """

    title: str
    params: float
    active: float
    bits: float

    @property
    def bytes(self) -> float:
        """Stored bytes [B]."""
        return self.params * self.bits / 8.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a model comes to.

    Parameters
    ----------
    parts
        Its weights.
    cache_bits
        Bits of one element of the cache [1].
    kv_bytes, kv_bytes_beyond
        Cache of one token over all layers, and beyond every window and chunk [B].
    window_bytes
        What a sequence keeps of windows and chunks once these are full [B].
    index_bytes
        Keys of indexers, a token [B].
    state_bytes
        Recurrent states, convolutions and what compressors keep, a sequence [B].
    layers
        Number of layers by the kind of their attention, and of their feed-forward part.
    """

    parts: Sequence[Part]
    cache_bits: float
    kv_bytes: float
    kv_bytes_beyond: float
    window_bytes: float
    index_bytes: float
    state_bytes: float
    layers: Sequence[Mapping[str, int]]

    @property
    def total_params(self) -> float:
        """Every parameter that is stored [1]."""
        return sum(part.params for part in self.parts)

    @property
    def active_params(self) -> float:
        """Parameters of one token: the experts that it uses, and all else [1]."""
        return sum(part.active for part in self.parts)

    @property
    def weight_bytes(self) -> float:
        """Bytes of all parameters [B]."""
        return sum(part.bytes for part in self.parts)


def shape_of(entry: Entry) -> Shape:
    """Count what an entry comes to, by the limit model."""
    from jaxlimits.catalog.loader import entry_values
    from jaxlimits.model.llm import LLM

    llm = LLM(**entry_values(entry))
    return Shape(parts=_parts(llm), **_cache(llm), layers=_layers(llm))


def _parts(llm: "LLM") -> list[Part]:
    from jaxlimits.model.deployment import Deployment
    from jaxlimits.model.precision import part_bits
    from jaxlimits.model.weights import count_weights

    bits = part_bits(llm, deployment := Deployment())
    counted = count_weights(llm, deployment)
    biases, tied = counted.expert_biases, bool(llm.tied_embeddings)
    beside = counted.router + counted.extras
    used, held = llm.experts_per_token, llm.num_experts
    experts = counted.expert - biases
    mixers = "attention, recurrent mixers" if llm.num_recurrent_layers > 0 else "attention"
    rows = (
        (mixers, counted.projections + counted.output, None, bits.attention),
        ("dense and shared FFN", counted.ffn, None, bits.ffn),
        ("routed experts", experts * held, experts * used, bits.expert),
        ("embedding", counted.embedding, None, bits.embedding),
        ("LM head, tied embedding" if tied else "LM head", counted.lm_head, None, bits.head),
        ("routers, norms, biases", beside + biases * held, beside + biases * used, bits.head),
    )
    return [
        Part(
            title=title,
            params=float(params),
            active=float(params if active is None else active),
            bits=float(own),
        )
        for title, params, active, own in rows
        if params > 0
    ]


def _cache(llm: "LLM") -> dict[str, float]:
    from jaxlimits.model.attention import parts
    from jaxlimits.model.deployment import Deployment
    from jaxlimits.model.kv_cache import cache_bytes

    full = max(float(llm.sliding_window), float(llm.attention_chunk_size), 1.0)
    first, at, beyond = (
        float(cache_bytes(llm, Deployment(seq_len=tokens))) for tokens in (1.0, full, 2.0 * full)
    )
    slope = (beyond - at) / full
    states, with_keys = (
        sum(float(part.sequence_bytes(llm, d)) for part in parts(d))
        for d in (Deployment(seq_len=0.0), Deployment(seq_len=1.0))
    )
    return {
        "cache_bits": float(llm.cache_bits),
        "kv_bytes": first,
        "kv_bytes_beyond": slope,
        "window_bytes": at - slope * full,
        "index_bytes": with_keys - states,
        "state_bytes": states,
    }


def _layers(llm: "LLM") -> tuple[dict[str, int], ...]:
    """Layers by their attention, and by their feed-forward part."""
    from jaxlimits.model.attention import KINDS
    from jaxlimits.model.deployment import Deployment
    from jaxlimits.model.layers import dense_layers

    other = {kind.name: int(getattr(llm, kind.layers)) for kind in KINDS[1:]}
    full = int(llm.num_layers) - sum(other.values())
    experts = int(llm.num_moe_layers)
    by_attention = {KINDS[0].name: full, **other}
    by_ffn = {
        "with experts": experts,
        "dense": int(dense_layers(llm, Deployment())),
        "mixer-only": int(llm.num_mixer_only_layers),
    }
    return tuple({name: n for name, n in kinds.items() if n} for kinds in (by_attention, by_ffn))


def show_shape(entry: Entry) -> None:
    """Print what an entry comes to."""
    shape = shape_of(entry)
    rows = [_row(part.title, part.params, part.active, part.bytes) for part in shape.parts]
    total = _row("total", shape.total_params, shape.active_params, shape.weight_bytes)
    print_table(_COLUMNS, [*rows, total], indent=2)
    typer.echo()
    print_table((label(), text()), _said(shape), indent=2)
    typer.echo()


def _row(title: str, params: float, active: float, size: float) -> tuple[str, ...]:
    bits = 8.0 * size / params
    counted = (f"{number / 1e9:.4f}" for number in (params, active))
    return (title, *counted, f"{bits:.4g}", f"{size / 1e9:.3f}")


def _said(shape: Shape) -> list[tuple[str, str]]:
    kv = f"{shape.kv_bytes:,.0f} B a token in {shape.cache_bits:.4g} bits"
    if shape.window_bytes:
        kv += (
            f"; beyond windows and chunks {shape.kv_bytes_beyond:,.0f} B, and "
            f"{shape.window_bytes:,.0f} B a sequence"
        )
    keys = f"{shape.index_bytes:,.0f} B a token, read whole at every step"
    state = f"{shape.state_bytes:,.0f} B a sequence, whatever its context"
    mixers, ffns = (", ".join(f"{n} {name}" for name, n in kinds.items()) for kinds in shape.layers)
    rows = (
        ("KV cache", kv, True),
        ("index keys", keys, shape.index_bytes > 0),
        ("states", state, shape.state_bytes > 0),
        ("layers", f"{mixers}; {ffns}", True),
    )
    return [(name, words) for name, words, has in rows if has]


def shape_facts(entry: Entry) -> dict[str, object]:
    """Return what an entry comes to, for a machine."""
    shape = shape_of(entry)
    return {
        "total_params": shape.total_params,
        "active_params": shape.active_params,
        "weight_bytes": shape.weight_bytes,
        "kv_bytes_per_token": shape.kv_bytes,
        "kv_bytes_per_token_beyond_windows": shape.kv_bytes_beyond,
        "window_bytes_per_sequence": shape.window_bytes,
        "index_bytes_per_token": shape.index_bytes,
        "state_bytes_per_sequence": shape.state_bytes,
        "layers": shape.layers,
    }
