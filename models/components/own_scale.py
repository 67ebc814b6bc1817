"""One scale of the covariances in a structure's own form: a matrix, one number a feature, or one number."""

from __future__ import annotations

import numpy as np

from bayesgmm.covariances import Array, Structure


def own_shape(structure: Structure, n_features: int) -> tuple[int, ...]:
    """Shape of one scale: (D, D), (D,) or ()."""
    return np.shape(structure.prior_scale(np.eye(n_features)))


def inverse_of_scale(structure: Structure, scale: Array, n_features: int) -> Array:
    """Inverse of one scale."""
    return structure.invert(structure.scale_second(scale, 1, n_features)).matrix.reshape(scale.shape)


def scale_from_site(structure: Structure, value: Array, n_features: int) -> Array:
    """One scale from the value of its site, which is that of one component's precision."""
    return structure.precision_from_site(value).matrix.reshape(own_shape(structure, n_features))
