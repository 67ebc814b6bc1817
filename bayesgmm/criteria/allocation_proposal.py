r"""A proposal for bridge sampling that knows no labels: conjugate posteriors given allocations, over all permutations.

Fruehwirth-Schnatter (2004, 2019) builds it from full conditionals: an allocation z_s drawn with each of S posterior
draws gives the kernel ``q(theta | z_s)``, the posterior of weights and components given z_s under a conjugate working
prior. Permuted in all K! ways and averaged,

.. math:: q(\theta) = \frac{p_0(\theta)}{S K!} \sum_s \frac{1}{p_0(x, z_s)} \sum_\sigma \exp \sum_k
    \eta_{\sigma(k)}(\theta) \cdot T_{sk}

where T_s are the allocation's sufficient statistics, eta the natural parameters and p_0(x, z_s) closed form. The inner
sum is the permanent of the K x K matrix exp(eta T_s'), so that it is exact without listing permutations.

A kernel knows its allocation, and so is narrower than the posterior, which does not; few kernels then leave gaps where
dimensions are many. Rows are therefore counted as a share of a row each, if that foretells other draws better: the same
formula with the statistics shrunk, T_s times the share.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.criteria.permanent import log_permanent
from bayesgmm.criteria.working_prior import working_prior
from bayesgmm.float64 import in_float64
from bayesgmm.kernel import drawn_statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.pytree import PyTree
from bayesgmm.row_blocks import Rows, make_rows

SHARES = (1.0, 0.75, 0.55)  # of a row that counts
PIECE = 200  # draws whose density is found at once: other numbers of draws compile nothing


class AllocationProposal(PyTree):
    """The proposal, in standardised units.

    Attributes
    ----------
    working : the model whose conjugate posteriors the kernels are
    values : (S, K, P) statistics of the allocations
    total : (Q,) total of the features that all components share
    log_joint : (S,) log p(x, z) of each allocation
    """

    working: FiniteMixture
    values: Float[Array, "s k p"]
    total: Float[Array, " q"]
    log_joint: Float[Array, " s"]

    @classmethod
    def around(
        cls, model: FiniteMixture, draws: Mixture, rows: NDArray[np.float64], n_kernels: int, seed: int
    ) -> AllocationProposal:
        """From posterior draws (S, ...) of a model and from rows (N, D), all in standardised units.

        The working prior is fitted to all draws, the kernels are spread over them, and others choose the share.
        """
        blocks = make_rows(rows, model.structure)
        values = _allocations(draws, blocks, jax.random.key(seed))
        components = working_prior(model.components, model.structure, rows, draws, values, blocks.total)
        working = FiniteMixture(model.n_components, model.structure, model.weights, components)
        n = len(values)
        kernels = np.linspace(0, n - 1, min(n_kernels, n)).round().astype(int)
        others = np.setdiff1d(np.arange(n), kernels)
        others = (
            others[np.linspace(0, len(others) - 1, PIECE).round().astype(int)] if len(others) else kernels
        )
        pilots = draws.at_draws(others)
        candidates = [
            cls.of(working, share * values[kernels], share * blocks.total, rows.shape[1]) for share in SHARES
        ]
        return max(candidates, key=lambda candidate: float(np.mean(candidate.log_density(pilots))))

    @classmethod
    def of(cls, working: FiniteMixture, values: Array, total: Array, n_features: int) -> AllocationProposal:
        """The proposal with given statistics (S, K, P) and (Q,)."""
        return cls(working, values, total, _log_joint(working, values, total, n_features))

    def sample(self, n: int, seed: int) -> Mixture:
        """Mixtures (n, ...), equally many from each kernel, labels as they come; on the host."""
        rng, working = np.random.default_rng(seed), self.working
        each = -(-n // len(self.values))
        parts = []
        for values, conditional in zip(self.values, _unstacked(_conditionals(self)), strict=True):
            log_weights, _ = working.weights.draw_factor(rng, values[:, 0], {}, each)
            drawn = working.components.sample_conditional(rng, working.structure, conditional, each)
            parts.append(Mixture(working.structure, log_weights, *drawn))
        mixtures = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        return mixtures.at_draws(rng.permutation(each * len(parts))[:n])

    def log_density(self, mixtures: Mixture) -> NDArray[np.float64]:
        """Log density (n,), with respect to K - 1 weights, means and covariances."""
        n = len(mixtures.means)
        padded = np.minimum(np.arange(-(-n // PIECE) * PIECE), n - 1).reshape(-1, PIECE)
        return np.concatenate([_log_density(self, mixtures.at_draws(piece)) for piece in padded])[:n]


@in_float64
@compiled
def _allocations(draws: Mixture, rows: Rows, key: Array) -> Float[Array, "s k p"]:
    return drawn_statistics(draws.structure, draws.natural(), rows, key).values


@in_float64
@compiled
def _log_joint(working: FiniteMixture, values: Array, total: Array, n_features: int) -> Float[Array, " s"]:
    structure = working.structure

    def one(values: Array) -> Array:
        moments = structure.moments(values, total, n_features)
        weights = working.weights.log_evidence(moments.counts, {})
        return weights + working.components.log_evidence(structure, moments)

    return jax.vmap(one)(values)


@in_float64
@compiled
def _conditionals(proposal: AllocationProposal) -> Any:
    """The components' posterior under each kernel, stacked (S, ...)."""
    working, structure = proposal.working, proposal.working.structure

    def one(values: Array) -> Any:
        moments = structure.moments(values, proposal.total, working.components.n_features)
        return working.components.conditional(structure, moments)

    return jax.vmap(one)(proposal.values)


def _unstacked(tree: Any) -> list[Any]:
    leaves, structure = jax.tree.flatten(tree)
    return [jax.tree.unflatten(structure, each) for each in zip(*leaves, strict=True)]


@in_float64
@compiled
def _log_density(proposal: AllocationProposal, mixtures: Mixture) -> Float[Array, " n"]:
    working = proposal.working
    orders = gammaln(working.n_components + 1.0) + jnp.log(1.0 * proposal.values.shape[0])

    def one(mixture: Mixture) -> Array:
        eta, shared = mixture.natural()
        cells = jnp.einsum("kp,sjp->kjs", eta, proposal.values)
        kernels = log_permanent(cells) + shared @ proposal.total - proposal.log_joint
        return working.log_prior(mixture) + logsumexp(kernels) - orders

    return lax.map(one, mixtures)
