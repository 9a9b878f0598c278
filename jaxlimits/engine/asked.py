"""What a grid file asks of a reduction: the part that all of them have, checked."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import pydantic

from jaxlimits import schema, units
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.requirements import Requirement, is_output, output
from jaxlimits.values import parse_number


class Keys(pydantic.BaseModel):
    """Keys of a ``[reduce.NAME]`` table beside ``op``, ``of`` and ``over``: none by itself."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A reduction as a grid file states it, but for the keys that only some reductions have.

    Parameters
    ----------
    name
        Name of its main variable.
    op
        What it does, by the name in the file.
    of
        Metrics that it reduces.
    over
        Names of the axes that it reduces, in the grid's order.
    axes, requirements
        The grid's.
    where
        File in which it stands.
    """

    name: str
    op: str
    of: tuple[str, ...]
    over: tuple[str, ...]
    axes: Sequence[Axis]
    requirements: Sequence[Requirement]
    where: str

    @property
    def common(self) -> dict[str, Any]:
        """Fields that every :class:`~jaxlimits.engine.reduction.Reduction` has."""
        names = [axis.name for axis in self.axes]
        over = tuple(names.index(name) for name in self.over)
        return {"name": self.name, "op": self.op, "of": self.of, "over": over}

    def error(
        self, problem: str, *, key: str = "", value: object = None, remedy: str = ""
    ) -> InputError:
        """Return the error of a key of its table, or of the table as a whole."""
        place = f"reduce.{self.name}.{key}" if key else f"reduce.{self.name}"
        return InputError(problem, where=self.where, key=place, value=value, remedy=remedy)

    def metrics(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return names of metrics, checked."""
        names = tuple(names)
        for name in names:
            if not is_output(name, self.requirements):
                known = [*schema.OUTPUTS, *(n for r in self.requirements for n in r.quantities)]
                place = {"where": self.where, "key": f"reduce.{self.name}"}
                raise unknown_name("metric", name, known, **place)
        return names

    def number(self, key: str, raw: object) -> float:
        """Return the value of a key, in the unit of the metric that is reduced [SI]."""
        quantity = output(self.of[0], self.requirements)
        if raw is None:
            remedy = f"write {key} = '{units.example(quantity.unit)}'"
            raise self.error(f"{self.op} needs {key}", remedy=remedy)
        return parse_number(quantity, raw, where=self.where, key=f"reduce.{self.name}.{key}")
