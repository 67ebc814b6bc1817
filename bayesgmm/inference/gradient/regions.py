"""The regions of a posterior: its modes, and where a component is empty, each by a normal approximation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.inference.gradient.empty_component import Emptied, chart_of_emptied
from bayesgmm.inference.gradient.labellings import Labellings
from bayesgmm.inference.gradient.modes import VISITED, share_of_emptied, weights_of
from bayesgmm.inference.gradient.target import Chart, Target
from bayesgmm.inference.gradient.warm_start import LOG_2PI, Mode

EMPTY = "a component empty"
EVENLY = 0.1  # share that is spread evenly over the regions: Laplace's method may think too little of one


class Regions(NamedTuple):
    """Normal approximations of R regions in unconstrained coordinates.

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
    def of(cls, names: tuple[str, ...], charts: list[Chart], log_mass: list[float]) -> Regions:
        """From the charts and log masses of each."""
        stacked = Chart(*map(np.stack, zip(*charts, strict=True)))
        shares = np.exp(np.array(log_mass) - np.logaddexp.reduce(log_mass))
        shares = (1.0 - EVENLY) * shares + EVENLY / len(shares)
        log_scale = np.linalg.slogdet(stacked.factor)[1] + 0.5 * stacked.centre.shape[1] * LOG_2PI
        return cls(names, shares, stacked, np.linalg.inv(stacked.factor), np.log(shares) - log_scale)

    def log_densities(self, theta: Float[NDArray, "n p"]) -> Float[NDArray, "n r"]:
        """Log of each region's weighted density at unconstrained coordinates."""
        squares = [
            np.sum(((theta - centre) @ inverse.T) ** 2, axis=1)
            for centre, inverse in zip(self.charts.centre, self.inverse, strict=True)
        ]
        return self.log_height - 0.5 * np.stack(squares, axis=1)

    def draw(self, rng: np.random.Generator, n: int) -> Float[NDArray, "n p"]:
        """Points of the mixture of all regions."""
        region = rng.choice(len(self.shares), size=n, p=self.shares)
        return self.charts.at(region).theta(rng.standard_normal((n, self.charts.centre.shape[1])))


def find_regions(
    target: Target, labellings: Labellings, modes: list[Mode], emptied: Emptied | None, seed: int
) -> Regions | None:
    """The regions of some weight; None where there is but one."""
    share = share_of_emptied(modes, emptied)
    heavy = [mode for mode, weight in zip(modes, weights_of(modes), strict=True) if weight >= VISITED]
    names = tuple(f"mode {m + 1}" for m in range(len(heavy)))
    charts, log_mass = [mode.chart for mode in heavy], [mode.log_mass for mode in heavy]
    if emptied is not None and share >= VISITED:
        chart = chart_of_emptied(target, labellings, emptied, np.random.default_rng([seed, 4]))
        if chart is not None:
            names, charts, log_mass = (*names, EMPTY), [*charts, chart], [*log_mass, emptied.log_mass]
    return Regions.of(names, charts, log_mass) if len(charts) > 1 else None


def words_on_jumps(regions: Regions) -> tuple[str, ...]:
    """Words on the regions that chains jumped between."""
    n_modes = len(regions.names) - (EMPTY in regions.names)
    of_what = f"{n_modes} mode{'s' * (n_modes > 1)}"
    if EMPTY in regions.names:
        of_what += ", and where a component is empty or nearly so: n_clusters_table tells how often it is"
    return (
        f"The posterior has {len(regions.names)} regions that trajectories seldom leave ({of_what}), so chains jumped "
        "between them too.",
    )
