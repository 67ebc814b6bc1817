"""Priors of the number of components K."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import betaln, gammaln, logsumexp

from bayesgmm.covariances import Array
from bayesgmm.models.weights.concentration import check_positive
from bayesgmm.pytree import PyTree, static

MOST = 50  # components that an unbounded prior is cut off at, unless told otherwise


class NumberPrior(PyTree):
    """A distribution over K = 1, ..., most.

    Attributes
    ----------
    name : what it is, in words
    log_probabilities : (most,)
    tail : mass that an unbounded prior had beyond ``most``, before it was cut off and scaled to sum to one
    """

    name: str = static()
    log_probabilities: Array
    tail: float = static(default=0.0)

    @property
    def most(self) -> int:
        """Largest number of components."""
        return self.log_probabilities.shape[-1]

    @property
    def probabilities(self) -> np.ndarray:
        """(most,), on the host."""
        return np.exp(np.asarray(self.log_probabilities))


def uniform(most: Any = 30) -> NumberPrior:
    """K uniform on 1, ..., most (Richardson & Green 1997: 30)."""
    return _cut_off(f"uniform on 1 to {most}", lambda k: np.zeros(k.shape), most, bounded=True)


def shifted_poisson(mean: Any = 1.0, most: Any = MOST) -> NumberPrior:
    """K - 1 ~ Poisson(mean) (Nobile 2004 and Miller & Harrison 2018 use such priors)."""
    check_positive("mean", mean)
    return _cut_off(f"K - 1 ~ Poisson({mean:g})", lambda k: (k - 1) * np.log(mean) - mean - gammaln(k), most)


def truncated_poisson(mean: Any = 1.0, most: Any = MOST) -> NumberPrior:
    """K ~ Poisson(mean) given K >= 1 (Nobile & Fearnside 2007 with mean 1)."""
    check_positive("mean", mean)
    gone = np.log(-np.expm1(-float(mean)))
    return _cut_off(
        f"K ~ Poisson({mean:g}), at least 1",
        lambda k: k * np.log(mean) - mean - gammaln(k + 1) - gone,
        most,
    )


def geometric(p: Any = 0.1, most: Any = MOST) -> NumberPrior:
    """K - 1 ~ Geometric(p): P(K) = p (1 - p)^(K - 1) (Miller & Harrison 2018 use p = .1)."""
    check_positive("p", p)
    if not p < 1:
        raise ValueError(f"Expected p between 0 and 1; got {p!r}.")
    return _cut_off(f"K - 1 ~ Geometric({p:g})", lambda k: np.log(p) + (k - 1) * np.log1p(-p), most)


def beta_negative_binomial(r: Any = 1.0, a: Any = 4.0, b: Any = 3.0, most: Any = MOST) -> NumberPrior:
    """K - 1 ~ BNB(r, a, b), by default the BNB(1, 4, 3) of Fruehwirth-Schnatter, Malsiner-Walli & Gruen (2021).

    P(K - 1 = j) = Gamma(r + j) / (Gamma(r) j!) B(a + r, b + j) / B(a, b), of mean r b / (a - 1).
    """
    for name, value in (("r", r), ("a", a), ("b", b)):
        check_positive(name, value)

    def log_mass(k: np.ndarray) -> np.ndarray:
        j = k - 1.0
        return gammaln(r + j) - gammaln(r) - gammaln(j + 1) + betaln(a + r, b + j) - betaln(a, b)

    return _cut_off(f"K - 1 ~ BNB({r:g}, {a:g}, {b:g})", log_mass, most)


def _cut_off(name: str, log_mass: Any, most: Any, bounded: bool = False) -> NumberPrior:
    if isinstance(most, bool) or not isinstance(most, int | np.integer):
        raise TypeError(f"Expected most to be an integer; got {most!r}.")
    if most < 1:
        raise ValueError(f"Expected most of at least 1; got {most}.")
    values = log_mass(np.arange(1, int(most) + 1, dtype=float))
    held = logsumexp(values)
    tail = 0.0 if bounded else max(0.0, -np.expm1(min(held, 0.0)))
    return NumberPrior(name, values - held, float(tail))
