"""What an engine is given: standardised rows, the resolved model, a start and a seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.data import Data, RowMoments, Standardisation
from bayesgmm.float64 import in_float64
from bayesgmm.inference.start import labels_to_one_hot, mixtures_from_responsibilities
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture


@dataclasses.dataclass(frozen=True)
class Problem:
    """One task for an engine. ``model`` is resolved, in the user's units; ``rows`` are standardised."""

    observed: Data
    model: FiniteMixture
    standardisation: Standardisation
    sample_weight: NDArray[np.float64]
    seed: int
    start: Any = None
    progress: Callable[[str, int, int], None] | None = None
    checkpoint: Any = None
    known: RowMoments | None = None

    def without_start(self) -> Problem:
        """The same task, to be started anew."""
        return dataclasses.replace(self, start=None)

    def for_em(self) -> Problem:
        """The same task for EM to look for starts: under weights whose density has no poles."""
        model = self.model
        bounded = FiniteMixture(
            model.n_components, model.structure, model.weights.bounded(), model.components
        )
        return dataclasses.replace(self, model=bounded)

    def tell(self, phase: str, done: int, total: int) -> None:
        """Report progress to whoever listens."""
        if self.progress is not None:
            self.progress(phase, done, total)

    @cached_property
    def rows(self) -> NDArray[np.float64]:
        """Standardised rows (N, D)."""
        return self.standardisation.forward(self.observed.rows)

    def sample_rows(
        self, most: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """At most so many standardised rows of positive weight, drawn without replacement, and their weights."""
        weight = self.sample_weight
        n = int(np.count_nonzero(weight))
        index = np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))
        if n < len(weight):
            index = np.flatnonzero(weight)[index]
        return self.standardisation.forward(self.observed.rows[index]), weight[index]

    @cached_property
    def whitener(self) -> NDArray[np.float64]:
        """W (D, D) such that standardised rows times W' have unit covariance."""
        moments = self.known or RowMoments.of(self.observed.rows, self.sample_weight)
        second = moments.scaled(self.standardisation.scale)
        return np.linalg.inv(np.linalg.cholesky(second + 1e-12 * np.eye(len(second))))

    @property
    def log_jacobian(self) -> float:
        """What the log-likelihood in the user's units is less than in standardised ones."""
        return float(self.sample_weight.sum() * self.standardisation.log_jacobian)

    def standard_model(self, model: FiniteMixture | None = None) -> FiniteMixture:
        """The model's beliefs in standardised units."""
        scale, shift = self.standardisation.scale, self.standardisation.shift
        return (model or self.model).rescale(1.0 / scale, -shift / scale)

    def in_user_units(self, mixture: Mixture, objective: float, kind: str) -> tuple[float, float | None]:
        """Log-likelihood, and log posterior where that was the objective, in the user's units."""
        if kind == "likelihood":
            return objective - self.log_jacobian, None
        log_likelihood = objective - _log_prior(self.standard_model(), mixture) - self.log_jacobian
        user = mixture.rescale(self.standardisation.scale, self.standardisation.shift)
        return log_likelihood, log_likelihood + _log_prior(self.model, user)

    def start_mixture(self, spare: bool = False) -> Mixture:
        """The caller's start as a mixture in standardised units.

        With ``spare`` it may have fewer components than the model: the other slots are absent (log weight -inf).
        """
        start = self.start
        if hasattr(start, "mixture"):  # a result
            start = start.mixture.rescale(start.standardisation.scale, start.standardisation.shift)
        if isinstance(start, Mixture):
            return self._checked(start.with_slots(self.model.n_components) if spare else start)
        return self._from_labels(self.start_labels())

    @property
    def starts_from_labels(self) -> bool:
        """Whether the caller's start is labels rather than a mixture."""
        return self.start is not None and not (
            isinstance(self.start, Mixture) or hasattr(self.start, "mixture")
        )

    def _checked(self, mixture: Mixture) -> Mixture:
        k, d = self.model.n_components, self.observed.n_features
        found = (mixture.structure.name, mixture.n_components, mixture.n_features)
        if found[1:] != (k, d):
            raise ValueError(
                f"Expected a start of {k} components and {d} features; got {found[1]} and {found[2]}."
            )
        _check_sound(mixture)
        if mixture.structure != self.model.structure:
            to_dense, project = mixture.structure.dense, self.model.structure.project
            covariances = project(to_dense(np.asarray(mixture.covariances), k, d))
            mixture = Mixture(self.model.structure, mixture.log_weights, mixture.means, covariances)
        scale, shift = self.standardisation.scale, self.standardisation.shift
        host = Mixture(mixture.structure, *(np.asarray(a, float) for a in _leaves(mixture)))
        return host.rescale(1.0 / scale, -shift / scale)

    def start_labels(self) -> NDArray[np.intp]:
        """The caller's labels (N,), numbered from 0 without gaps."""
        k, labels = self.model.n_components, np.asarray(self.start)
        if labels.shape != (self.observed.n_rows,):
            raise ValueError(
                f"Expected start to be a result, a Mixture, or labels of shape ({self.observed.n_rows},); "
                f"got an array of shape {labels.shape}."
            )
        if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
            raise ValueError(
                "Expected start labels to be integers of at least 0, a cluster number for every row."
            )
        _, codes = np.unique(labels, return_inverse=True)
        if codes.max() + 1 > k:
            raise ValueError(f"Expected labels of at most {k} clusters in start; got {codes.max() + 1}.")
        return codes.astype(np.intp)

    def _from_labels(self, labels: NDArray[np.intp]) -> Mixture:
        k, codes = self.model.n_components, labels
        one_hot = labels_to_one_hot(codes, k)[None] * self.sample_weight
        start = mixtures_from_responsibilities(self.model.structure, self.rows, one_hot, shrink=True)
        return Mixture(start.structure, *(a[0] for a in _leaves(start)))


@in_float64
@compiled
def _log_prior(model: FiniteMixture, mixture: Mixture):
    return model.log_prior(mixture)


def _check_sound(mixture: Mixture) -> None:
    """Raise a ValueError for a mixture that has no density."""
    used = np.isfinite(np.asarray(mixture.log_weights, float))
    dense = mixture.structure.dense(np.asarray(mixture.covariances, float), *mixture.means.shape)[used]
    finite = np.isfinite(dense).all() and np.isfinite(np.asarray(mixture.means, float)[used]).all()
    if not used.any() or not finite or not np.all(np.linalg.eigvalsh(dense)[..., 0] > 0):
        raise ValueError(
            "Expected a start of finite weights and means and of positive definite covariances; got others. "
            "Mixture.from_parameters says which."
        )


def _leaves(mixture: Mixture) -> tuple:
    return mixture.log_weights, mixture.means, mixture.covariances
