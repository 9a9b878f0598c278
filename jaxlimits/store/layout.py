"""The layout of a dense result: everything about it but its values, however many there are."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan
from jaxlimits.grid.scenario import Scenario
from jaxlimits.grid.spec import GridSpec
from jaxlimits.store.chunks import chunk_shape
from jaxlimits.store.template import NOT_COMPUTED, build_dataset


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a dense result will look like, and the blocks that it comes in.

    Parameters
    ----------
    template
        The whole result. Its dense variables have a shape, a type and attributes, but no memory:
        one value stands for all.
    outputs
        Names of the dense variables; the others are findings of reductions.
    plan
        The blocks.
    """

    template: xr.Dataset
    outputs: tuple[str, ...]
    plan: Plan

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the grid's axes."""
        return tuple(map(str, self.template[self.outputs[0]].dims))

    def block(self, key: Key) -> xr.Dataset:
        """Return the layout of one block: its part of the coordinates and of the outputs.

        What does not vary stands in the index alone.
        """
        places = dict(zip(self.dims, self.plan.slices(key), strict=True))
        block = self.template[list(self.outputs)].isel(places)
        return block.drop_vars([name for name, value in block.coords.items() if not value.ndim])

    def chunk(self, name: str) -> tuple[int, ...]:
        """Return the shape of an output's chunks, one for all blocks; see :func:`chunk_shape`."""
        cut = [place for place, count in enumerate(self.plan.counts) if count > 1]
        return chunk_shape(self.plan.block, self.template[name].dtype.itemsize, cut=cut)


def make_layout(
    spec: GridSpec, scenario: Scenario, plan: Plan, findings: Iterable[Finding] = ()
) -> Layout:
    """Lay out a sweep that is too large to lie in memory.

    Parameters
    ----------
    spec, scenario, plan
        What is swept: as written, as numbers, in blocks.
    findings
        What reductions say; none before the sweep has ended.
    """
    arrays = {name: _stand_in(name, spec) for name in spec.outputs}
    template = build_dataset(spec, scenario, arrays, findings)
    return Layout(template=template, outputs=spec.outputs, plan=plan)


def absent_value(dtype: np.dtype) -> np.generic:
    """Return what is read where a block is missing: the fill value, or the code for it."""
    return dtype.type(NOT_COMPUTED if dtype.kind == "f" else -1)


def _stand_in(name: str, spec: GridSpec) -> np.ndarray:
    """An array of the grid's shape whose strides are zero."""
    dtype = np.dtype(np.int8 if schema.is_code(name) else spec.precision)
    return np.broadcast_to(absent_value(dtype), spec.shape)
