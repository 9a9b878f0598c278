"""Models with recurrent layers, by their published configurations: nothing of the catalog."""

from jaxlimits.model.llm import LLM

QWEN3_NEXT = LLM(
    # Qwen3-Next-80B-A3B: tests/golden/model_files/hybrid_delta.json
    num_layers=48.0,
    hidden_size=2048.0,
    vocab_size=151_936.0,
    num_heads=16.0,
    num_kv_heads=2.0,
    head_dim=256.0,
    attention_gate_dim=256.0,
    num_recurrent_layers=36.0,
    # in: 2048 * (2 * 2048 + 2 * 4096) + 2048 * 2 * 32; convolution: 8192 * 4; out: 4096 * 2048
    recurrent_params=25_165_824.0 + 131_072.0 + 32_768.0 + 8_388_608.0,
    recurrent_norm_params=192.0,  # A_log and dt_bias of 32 heads, and a norm of 128
    num_state_heads=32.0,
    state_key_dim=128.0,
    state_value_dim=128.0,
    conv_channels=8192.0,
    conv_columns=3.0,
    num_moe_layers=48.0,
    num_experts=512.0,
    experts_per_token=10.0,
    num_shared_experts=1.0,
    moe_intermediate_size=512.0,
    norm_params=3.0 * 2048.0,  # two norms, and the row that gates the shared expert
    qk_norm_params=512.0,
)
NEMOTRON_NANO = LLM(
    # Nemotron-3-Nano-30B-A3B: tests/golden/model_files/hybrid_mamba.json
    num_layers=52.0,
    hidden_size=2688.0,
    vocab_size=131_072.0,
    num_heads=32.0,
    num_kv_heads=2.0,
    head_dim=128.0,
    num_recurrent_layers=23.0,
    # in: 2688 * (2 * 4096 + 2 * 8 * 128 + 64); convolution: 6144 * 4; out: 4096 * 2688
    recurrent_params=27_697_152.0 + 24_576.0 + 11_010_048.0,
    recurrent_norm_params=6144.0 + 3 * 64.0 + 4096.0,  # its biases; A_log, D, dt_bias; a norm
    num_state_heads=64.0,
    state_key_dim=64.0,
    state_value_dim=128.0,
    state_flops=5.0,
    state_chunk=128.0,
    conv_channels=6144.0,
    conv_columns=3.0,
    num_ffn_only_layers=23.0,
    num_mixer_only_layers=29.0,
    num_moe_layers=23.0,
    num_experts=128.0,
    experts_per_token=6.0,
    num_shared_experts=1.0,
    moe_intermediate_size=1856.0,
    shared_intermediate_size=3712.0,
    expert_matrices=2.0,
    norm_params=2688.0,
)
RWKV_LIKE = LLM(
    # 24 layers of 2048 with 32 heads of 64 x 64 and the last token of two mixtures, no attention.
    num_layers=24.0,
    hidden_size=2048.0,
    vocab_size=65_536.0,
    num_heads=32.0,
    num_kv_heads=32.0,
    num_recurrent_layers=24.0,
    recurrent_params=6.0 * 2048.0**2,
    num_state_heads=32.0,
    state_key_dim=64.0,
    state_value_dim=64.0,
    conv_channels=4096.0,
    conv_columns=1.0,
    intermediate_size=7168.0,
    ffn_matrices=2.0,
)
