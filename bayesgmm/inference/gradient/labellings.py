"""The K! ways to number a mixture's components, as maps of unconstrained coordinates."""

from __future__ import annotations

import itertools
import math
from functools import cached_property

import jax
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from numpyro import handlers

from bayesgmm.inference.gradient.target import Target
from bayesgmm.models import FiniteMixture

MOST = 120  # numberings that are looked at one by one: those of five components


class Labellings:
    """All numberings of the components of one target.

    Attributes
    ----------
    orders : (H, K); numbering h puts component ``orders[h, i]`` into slot i
    """

    def __init__(self, target: Target) -> None:
        k = target.model.n_components
        self.orders = np.array(list(itertools.permutations(range(k))))
        self.places = _places(target)
        self._target = target

    @cached_property
    def of_components(self) -> list[str]:
        """The sites that have a row a component: another component would change their shape."""
        model, n_features = self._target.model, self._target.n_features
        more = FiniteMixture(model.n_components + 1, model.structure, model.weights, model.components)
        own, other = _shapes(model, n_features), _shapes(more, n_features)
        return [name for name in self.places if name != "weights" and own[name] != other[name]]

    @staticmethod
    def are_alike(target: Target) -> bool:
        """Whether the posterior is the same under each of them, and they are few enough to look at all."""
        return "weights" in target.sites and math.factorial(target.model.n_components) <= MOST

    def apply(self, theta: Float[NDArray, "s p"], orders: NDArray[np.intp]) -> Float[NDArray, "s p"]:
        """Coordinates after renumbering each point by its own order (S, K)."""
        return self._renumbered(theta, log_weights_of(theta[:, self.places["weights"]])[0], orders)

    def images(self, theta: Float[NDArray, "s p"]) -> tuple[Float[NDArray, "h s p"], Float[NDArray, "h s"]]:
        """Coordinates under every numbering, and the logs of the maps' Jacobians."""
        place, h, (s, p) = self.places["weights"], len(self.orders), theta.shape
        log_weights, log_jacobian = log_weights_of(theta[:, place])
        every = np.repeat(self.orders, s, axis=0)
        out = self._renumbered(np.tile(theta, (h, 1)), np.tile(log_weights, (h, 1)), every)
        after = log_weights_of(out[:, place])[1].reshape(h, s)
        return out.reshape(h, s, p), log_jacobian - after

    def _renumbered(
        self, theta: Float[NDArray, "s p"], log_weights: Float[NDArray, "s k"], orders: NDArray[np.intp]
    ) -> Float[NDArray, "s p"]:
        out, (s, k) = theta.copy(), orders.shape
        for name in self.of_components:
            rows = theta[:, self.places[name]].reshape(s, k, -1)
            out[:, self.places[name]] = np.take_along_axis(rows, orders[:, :, None], axis=1).reshape(s, -1)
        out[:, self.places["weights"]] = sticks_of(np.take_along_axis(log_weights, orders, axis=1))
        return out

    def extended(
        self,
        fewer: Target,
        others: Float[NDArray, "s q"],
        alone: Float[NDArray, "s p"],
        log_weights: Float[NDArray, "s m"],
    ) -> Float[NDArray, "s p"]:
        """Coordinates of K - M components (S, Q), with M more put behind them.

        They are the last components of ``alone`` (S, P) and have the weights given; what components share is that of
        ``others``.
        """
        (s, m), k = log_weights.shape, self.orders.shape[1]
        out, theirs = alone.copy(), _places(fewer)
        for name, place in self.places.items():
            if name in self.of_components:
                rows = others[:, theirs[name]].reshape(s, k - m, -1)
                last = alone[:, place].reshape(s, k, -1)[:, k - m :]
                out[:, place] = np.concatenate([rows, last], axis=1).reshape(s, -1)
            elif name != "weights":
                out[:, place] = others[:, theirs[name]]
        rest = np.log1p(-np.exp(log_weights).sum(axis=1))[:, None]
        if k - m > 1:
            rest = rest + log_weights_of(others[:, theirs["weights"]])[0]
        out[:, self.places["weights"]] = sticks_of(np.concatenate([rest, log_weights], axis=1))
        return out


def log_weights_of(sticks: Float[NDArray, "s j"]) -> tuple[Float[NDArray, "s k"], Float[NDArray, " s"]]:
    """Log weights (S, K) at NumPyro's unconstrained coordinates of a simplex (S, K - 1), and the log Jacobian."""
    odds = sticks - np.log(sticks.shape[1] - np.arange(sticks.shape[1]))
    log_share, log_rest = -np.logaddexp(0.0, -odds), -np.logaddexp(0.0, odds)
    left = np.cumsum(log_rest, axis=1)
    before = np.concatenate([np.zeros((len(sticks), 1)), left[:, :-1]], axis=1)
    log_jacobian = np.sum(log_share + before + log_rest, axis=1)
    return np.concatenate([log_share + before, left[:, -1:]], axis=1), log_jacobian


def sticks_of(log_weights: Float[NDArray, "s k"]) -> Float[NDArray, "s j"]:
    """The inverse of :func:`log_weights_of`."""
    rest = np.logaddexp.accumulate(log_weights[:, ::-1], axis=1)[:, ::-1]
    n_sticks = log_weights.shape[1] - 1
    return log_weights[:, :-1] - rest[:, 1:] + np.log(n_sticks - np.arange(n_sticks))


def _places(target: Target) -> dict[str, slice]:
    """Where each site is among the coordinates."""
    ends = np.cumsum([np.size(target.sites[name]) for name in sorted(target.sites)])
    return {
        name: slice(int(end) - np.size(target.sites[name]), int(end))
        for name, end in zip(sorted(target.sites), ends, strict=True)
    }


def _shapes(model: FiniteMixture, n_features: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the sites' values."""

    def values() -> dict[str, jax.Array]:
        trace = handlers.trace(handlers.seed(model.parameters, 0)).get_trace(n_features)
        return {name: site["value"] for name, site in trace.items() if site["type"] == "sample"}

    return {name: value.shape for name, value in jax.eval_shape(values).items()}
