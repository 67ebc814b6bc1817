"""k-fold cross-validation: the density of rows that a fit has not seen, for any engine."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import numpy as np
from jaxtyping import Float64, Int

from bayesgmm.data import Data, as_data, check_fit, check_sample_weight
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.inference.progress import progress_reporter
from bayesgmm.random_state import as_seed


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """Log densities of held-out rows, in nats and the user's units; larger is better.

    Attributes
    ----------
    elpd_i : (N,) log density of each row under the fit that did not see it
    sample_weight : (N,) the rows' weights
    folds : (N,) which fit that is
    fits : one a fold
    seconds : for all folds
    """

    elpd_i: Float64[np.ndarray, " N"]
    sample_weight: Float64[np.ndarray, " N"]
    folds: Int[np.ndarray, " N"]
    fits: tuple[Any, ...]
    seconds: float

    @property
    def elpd(self) -> float:
        """Summed over the rows, by weight."""
        return float(self.elpd_i @ self.sample_weight)

    @property
    def se(self) -> float:
        """Standard error of ``elpd``: rows are a sample."""
        total = self.sample_weight.sum()
        away = self.elpd_i - self.elpd / total
        return math.sqrt(total * float(away**2 @ self.sample_weight / total))

    @property
    def mean(self) -> float:
        """Mean log density of a held-out row."""
        return self.elpd / float(self.sample_weight.sum())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong in the fits, in words: each warning once, with how many folds have it."""
        said = [w for each in self.fits for w in dict.fromkeys(each.warnings)]
        return tuple(f"{said.count(w)} of {len(self.fits)} folds: {w}" for w in dict.fromkeys(said))

    def __repr__(self) -> str:
        one = self.fits[0]
        line = (
            f"{len(self.fits)}-fold cross-validation of {one.kind} with {one.n_components} {one.covariance_type} "
            f"components: elpd {self.elpd:.2f} (standard error {self.se:.2f}), {self.mean:.4f} a row; larger is better"
        )
        return "\n".join([line, *(f"warning: {w}" for w in self.warnings)])


def cross_validate(
    x: Any,
    model: Any,
    engine: Any = None,
    *,
    n_folds: Any = 10,
    sample_weight: Any = None,
    random_state: Any = 0,
    progress: Any = False,
) -> CrossValidation:
    """Fit to all folds but one, in turn, and score the rows of that one (Stone 1974; Smyth 2000 for mixtures).

    The same ``random_state`` makes the same folds, so that models can be compared row by row. Whatever the model takes
    from the data, such as the scales of its priors, it takes from the rows it sees.

    Parameters
    ----------
    x : rows (N, D), as for ``fit``
    model, engine : as for ``fit``
    n_folds : between 2 and N
    sample_weight : (N,) weights of the rows, in the fits and in the score
    random_state : int, numpy Generator or JAX key
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)

    Raises
    ------
    ValueError, TypeError
        If an argument cannot be used.
    """
    data = as_data(x)
    weight = check_sample_weight(sample_weight, data.n_rows)
    if (
        isinstance(n_folds, bool)
        or not isinstance(n_folds, int | np.integer)
        or not 2 <= n_folds <= data.n_rows
    ):
        raise ValueError(f"Expected n_folds to be an integer from 2 to {data.n_rows}; got {n_folds!r}.")
    check_fit(data, 1, weight)
    seed, began = as_seed(random_state), time.perf_counter()
    rows = np.asarray(data.rows)
    folds = np.random.default_rng([seed, data.n_rows]).permutation(data.n_rows) % int(n_folds)
    elpd_i, fits = np.empty(data.n_rows), []
    with progress_reporter(progress) as report:
        for fold in range(int(n_folds)):
            out = folds == fold
            own = None if sample_weight is None else weight[~out]
            seen = Data(rows[~out], data.feature_names, data.name)
            found = fit(seen, model, EM() if engine is None else engine, sample_weight=own, random_state=seed)
            elpd_i[out] = found.score_samples(rows[out])
            fits.append(found)
            if report is not None:
                report("cross-validation", fold + 1, int(n_folds))
    return CrossValidation(elpd_i, weight, folds, tuple(fits), time.perf_counter() - began)
