"""Where the chains of a Gibbs sampler are."""

from __future__ import annotations

from typing import NamedTuple

from bayesgmm.covariances import Array
from bayesgmm.mixture import Mixture


class ChainState(NamedTuple):
    """Where the chains are: mixtures (C, K, ...), and hyperparameters by name (C, ...).

    Absent components have log weight minus infinity and parameters that stand for nothing.
    """

    mixture: Mixture
    weights: dict[str, Array]
    components: dict[str, Array]
