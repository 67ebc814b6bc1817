"""What a prior of the components has to offer."""

from __future__ import annotations

import abc
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from bayesgmm.covariances import Array, Precision, PseudoMoments, Structure, namespace


class DataMoments(NamedTuple):
    """Mean (D,) and covariance (D, D) of the rows, from which defaults are scaled."""

    mean: Array
    covariance: Array

    @classmethod
    def of(cls, x: Array, sample_weight: Array | None = None) -> DataMoments:
        """Moments of rows (N, D), with the unbiased divisor."""
        xp = namespace(x)
        weight = xp.ones(x.shape[0], x.dtype) if sample_weight is None else xp.asarray(sample_weight, x.dtype)
        total = xp.sum(weight)
        # Centred twice: the mean of rows far from the origin loses digits that the covariance needs.
        pilot = x[0]
        mean = pilot + weight @ (x - pilot) / total
        centred = x - mean
        covariance = (centred * weight[:, None]).T @ centred / xp.maximum(total - 1.0, 1.0)
        return cls(mean, covariance)


class ComponentPrior(eqx.Module):
    """A prior of K means and covariances, for any structure. Hyperparameters left None are set from the data."""

    conjugate: ClassVar[bool] = False

    @abc.abstractmethod
    def resolve(self, structure: Structure, n_components: int, moments: DataMoments) -> ComponentPrior:
        """The same prior with every hyperparameter an array."""

    @abc.abstractmethod
    def rescale(
        self, structure: Structure, factor: Float[Array, " d"], shift: Float[Array, " d"]
    ) -> ComponentPrior:
        """The (resolved) prior of the parameters of ``factor * x + shift``."""

    @abc.abstractmethod
    def sites(self, structure: Structure, n_components: int, n_features: int) -> tuple[Array, Precision]:
        """The NumPyro program: sample the components; means (K, D) and their precision."""

    @abc.abstractmethod
    def to_sites(self, structure: Structure, means: Array, covariances: Array) -> dict[str, Array]:
        """Values of the sites for given means and covariances (warm starts)."""

    @abc.abstractmethod
    def from_sites(self, structure: Structure, sites: dict[str, Array]) -> tuple[Array, Precision]:
        """Means and precision from the sites' values; inverse of :meth:`to_sites`."""

    def pseudo_moments(self, structure: Structure, n_components: int, n_features: int) -> PseudoMoments:
        """What the conjugate update adds to the moments. Raises a ValueError where the prior is not conjugate."""
        raise ValueError(
            f"{type(self).__name__} is not conjugate, so EM cannot climb its posterior. Use "
            "EM(objective='likelihood'), sample it with NUTS, or choose models.components.NormalInverseWishart."
        )

    def log_prior(self, structure: Structure, means: Array, covariances: Array) -> Array:
        """Log density with respect to means and covariances, where it is known in closed form."""
        raise ValueError(
            f"{type(self).__name__} has no density over covariances; use NUTS, which needs none."
        )


def check_numbers(name: str, value, above: float = -np.inf) -> None:
    """Refuse a hyperparameter on the host that is not numeric and finite, or not above a bound."""
    if isinstance(value, jax.Array):
        return  # perhaps traced: its value is not known here
    try:
        numbers = np.asarray(value, float)
    except (TypeError, ValueError):
        raise TypeError(f"Expected {name} to be numeric; got {value!r}.") from None
    if not np.all(np.isfinite(numbers)) or not np.all(numbers > above):
        bound = "" if above == -np.inf else f" above {above:g}"
        raise ValueError(f"Expected a finite {name}{bound}; got {value!r}.")


def as_vector(name: str, value, n_features: int, above: float = -np.inf) -> Array:
    """A hyperparameter given as a number or as one number a feature, as (D,)."""
    check_numbers(name, value, above)
    xp = namespace(value) if np.ndim(value) == 0 or hasattr(value, "shape") else np
    vector = xp.asarray(value, float)
    if vector.ndim > 1 or (vector.ndim == 1 and vector.shape[0] != n_features):
        raise ValueError(
            f"Expected {name} to be a number or one number for each of {n_features} features; "
            f"got shape {np.shape(value)}."
        )
    return xp.broadcast_to(vector, (n_features,))
