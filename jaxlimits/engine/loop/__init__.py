"""A compiled loop beside XLA, for reductions on a CPU: no metric is written to memory.

XLA computes what rests on few axes of a chunk (:mod:`split`). The rest of the same program becomes
a loop (:mod:`source`) that Numba compiles (:mod:`compiled`): it computes a row of points into a
small array and hands that to each reduction (:mod:`chunks`).
"""
