"""Figures: each function takes a result and returns matplotlib axes; nothing global is changed.

- ``components``: the mixture over the data (densities, ellipses, or a grid of pairs).
- ``comparison``: fits side by side, point estimates beside posterior means with intervals.
- ``criteria``: an information criterion over the number of components, a curve a covariance structure.
- ``growth``: the number of components that BIC chooses as the rows grow.
- ``merging``: components merged into clusters, and the doubt that every merge takes away.
- ``membership``: how uncertain each row's component is.
- ``similarity``: how probable it is that two rows belong together, with the partition drawn in.
- ``ball``: the partition and the bounds of its credible ball.
- ``n_clusters``: the posterior of the number of clusters, beside its prior.
- ``trace``, ``forest``: the draws of a posterior, by ArviZ.
"""

from bayesgmm.plots.ball import ball
from bayesgmm.plots.comparison import comparison
from bayesgmm.plots.components import components
from bayesgmm.plots.criteria import criteria
from bayesgmm.plots.forest import forest
from bayesgmm.plots.growth import growth
from bayesgmm.plots.membership import membership
from bayesgmm.plots.merging import merging
from bayesgmm.plots.n_clusters import n_clusters
from bayesgmm.plots.similarity import similarity
from bayesgmm.plots.trace import trace

__all__ = [
    "ball",
    "comparison",
    "components",
    "criteria",
    "forest",
    "growth",
    "membership",
    "merging",
    "n_clusters",
    "similarity",
    "trace",
]
