"""Figures of tables that a study or a comparison has prepared: nothing is found, all is named."""

from jaxlimits.plot.prepared.cells import cells as cells
from jaxlimits.plot.prepared.ranges import ranges as ranges
