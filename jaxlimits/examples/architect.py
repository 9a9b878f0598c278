# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Three questions of an architect
#
# How fast must collectives be before more bandwidth pays? Which machine, at which batch, gives each
# user 50 token/s at the least dollars? What limits a longer context: capacity or bandwidth?
#
# Speeds are limits, not predictions; all prices are illustrative. In a checkout this becomes an
# executed notebook by `pip install '.[notebook]'` and
# `jupytext --to ipynb --execute jaxlimits/examples/architect.py -o architect.ipynb`.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import jaxlimits as jl

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## 1. How fast must collectives be before more bandwidth pays?
#
# The shipped grid `smoke` crosses memory bandwidth with the latency of one collective: Llama 3.1
# 405B on eight chips of H100's kind. `jl.sweep` writes the file, `jl.open` opens it.

# %%
jl.sweep("smoke", folder / "smoke.nc")
result = jl.open(folder / "smoke.nc")
users = result.utps.sel(batch_size=1, seq_len=4096)
print(users)

# %% [markdown]
# What does twice the bandwidth buy? The grid goes from 1 to 16 TB/s in 24 equal factors;
# six of them are two.

# %%
gain = users.shift(mem_bw=-6) / users
latency = result.sync_latency.values * 1e6
fig, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for start, label in ((0, "1 → 2 TB/s"), (12, "4 → 8 TB/s"), (18, "8 → 16 TB/s")):
    axes.semilogx(latency, gain.isel(mem_bw=start), marker="o", label=label)
axes.set(xlabel="exposed latency of one collective [µs]", ylabel="speed-up of one user")
axes.legend(frameon=False)
axes.grid(color="0.9")
# %% [markdown]
# The same as one number a bandwidth: the longest latency at which twice the bandwidth still buys
# 1.5×, solved for exactly.

# %%
longest_latency = {}
for bandwidth in (1, 2, 4, 8):
    found = jl.solve(
        "llama3-405b",
        "h100",
        solve_for="sync_latency",
        target="utps_doubling_mem_bw >= 1.5",
        mem_bw=f"{bandwidth} TB/s",
        kv_sharding="split",  # these five as the grid above
        collective_algorithm="constant",
        weight_bits=8,
        kv_bits=8,
        compute_bits=8,
        tp_size=8,
        batch_size=1,
        seq_len=4096,
    )
    longest_latency[bandwidth] = found.value
    print(f"{bandwidth} TB/s: collectives of at most {found.value * 1e6:.1f} µs")

# %% [markdown]
# The faster the memory, the sooner collectives stand in its way: this latency falls as one over the
# bandwidth.

# %%
assert np.nanmax(gain) <= 2.0 + 1e-5
assert (gain.isel(mem_bw=18).diff("sync_latency") < 0).all()
products = [bandwidth * latency for bandwidth, latency in longest_latency.items()]
assert np.allclose(products, products[0], rtol=1e-3)

# %% [markdown]
# ## 2. Which machine and batch meets 50 token/s a user at the least dollars?
#
# A small grid of our own: four real chips, sixteen of each, DeepSeek-V3, batches up to 1,024.

# %%
(folder / "machines.toml").write_text("""
title = "DeepSeek-V3 on sixteen chips: dollars under a target"
outputs = ["utps", "stps", "dollars_per_token", "limit"]
[base]
llm = "deepseek-v3"
tp_size = 16
seq_len = 8192
kv_sharding = "split"
collective_algorithm = "constant"
[axes]
chip = ["h100", "h200", "b200", "mi300x"]
batch_size = { pow2 = [1, 1024] }
""")
machines = jl.sweep(folder / "machines.toml", folder / "machines.nc")
question = jl.ask(minimise="dollars_per_token", where="utps >= 50", also=["stps", "limit"])
best = jl.best(folder / "machines.nc", question)
print(best.to_dataframe())

# %%
cost = machines.dollars_per_token.where(machines.utps >= 50) * 1e6
cheapest = cost.min("batch_size")
for chip in machines.chip.values:
    print(f"{chip}: {float(cheapest.sel(chip=chip)):.3f} USD a million tokens")

# %% [markdown]
# Both ways name the same machine. At the same prices an H100 costs about twice as much a token.

# %%
assert best.chip.item() == cheapest.idxmin("chip").item()
assert best.utps.item() >= 50
assert 1.5 < float(cheapest.sel(chip="h100") / cheapest.min()) < 2.5
assert np.isclose(best.dollars_per_token.item() * 1e6, float(cheapest.min()), rtol=1e-5)

# %% [markdown]
# ## 3. Does capacity or bandwidth limit a longer context?
#
# The same target, 50 token/s, for Llama 3.1 405B on sixteen H200: the context grows until memory
# is full, or until reading the cache takes too long.

# %%
(folder / "context.toml").write_text("""
title = "How long may the context be?"
outputs = ["utps", "capacity_utilisation", "limit"]
[base]
llm = "llama3-405b"
chip = "h200"
tp_size = 16
kv_sharding = "split"
collective_algorithm = "constant"
[axes]
batch_size = [1, 16, 64, 256]
seq_len = { pow2 = [1024, 1048576] }
""")
context = jl.sweep(folder / "context.toml", folder / "context.nc")


def longest(where):
    """Longest context of the grid at which something holds; 0 where it never does."""
    return context.seq_len.where(where).max("seq_len").fillna(0).astype(int)


fits = longest(context.limit != jl.Limit.CAPACITY)
fast = longest(context.utps.fillna(0) >= 50)
for batch in context.batch_size.values:
    room, speed = int(fits.sel(batch_size=batch)), int(fast.sel(batch_size=batch))
    print(f"{batch:>3} users: fits up to {room:,} tokens, 50 token/s up to {speed:,}")

# %% [markdown]
# One user keeps the target up to the end of the grid, a million tokens. With sixteen and more, the
# target is lost at half the context that fits: bandwidth limits first. More capacity would buy
# nothing here.

# %%
assert int(fast.sel(batch_size=1)) == 1_048_576
shared = context.batch_size >= 16
assert (2 * fast.where(shared, drop=True) == fits.where(shared, drop=True)).all()

# %%
result.close()
