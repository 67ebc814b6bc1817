"""Left-out rows scored by fits that really did not see them, where importance sampling fails."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from bayesgmm.inference.fit import fit
from bayesgmm.inference.progress import progress_reporter
from bayesgmm.random_state import as_seed


def refit_bad_rows(
    posterior: Any,
    elpd: Any,
    *,
    above: float | None = None,
    most: int = 20,
    random_state: Any = 0,
    progress: Any = False,
) -> Any:
    """The elpd of :func:`bayesgmm.loo` with rows of high k-hat scored exactly (Vehtari et al. 2017, section 4.3).

    For each of them the posterior is sampled anew, by the same engine under the very same prior, without that row.

    Parameters
    ----------
    posterior : the posterior
    elpd : of it
    above : k-hat from which a row is refitted; ``elpd.good_k`` if None. Less of it costs more refits and leaves less
        Monte Carlo error, which is large for k-hat just below
    most : refits at most
    random_state : of the refits
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)

    Raises a ValueError if more rows fail than ``most``.
    """
    bad = np.flatnonzero(np.ravel(elpd.pareto_k) > (elpd.good_k if above is None else above))
    if bad.size > most:
        raise ValueError(
            f"{bad.size} rows have a high k-hat, more than most={most}: use bayesgmm.cross_validate, or raise most."
        )
    exact = copy.copy(elpd)
    if not bad.size:
        return exact
    rows, seed = np.asarray(posterior.observed.rows), as_seed(random_state)
    densities = np.array(elpd.elpd_i, float)
    khat = np.array(elpd.pareto_k, float)
    with progress_reporter(progress) as report:
        for done, row in enumerate(bad.tolist(), start=1):
            without = np.delete(rows, row, axis=0)
            refit = fit(without, posterior.model, posterior.engine, random_state=seed + row)
            densities.flat[row] = refit.score_samples(rows[[row]])[0]
            khat.flat[row] = 0.0
            if report is not None:
                report("refits", done, bad.size)
    exact.elpd_i, exact.pareto_k = elpd.elpd_i.copy(data=densities), elpd.pareto_k.copy(data=khat)
    exact.elpd = float(densities.sum())
    exact.se = math.sqrt(densities.size * float(densities.var()))
    exact.p = float(elpd.p) + float(elpd.elpd) - exact.elpd
    exact.warning = False
    return exact
