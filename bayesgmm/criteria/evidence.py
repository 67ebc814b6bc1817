r"""The evidence (marginal likelihood) of a finite mixture, by bridge sampling over all labellings at once.

.. math:: \log p(x) = \log \int p(w)\, p(\mu, \Sigma)\, p(x \mid w, \mu, \Sigma)\, dw\, d\mu\, d\Sigma

**Convention, and log K!.** The integral runs over the whole parameter space, in which every way to arrange the data
appears K! times, once a labelling; priors of the weights and the components are exchangeable, and normalised over
that same space. A method that explores one labelling alone finds the K!-th part, and log K! has to be added to it.
Here nothing is added: the proposal is itself the average over all K! labellings, as is the posterior, so that their
ratio is the same whichever labelling a draw happens to be in, and it does not matter whether the sampler switched
labels, the draws were relabelled, or neither. (Where clusters are far apart, the two agree: the proposal's density at a
draw is that of one labelling over K!, which is where the log K! comes in.)
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.criteria.allocation_proposal import AllocationProposal
from bayesgmm.criteria.bridge import Bridge, bridge
from bayesgmm.float64 import in_float64
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.posterior.predict import log_likelihoods
from bayesgmm.random_state import as_seed
from bayesgmm.tables import text_table

N_KERNELS = 100
N_DRAWS = 2000
FEWEST = 25  # draws a chain in either half
MOST_COMPONENTS = 12  # the sum over all labellings takes K 2^(K - 1) steps
APART = 1.05  # R-hat above which the chains disagree
FEW = 50  # effective draws below which the standard error itself is a guess
FAINT = 0.05  # overlap below which the estimate hangs on few draws
LOWEST_WEIGHT = -700.0  # a weight that underflowed to zero still has a logarithm


@dataclasses.dataclass(frozen=True, repr=False)
class Evidence:
    """Log evidence with its Monte Carlo standard error.

    Attributes
    ----------
    log_evidence : log p(rows | model) in nats, rows in the user's units, over all K! labellings: add nothing
    standard_error : Monte Carlo, of ``log_evidence``
    n_components : K
    covariance_type : the structure
    method : how it was found, in words
    details : what tells whether to trust it: ``overlap`` of proposal and posterior (0 to 1), ``effective_draws``,
        ``rhat`` of the chains, plain ``importance`` and ``reciprocal`` estimates, numbers of kernels and draws
    warnings : what a reader must know, in words
    data_name : of the rows
    rows_digest : tells rows apart, so that evidences of different ones are not compared
    """

    log_evidence: float
    standard_error: float
    n_components: int
    covariance_type: str
    method: str
    details: dict[str, float]
    warnings: tuple[str, ...] = ()
    data_name: str = ""
    rows_digest: str = ""

    def __repr__(self) -> str:
        parts = "1 component" if self.n_components == 1 else f"{self.n_components} components"
        head = (
            f"log evidence of {parts} ({self.covariance_type}) for {self.data_name}: "
            f"{self.log_evidence:.3f} +- {self.standard_error:.3f}"
        )
        shown = {
            "log K!": "contained: all labellings count",
            "overlap of proposal and posterior": f"{self.details['overlap']:.2f}",
            "effective draws": f"{self.details['effective_draws']:.0f} of {self.details['n_draws']:.0f}",
            "R-hat over the chains": f"{self.details['rhat']:.3f}",
            "by importance sampling alone": f"{self.details['importance']:.3f}",
        }
        table = text_table(["method", self.method], [list(line) for line in shown.items()])
        return "\n".join([head, table, *(f"warning: {words}" for words in self.warnings)])


def log_evidence(
    posterior: Any,
    *,
    n_kernels: int = N_KERNELS,
    n_draws: int = N_DRAWS,
    random_state: Any = None,
) -> Evidence:
    """Log marginal likelihood of a finite mixture from its posterior, by bridge sampling (Meng & Wong 1996).

    The first half of every chain builds a proposal that is symmetric in the labels
    (:class:`~bayesgmm.criteria.allocation_proposal.AllocationProposal`, after Fruehwirth-Schnatter 2004, 2019), the
    second half and draws of the proposal give the estimate. Random hyperparameters of the components are integrated
    out, in closed form or by quadrature, so any engine's draws will do. Nothing is to be added for log K!; the module
    says why.

    An evidence depends on the prior far more than a posterior does: halve a vague prior's density and the evidence is
    halved, the posterior the same. Under priors scaled to the data it is to be read with care.

    Parameters
    ----------
    posterior : of a finite mixture, by Gibbs, HMC or NUTS
    n_kernels : allocations that the proposal is made of
    n_draws : of the posterior and of the proposal, each at most so many
    random_state : int, numpy Generator, JAX key; None takes the posterior's own seed

    Raises
    ------
    TypeError
        If it is no posterior.
    ValueError
        If the model has no evidence that can be found this way, or there are too few draws.
    """
    _check(posterior)
    for name, value, least in (("n_kernels", n_kernels, 1), ("n_draws", n_draws, 50)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"Expected {name} to be an integer of at least {least}; got {value!r}.")
    seed = (posterior.seed or 0) if random_state is None else as_seed(random_state)
    model, rows = _standard(posterior)
    first, second = _halves(posterior, n_draws)
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(2, np.uint32)]
    proposal = AllocationProposal.around(model, _flat(first), rows, n_kernels, seeds[0])
    drawn = proposal.sample(n_draws, seeds[1])
    at_draws = log_ratio(model, proposal, _flat(second), rows).reshape(second.log_weights.shape[:2])
    at_proposal = log_ratio(model, proposal, drawn, rows)
    if not (np.isfinite(at_draws).all() and (at_proposal < np.inf).all()):
        raise ValueError(
            "Expected draws of finite density; some have none, so their covariances are singular to working precision. "
            "Look at posterior.diagnostics()."
        )
    found = bridge(at_draws, at_proposal)
    return _told(posterior, found, len(rows), n_kernels=len(proposal.values), n_draws=at_draws.size)


def log_ratio(
    model: FiniteMixture, proposal: AllocationProposal, mixtures: Mixture, rows: NDArray[np.float64]
) -> Float[np.ndarray, " n"]:
    """Log of prior times likelihood over the proposal's density, at mixtures (n, ...)."""
    prior = _log_priors(model, mixtures)
    return log_likelihoods(mixtures, rows) + prior - proposal.log_density(mixtures)


