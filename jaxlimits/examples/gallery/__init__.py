"""The gallery of shipped grids: each swept, reduced to one picture, and drawn.

``python -m jaxlimits.examples.gallery grids/pictures/gallery`` draws every picture of the grids'
README (needs ``pip install 'jaxlimits[plot]'`` and a few minutes); names of grids after
the folder draw these alone. Axes of the grids of 10⁷ points and more are thinned.
"""
