"""The density that gradient-based engines see: a NumPyro program in whitened unconstrained coordinates.

Everything that changes between fits (rows, hyperparameters, centre, factor) is an array inside, so a compiled
program serves every fit of the same shapes.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float
from numpy.typing import NDArray
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

from bayesgmm.covariances import Array
from bayesgmm.models import FiniteMixture


class Target(eqx.Module):
    """``-log p(x, theta)`` as a function of ``u``, with ``theta = centre + factor u`` unconstrained.

    Attributes
    ----------
    model : resolved, in standardised units
    rows : (N, D) standardised
    sites : unconstrained values of the sites; only their shapes matter
    centre : (P,)
    factor : (P, P)
    """

    model: FiniteMixture
    rows: Float[Array, "n d"]
    sites: dict[str, Array]
    centre: Float[Array, " p"]
    factor: Float[Array, "p p"]

    @classmethod
    def at(cls, model: FiniteMixture, rows: Array, values: dict[str, Array]) -> Target:
        """Centred at given (constrained) values of the sites, with the identity as factor."""
        sites = _unconstrained(model, rows, values)
        centre, _ = ravel_pytree(sites)
        return cls(model, rows, sites, centre, jnp.eye(centre.size))

    def whitened(self, centre: Array, factor: Array) -> Target:
        """The same density in other coordinates."""
        return Target(self.model, self.rows, self.sites, centre, factor)

    def theta(self, u: Float[Array, " p"]) -> Float[Array, " p"]:
        return self.centre + self.factor @ u

    def potential_of_theta(self, theta: Float[Array, " p"]) -> Array:
        """Negative log joint at unconstrained coordinates."""
        _, unravel = ravel_pytree(self.sites)
        return potential_energy(self.model, (self.rows,), {}, unravel(theta))

    def potential(self, u: Float[Array, " p"]) -> Array:
        """Negative log joint at whitened coordinates."""
        return self.potential_of_theta(self.theta(u))

    def mixture(self, u: Float[Array, " p"]) -> Any:
        """The mixture at whitened coordinates."""
        _, unravel = ravel_pytree(self.sites)
        sites = constrain_fn(self.model, (self.rows,), {}, unravel(self.theta(u)))
        return self.model.from_sites(sites)


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


@eqx.filter_jit
def _gradients(target: Target, theta: Float[Array, "s p"]) -> tuple[Array, Array]:
    return jax.vmap(jax.value_and_grad(target.potential_of_theta))(theta)


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


@eqx.filter_jit
def _unconstrained(model: FiniteMixture, rows: Array, values: dict[str, Array]) -> dict[str, Array]:
    return unconstrain_fn(model, (rows,), {}, values)


@eqx.filter_jit
def mixtures(target: Target, u: Float[Array, "s p"]) -> Any:
    """The mixtures (S, ...) at whitened coordinates."""
    return jax.vmap(target.mixture)(u)