@in_float64
@compiled
def _log_priors(model: FiniteMixture, mixtures: Mixture) -> Array:
    def one(mixture: Mixture) -> Array:
        weights = model.weights.log_prior(mixture.log_weights)
        return weights + model.components.log_marginal_prior(
            model.structure, mixture.means, mixture.covariances
        )

    return jax.vmap(one)(jax.tree.map(jnp.asarray, mixtures))


def _standard(posterior: Posterior) -> tuple[FiniteMixture, NDArray[np.float64]]:
    """Model and rows in standardised units."""
    scale, shift = posterior.standardisation.scale, posterior.standardisation.shift
    model = posterior.model.rescale(1.0 / scale, -shift / scale)
    return model, posterior.standardisation.forward(posterior.observed.rows)


def _halves(posterior: Posterior, n_draws: int) -> tuple[Mixture, Mixture]:
    """Draws (chains, draws, ...), at most ``n_draws`` in all, over each half of every chain."""
    chains, length = posterior.data["sample_stats"]["lp"].shape
    half = length // 2
    if half < FEWEST:
        raise ValueError(
            f"Expected at least {2 * FEWEST} draws a chain; got {length}. Sample more (num_samples)."
        )
    in_order = _in_one_order(posterior.draws)
    draws = jax.tree.map(lambda a: np.asarray(a).reshape(chains, length, *a.shape[1:]), in_order)

    def some(first: int) -> Mixture:
        each = min(half, max(1, -(-n_draws // chains)))
        index = first + np.linspace(0, half - 1, each).round().astype(int)
        return jax.tree.map(lambda a: a[:, index], draws)

    return some(0), some(length - half)


def _in_one_order(draws: Mixture) -> Mixture:
    """Components by their first mean, so that random numbers do not depend on how draws were labelled either."""
    order = np.argsort(draws.means[..., 0], axis=-1, kind="stable")
    ordered = draws.permute(order)
    return Mixture(
        ordered.structure, np.maximum(ordered.log_weights, LOWEST_WEIGHT), ordered.means, ordered.covariances
    )


def _flat(draws: Mixture) -> Mixture:
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), draws)


def _told(posterior: Posterior, found: Bridge, n_rows: int, **numbers: int) -> Evidence:
    jacobian = n_rows * posterior.standardisation.log_jacobian
    details = {
        k: v for k, v in dataclasses.asdict(found).items() if k not in ("log_constant", "standard_error")
    }
    details["importance"] -= jacobian
    details["reciprocal"] -= jacobian
    return Evidence(
        log_evidence=found.log_constant - jacobian,
        standard_error=found.standard_error,
        n_components=posterior.n_components,
        covariance_type=posterior.covariance_type,
        method="bridge sampling, proposal symmetric in the labels",
        details={name: float(value) for name, value in {**details, **numbers}.items()},
        warnings=_warnings(found),
        data_name=posterior.observed.name,
        rows_digest=hashlib.sha256(np.ascontiguousarray(posterior.observed.rows).tobytes()).hexdigest()[:16],
    )


def _warnings(found: Bridge) -> tuple[str, ...]:
    out = []
    if found.rhat > APART or found.effective_draws < FEW:
        out.append(
            f"The chains disagree or move slowly (R-hat {found.rhat:.2f} of the bridge function, "
            f"{found.effective_draws:.0f} effective draws): the standard error may be too small. Sample longer, or "
            "with another engine."
        )
    if found.overlap < FAINT:
        out.append(
            f"Proposal and posterior hardly overlap ({found.overlap:.3f}): the estimate hangs on few draws. Raise "
            "n_kernels and n_draws."
        )
    return tuple(out)


def _check(posterior: Any) -> None:
    """Refuse, in words, what has no evidence that can be found from these draws."""
    if not isinstance(posterior, Posterior):
        kind = getattr(posterior, "kind", type(posterior).__name__)
        remedy = (
            " A maximum has no evidence; its BIC is a rough stand-in. Sample the posterior with Gibbs(), HMC() or "
            "NUTS()."
            if kind == "EM"
            else " Fit one with Gibbs(), HMC() or NUTS()."
        )
        raise TypeError(f"Expected a Posterior; got {kind}.{remedy}")
    if hasattr(posterior, "elbo"):
        raise ValueError(
            "Expected draws from the posterior itself; got a variational approximation. Its ELBO "
            f"({float(posterior.elbo):.2f}) is a lower bound of the log evidence; for the evidence, sample with "
            "Gibbs(), HMC() or NUTS()."
        )
    model = posterior.model
    if model.weights.random_number:
        raise ValueError(
            "Expected a fixed number of components; here it is random, and n_components_table holds its posterior. "
            "For an evidence a K, fit models.finite_mixture(K)."
        )
    if model.weights.overfits:
        raise ValueError(
            f"Expected the weights of models.finite_mixture; the evidence under {type(model.weights).__name__} is not "
            "implemented: with slots to spare, the number of clusters is read from n_clusters_table."
        )
    if model.n_components > MOST_COMPONENTS:
        raise ValueError(
            f"Expected at most {MOST_COMPONENTS} components; got {model.n_components}. The sum over all labellings "
            "doubles with each. Use models.mixture_of_finite_mixtures, whose sampler gives P(K) itself."
        )
    if not model.components.has_evidence:
        model.components.log_marginal_prior(
            model.structure, posterior.draws.means, posterior.draws.covariances
        )
