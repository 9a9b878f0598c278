"""The guide: its pages are the Markdown files of this folder, and a reference made of the code.

``jaxlimits guide`` lists the pages, shows one in the terminal, or builds a site of all of them.
"""
