"""Prediction from one mixture or from many draws of one: densities and memberships, averaged over the draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array, Natural, Structure
from bayesgmm.covariances.structure import namespace
from bayesgmm.data import Data, Standardisation, as_data, check_sample_weight, check_width
from bayesgmm.float64 import in_float64
from bayesgmm.kernel import log_density, memberships, per_row, statistics
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.few_rows import are_few, summarised
from bayesgmm.random_state import as_seed
from bayesgmm.row_blocks import Rows, make_rows

MOST_CELLS = 4_000_000  # draws x components x rows held at once
HOST_CELLS = 2**18  # the same on the host, where a processor's cache is to hold them
PIECE_CELLS = 2**20  # of rows that are standardised and put in blocks at once


class MixturePredictor:
    """What every fitted mixture can do with rows; ``draws`` is a Mixture with one leading axis."""

    observed: Data
    standardisation: Standardisation
    draws: Any  # a Mixture with one leading axis, as a field or as a property

    def restore(self, mixture: Mixture) -> Mixture:
        """A mixture of standardised rows, in the user's units."""
        return mixture.rescale(self.standardisation.scale, self.standardisation.shift)

    def _rows(self, x: Any) -> NDArray[np.float64]:
        data = self.observed if x is None else as_data(x)
        check_width(data, self.observed.feature_names)
        return data.rows

    def predict_proba(self, x: Any = None) -> NDArray[np.float64]:
        """Probability (N, K) of each component for each row, averaged over the draws."""
        return membership_probabilities(self.draws, self._rows(x), self.standardisation)

    def predict(self, x: Any = None) -> NDArray[np.intp]:
        """The most probable component (N,) of each row."""
        rows = self._rows(x)
        return _over_rows(self.draws, rows, most_probable, _most_probable, self.standardisation)

    def score_samples(self, x: Any = None) -> NDArray[np.float64]:
        """Log density (N,) of each row in the user's units, averaged over the draws."""
        rows = self._rows(x)
        average = _over_rows(
            self.draws, rows, average_log_density, _average_log_density, self.standardisation
        )
        average -= self.standardisation.log_jacobian
        return average

    def score(self, x: Any = None, sample_weight: Any = None) -> float:
        """Mean log density of the rows, in nats."""
        densities = self.score_samples(x)
        return float(np.average(densities, weights=check_sample_weight(sample_weight, len(densities))))

    def sample(self, n: int, random_state: Any = None) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """``n`` new rows (n, D) in the user's units and their components (n,), each from a draw at random."""
        if not isinstance(n, int | np.integer) or n < 1:
            raise ValueError(f"Expected n to be an integer of at least 1; got {n!r}.")
        rows, labels = sample_rows(self.draws, int(n), np.random.default_rng(as_seed(random_state)))
        return self.standardisation.inverse(rows), labels


