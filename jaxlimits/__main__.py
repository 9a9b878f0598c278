"""Run the command line as ``python -m jaxlimits``."""

from jaxlimits.cli import main

main()
