"""Models whose heads differ, by their published configurations: nothing of the catalog."""

from jaxlimits.model.llm import LLM

# MiMo-V2-Flash, by its config.json: 9 full and 39 windowed layers.
MIMO = LLM(
    num_layers=48,
    hidden_size=4096,
    vocab_size=152_576,
    num_heads=64,
    num_kv_heads=4,
    head_dim=192,
    value_head_dim=128,
    num_windowed_layers=39,
    sliding_window=128,
    windowed_num_heads=64,
    windowed_num_kv_heads=8,
    windowed_head_dim=192,
    windowed_value_head_dim=128,
    intermediate_size=16_384,
    num_moe_layers=47,
    num_experts=256,
    experts_per_token=8,
    moe_intermediate_size=2048,
    norm_params=2 * 4096,
    bias_params=52,  # 64 sinks in each of 39 windowed layers: 39 * 64 / 48
    cache_bits=16,
)
# Gemma 3n E4B's text model, by its config.json: 7 full and 28 windowed layers, of which the last 15
# (3 full ones) share; what AltUp, Laurel and the per-layer inputs hold is in none of the parts.
GEMMA_3N = LLM(
    num_layers=35,
    hidden_size=2048,
    vocab_size=262_400,
    num_heads=8,
    num_kv_heads=2,
    head_dim=256,
    num_windowed_layers=28,
    sliding_window=512,
    num_shared_kv_layers=3,
    num_shared_kv_windowed_layers=12,
    intermediate_size=16_384,
    tied_embeddings=1,
    extra_params=89_391_104,
    extra_embedding_params=262_144 * 35 * 256,
    extra_embedding_dim=35 * 256,
    cache_bits=16,
)
# As the layers of Gemma 4: full ones with wider and fewer heads, whose values are their keys.
GEMMA_4 = LLM(
    num_layers=6,
    hidden_size=5376,
    vocab_size=262_144,
    num_heads=32,
    num_kv_heads=4,
    head_dim=512,
    num_windowed_layers=5,
    sliding_window=1024,
    windowed_num_kv_heads=16,
    windowed_head_dim=256,
    num_k_eq_v_layers=1,
    cache_bits=16,
)
QWEN_3_NEXT = LLM(  # an attention layer of it
    num_layers=1,
    hidden_size=2048,
    vocab_size=151_936,
    num_heads=16,
    num_kv_heads=2,
    head_dim=256,
    attention_gate_dim=256,
)
