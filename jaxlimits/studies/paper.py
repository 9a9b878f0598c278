"""The limit study of arXiv:2507.14397: its five findings, what follows from them, its systems."""

from jaxlimits.studies.claims import (
    bandwidth,
    dram,
    eight_times,
    four_times,
    hbm3_limit,
    plateau,
    speed,
    sync,
    ways,
)
from jaxlimits.studies.claims import instance_memory as capacity
from jaxlimits.studies.families import FAMILIES
from jaxlimits.studies.study import Study

PAPER = Study(
    name="paper",
    title="The limit study of LLM decode",
    summary=(
        "The claims of arXiv:2507.14397 put to the test by the numbers of this build. Machines, "
        "their bandwidth, compute and capacity are published; latencies of collectives are "
        "inferred from published results, their times in clusters and on wafers follow an α–β "
        "model (ours); die areas, prices and thresholds are ours."
    ),
    claims=(
        capacity.CLAIM,
        bandwidth.CLAIM,
        sync.CLAIM,
        dram.CLAIM,
        speed.CLAIM,
        hbm3_limit.CLAIM,
        four_times.CLAIM,
        eight_times.CLAIM,
        plateau.CLAIM,
        ways.CLAIM,
    ),
    families=FAMILIES,
)

STUDIES = {study.name: study for study in (PAPER,)}
"""Every study, by its name."""
