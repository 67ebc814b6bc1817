"""What a prior of the components has to offer."""

from __future__ import annotations

import abc
from functools import cached_property
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bayesgmm.covariances import Array, Moments, Natural, Precision, PseudoMoments, Structure, namespace
from bayesgmm.data import RowMoments
from bayesgmm.pytree import PyTree


class DataMoments:
    """What defaults are scaled from: mean (D,), covariance (D, D), least, largest and median value (D,) of the rows.

    Each is computed when it is asked for; of host rows all but the median at once (``bayesgmm.data.RowMoments``),
    unless they are ``known``.
    """

    def __init__(self, x: Array, sample_weight: Array | None = None, known: RowMoments | None = None):
        self._x = x
        self._xp = namespace(x)
        ones = np.ones(x.shape[0]) if sample_weight is None else sample_weight
        self._weight = self._xp.asarray(ones, x.dtype)
        self._known = known

    @cached_property
    def _of_host(self) -> RowMoments | None:
        return self._known or (RowMoments.of(self._x, self._weight) if self._xp is np else None)

    @cached_property
    def mean(self) -> Array:
        """Weighted mean, from differences to one row: the mean of rows far from the origin loses digits."""
        if self._of_host:
            return self._of_host.mean
        return self._x[0] + self._weight @ (self._x - self._x[0]) / self._xp.sum(self._weight)

    @cached_property
    def covariance(self) -> Array:
        """Weighted covariance with the unbiased divisor."""
        if self._of_host:
            return self._of_host.covariance
        away = self._x - self.mean
        return (
            (away * self._weight[:, None]).T @ away / self._xp.maximum(self._xp.sum(self._weight) - 1.0, 1.0)
        )

    @cached_property
    def low(self) -> Array:
        """Least value over the rows of positive weight."""
        if self._of_host:
            return self._of_host.low
        return self._xp.min(self._xp.where((self._weight > 0)[:, None], self._x, np.inf), axis=0)

    @cached_property
    def high(self) -> Array:
        """Largest value over the rows of positive weight."""
        if self._of_host:
            return self._of_host.high
        return self._xp.max(self._xp.where((self._weight > 0)[:, None], self._x, -np.inf), axis=0)

    @cached_property
    def median(self) -> Array:
        """Median over the rows of positive weight."""
        return self._xp.nanmedian(self._xp.where((self._weight > 0)[:, None], self._x, np.nan), axis=0)


POINTS = 401  # of the trapezoid rule, which converges geometrically where both ends are negligible


class ComponentPrior(PyTree):
    """A prior of K means and covariances, for any structure. Hyperparameters left None are set from the data."""

    conjugate: ClassVar[bool] = False

    @property
    def n_features(self) -> int:
        """D, as the (resolved) prior's own ``mean`` has it."""
        shape = np.shape(getattr(self, "mean", None))
        if len(shape) != 1:
            raise ValueError(
                "Expected rows, or a model whose hyperparameters are all set: model.resolve(rows); without either, "
                "new rows cannot be drawn."
            )
        return shape[0]

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

    # ---- evidence

    @property
    def has_evidence(self) -> bool:
        """Whether :meth:`log_marginal_prior` is known."""
        return type(self).log_marginal_prior is not ComponentPrior.log_marginal_prior

    def log_marginal_prior(self, structure: Structure, means: Array, covariances: Array) -> Array:
        """Log density of means (K, D) and covariances, with respect to both, random hyperparameters integrated out.

        So an evidence is had from any engine's draws: none of hyperparameters are needed. Of a resolved prior.
        """
        raise ValueError(
            f"{type(self).__name__} has no density over means and covariances that is known, so there is no evidence "
            "under it. Choose one of models.components."
        )

    # ---- Gibbs

    def check_gibbs(self) -> None:
        """Raise a ValueError where the prior cannot be sampled by Gibbs."""
        raise ValueError(
            f"{type(self).__name__} has no conditional draws, so Gibbs cannot sample it. Use NUTS, or choose "
            "models.components.NormalInverseWishart or models.components.Independent."
        )

    def initial_state(self, structure: Structure, n_features: int) -> dict[str, Array]:
        """Hyperparameters to begin with; empty where none is random."""
        return {}

    def at(self, state: dict[str, Array]) -> ComponentPrior:
        """The prior given its hyperparameters."""
        return self

    def draw_state(
        self,
        key: Array,
        structure: Structure,
        means: Array,
        covariances: Array,
        occupied: Array,
        state: dict[str, Array],
    ) -> dict[str, Array]:
        """Hyperparameters given the occupied components, empty ones integrated out."""
        return state

    def draw(self, key: Array, structure: Structure, moments: Moments, means: Array) -> tuple[Array, Array]:
        """Means and covariances given the rows of each component; a component without rows from the prior.

        ``means`` are the current ones, for priors whose means and covariances are drawn in turn.
        """
        raise NotImplementedError

    def conjugate_near(self) -> ComponentPrior:
        """A conjugate prior that is this one (given its hyperparameters) or near it, to propose from."""
        return self

    def log_excess(self, structure: Structure, means: Array, covariances: Array) -> Float[Array, " k"]:
        """Log density (K,) of each component less that under :meth:`conjugate_near`."""
        return jnp.zeros(means.shape[0], means.dtype)

    # ---- CAVI: the variational posterior is the conjugate one given expected moments

    def check_cavi(self) -> None:
        """Raise a ValueError where variational inference has no closed form."""
        raise ValueError(
            f"{type(self).__name__} is not conjugate, so CAVI has no closed form for it. Use NUTS or SVI, or choose "
            "models.components.NormalInverseWishart."
        )

    def expected_natural(self, structure: Structure, log_weights: Array, moments: Moments) -> Natural:
        """``log_weights_k + E[log N(x | k)]`` as a linear form in the features."""
        raise NotImplementedError

    def log_evidence(self, structure: Structure, moments: Moments) -> Array:
        """Log integral of ``exp(sum of r log N(x | k))`` over the prior: a sum over the components."""
        raise NotImplementedError

    def log_predictive(self, structure: Structure, moments: Moments, x: Float[Array, "d b"]) -> Array:
        """Log density (K, B) of new rows under each component, its parameters integrated out."""
        raise NotImplementedError

    def conditional(self, structure: Structure, moments: Moments) -> Any:
        """The conjugate posterior given expected moments, as a pytree of arrays."""
        raise NotImplementedError

    def sample_conditional(
        self, rng: np.random.Generator, structure: Structure, conditional: Any, n_draws: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means (S, K, D) and covariances (S, ...) from such a posterior, on the host."""
        raise NotImplementedError

    def expected_components(self, structure: Structure, moments: Moments) -> tuple[Array, Array]:
        """Posterior means of the means (K, D), and covariances whose inverse is the expected precision."""
        raise NotImplementedError

    def state_in_units(
        self,
        structure: Structure,
        state: dict[str, Array],
        factor: Float[Array, " d"],
        shift: Float[Array, " d"],
    ) -> dict[str, Array]:
        """Hyperparameters (leading axes free) of the parameters of ``factor * x + shift``."""
        return state


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
