"""A compiled loop beside XLA, for a CPU: no metric is written to memory that is not kept whole.

XLA computes what rests on few axes of a chunk (:mod:`split`). The rest of the same program, with
fewer divisions (:mod:`reciprocals`), becomes a loop (:mod:`source`) that Numba compiles
(:mod:`compiled`): it computes a row of points, writes outputs in their place, and hands what is
reduced in a small array to each reduction (:mod:`chunks`).
"""
