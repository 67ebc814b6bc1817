"""The quantities of a comparison: what each is called, which direction is better, how it is printed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Quantity(NamedTuple):
    """A number of every fit.

    Attributes
    ----------
    column : of the table
    label : its name in print
    words : how to read it
    digits : decimals in print
    error : column of its standard error, or standard deviation
    unit : column of the word that follows it
    better : "smaller" or "larger" where that is to be said beside the name
    """

    column: str
    label: str
    words: str
    digits: int = 2
    error: str = ""
    unit: str = ""
    better: str = ""

    @property
    def title(self) -> str:
        """The name in print, with the direction."""
        return f"{self.label} ({self.better} is better)" if self.better else self.label

    @property
    def columns(self) -> list[str]:
        """The columns of the table that it takes."""
        return [name for name in (self.column, self.error, self.unit) if name]

    def cells(self, table: Any) -> list[str]:
        """Every fit's value as text, "-" where there is none."""
        values = table[self.column].astype(float)
        errors = table[self.error].astype(float) if self.error else np.full(len(table), np.nan)
        units = table[self.unit] if self.unit else [""] * len(table)
        return [self._cell(*cell) for cell in zip(values, errors, units, strict=True)]

    def _cell(self, value: float, error: float, unit: str) -> str:
        if not np.isfinite(value):
            return "-"
        more = f" +- {error:.{self.digits}f}" if np.isfinite(error) else ""
        return f"{value:.{self.digits}f}{more} {unit}".rstrip()


QUANTITIES = (
    Quantity(
        "log_likelihood",
        "log-likelihood",
        "larger is a closer fit, and always grows with the number of components: not a criterion",
        error="log_likelihood_sd",
    ),
    Quantity("bic", "BIC", "smaller is better (-2 log L + p log n)", better="smaller"),
    Quantity(
        "icl",
        "ICL",
        "smaller is better (BIC plus twice the entropy of the classification)",
        better="smaller",
    ),
    Quantity(
        "elpd_loo",
        "elpd_loo",
        "larger is better (expected log density of new rows, in nats, summed over the rows)",
        error="elpd_loo_se",
        better="larger",
    ),
    Quantity("p_loo", "p_loo", "no direction: the effective number of parameters", digits=1),
    Quantity(
        "elpd_difference",
        "elpd - best",
        "0 is the best, negative is worse; below 4, or within two standard errors, is no difference",
        error="elpd_difference_se",
    ),
    Quantity(
        "stacking_weight",
        "stacking weight",
        "larger is better: share in the mixture of posteriors that predicts best; among fits that predict alike it is "
        "arbitrary, and it is no probability of a model",
    ),
    Quantity("max_khat", "largest k-hat", "smaller is better; above 0.7 elpd_loo cannot be trusted"),
    Quantity(
        "held_out",
        "held-out density",
        "larger is better (mean log density of a row that the fit has not seen, in nats)",
        digits=4,
        error="held_out_se",
        better="larger",
    ),
    Quantity(
        "held_out_difference",
        "held-out - best",
        "0 is the best, negative is worse; within two standard errors, which are those of the differences row by row, "
        "is no difference",
        digits=4,
        error="held_out_difference_se",
    ),
    Quantity(
        "agreement",
        "partition against the first",
        "adjusted Rand index with the partition of the first fit: 1 the same, 0 as by chance",
        digits=3,
    ),
    Quantity("seconds", "seconds", "wall-clock, all phases, compiling among them", digits=1),
    Quantity(
        "passes",
        "passes",
        "how often what is kept needed the density of all rows: steps of EM's best start or of CAVI; gradients of the "
        "ELBO, times the share of rows that each saw; gradients or sweeps of the kept draws, all chains together. A "
        "gradient goes over the rows forth and back. Other starts, the search for modes and the warm-up are in the "
        "seconds alone",
        digits=0,
        unit="passes_of",
    ),
)

COLUMNS = [
    *("kind", "covariance_type", "n_components"),
    *(name for quantity in QUANTITIES for name in quantity.columns),
    *("converged", "remarks", "warnings"),
]
