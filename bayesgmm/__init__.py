"""Gaussian mixtures by EM and by MCMC on one posterior, with honest uncertainty.

One verb, two nouns: ``fit(data, model, engine)``. A model, from ``bayesgmm.models``, says what is believed; an
engine, ``EM``, ``NUTS`` or ``Gibbs``, says how it is computed. Importing the package loads nothing else: every
name below is imported when it is first used.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesgmm import models, plots, report
    from bayesgmm.compilation_cache import enable_compilation_cache
    from bayesgmm.criteria.compare import compare
    from bayesgmm.criteria.comparison import Comparison
    from bayesgmm.criteria.cross_validation import cross_validate
    from bayesgmm.criteria.evidence import Evidence, log_evidence
    from bayesgmm.criteria.guard import misspecification_guard
    from bayesgmm.criteria.k_consensus import k_consensus
    from bayesgmm.criteria.k_table import KTable, k_table
    from bayesgmm.criteria.likelihood_ratio import LikelihoodRatioTest, likelihood_ratio_test
    from bayesgmm.criteria.loo_pit import loo_pit
    from bayesgmm.criteria.maximum import information_criteria
    from bayesgmm.criteria.merging import Merging, merge_components
    from bayesgmm.criteria.model_weights import pseudo_bma_weights, stacking_weights
    from bayesgmm.criteria.number_posterior import k_posterior
    from bayesgmm.criteria.predictive import loo
    from bayesgmm.criteria.predictive_check import predictive_check
    from bayesgmm.criteria.select import Selection, select
    from bayesgmm.criteria.waic import waic
    from bayesgmm.data import Data, as_data, list_datasets, load_dataset
    from bayesgmm.estimators import BayesianGaussianMixture, GaussianMixture
    from bayesgmm.inference.cavi.cavi import CAVI
    from bayesgmm.inference.em.bootstrap import bootstrap
    from bayesgmm.inference.em.em import EM
    from bayesgmm.inference.em.result import EMResult, Status
    from bayesgmm.inference.fit import fit
    from bayesgmm.inference.gibbs.gibbs import Gibbs
    from bayesgmm.inference.gradient.hmc import HMC
    from bayesgmm.inference.gradient.nuts import NUTS
    from bayesgmm.inference.svi.svi import SVI
    from bayesgmm.io import load
    from bayesgmm.mixture import Mixture
    from bayesgmm.posterior.agreement import partition_agreement
    from bayesgmm.posterior.partition import Partition, partition
    from bayesgmm.posterior.posterior import Posterior
    from bayesgmm.report import write_report

    __version__: str

_MODULE_OF = {
    "fit": "bayesgmm.inference.fit",
    "EM": "bayesgmm.inference.em.em",
    "HMC": "bayesgmm.inference.gradient.hmc",
    "NUTS": "bayesgmm.inference.gradient.nuts",
    "CAVI": "bayesgmm.inference.cavi.cavi",
    "SVI": "bayesgmm.inference.svi.svi",
    "Gibbs": "bayesgmm.inference.gibbs.gibbs",
    "EMResult": "bayesgmm.inference.em.result",
    "Status": "bayesgmm.inference.em.result",
    "Posterior": "bayesgmm.posterior.posterior",
    "Mixture": "bayesgmm.mixture",
    "Data": "bayesgmm.data",
    "as_data": "bayesgmm.data",
    "load_dataset": "bayesgmm.data",
    "list_datasets": "bayesgmm.data",
    "partition": "bayesgmm.posterior.partition",
    "Partition": "bayesgmm.posterior.partition",
    "partition_agreement": "bayesgmm.posterior.agreement",
    "bootstrap": "bayesgmm.inference.em.bootstrap",
    "select": "bayesgmm.criteria.select",
    "Selection": "bayesgmm.criteria.select",
    "compare": "bayesgmm.criteria.compare",
    "Comparison": "bayesgmm.criteria.comparison",
    "information_criteria": "bayesgmm.criteria.maximum",
    "likelihood_ratio_test": "bayesgmm.criteria.likelihood_ratio",
    "LikelihoodRatioTest": "bayesgmm.criteria.likelihood_ratio",
    "log_evidence": "bayesgmm.criteria.evidence",
    "Evidence": "bayesgmm.criteria.evidence",
    "k_posterior": "bayesgmm.criteria.number_posterior",
    "merge_components": "bayesgmm.criteria.merging",
    "Merging": "bayesgmm.criteria.merging",
    "loo": "bayesgmm.criteria.predictive",
    "waic": "bayesgmm.criteria.waic",
    "loo_pit": "bayesgmm.criteria.loo_pit",
    "cross_validate": "bayesgmm.criteria.cross_validation",
    "stacking_weights": "bayesgmm.criteria.model_weights",
    "pseudo_bma_weights": "bayesgmm.criteria.model_weights",
    "predictive_check": "bayesgmm.criteria.predictive_check",
    "misspecification_guard": "bayesgmm.criteria.guard",
    "k_consensus": "bayesgmm.criteria.k_consensus",
    "k_table": "bayesgmm.criteria.k_table",
    "KTable": "bayesgmm.criteria.k_table",
    "write_report": "bayesgmm.report",
    "load": "bayesgmm.io",
    "GaussianMixture": "bayesgmm.estimators",
    "BayesianGaussianMixture": "bayesgmm.estimators",
    "enable_compilation_cache": "bayesgmm.compilation_cache",
}
_SUBMODULES = ("models", "plots", "report")

__all__ = [  # noqa: RUF022 - in the order a reader meets them
    "fit",
    "EM",
    "HMC",
    "NUTS",
    "CAVI",
    "SVI",
    "Gibbs",
    "EMResult",
    "Status",
    "Posterior",
    "Mixture",
    "Data",
    "as_data",
    "load_dataset",
    "list_datasets",
    "partition",
    "Partition",
    "partition_agreement",
    "bootstrap",
    "select",
    "Selection",
    "compare",
    "Comparison",
    "information_criteria",
    "likelihood_ratio_test",
    "LikelihoodRatioTest",
    "log_evidence",
    "Evidence",
    "k_posterior",
    "merge_components",
    "Merging",
    "loo",
    "waic",
    "loo_pit",
    "cross_validate",
    "stacking_weights",
    "pseudo_bma_weights",
    "predictive_check",
    "misspecification_guard",
    "k_consensus",
    "k_table",
    "KTable",
    "write_report",
    "load",
    "GaussianMixture",
    "BayesianGaussianMixture",
    "enable_compilation_cache",
    "models",
    "plots",
    "report",
]

_models_folder = os.path.join(os.path.dirname(__file__), "models")
if not os.path.isdir(_models_folder):
    raise ImportError(
        f"Expected the folder {_models_folder}; got {'a text file' if os.path.isfile(_models_folder) else 'nothing'} "
        "in its place. In a clone bayesgmm/models is a symbolic link to ../models, which git writes as text where "
        "links are switched off (the default on Windows). "
        "Install the package with pip, or switch links on and check the file out again: "
        "git config core.symlinks true && rm bayesgmm/models && git checkout bayesgmm/models "
        "(Windows needs its developer mode for this)."
    )


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"bayesgmm.{name}")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("bayesgmm")
    else:
        raise AttributeError(f"module 'bayesgmm' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
