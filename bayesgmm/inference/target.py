"""The density that gradient-based engines see: a NumPyro program in whitened unconstrained coordinates.

Everything that changes between fits (rows, hyperparameters, centre, factor) is an array inside, so a compiled
program serves every fit of the same shapes.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

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
        sites = unconstrain_fn(model, (rows,), {}, values)
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


@eqx.filter_jit
def derivatives(target: Target, theta: Float[Array, " p"]) -> tuple[Array, Array, Array]:
    """Potential, gradient and Hessian at unconstrained coordinates."""
    value, gradient = jax.value_and_grad(target.potential_of_theta)(theta)
    return value, gradient, jax.jacfwd(jax.grad(target.potential_of_theta))(theta)


@eqx.filter_jit
def mixtures(target: Target, u: Float[Array, "s p"]) -> Any:
    """The mixtures (S, ...) at whitened coordinates."""
    return jax.vmap(target.mixture)(u)
