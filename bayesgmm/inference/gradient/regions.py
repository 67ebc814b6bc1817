"""The regions of a posterior: its modes, and where components are empty, each by an approximation of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesgmm.inference.gradient.empty_component import Emptied, chart_of_emptied
from bayesgmm.inference.gradient.labellings import Labellings
from bayesgmm.inference.gradient.modes import VISITED, shares_of_emptied, weights_of
from bayesgmm.inference.gradient.target import Chart, Target
from bayesgmm.inference.gradient.warm_start import Mode

EMPTY = "components empty"
EVENLY = 0.1  # share that is spread evenly over the regions: Laplace's method may think too little of one
DOF = 20.0  # of Student's t: a normal's tails are lighter than many a posterior's, and there chains would be caught


class Regions(NamedTuple):
    """Approximations of R regions in unconstrained coordinates: Student's t about the charts' centres.

    Attributes
    ----------
    names : what each is
    shares : (R,) what each is taken to weigh
    charts : centres (R, P) and factors (R, P, P)
    inverse : (R, P, P) of the factors
    log_height : (R,) weighted log densities at the centres
    """

    names: tuple[str, ...]
    shares: Float[NDArray, " r"]
    charts: Chart
    inverse: Float[NDArray, "r p p"]
    log_height: Float[NDArray, " r"]

    @classmethod
    def of(cls, names: tuple[str, ...], charts: Sequence[Chart], log_mass: Sequence[float]) -> Regions:
        """From the charts and log masses of each."""
        stacked = Chart(*map(np.stack, zip(*charts, strict=True)))
        shares = np.exp(np.array(log_mass) - np.logaddexp.reduce(log_mass))
        shares = (1.0 - EVENLY) * shares + EVENLY / len(shares)
        p = stacked.centre.shape[1]
        log_height = gammaln(0.5 * (DOF + p)) - gammaln(0.5 * DOF) - 0.5 * p * np.log(DOF * np.pi)
        log_height = np.log(shares) + log_height - np.linalg.slogdet(stacked.factor)[1]
        return cls(names, shares, stacked, np.linalg.inv(stacked.factor), log_height)

    def log_densities(self, theta: Float[NDArray, "n p"]) -> Float[NDArray, "n r"]:
        """Log of each region's weighted density at unconstrained coordinates."""
        squares = [
            np.sum(((theta - centre) @ inverse.T) ** 2, axis=1)
            for centre, inverse in zip(self.charts.centre, self.inverse, strict=True)
        ]
        return self.log_height - 0.5 * (DOF + theta.shape[1]) * np.log1p(np.stack(squares, axis=1) / DOF)

    def draw(self, rng: np.random.Generator, n: int) -> Float[NDArray, "n p"]:
        """Points of the mixture of all regions."""
        region = rng.choice(len(self.shares), size=n, p=self.shares)
        u = rng.standard_normal((n, self.charts.centre.shape[1])) * np.sqrt(DOF / rng.chisquare(DOF, (n, 1)))
        return self.charts.at(region).theta(u)


def find_regions(
    target: Target, labellings: Labellings, modes: list[Mode], emptied: list[Emptied], seed: int
) -> Regions | None:
    """The regions of some weight; None where there is but one."""
    found = [
        ("a mode", mode.chart, mode.log_mass)
        for mode, weight in zip(modes, weights_of(modes), strict=True)
        if weight >= VISITED
    ]
    rng = np.random.default_rng([seed, 4])
    for region, share in zip(emptied, shares_of_emptied(modes, emptied), strict=True):
        chart = chart_of_emptied(target, labellings, region, rng) if share >= VISITED else None
        if chart is not None:
            found.append((EMPTY, chart, region.log_mass))
    return Regions.of(*zip(*found, strict=True)) if len(found) > 1 else None


def words_on_jumps(regions: Regions) -> tuple[str, ...]:
    """Words on the regions that chains jumped between."""
    n_empty = regions.names.count(EMPTY)
    n_modes = len(regions.names) - n_empty
    of_what = f"{n_modes} mode{'s' * (n_modes > 1)}"
    if n_empty:
        which = "a component is" if n_empty == 1 else "one component or more are"
        of_what += f", and where {which} empty or nearly so: n_clusters_table tells how often that is"
    return (
        f"The posterior has {len(regions.names)} regions that trajectories seldom leave ({of_what}), so chains jumped "
        "between them too.",
    )
