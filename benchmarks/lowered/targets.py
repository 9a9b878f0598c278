"""Devices that are not there, described well enough for XLA to compile for them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies
from jax.sharding import Mesh

from jaxlimits.engine.kernel import make_mesh

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A device to compile for.

    Parameters
    ----------
    platform, topology
        As XLA names them.
    description
        File that describes it; none where the plug-in knows it.
    wheels
        What must be installed beside JAX, without its dependencies.
    memory
        Memory of one device [B].
    copy_bw
        Bytes that a copy reads and writes in a second [B/s].
    slots
        Instructions on single numbers that it issues in a second [1/s].
    atomics
        Updates of spread counters in a second [1/s].
    launch
        Time between two kernels that wait in line [s].
    """

    platform: str
    topology: str
    description: str = ""
    wheels: tuple[str, ...]
    memory: float
    copy_bw: float
    slots: float
    atomics: float
    launch: float

    def mesh(self, devices: int = 1) -> Mesh:
        """Return some of its devices in a row.

        Raises
        ------
        ModuleNotFoundError
            Its plug-in is not installed.
        ValueError
            The description is malformed.
        """
        return make_mesh(self._devices(devices)[:devices])

    def _devices(self, number: int) -> Sequence[Any]:
        options = {}
        if self.description:
            options["target_config"] = (HERE / self.description).read_text(encoding="utf-8")
            options["topology"] = f"1x1x{number}"
        try:
            found = topologies.get_topology_desc(
                platform=self.platform, topology_name=self.topology, **options
            )
        except (RuntimeError, ValueError, jax.errors.JaxRuntimeError) as error:
            if "target_config" in str(error) or "parse" in str(error).lower():
                message = f"{self.description or self.topology}: is malformed: {error}"
                raise ValueError(message) from None
            remedy = f"pip install --no-deps {' '.join(self.wheels)}"
            message = f"no plug-in compiles for {self.topology}: {error}; {remedy}"
            raise ModuleNotFoundError(message) from None
        return found.devices


_JAX = jax.__version__

TARGETS: Mapping[str, Target] = {
    "h200": Target(
        platform="cuda",
        topology="h200",
        description="h200.txtpb",
        wheels=(f"jax-cuda12-plugin=={_JAX}", f"jax-cuda12-pjrt=={_JAX}"),
        memory=0.75 * 141e9,
        copy_bw=4.3e12,
        slots=132 * 128 * 1.98e9,
        atomics=200e9,
        launch=3e-6,
    ),
    "v5e": Target(
        platform="tpu",
        topology="v5e:2x2",
        wheels=("libtpu",),
        memory=0.9 * 16e9,
        copy_bw=0.7e12,
        slots=4 * 1024 * 1.5e9,
        atomics=1e9,
        launch=5e-6,
    ),
}
"""Targets by name. Copy bandwidth is nine tenths of the datasheet's, the rate of issue that of all
lanes at their highest clock (datasheets); atomics and launches are ours, from what is published of
chips of the same generation."""
