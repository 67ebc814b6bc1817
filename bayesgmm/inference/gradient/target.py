"""The density that gradient-based engines see: a NumPyro program in unconstrained coordinates, whitened.

Everything that changes between fits (rows, hyperparameters, centre, factor) is an array inside, so a compiled
program serves every fit of the same shapes, and rows are padded, so that a few more of them change no shape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float
from numpy.typing import NDArray
from numpyro import handlers
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.pytree import PyTree
from bayesgmm.row_blocks import Rows


class Target(PyTree):
    """``-log p(x, theta)`` as a function of unconstrained ``theta``.

    Attributes
    ----------
    model : resolved, in standardised units
    rows : standardised, in blocks
    sites : unconstrained values of the sites; only their shapes matter
    """

    model: FiniteMixture
    rows: Rows
    sites: dict[str, Array]

    @classmethod
    def at(cls, model: FiniteMixture, rows: Rows, mixture: Mixture) -> tuple[Target, NDArray[np.float64]]:
        """The target, and theta (P,) at a mixture."""
        values = model.to_sites(jax.tree.map(np.asarray, mixture))
        target = cls(model, rows, _unconstrained(model, rows.blocks.shape[1], values))
        return target, target.theta_of(mixture)

    def theta_of(self, mixture: Mixture) -> NDArray[np.float64]:
        """Theta (P,) at a mixture, on the host."""
        mixture = jax.tree.map(np.asarray, mixture)  # JAX would compile every little operation on the way
        sites = _unconstrained(self.model, self.n_features, self.model.to_sites(mixture))
        return np.concatenate([np.ravel(sites[name]) for name in sorted(sites)])

    @property
    def size(self) -> int:
        """P, the number of coordinates."""
        return sum(np.size(value) for value in self.sites.values())

    @property
    def n_features(self) -> int:
        """D."""
        return self.rows.blocks.shape[1]

    def potential(self, theta: Float[Array, " p"]) -> Array:
        """Negative log joint."""
        return potential_energy(self.model.on_blocks, (self.rows,), {}, self._unravel(theta))

    def mixture(self, theta: Float[Array, " p"]) -> Any:
        """The mixture."""
        return self.model.from_sites(self.values(theta))

    def values(self, theta: Float[Array, " p"]) -> dict[str, Array]:
        """The sites' (constrained) values."""
        return constrain_fn(self.model.parameters, (self.n_features,), {}, self._unravel(theta))

    def value_and_slope(self, theta: Float[Array, " p"]) -> tuple[Array, Array]:
        """Potential and its gradient; traced once for all programs that hold it."""
        return _value_and_slope(self, theta)

    def _unravel(self, theta: Array) -> dict[str, Array]:
        return ravel_pytree(self.sites)[1](theta)


@jax.jit
def _value_and_slope(target: Target, theta: Array) -> tuple[Array, Array]:
    return jax.value_and_grad(jax.jit(target.potential))(
        theta
    )  # a derivative of what is traced is traced faster


class Chart(NamedTuple):
    """Coordinates u with ``theta = centre + factor u``, in which a mode is nearly a standard normal.

    ``centre`` (..., P) and ``factor`` (..., P, P); a leading axis is one of chains, each with coordinates of its own.
    """

    centre: Float[Array, "*lead p"]
    factor: Float[Array, "*lead p p"]

    def theta(self, u: Float[Array, "*lead p"]) -> Float[Array, "*lead p"]:
        """Unconstrained coordinates."""
        return self.centre + (self.factor @ u[..., None])[..., 0]

    def u(self, theta: Float[NDArray, "*lead p"]) -> Float[NDArray, "*lead p"]:
        """Whitened coordinates, on the host; inverse of :meth:`theta`."""
        return np.linalg.solve(self.factor, (theta - self.centre)[..., None])[..., 0]

    def at(self, index: NDArray[np.intp]) -> Chart:
        """Some of the charts along their leading axis."""
        return Chart(self.centre[index], self.factor[index])

    def potential(self, target: Target, u: Float[Array, " p"]) -> Array:
        """Negative log joint at whitened coordinates; its gradient is :meth:`Target.value_and_slope`'s."""
        return _whitened(target, self, u)


@jax.custom_vjp
def _whitened(target: Target, chart: Chart, u: Array) -> Array:
    return target.potential(chart.theta(u))


def _whitened_forward(target: Target, chart: Chart, u: Array) -> tuple[Array, Array]:
    value, slope = target.value_and_slope(chart.theta(u))
    return value, slope @ chart.factor


_whitened.defvjp(_whitened_forward, lambda slope, weight: (None, None, weight * slope))

BATCH = 32  # points whose gradients are taken at once; one compiled program serves every use


def gradients(target: Target, theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Potential (S,) and its gradient (S, P) at unconstrained coordinates (S, P), in float64.

    Points go through one program in batches of fixed size: compiling a gradient costs seconds, evaluating it
    microseconds.
    """
    values, slopes = [], []
    for first in range(0, len(theta), BATCH):
        part = theta[first : first + BATCH]
        padded = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
        value, slope = _gradients(target, padded)
        values.append(np.asarray(value)[: len(part)])
        slopes.append(np.asarray(slope)[: len(part)])
    return np.concatenate(values), np.concatenate(slopes)


@compiled
def _gradients(target: Target, theta: Float[Array, "s p"]) -> tuple[Array, Array]:
    return jax.vmap(target.value_and_slope)(theta)


def derivatives(target: Target, theta: NDArray[np.float64]):
    """Potential, gradient (P,) and Hessian (P, P) at one point.

    The Hessian is a central difference of exact gradients: good to about nine digits in float64, and it needs no
    program of its own.
    """
    step = np.finfo(np.float64).eps ** (1 / 3) * np.eye(theta.size) * np.maximum(1.0, np.abs(theta))
    value, slope = gradients(target, np.concatenate([theta[None], theta + step, theta - step]))
    up, down = np.split(slope[1:], 2)
    hessian = (up - down) / (2.0 * np.diagonal(step)[:, None])
    return value[0], slope[0], 0.5 * (hessian + hessian.T)


@compiled
def _unconstrained(model: FiniteMixture, n_features: int, values: dict[str, Array]) -> dict[str, Array]:
    return unconstrain_fn(model.parameters, (n_features,), {}, values)


def prior_coordinates(target: Target, seed: int, n_draws: int) -> NDArray[np.float64]:
    """Unconstrained coordinates (S, P) of draws of the prior."""
    return np.asarray(_prior_coordinates(target, jax.random.split(jax.random.key(seed), n_draws)))


@compiled
def _prior_coordinates(target: Target, keys: Array) -> Array:
    n_features = target.n_features

    def one(key: Array) -> Array:
        program = handlers.trace(handlers.seed(target.model.parameters, key)).get_trace(n_features)
        values = {name: program[name]["value"] for name in target.sites}
        return ravel_pytree(unconstrain_fn(target.model.parameters, (n_features,), {}, values))[0]

    return jax.vmap(one)(keys)


PIECE = 1000  # draws turned into mixtures at once, so that other numbers of draws compile nothing


def mixtures(target: Target, theta: Float[Array, "s p"]) -> Any:
    """The mixtures (S, ...), on the host, at unconstrained coordinates."""
    padded = theta[np.minimum(np.arange(-(-len(theta) // PIECE) * PIECE), len(theta) - 1)]
    parts = [_mixtures(target, padded[i : i + PIECE]) for i in range(0, len(padded), PIECE)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(theta)], *parts)


@compiled
def _mixtures(target: Target, theta: Float[Array, "s p"]) -> Any:
    return jax.vmap(target.mixture)(theta)
