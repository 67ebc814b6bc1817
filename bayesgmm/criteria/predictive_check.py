"""Data sets drawn from a fit beside the observed one: spread, shape and tails of every feature."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from bayesgmm.posterior.predict import MixturePredictor
from bayesgmm.posterior.predictive import replicated_rows
from bayesgmm.random_state import as_seed
from bayesgmm.tables import number, text_table

if TYPE_CHECKING:
    import pandas

LEVEL = 0.01  # of the words in print alone
MOST_FALSE = 0.05  # chance that a sound fit is warned of
FEWEST = 500  # data sets drawn

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def skewness(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Third standardised moment (D,)."""
    return _moment(rows, 3)


def kurtosis(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fourth standardised moment (D,), 3 for one Gaussian."""
    return _moment(rows, 4)


def lower_tail(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the smallest value lies below the lower quartile, in interquartile ranges (D,)."""
    low, quarter, three = np.quantile(rows, [0.0, 0.25, 0.75], axis=0)
    return (quarter - low) / np.maximum(three - quarter, np.finfo(float).tiny)


def upper_tail(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the largest value lies above the upper quartile, in interquartile ranges (D,)."""
    return lower_tail(-rows)


def largest_tie(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share (D,) of the rows at the most frequent value: large where a feature counts or is rounded."""
    return np.array([np.unique(column, return_counts=True)[1].max() / len(rows) for column in rows.T])


STATISTICS: dict[str, Statistic] = {
    "skewness": skewness,
    "kurtosis": kurtosis,
    "lower tail": lower_tail,
    "upper tail": upper_tail,
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PredictiveCheck:
    """What data sets drawn from a fit look like, beside the observed one.

    Attributes
    ----------
    observed : (T, D) statistics of the rows
    replicated : (S, T, D) of data sets drawn
    statistics : their names
    feature_names : of the columns
    source : what was checked, in words
    """

    observed: Float64[np.ndarray, "T D"]
    replicated: Float64[np.ndarray, "S T D"]
    statistics: tuple[str, ...]
    feature_names: tuple[str, ...]
    source: str

    @property
    def p_values(self) -> Float64[np.ndarray, "T D"]:
        """Twice the smaller share on one side of the observed value, at most 1: never 0, the rows being one data set.

        Ties count half (Davison & Hinkley 1997, section 4.2).
        """
        s = len(self.replicated)
        above = np.sum(self.replicated > self.observed, axis=0)
        ties = np.sum(self.replicated == self.observed, axis=0)
        upper = above + 0.5 * ties
        return np.minimum(1.0, 2.0 * (np.minimum(upper, s - upper) + 1.0) / (s + 1.0))

    @property
    def table(self) -> pandas.DataFrame:
        """A row a feature and statistic: observed, the middle 90 % of the data sets drawn, and the p-value."""
        import pandas

        low, middle, high = np.quantile(self.replicated, [0.05, 0.5, 0.95], axis=0)
        cells = [
            (feature, name, self.observed[t, j], low[t, j], middle[t, j], high[t, j], self.p_values[t, j])
            for j, feature in enumerate(self.feature_names)
            for t, name in enumerate(self.statistics)
        ]
        return pandas.DataFrame(
            cells, columns=["feature", "statistic", "observed", "5 %", "50 %", "95 %", "p_value"]
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the fit does not reproduce, in words; statistics share the level (Bonferroni), as the draws allow."""
        least = 2.0 / (len(self.replicated) + 1.0)  # the smallest p-value there can be
        level = max(LEVEL / self.observed.size, least)
        if least * self.observed.size > MOST_FALSE:
            enough = int(np.ceil(2.0 * self.observed.size / MOST_FALSE))
            return (
                f"{len(self.replicated)} data sets are too few to warn of anything: n_draws={enough} are enough.",
            )
        return tuple(
            f"the {row.statistic} of {row.feature} is {number(row.observed)}; data sets drawn from the fit have "
            f"{number(row._4)} to {number(row._6)}: the fit does not reproduce it."
            for row in self.table.itertuples()
            if row.p_value <= level
        )

    def __repr__(self) -> str:
        rows = [
            [
                row.feature,
                row.statistic,
                *(number(v) for v in (row.observed, row._4, row._5, row._6)),
                f"{row.p_value:.3f}",
            ]
            for row in self.table.itertuples()
        ]
        header = ["feature", "statistic", "observed", "5 %", "50 %", "95 %", "p"]
        head = f"{len(self.replicated)} data sets drawn from the {self.source}"
        return "\n".join([head, text_table(header, rows), *(f"warning: {w}" for w in self.warnings)])


def predictive_check(
    fit: Any, *, statistics: Mapping[str, Statistic] | None = None, n_draws: Any = None, random_state: Any = 0
) -> PredictiveCheck:
    """Compare statistics of the rows with those of data sets drawn from a fit (Gelman, Meng & Stern 1996).

    From a posterior every data set comes from another draw of it. From a fit by EM all come from the maximum. Either
    way the rows are used twice, so that p-values are too near one half: a small one is meant.

    Parameters
    ----------
    fit : any fit
    statistics : functions by name, of rows (N, D), one number a feature (D,); skewness, kurtosis and how far the
        outermost rows lie out if None. They do not change with location; the tails' not with units either
    n_draws : data sets; None takes as many as a warning by chance in at most one check of twenty needs
    random_state : int, numpy Generator or JAX key

    Raises
    ------
    TypeError, ValueError
        If ``fit`` is no fit, or a statistic is not one finite number a feature.
    """
    if not isinstance(fit, MixturePredictor):
        raise TypeError(f"Expected a fit such as bayesgmm.fit returns; got {type(fit).__name__}.")
    if n_draws is not None and (
        isinstance(n_draws, bool) or not isinstance(n_draws, int | np.integer) or n_draws < 20
    ):
        raise ValueError(f"Expected n_draws to be an integer of at least 20; got {n_draws!r}.")
    if not np.all(getattr(fit, "sample_weight", np.ones(1)) == 1):
        raise ValueError(
            "Expected a fit to rows without weights: drawn data sets have none. Repeat rows instead."
        )
    functions = dict(STATISTICS if statistics is None else statistics)
    rows = np.asarray(fit.observed.rows)
    observed = np.stack([_checked(name, f(rows), rows.shape[1]) for name, f in functions.items()])
    n_draws = max(FEWEST, int(np.ceil(2.0 * observed.size / MOST_FALSE))) if n_draws is None else int(n_draws)
    rng = np.random.default_rng(as_seed(random_state))
    s = fit.draws.log_weights.shape[0]
    index = np.linspace(0, s - 1, n_draws).round().astype(int)
    replicated = np.empty((n_draws, *observed.shape))
    for i, draw in enumerate(index):
        one = jax.tree.map(np.asarray, fit.draws.at_draws(np.array([draw])))
        drawn = fit.standardisation.inverse(replicated_rows(one, len(rows), rng)[0])
        replicated[i] = [f(drawn) for f in functions.values()]
    source = f"{fit.kind} fit of {fit.n_components} {fit.covariance_type} components to {fit.observed.name}"
    return PredictiveCheck(observed, replicated, tuple(functions), tuple(fit.observed.feature_names), source)


def _moment(rows: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    deviation = rows - rows.mean(axis=0)
    return np.mean(deviation**power, axis=0) / np.mean(deviation**2, axis=0) ** (power / 2)


def _checked(name: str, value: Any, d: int) -> NDArray[np.float64]:
    out = np.asarray(value, float)
    if out.shape != (d,) or not np.isfinite(out).all():
        raise ValueError(
            f"Expected the statistic {name!r} to give {d} finite number{'s' * (d > 1)}, one a feature; got {value!r}."
        )
    return out
