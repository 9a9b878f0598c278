"""Machines as engines run them: every batch that holds whole requests, prompts mixed or apart."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from jaxlimits.planning.machine_grids import together
from jaxlimits.planning.systems import Machines
from jaxlimits.planning.workload import Workload


class Served(NamedTuple):
    """A block of machines as an engine runs them: arrays of equal length.

    Parameters
    ----------
    chip, layout, batch
        Places of chip and layout, and the batch.
    tpot, answers, requests
        Time of a token [s], and answers and whole requests that a group finishes [1/s], prefill
        apart for the former.
    tpot_alone
        Time of a token where no prompt is prefilled on the group [s].
    users
        Sequences in flight.
    limit, limit_alone
        What binds, as codes, in both.
    predicted
        Time of a step that a calibration predicts over that of the limit, in both; 1 without one.
    """

    chip: np.ndarray
    layout: np.ndarray
    batch: np.ndarray
    tpot: np.ndarray
    answers: np.ndarray
    requests: np.ndarray
    tpot_alone: np.ndarray
    users: np.ndarray
    limit: np.ndarray
    limit_alone: np.ndarray
    predicted: np.ndarray
    predicted_alone: np.ndarray


def served_blocks(
    machines: Machines, workload: Workload, *, tried: np.ndarray, mixed: str, calibrated: bool
) -> Iterator[Served]:
    """Yield every machine at every batch that fits, with requests of the workload's mean lengths.

    Parameters
    ----------
    tried
        Batches.
    mixed
        How prompts come beside decode steps, as ``mixed_steps``.
    calibrated
        Whether the settings name a calibration, whose prediction is then there too.
    """
    base = workload.mean_request
    names = ["tpot", "stps", "request_rate", "users", "limit", "t_step"]
    names += ["calibrated_t_step"] if calibrated else []
    axes = {"batch_size": tried.tolist()}
    grids = (
        machines.grid(names, axes=axes, base={**base, "mixed_steps": mode})
        for mode in ("off", mixed)
    )
    for before, block in together(*grids):
        alone, both = before.arrays, block.arrays
        fits = np.isfinite(both["t_step"])
        chip, layout, index = (axis[fits] for axis in np.broadcast_arrays(*block.places))
        yield Served(
            chip=chip,
            layout=layout,
            batch=tried[index],
            tpot=both["tpot"][fits],
            answers=alone["stps"][fits] / workload.mean_output_len,
            requests=both["request_rate"][fits],
            tpot_alone=alone["tpot"][fits],
            users=both["users"][fits],
            limit=both["limit"][fits],
            limit_alone=alone["limit"][fits],
            predicted=_predicted(both, fits),
            predicted_alone=_predicted(alone, fits),
        )


def decoding_blocks(
    machines: Machines, workload: Workload, *, tried: np.ndarray
) -> Iterator[Served]:
    """Yield machines with chips for feed-forward parts alone at every batch that fits.

    They decode alone: they serve no whole request, and no calibration knows them.
    """
    apart, before = machines.apart, len(machines.alike.layouts)
    if not apart.layouts:
        return
    grid = apart.grid(
        ("tpot", "stps", "users", "limit"),
        axes={"batch_size": tried.tolist()},
        base=workload.mean_request,
    )
    for block in grid.blocks():
        found = block.arrays
        fits = np.isfinite(found["tpot"])
        chip, layout, index = (axis[fits] for axis in np.broadcast_arrays(*block.places))
        tpot, unknown = found["tpot"][fits], np.full(int(fits.sum()), np.nan)
        yield Served(
            chip=chip,
            layout=layout + before,
            batch=tried[index],
            tpot=unknown,
            answers=found["stps"][fits] / workload.mean_output_len,
            requests=np.zeros_like(tpot),
            tpot_alone=tpot,
            users=found["users"][fits],
            limit=found["limit"][fits],
            limit_alone=found["limit"][fits],
            predicted=unknown,
            predicted_alone=unknown,
        )


def _predicted(found: Mapping[str, np.ndarray], fits: np.ndarray) -> np.ndarray:
    """Time of a step that a calibration predicts over that of the limit; 1 without one."""
    if "calibrated_t_step" not in found:
        return np.ones(int(fits.sum()))
    return (found["calibrated_t_step"] / found["t_step"])[fits]
