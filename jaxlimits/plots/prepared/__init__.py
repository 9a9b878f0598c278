"""Figures of tables that a study or a comparison has prepared: nothing is found, all is named."""

from jaxlimits.plots.prepared.cells import cells as cells
from jaxlimits.plots.prepared.ranges import ranges as ranges
from jaxlimits.plots.prepared.strip import strip as strip
