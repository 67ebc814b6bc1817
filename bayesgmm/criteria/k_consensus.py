"""Every method asked at once how many components and clusters there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
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
    checkpoint: Any = None,
) -> KTable:
    """Information criteria, leave-one-out, evidence, and four priors that leave the number open, in one table.

    The criteria come from EM. Finite mixtures of every K are sampled, for leave-one-out densities and evidences; then a
    sparse finite mixture, a Dirichlet process, a Pitman-Yor process and a mixture of finite mixtures, whose posteriors
    of K and K+ stand beside their priors. The guard asks whether components are clusters at all, and whether the
    posterior of the K that BIC chooses foretells the tails.

    Parameters
    ----------
    x : rows (N, D), as for ``fit``; or a Selection by ``select``, whose sweep is used
    n_components, covariance_type : of the sweep, as for ``select``; what is sampled has the structure that BIC chooses
    components : component prior of what is sampled; the default prior if None. An evidence depends on it: give your own
    engine : ``Gibbs()`` if None
    random_state : int, numpy Generator or JAX key
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)
    checkpoint : a folder, made if it is not there, for what is fitted and drawn; called again with the same arguments
        it goes on from there. The criteria, the guard and the bridges are computed anew. For Gibbs, HMC and NUTS

    Raises
    ------
    ValueError, TypeError
        As ``select``, ``fit`` and ``log_evidence`` do.
    """
    seed, engine = as_seed(random_state), engine or Gibbs()
    if not hasattr(engine, "num_chains"):
        raise TypeError(f"Expected engine to be a sampler, such as Gibbs(); got {type(engine).__name__}.")
    folder = _folder(checkpoint, engine)
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
                checkpoint=None if folder is None else folder / "sweep",
            )
        )
        finite, others = _sampled(sweep, components, engine, seed, tell, folder)
        chosen = finite.get(dataclasses.replace(sweep, criterion="bic").best.n_components)
        guard = misspecification_guard(sweep, posterior=chosen, random_state=seed, progress=told)
    table = k_table(
        sweep,
        guard=guard,
        elpds={k: loo(posterior) for k, posterior in finite.items()} or None,
        evidence=k_posterior([log_evidence(each) for each in finite.values()]) if finite else None,
        posteriors=others,
    )
    return dataclasses.replace(table, cautions=(*table.cautions, *_doubts(sweep, finite, components)))


def _doubts(sweep: Any, finite: dict[int, Any], components: Any) -> list[str]:
    """What was not asked of every K, and what is wrong with the draws."""
    out = []
    left_out = sorted({k for _, k in sweep.fits} - set(finite))
    if left_out:
        out.append(
            f"K = {', '.join(map(str, left_out))} have neither held-out density nor evidence: these stop at K = "
            f"{MOST_COMPONENTS}, where all labellings can still be counted."
        )
    out += [words for k, posterior in finite.items() for words in of_chains(f"K = {k} sampled", posterior)]
    return [*out, DEFAULT_PRIOR] if components is None else out


def _folder(checkpoint: Any, engine: Any) -> Path | None:
    """The folder of the checkpoint, made if it is not there; checked before anything is computed."""
    if checkpoint is None:
        return None
    if not getattr(engine, "resumes", False):
        raise ValueError(
            f"Expected no checkpoint for {type(engine).__name__}; HMC, NUTS and Gibbs can go on from one."
        )
    folder = Path(checkpoint)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"Expected checkpoint to be a folder; {str(folder)!r} is a file.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sampled(
    sweep: Selection,
    components: Any,
    engine: Any,
    seed: int,
    tell: Callable[[str, int, int], None] | None,
    folder: Path | None,
) -> tuple[dict[int, Any], dict[str, Any]]:
    """Posteriors of finite mixtures by K, and by name of the models that leave the number open."""
    best = sweep.best
    settings = {"covariance_type": best.covariance_type, "components": components}
    numbers = sorted({k for _, k in sweep.fits if k <= MOST_COMPONENTS})
    wanted: dict[Any, Any] = {k: models.finite_mixture(k, **settings) for k in numbers}
    wanted |= _open_models(settings)
    found = {}
    for name, model in wanted.items():
        file = None if folder is None else folder / f"{name}.ckpt".replace(" ", "_")
        found[name] = fit(best.observed, model, engine, random_state=seed, checkpoint=file)
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