def pointwise_log_density(draws: Mixture, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log density (S, N) of standardised rows under every draw."""
    return _over_rows(draws, rows, lambda log_density, _: log_density, _log_density)


def membership_probabilities(
    draws: Mixture, rows: NDArray[np.float64], standardisation: Standardisation | None = None
) -> NDArray[np.float64]:
    """Responsibilities of rows averaged over the draws: (N, K). Without a standardisation rows are standard."""
    return _over_rows(draws, rows, lambda _, r: r.mean(axis=0), _memberships, standardisation).T


def classification_entropies(
    draws: Mixture, rows: NDArray[np.float64], standardisation: Standardisation | None = None
) -> NDArray[np.float64]:
    """Entropy (N,) of each row's responsibilities, in nats, averaged over the draws."""
    return _over_rows(draws, rows, entropy, _entropy, standardisation)


def log_likelihoods(draws: Mixture, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Total log-likelihood (S,) of standardised rows under every draw."""
    if are_few(draws, rows):
        return summarised(draws, rows, lambda log_density, _: log_density.sum(axis=1))
    s, k = draws.log_weights.shape
    padded = make_rows(rows, draws.structure, most=max(16, MOST_CELLS // (s * k)))
    return _totals(draws.structure, draws.natural(), padded)


def _over_rows(
    draws: Any,
    rows: NDArray[np.float64],
    summary: Callable,
    compiled_summary: Callable,
    standardisation: Standardisation | None = None,
) -> NDArray:
    """What a summary makes of every row: (..., N)."""
    structure, (s, k) = draws.structure, draws.log_weights.shape
    if are_few(draws, rows):
        return in_pieces(
            lambda part: summarised(draws, part, summary), rows, standardisation, HOST_CELLS // (s * k)
        )
    natural, most = draws.natural(), max(16, MOST_CELLS // (s * k))

    def of(part: NDArray[np.float64]) -> Any:
        return compiled_summary(structure, natural, make_rows(part, structure, most=most))

    return in_pieces(of, rows, standardisation)


def in_pieces(
    of: Callable[[NDArray[np.float64]], Any],
    rows: NDArray[np.float64],
    standardisation: Standardisation | None = None,
    size: int | None = None,
) -> NDArray:
    """What a function makes of rows (..., n) piece by piece: no temporary array is as large as many rows."""
    n, d = rows.shape
    size = min(n, max(1, PIECE_CELLS // d if size is None else size))
    for first in range(0, n, size):
        # The last piece begins earlier than it need: what was compiled for the others serves it too.
        begin = min(first, n - size)
        part = rows[begin : begin + size]
        found = np.asarray(of(part if standardisation is None else standardisation.forward(part)))
        if first == 0:
            out = np.empty((*found.shape[:-1], n), found.dtype)
        out[..., first : begin + size] = found[..., first - begin : size]
    return out


def most_probable(_: Array, responsibilities: Float[Array, "s k n"]) -> Int[Array, " n"]:
    """The component of largest average responsibility."""
    return responsibilities.mean(axis=0).argmax(axis=0).astype(np.intp)


def average_log_density(log_density: Float[Array, "s n"], _: Array) -> Float[Array, " n"]:
    """Log of the average density."""
    xp = namespace(log_density)
    top = log_density.max(axis=0)
    top = xp.where(xp.isfinite(top), top, 0.0)
    return top + xp.log(xp.exp(log_density - top).mean(axis=0))


def entropy(_: Array, responsibilities: Float[Array, "s k n"]) -> Float[Array, " n"]:
    """Entropy of the responsibilities, averaged over the draws."""
    xp = namespace(responsibilities)
    terms = responsibilities * xp.log(xp.where(responsibilities > 0, responsibilities, 1.0))
    return -terms.mean(axis=0).sum(axis=0)


@in_float64
@compiled
def _most_probable(structure: Structure, natural: Natural, rows: Rows) -> Any:
    return per_row(structure, natural, rows, most_probable)


@in_float64
@compiled
def _average_log_density(structure: Structure, natural: Natural, rows: Rows) -> Any:
    return per_row(structure, natural, rows, average_log_density)


@in_float64
@compiled
def _entropy(structure: Structure, natural: Natural, rows: Rows) -> Any:
    return per_row(structure, natural, rows, entropy)


@in_float64
@compiled
def _totals(structure: Structure, natural: Natural, rows: Rows) -> Any:
    return statistics(structure, natural, rows).log_likelihood


@in_float64
@compiled
def _log_density(structure: Structure, natural: Natural, rows: Rows) -> Any:
    return log_density(structure, natural, rows)


@in_float64
@compiled
def _memberships(structure: Structure, natural: Natural, rows: Rows) -> Any:
    return memberships(structure, natural, rows)


def sample_rows(draws: Mixture, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Rows (n, D) and components (n,) from draws of a mixture, in its units."""
    s, k = draws.log_weights.shape
    d = draws.means.shape[-1]
    which = rng.integers(s, size=n)
    weights = np.exp(draws.log_weights)
    labels = (np.cumsum(weights, axis=1)[which] < rng.random((n, 1)) * weights.sum(axis=1)[which, None]).sum(
        axis=1
    )
    labels = np.minimum(labels, k - 1)
    dense = draws.structure.dense(draws.covariances, k, d)
    tril = np.linalg.cholesky(dense[which, labels])
    noise = rng.standard_normal((n, d))
    return draws.means[which, labels] + np.einsum("nij,nj->ni", tril, noise), labels
