"""A device that has no memory, or fails, where a test says so."""

from jax.errors import JaxRuntimeError

from jaxlimits.engine import stream as engine

FULL = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4398046511104 bytes."
GONE = "INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered\nmore"


class Device:
    """A device that fails at some starts, and counts the chunks that lie on it."""

    def __init__(self, monkeypatch, *, fails_at=(), largest=None, error=FULL, arrives=True):
        self.starts, self.fails_at, self.largest = 0, fails_at, largest
        self.error, self.arrives = error, arrives
        self.real, self.real_arrived = engine.run_chunks, engine._arrived
        monkeypatch.setattr(engine, "run_chunks", self.run_chunks)
        monkeypatch.setattr(engine, "_arrived", self.arrived)
        self.doomed: list[int] = []

    def run_chunks(self, inputs, plan, keys, **options):
        self.starts += 1
        too_large = self.largest is not None and plan.points_per_chunk > self.largest
        fails = too_large or self.starts in self.fails_at
        if fails and not self.arrives:
            raise JaxRuntimeError(self.error)
        results = self.real(inputs, plan, keys, **options)
        if fails:
            self.doomed += [id(result) for result in results]
            self.kept = results
        return results

    def arrived(self, job, key, results):
        if id(results) in self.doomed:
            raise JaxRuntimeError(self.error)
        return self.real_arrived(job, key, results)
