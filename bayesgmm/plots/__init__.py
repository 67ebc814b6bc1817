"""Figures: each function takes a result and returns matplotlib axes; nothing global is changed.

- ``components``: the mixture over the data (densities, ellipses, or a grid of pairs).
- ``criteria``: an information criterion over the number of components, a curve a covariance structure.
- ``membership``: how uncertain each row's component is.
- ``trace``, ``forest``: the draws of a posterior, by ArviZ.
"""

from bayesgmm.plots.components import components
from bayesgmm.plots.criteria import criteria
from bayesgmm.plots.forest import forest
from bayesgmm.plots.membership import membership
from bayesgmm.plots.trace import trace

__all__ = ["components", "criteria", "forest", "membership", "trace"]
