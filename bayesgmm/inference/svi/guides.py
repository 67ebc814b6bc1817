"""Approximating families for SVI: NumPyro's guides by name, begun at the Laplace approximation, or the user's own.

A guide by name lives in coordinates ``u`` of its own, with ``theta = centre + factor u`` the program's unconstrained
ones, so that the warm start is ``u = 0`` with unit scale, and steps of the optimiser are steps in posterior standard
deviations whatever the number of rows. The factor is one that the family cannot tell from the identity: triangular
for a full covariance, diagonal for the others.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro.distributions.transforms import LowerCholeskyAffine, UnpackTransform
from numpyro.infer import autoguide as auto
from numpyro.infer import init_to_value

from bayesgmm.covariances import Array
from bayesgmm.inference.svi.laplace import Laplace


class _Placed:
    """Mixin: the guide's coordinates are ``u``, sites are flattened by name, as in :class:`~.target.Target`."""

    def __init__(self, program: Any, centre: Any, factor: Any, **settings: Any):
        self._centre, self._factor = centre, factor
        super().__init__(program, **settings)

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)  # type: ignore[misc]
        flat, unravel = ravel_pytree(self._init_locs)  # type: ignore[attr-defined]
        self._init_latent = jnp.zeros_like(flat)
        self._unpack_latent = UnpackTransform(unravel, lambda sites: ravel_pytree(sites)[0])

    def _get_posterior(self) -> Any:
        affine = LowerCholeskyAffine(self._centre, self._factor)
        return dist.TransformedDistribution(super()._get_posterior(), affine)  # type: ignore[misc]


class _Normal(_Placed, auto.AutoDiagonalNormal):
    pass


class _MultivariateNormal(_Placed, auto.AutoMultivariateNormal):
    pass


class _LowRank(_Placed, auto.AutoLowRankMultivariateNormal):
    pass


class _Flow(_Placed, auto.AutoIAFNormal):
    pass


class Guide(NamedTuple):
    """A family, and what the engine must know of it.

    Attributes
    ----------
    build : from a program, the Laplace approximation and the sites' starting values to NumPyro's guide and starting
        values of its parameters
    by_path : whether the gradient of the ELBO may leave the guide's own density out
    is_fitted : whether the optimiser has anything to do
    shrink : what the parameters' own starting values are multiplied by
    note : what a reader of its draws must know
    """

    build: Callable[[Any, Laplace, dict[str, Array]], tuple[Any, dict[str, Array]]]
    by_path: bool = True
    is_fitted: bool = True
    shrink: float = 1.0
    note: str = ""


def _normal(program: Any, laplace: Laplace, _: Any) -> tuple[Any, dict[str, Array]]:
    return _Normal(program, laplace.centre, jnp.diag(laplace.conditional_scales), init_scale=1.0), {}


def _multivariate_normal(program: Any, laplace: Laplace, _: Any) -> tuple[Any, dict[str, Array]]:
    return _MultivariateNormal(program, laplace.centre, laplace.scale_tril, init_scale=1.0), {}


def _low_rank(program: Any, laplace: Laplace, _: Any) -> tuple[Any, dict[str, Array]]:
    """With the conditional scales as units, Laplace's covariance is the identity plus what has large eigenvalues."""
    scales = laplace.conditional_scales
    values, vectors = jnp.linalg.eigh(laplace.covariance / scales / scales[:, None])
    rank = max(1, round(scales.size**0.5))
    factor = vectors[:, -rank:] * jnp.sqrt(jnp.maximum(values[-rank:] - 1.0, 1e-4))
    guide = _LowRank(program, laplace.centre, jnp.diag(scales), init_scale=1.0, rank=rank)
    return guide, {"auto_cov_factor": factor}


def _flow(program: Any, laplace: Laplace, _: Any) -> tuple[Any, dict[str, Array]]:
    return _Flow(program, laplace.centre, laplace.scale_tril), {}


FACTORISED = (
    "The guide takes the parameters to be independent: it gives each its spread given the others, which is narrower "
    "than the posterior's wherever parameters are correlated."
)
GUIDES = {
    "normal": Guide(_normal, note=FACTORISED),
    "multivariate_normal": Guide(_multivariate_normal),
    "low_rank": Guide(_low_rank),
    "laplace": Guide(_multivariate_normal, is_fitted=False),
    # An inverse autoregressive flow cannot be run backwards cheaply; all but zero weights make it the identity.
    "flow": Guide(_flow, by_path=False, shrink=0.1),
}
"""Guides by name."""

NUMPYROS = {
    auto.AutoNormal: "normal",
    auto.AutoDiagonalNormal: "normal",
    auto.AutoMultivariateNormal: "multivariate_normal",
    auto.AutoLowRankMultivariateNormal: "low_rank",
    auto.AutoLaplaceApproximation: "laplace",
    auto.AutoIAFNormal: "flow",
}
"""NumPyro's classes that stand for a name."""


def find_guide(guide: Any) -> Guide:
    """The family meant by a name, by a class or an instance of NumPyro's, or by a function of the rows.

    Raises a ValueError for an unknown name or a guide that is a point, a TypeError for what is no guide.
    """
    if isinstance(guide, str) and guide in GUIDES:
        return GUIDES[guide]
    if isinstance(guide, type) and guide in NUMPYROS:
        return GUIDES[NUMPYROS[guide]]
    names = ", ".join(map(repr, GUIDES))
    if isinstance(guide, str):
        raise ValueError(f"Expected guide to be one of {names}, or a guide of your own; got {guide!r}.")
    made = guide.func if isinstance(guide, functools.partial) else guide
    if isinstance(made, auto.AutoDelta | auto.AutoLaplaceApproximation) or made in (
        auto.AutoDelta,
        auto.AutoLaplaceApproximation,
    ):
        raise ValueError(
            "Expected a guide that spreads while it is fitted; a point has no importance weights. Use "
            "guide='laplace', or EM(objective='posterior') for the mode."
        )
    if not callable(guide):
        raise TypeError(f"Expected guide to be one of {names}, or callable; got {type(guide).__name__}.")
    return Guide(functools.partial(_own, guide))


def is_own(guide: Any) -> bool:
    """Whether a guide is the user's: it then sees the program, and the rows, as NumPyro's own SVI shows them."""
    return not isinstance(guide, str) and not (isinstance(guide, type) and guide in NUMPYROS)


def _own(guide: Any, program: Any, _: Laplace, sites: dict[str, Array]) -> tuple[Any, dict[str, Array]]:
    """A class (or a partial of one) is begun at the sites; an instance keeps its settings; a function is a guide."""
    made = guide.func if isinstance(guide, functools.partial) else guide
    if isinstance(made, type) and issubclass(made, auto.AutoGuide):
        given = guide.keywords if isinstance(guide, functools.partial) else {}
        start = {} if "init_loc_fn" in given else {"init_loc_fn": init_to_value(values=sites)}
        return guide(program, **start), {}
    if isinstance(guide, auto.AutoGuide):
        guide = copy.copy(guide)
        guide.model, guide.prototype_trace = program, None
        guide._prototype_frames, guide._prototype_frame_full_sizes = {}, {}
    return guide, {}
