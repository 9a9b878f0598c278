"""Figures of results: a dataset in, a figure out.

They need ``pip install 'jaxlimits[plot]'``; nothing is imported before one is drawn.
"""

from jaxlimits.plots.breakdown import breakdown as breakdown
from jaxlimits.plots.cells import cells as cells
from jaxlimits.plots.elasticities import elasticities as elasticities
from jaxlimits.plots.frontier_lines import frontier as frontier
from jaxlimits.plots.heat_map import heat_map as heat_map
from jaxlimits.plots.lines import lines as lines
from jaxlimits.plots.ranges import ranges as ranges
from jaxlimits.plots.roofs import roofline as roofline
from jaxlimits.plots.strip import strip as strip
from jaxlimits.plots.style import require_backend as require_backend
from jaxlimits.plots.style import save as save
