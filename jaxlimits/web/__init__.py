"""Figures for browsers, by Bokeh: those of the explorer, and the report of a result.

They need ``pip install 'jaxlimits[explore]'``; nothing is imported before one is drawn.
"""
