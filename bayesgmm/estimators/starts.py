"""Where the caller wants a fit to begin: parameters, partitions, or the fit before."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Precision, get_structure
from bayesgmm.data import Data
from bayesgmm.inference.em.degeneracy import degeneracy_warnings, floor_of
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture

OURS = "auto"
PARTITIONS = ("kmeans", "k-means++", "random", "random_from_data")


def check_shape(value: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """A parameter as an array, refused unless it has this shape."""
    array = np.asarray(value, float)
    if array.shape != shape:
        raise ValueError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")
    return array


def check_weights(value: Any, n_components: int) -> NDArray[np.float64]:
    """Starting weights (K,)."""
    weights = check_shape(value, (n_components,), "weights")
    if np.any(weights < 0) or np.any(weights > 1):
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{np.min(weights):.5f}, min value {np.max(weights):.5f}"  # this way round in scikit-learn
        )
    if not np.isclose(weights.sum(), 1.0, atol=1e-6):
        raise ValueError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum():.5f}"
        )
    return weights


def check_precisions(value: Any, covariance_type: str, n_components: int, n_features: int) -> NDArray:
    """Starting precisions, in the shape of the structure's covariances."""
    name = f"{covariance_type} precision"
    precisions = check_shape(
        value, get_structure(covariance_type).covariance_shape(n_components, n_features), name
    )
    if is_diagonal(covariance_type):
        if np.any(precisions <= 0):
            raise ValueError(f"'{name}' should be positive")
    elif not (
        np.allclose(precisions, np.swapaxes(precisions, -1, -2))
        and np.all(np.linalg.eigvalsh(precisions) > 0)
    ):
        raise ValueError(f"'{name}' should be symmetric, positive-definite")
    return precisions


def is_diagonal(covariance_type: str) -> bool:
    """Whether a structure's covariances are variances rather than matrices."""
    return "feature_bis" not in get_structure(covariance_type).dims


def given_start(
    data: Data, model: FiniteMixture, seed: int, sample_weight: Any, weights: Any, means: Any, precisions: Any
) -> Mixture | None:
    """A mixture with the parameters that were given, and those of one partition for the others."""
    given = weights, means, precisions
    if all(value is None for value in given):
        return None
    k, d, structure = model.n_components, data.n_features, model.structure
    own = None
    if any(value is None for value in given):
        first = EM(n_init=1, moves=0, max_steps=0)
        own = fit(data, model, first, random_state=seed, sample_weight=sample_weight)
    covariances = None
    if precisions is not None:
        matrix = check_precisions(precisions, model.covariance_type, k, d)
        covariances = structure.covariances(Precision(matrix, np.zeros(matrix.shape[:1])))
    return Mixture.from_parameters(
        own.weights if weights is None else check_weights(weights, k),
        own.means if means is None else check_shape(means, (k, d), "means"),
        own.covariances if covariances is None else covariances,
        model.covariance_type,
    )


def partition_start(data: Data, n_components: int, kind: str, rng: np.random.RandomState) -> NDArray[np.intp]:
    """Labels (N,) to begin with: by K-means, by the nearest of some rows, or at random."""
    from sklearn.cluster import KMeans, kmeans_plusplus
    from sklearn.metrics import pairwise_distances_argmin

    rows, n = data.rows, data.n_rows
    if kind == "random":
        return rng.permutation(n) % n_components
    if kind == "kmeans":
        return KMeans(n_components, n_init=1, random_state=rng).fit(rows).labels_.astype(np.intp)
    if kind == "k-means++":
        centres = kmeans_plusplus(rows, n_components, random_state=rng)[0]
    else:
        centres = rows[rng.choice(n, n_components, replace=False)]
    return pairwise_distances_argmin(rows, centres).astype(np.intp)


def in_the_order_of(result: Any, start: Mixture) -> Any:
    """An EM fit with its components in the order of the caller's, rather than by weight."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if not hasattr(result, "problem") or not hasattr(result, "degeneracies"):
        return result
    standard = result.standardisation.forward
    order = linear_sum_assignment(cdist(standard(np.asarray(start.means)), standard(result.means)))[1]
    mixture = result.mixture.permute(order)
    floor = floor_of(result.engine, result.problem)
    return dataclasses.replace(
        result, mixture=mixture, degeneracies=degeneracy_warnings(mixture, result.problem, floor)
    )
