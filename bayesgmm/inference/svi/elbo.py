"""The evidence lower bound of a guide, with little noise; and importance weights of its draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from numpyro.handlers import seed, substitute
from numpyro.infer.elbo import ELBO
from numpyro.infer.util import log_density, potential_energy

from bayesgmm.covariances import Array

Program = Callable[..., Any]


class Anchor(NamedTuple):
    """A point near which the log joint of a minibatch is corrected to that of all rows.

    Where f is the log joint of all rows and g that of a minibatch, scaled up, ``g(theta) + (f - g)(anchor) + (f - g)'
    (anchor) (theta - anchor)`` has the mean f, and its noise is of second order in ``theta - anchor`` (Bardenet, Doucet
    & Holmes 2017; Quiroz et al. 2019).

    Attributes
    ----------
    theta : (P,) unconstrained
    value, slope : log joint of all rows there, and its gradient (P,)
    sites : unconstrained values of the sites; only their shapes matter
    """

    theta: Array
    value: Array
    slope: Array
    sites: dict[str, Array]

    def correction(self, minibatch: Program, args: tuple) -> Callable[[Array], Array]:
        """What is added to the minibatch's log joint, as a function of theta (P,)."""
        unravel = ravel_pytree(self.sites)[1]

        def log_joint(theta: Array) -> Array:
            return -potential_energy(minibatch, args, {}, unravel(theta))

        value, slope = jax.value_and_grad(log_joint)(self.theta)
        return lambda theta: self.value - value + (self.slope - slope) @ (theta - self.theta)


class QuietELBO(ELBO):
    """The ELBO by draws of an automatic guide, with less noise in its gradient than NumPyro's own.

    With ``by_path`` the guide's density enters with its parameters held fixed, which leaves out a term of mean zero
    (Roeder, Wu & Duvenaud 2017): the noise vanishes as the guide nears the posterior, so that steps from a good start
    do not lead away from it. It needs a guide whose density of a given draw can be differentiated. With an ``anchor``
    every step sees ``batch_size`` rows, drawn with replacement.
    """

    def __init__(self, num_particles: int, by_path: bool, batch_size: int | None, anchor: Anchor | None):
        super().__init__(num_particles)
        self.by_path, self.batch_size, self.anchor = by_path, batch_size, anchor

    def loss_with_mutable_state(self, rng_key, param_map, model, guide, *args, **kwargs):
        """Minus the ELBO, by ``num_particles`` draws."""
        key_batch, key_draws = jax.random.split(rng_key)
        correction = None
        if self.anchor is not None:
            index = jax.random.randint(key_batch, (self.batch_size,), 0, args[0].shape[0])
            model = substitute(model, {"row": index})
            correction = self.anchor.correction(model, args)

        def particle(key: Any) -> Array:
            log_q, drawn = log_density(seed(guide, key), args, kwargs, param_map)
            latent = {name: site["value"] for name, site in drawn.items() if _is_auxiliary(site)}
            if self.by_path:
                again = seed(substitute(guide, latent), key)
                log_q, _ = log_density(again, args, kwargs, lax.stop_gradient(param_map))
            log_p, _ = log_density(model, args, kwargs, _sites(drawn))
            if correction is not None:
                (theta,) = latent.values()
                log_p = log_p + correction(theta)
            return log_p - log_q

        particles = jax.vmap(particle)(jax.random.split(key_draws, self.num_particles))
        return {"loss": -jnp.mean(particles), "mutable_state": None}


class WeightedDraws(NamedTuple):
    """Draws of a guide (S, ...) by site, with the log joint and the guide's log density (S,) at each."""

    sites: dict[str, Array]
    log_joint: Array
    log_guide: Array


def weighted_draws(
    model: Program, model_args: tuple, guide: Program, guide_args: tuple, params: Any, keys: Any, at_once: int
) -> WeightedDraws:
    """A draw of the guide for every key, so many at once."""

    def one(key: Any) -> WeightedDraws:
        log_q, drawn = log_density(seed(guide, key), guide_args, {}, params)
        sites = _sites(drawn)
        log_p, _ = log_density(model, model_args, {}, sites)
        return WeightedDraws(sites, log_p, log_q)

    return lax.map(one, keys, batch_size=at_once)


def _is_auxiliary(site: dict[str, Any]) -> bool:
    return site["type"] == "sample" and site["infer"].get("is_auxiliary", False)


def _sites(drawn: dict[str, Any]) -> dict[str, Array]:
    """What the guide drew for the program's own sites."""
    return {
        name: site["value"]
        for name, site in drawn.items()
        if site["type"] == "sample" and not site["is_observed"] and not _is_auxiliary(site)
    }
