"""Every method asked at once how many components and clusters there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from bayesgmm import models
from bayesgmm.criteria.evidence import MOST_COMPONENTS, log_evidence
from bayesgmm.criteria.guard import misspecification_guard
from bayesgmm.criteria.k_table import KTable, k_table, of_chains
from bayesgmm.criteria.number_posterior import k_posterior
from bayesgmm.criteria.predictive import loo
from bayesgmm.criteria.select import Selection, select
from bayesgmm.inference.fit import fit
from bayesgmm.inference.gibbs.gibbs import Gibbs
from bayesgmm.inference.progress import progress_reporter
from bayesgmm.random_state import as_seed

DEFAULT_PRIOR = (
    "evidence (K) is under the default prior, which follows the data and changes with K: give components= for an "
    "evidence that means something."
)
SLOTS = 10  # of the weights that leave slots empty


def k_consensus(
    x: Any,
    *,
    n_components: Any = range(1, 7),
    covariance_type: Any = "full",
    components: Any = None,
    engine: Any = None,
    random_state: Any = 0,
    progress: Any = False,
) -> KTable:
    """Information criteria, leave-one-out, evidence, and four priors that leave the number open, in one table.

    The criteria come from EM. Finite mixtures of every K are sampled, for leave-one-out densities and evidences; then a
    sparse finite mixture, a Dirichlet process, a Pitman-Yor process and a mixture of finite mixtures, whose posteriors
    of K and K+ stand beside their priors. The guard asks whether components are clusters at all.

    Parameters
    ----------
    x : rows (N, D), as for ``fit``; or a Selection by ``select``, whose sweep is used
    n_components, covariance_type : of the sweep, as for ``select``; what is sampled has the structure that BIC chooses
    components : component prior of what is sampled; the default prior if None. An evidence depends on it: give your own
    engine : ``Gibbs()`` if None
    random_state : int, numpy Generator or JAX key
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)

    Raises
    ------
    ValueError, TypeError
        As ``select``, ``fit`` and ``log_evidence`` do.
    """
    seed, engine = as_seed(random_state), engine or Gibbs()
    if not hasattr(engine, "num_chains"):
        raise TypeError(f"Expected engine to be a sampler, such as Gibbs(); got {type(engine).__name__}.")
    with progress_reporter(progress) as tell:
        told = tell or False
        sweep = (
            x
            if isinstance(x, Selection)
            else select(
                x,
                n_components=n_components,
                covariance_type=covariance_type,
                random_state=seed,
                progress=told,
            )
        )
        guard = misspecification_guard(sweep, random_state=seed, progress=told)
        finite, others = _sampled(sweep, components, engine, seed, tell)
    table = k_table(
        sweep,
        guard=guard,
        elpds={k: loo(posterior) for k, posterior in finite.items()},
        evidence=k_posterior([log_evidence(posterior) for posterior in finite.values()]),
        posteriors=others,
    )
    doubts = [words for k, posterior in finite.items() for words in of_chains(f"K = {k} sampled", posterior)]
    if components is None:
        doubts.append(DEFAULT_PRIOR)
    return dataclasses.replace(table, cautions=(*table.cautions, *doubts))


def _sampled(
    sweep: Selection, components: Any, engine: Any, seed: int, tell: Callable[[str, int, int], None] | None
) -> tuple[dict[int, Any], dict[str, Any]]:
    """Posteriors of finite mixtures by K, and by name of the models that leave the number open."""
    best = sweep.best
    settings = {"covariance_type": best.covariance_type, "components": components}
    numbers = sorted({k for _, k in sweep.fits if k <= MOST_COMPONENTS})
    wanted: dict[Any, Any] = {k: models.finite_mixture(k, **settings) for k in numbers}
    wanted |= _open_models(settings)
    found = {}
    for name, model in wanted.items():
        found[name] = fit(best.observed, model, engine, random_state=seed)
        if tell is not None:
            tell(engine.__class__.__name__, len(found), len(wanted))
    return {k: found[k] for k in numbers}, {name: found[name] for name in found if name not in numbers}


def _open_models(settings: dict[str, Any]) -> dict[str, Any]:
    """Models that leave the number of clusters to the posterior."""
    return {
        "sparse finite": models.sparse_mixture(SLOTS, **settings),
        "Dirichlet process": models.dirichlet_process_mixture(2 * SLOTS, **settings),
        "Pitman-Yor": models.pitman_yor_mixture(2 * SLOTS, **settings),
        "finite mixtures": models.mixture_of_finite_mixtures(**settings),
    }
