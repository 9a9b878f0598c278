"""Models for contexts of a million tokens, from their published configurations, in 8 bits.

Heads that draft further tokens are left out.
"""

from jaxlimits.model.llm import LLM

DEEPSEEK_V4_PRO = LLM(
    num_layers=61.0,
    hidden_size=7168.0,
    vocab_size=129_280.0,
    num_heads=128.0,
    num_kv_heads=1.0,
    q_lora_rank=1536.0,
    shared_kv_head_dim=512.0,
    o_groups=16.0,
    o_lora_rank=1024.0,
    sliding_window=128.0,
    num_compressed_layers=31.0,
    compression_ratio=128.0,
    num_compressed_sparse_layers=30.0,
    sparse_compression_ratio=4.0,
    index_n_heads=64.0,
    index_head_dim=128.0,
    index_topk=1024.0,
    num_moe_layers=61.0,
    num_experts=384.0,
    experts_per_token=6.0,
    num_shared_experts=1.0,
    moe_intermediate_size=3072.0,
    hc_mult=4.0,
    norm_params=14_336.0,  # 2 * 7168
    qk_norm_params=2048.0,  # 1536 + 512
    bias_params=128.0,  # one sink a head
)
DEEPSEEK_V4_FLASH = LLM(
    num_layers=43.0,
    hidden_size=4096.0,
    vocab_size=129_280.0,
    num_heads=64.0,
    num_kv_heads=1.0,
    q_lora_rank=1024.0,
    shared_kv_head_dim=512.0,
    o_groups=8.0,
    o_lora_rank=1024.0,
    num_windowed_layers=2.0,
    sliding_window=128.0,
    num_compressed_layers=20.0,
    compression_ratio=128.0,
    num_compressed_sparse_layers=21.0,
    sparse_compression_ratio=4.0,
    index_n_heads=64.0,
    index_head_dim=128.0,
    index_topk=512.0,
    num_moe_layers=43.0,
    num_experts=256.0,
    experts_per_token=6.0,
    num_shared_experts=1.0,
    moe_intermediate_size=2048.0,
    hc_mult=4.0,
    norm_params=8192.0,  # 2 * 4096
    qk_norm_params=1536.0,  # 1024 + 512
    bias_params=64.0,
)
MINIMAX_M3 = LLM(
    num_layers=60.0,
    hidden_size=6144.0,
    vocab_size=200_064.0,
    num_heads=64.0,
    num_kv_heads=4.0,
    head_dim=128.0,
    num_sparse_layers=57.0,
    index_n_heads=4.0,
    index_head_dim=128.0,
    index_topk=2048.0,  # 16 blocks
    index_block_size=128.0,
    intermediate_size=12_288.0,
    num_moe_layers=57.0,
    num_experts=128.0,
    experts_per_token=4.0,
    num_shared_experts=1.0,
    moe_intermediate_size=3072.0,
    norm_params=12_288.0,  # 2 * 6144
    qk_norm_params=256.0,  # 2 * 128
)
