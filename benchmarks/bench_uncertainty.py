"""How long Sobol indices of the model take from 2^20 rows; SALib's analyser on the same rows."""

import numpy as np
from SALib.analyze import sobol

from benchmarks.rounds import OURS, Run
from jaxlimits.uncertainties.samplers import saltelli_shares
from jaxlimits.uncertainties.sobol import sobol_variances
from jaxlimits.uncertainties.uncertain import columns_at, load_uncertain

SAMPLES = 1 << 16
"""The shipped study has seven inputs: 16 rows a block, 2^20 in all, with the second order."""

MOST_SECONDS = 10.0


def bench_sobol_indices(compare, full):
    study = load_uncertain("uncertain_machine", samples=SAMPLES)
    sampling, names = study.sampling, list(study.inputs)
    shares = saltelli_shares(len(names), SAMPLES, seed=sampling.seed, second_order=True)
    values = study.evaluate(columns_at(study.inputs, shares))["utps"].astype(np.float64)
    problem = {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}

    def indices() -> object:
        return sobol_variances(study.evaluate, study.inputs, sampling)

    runs = {OURS: Run(call=indices, work=len(values))}
    if full:
        runs["SALib's analyser alone"] = Run(
            call=lambda: sobol.analyze(problem, values, seed=1), work=len(values)
        )
    row = compare(runs, unit="row")
    verdict = "met" if row["median_s"][OURS] <= MOST_SECONDS else "MISSED"
    compare.note(rows=len(values), **{"indices from 2^20 rows in 10 s": verdict})
