"""A variational posterior: the factors that were found, what follows from them exactly, and draws of them."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.float64 import in_float64
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.assemble import assemble
from bayesgmm.posterior.counts import prior_n_clusters
from bayesgmm.posterior.diagnostics import Diagnostics, diagnose, of_approximation
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.posterior.predict import in_pieces, log_likelihoods
from bayesgmm.row_blocks import Rows, make_rows

EMPTY = 0.5  # expected rows below which a slot is empty
POINT = (
    "This is one optimum of a variational approximation, not the posterior: its number of clusters is a point without "
    "uncertainty that depends on the start, and its spread is too narrow where components overlap. Check it with "
    "Gibbs() or NUTS()."
)


class Factors(NamedTuple):
    """q of weights and components, as the expected statistics that they follow from, in standardised units.

    Attributes
    ----------
    model : resolved, of standardised rows
    values : (K, P) expected statistics of the allocations
    total : (Q,) total of the shared features
    hyper : q of the weights' hyperparameters
    """

    model: FiniteMixture
    values: NDArray[np.float64]
    total: NDArray[np.float64]
    hyper: dict[str, NDArray]


class VariationalPosterior(Posterior):
    """What CAVI found. Densities and memberships are exact integrals over q; ``data`` holds draws of q.

    The draws, their DataTree and everything made from them come into being when they are first asked for.

    Attributes
    ----------
    problem : the task that was solved
    factors : q of weights and components
    elbo : the evidence lower bound in nats, all constants included, rows in the user's units
    history : the ELBO after every pass that led to it; it never falls
    restarts : (C,) the ELBO that each start reached, before the moves
    status : how the ascent ended
    n_steps : passes over the rows that led here
    moves : accepted moves, in order
    """

    def __init__(self, problem: Any, engine: Any, seconds: dict[str, float], **found: Any):
        own = {
            "problem": problem,
            "observed": problem.observed,
            "model": problem.model,
            "engine": engine,
            "standardisation": problem.standardisation,
            "start": self,
            "seconds": seconds,
            "seed": problem.seed,
            **found,
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @cached_property
    def mixture(self) -> Mixture:
        """At q's mean weights and means, covariances the inverses of the expected precisions; standardised units."""
        return plug_in(self.factors, self.observed.n_features)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What the engine had to say, in words."""
        status = () if self.status.ok else (self.status.value,)
        return (*status, *self.model.weights.remarks(np.exp(self.mixture.log_weights)[None]), POINT)

    @property
    def n_components(self) -> int:
        return self.model.n_components

    # ---- exact, from the factors

    @property
    def counts(self) -> NDArray[np.float64]:
        """Expected rows (K,) in each slot."""
        return self.factors.values[:, 0]

    @property
    def n_occupied(self) -> int:
        """K+, the slots that hold at least half a row."""
        return int(np.sum(self.counts >= EMPTY))

    @cached_property
    def _user(self) -> Mixture:
        return self.restore(self.mixture)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Posterior mean weights (K,)."""
        return np.exp(self._user.log_weights)

    @property
    def means(self) -> NDArray[np.float64]:
        """Posterior mean means (K, D)."""
        return self._user.means

    @property
    def covariances(self) -> NDArray[np.float64]:
        """Inverses of the posterior mean precisions, in scikit-learn's shape for the structure, as there."""
        return self._user.covariances

    def score_samples(self, x: Any = None) -> NDArray[np.float64]:
        """Log predictive density (N,) in the user's units: a mixture of Student's t, parameters integrated out."""
        return self._predictive(x)[0] - self.standardisation.log_jacobian

    def predict_proba(self, x: Any = None) -> NDArray[np.float64]:
        """Probability (N, K) of each component for each row, were it new, parameters integrated out."""
        return self._predictive(x)[1].T

    def predict(self, x: Any = None) -> NDArray[np.intp]:
        """The most probable component (N,) of each row."""
        return self._predictive(x)[1].argmax(axis=0)

    def _predictive(self, x: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        def of(part: NDArray[np.float64]) -> NDArray[np.float64]:
            density, probabilities = _predictive(self.factors, make_rows(part, self.model.structure))
            return np.concatenate([density[None], probabilities])

        found = in_pieces(of, self._rows(x), self.standardisation)
        return found[0], found[1:]

    @property
    def n_clusters(self):
        """K+, a point: a pandas Series by K+ that is 1 at the number of occupied slots."""
        import pandas as pd

        index = pd.RangeIndex(1, self.n_components + 1, name="n_clusters")
        return pd.Series((index == self.n_occupied) * 1.0, index=index, name="probability")

    @cached_property
    def n_clusters_table(self) -> Any:
        """The point K+ beside the prior of K+ (by simulation): a pandas DataFrame by K+, without errors."""
        table = self.n_clusters.to_frame()
        table["mcse"] = np.nan
        table["prior"] = prior_n_clusters(self.model, self.observed.n_rows)
        return table

    # ---- draws of q

    @cached_property
    def _sampled(self) -> Posterior:
        began = time.perf_counter()
        draws, hyper = self._draw()
        lp = _log_priors(self.factors.model, draws, hyper) + log_likelihoods(draws, self.problem.rows)
        one_chain, hyper = jax.tree.map(lambda leaf: leaf[None], (draws, hyper))
        self.seconds["drawing"] = time.perf_counter() - began
        return assemble(
            self.problem,
            self.engine,
            self,
            one_chain,
            {"lp": lp[None]},
            {"elbo": np.asarray(self.elbo)},
            self.seconds,
            hyper=hyper,
            labelled=True,
        )

    def _draw(self) -> tuple[Mixture, dict[str, NDArray]]:
        """Mixtures (S, ...) in standardised units and hyperparameters (S, ...) from q."""
        model, values, _, hyper = self.factors
        rng = np.random.default_rng([self.problem.seed, 5])
        n_draws = self.engine.num_samples
        log_weights, drawn = model.weights.draw_factor(rng, values[:, 0], hyper, n_draws)
        conditional = _conditional(self.factors, self.problem.rows.shape[1])
        means, covariances = model.components.sample_conditional(rng, model.structure, conditional, n_draws)
        return Mixture(model.structure, log_weights, means, covariances), drawn

    @property
    def draws(self) -> Mixture:
        """Independent draws (S, ...) of q in standardised units."""
        return self._sampled.draws

    @property
    def data(self) -> Any:
        """The DataTree of the draws, one chain of them, in the user's units."""
        return self._sampled.data

    def diagnostics(self) -> Diagnostics:
        """Tables of the draws. They are independent, so R-hat and ESS say nothing of the approximation."""
        return of_approximation(diagnose(self), (POINT,), POINT)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        return self.remarks

    def __repr__(self) -> str:
        from bayesgmm.tables import component_table

        head = (
            f"CAVI fit of {self.n_components} {self.covariance_type} slot{'s' * (self.n_components > 1)} to "
            f"{self.observed.name} ({self.observed.n_rows} x {self.observed.n_features}): ELBO {self.elbo:.4f}, "
            f"{self.n_occupied} occupied, {self.n_steps} steps, {len(self.moves)} moves"
        )
        notes = [f"warning: {w}" for w in self.warnings]
        return "\n".join([head, component_table(self), *notes])


@in_float64
@compiled
def plug_in(factors: Factors, n_features: int) -> Mixture:
    """The mixture at q's mean weights and means, its covariances the inverses of the expected precisions."""
    model, values, total, hyper = factors
    means, covariances = model.components.expected_components(
        model.structure, model.structure.moments(values, total, n_features)
    )
    return Mixture(model.structure, model.weights.log_expected(values[:, 0], hyper), means, covariances)


@in_float64
@compiled
def _predictive(factors: Factors, rows: Rows) -> tuple[Array, Array]:
    """Log predictive density (M B,) and memberships (K, M B) of rows in blocks, padding included."""
    model, values, total, hyper = factors
    moments = model.structure.moments(values, total, rows.blocks.shape[1])
    log_weights = model.weights.log_expected(values[:, 0], hyper)

    def one(x: Array) -> tuple[Array, Array]:
        joint = log_weights[:, None] + model.components.log_predictive(model.structure, moments, x)
        density = logsumexp(joint, axis=0)
        return density, jnp.exp(joint - density)

    density, probabilities = lax.map(one, rows.blocks)
    return density.reshape(-1), jnp.swapaxes(probabilities, 0, 1).reshape(len(log_weights), -1)


@in_float64
@compiled
def _conditional(factors: Factors, n_features: int) -> Any:
    model, values, total, _ = factors
    return model.components.conditional(model.structure, model.structure.moments(values, total, n_features))


@in_float64
@compiled
def _log_priors(model: FiniteMixture, draws: Mixture, hyper: dict[str, Array]) -> Float[Array, " s"]:
    def one(mixture: Mixture, hyper: dict[str, Array]) -> Array:
        weights = model.weights.at(hyper).log_prior(mixture.log_weights)
        return weights + model.components.log_prior(model.structure, mixture.means, mixture.covariances)

    return jax.vmap(one)(draws, hyper)
