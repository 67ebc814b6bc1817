"""Mixtures with more slots than clusters: sparse, Dirichlet-process, Pitman-Yor, and a random number of components."""

from __future__ import annotations

from typing import Any, SupportsIndex

from bayesgmm.covariances import Structure
from bayesgmm.models.components import ComponentPrior
from bayesgmm.models.mixture import FiniteMixture, compose
from bayesgmm.models.weights import (
    MixtureOfFiniteMixtures,
    SparseDirichlet,
    StickBreaking,
    beta_negative_binomial,
)


def sparse_mixture(
    n_components: SupportsIndex = 10,
    covariance_type: str | Structure = "full",
    *,
    concentration: Any = 0.01,
    components: ComponentPrior | None = None,
) -> FiniteMixture:
    """A sparse finite mixture (Malsiner-Walli et al. 2016): spare components, and weights that empty them.

    Parameters
    ----------
    n_components : slots, well above the number of clusters that is thought possible
    covariance_type : "full", "tied", "diag" or "spherical"
    concentration : of the symmetric Dirichlet; a small number, or a prior such as ``weights.Gamma(10, 100)``
    components : prior of means and covariances; :class:`.NormalInverseWishart` scaled to the data if None

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is said above; the message names it.
    """
    return compose(n_components, covariance_type, SparseDirichlet(concentration), components)


def dirichlet_process_mixture(
    truncation: SupportsIndex = 20,
    covariance_type: str | Structure = "full",
    *,
    concentration: Any = 1.0,
    components: ComponentPrior | None = None,
) -> FiniteMixture:
    """A Dirichlet-process mixture, its stick broken ``truncation - 1`` times (Ishwaran & James 2001).

    A Dirichlet process does not estimate the number of components consistently (Miller & Harrison 2013): its number of
    clusters grows with the rows. :func:`mixture_of_finite_mixtures` has a prior on that number.

    Parameters
    ----------
    truncation : sticks; the result says when the last of them holds weight
    covariance_type : "full", "tied", "diag" or "spherical"
    concentration : alpha, a number or a prior such as ``weights.Gamma(2, 4)`` (Escobar & West 1995)
    components : prior of means and covariances; :class:`.NormalInverseWishart` scaled to the data if None

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is said above; the message names it.
    """
    return compose(truncation, covariance_type, StickBreaking(concentration), components, "truncation")


def pitman_yor_mixture(
    truncation: SupportsIndex = 30,
    covariance_type: str | Structure = "full",
    *,
    concentration: Any = 1.0,
    discount: float = 0.25,
    components: ComponentPrior | None = None,
) -> FiniteMixture:
    """A Pitman-Yor mixture: the Dirichlet process with a heavier tail of small clusters.

    Parameters
    ----------
    truncation : sticks; the tail is long, so more of them are needed than for a Dirichlet process
    covariance_type : "full", "tied", "diag" or "spherical"
    concentration : alpha, a number above 0 or a prior such as ``weights.Gamma(2, 4)``
    discount : d in [0, 1); 0 is the Dirichlet process
    components : prior of means and covariances; :class:`.NormalInverseWishart` scaled to the data if None

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is said above; the message names it.
    """
    return compose(
        truncation, covariance_type, StickBreaking(concentration, discount), components, "truncation"
    )


def mixture_of_finite_mixtures(
    covariance_type: str | Structure = "full",
    *,
    number: Any = None,
    concentration: Any = 1.0,
    dynamic: Any = False,
    components: ComponentPrior | None = None,
) -> FiniteMixture:
    """A finite mixture whose number of components is random.

    Parameters
    ----------
    covariance_type : "full", "tied", "diag" or "spherical"
    number : prior of K, such as ``weights.uniform(30)``; K - 1 ~ BNB(1, 4, 3) of Fruehwirth-Schnatter et al. (2021)
        if None. Its largest K is the number of slots.
    concentration : of the symmetric Dirichlet; a number, or a prior such as ``weights.Gamma(1, 2)``, or
        ``weights.F(6, 3)``, which Fruehwirth-Schnatter et al. (2021) give it
    dynamic : whether the Dirichlet's parameter is concentration / K rather than concentration
    components : prior of means and covariances; :class:`.NormalInverseWishart` scaled to the data if None

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is said above; the message names it.
    """
    number = beta_negative_binomial() if number is None else number
    if isinstance(covariance_type, int):
        raise TypeError(
            f"Expected covariance_type first; got {covariance_type!r}. The number of components is random here: "
            "number=weights.uniform(30) bounds it."
        )
    if not isinstance(dynamic, bool):
        raise TypeError(f"Expected dynamic to be True or False; got {dynamic!r}.")
    weights = MixtureOfFiniteMixtures(number, concentration, dynamic)
    return compose(number.most, covariance_type, weights, components)
