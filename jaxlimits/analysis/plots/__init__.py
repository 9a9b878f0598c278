"""Figures of results: a dataset in, a figure out.

They need ``pip install 'jaxlimits[plot]'``; nothing is imported before one is drawn.
"""

from jaxlimits.analysis.plots.breakdown import breakdown as breakdown
from jaxlimits.analysis.plots.cells import cells as cells
from jaxlimits.analysis.plots.elasticities import elasticities as elasticities
from jaxlimits.analysis.plots.frontier import frontier as frontier
from jaxlimits.analysis.plots.heat_map import heat_map as heat_map
from jaxlimits.analysis.plots.lines import lines as lines
from jaxlimits.analysis.plots.ranges import ranges as ranges
from jaxlimits.analysis.plots.roofline import roofline as roofline
from jaxlimits.analysis.plots.strip import strip as strip
from jaxlimits.analysis.plots.style import require_backend as require_backend
from jaxlimits.analysis.plots.style import save as save
