"""FFN-only layers: a feed-forward part with no mixer before it, so no heads and no cache."""

from jaxlimits.model.attention.kind import Kind

KIND = Kind(name="ffn-only", layers="num_ffn_only_layers", flag="partial_layers")
