"""``GaussianMixture``: maximum likelihood by default, any engine by name."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import entr
from sklearn.utils.validation import check_is_fitted

from bayesgmm.criteria import information
from bayesgmm.data import Data
from bayesgmm.estimators import starts
from bayesgmm.estimators.mixture_estimator import MixtureEstimator
from bayesgmm.models import FiniteMixture, finite_mixture


class GaussianMixture(MixtureEstimator):
    """A Gaussian mixture for users of scikit-learn's class of that name: change the import.

    What differs: by default many starts and moves look for the best maximum and climb to its top, components come by
    decreasing weight (in the order of the start where one is given), and everything is float64.

    Parameters
    ----------
    n_components : number of components
    covariance_type : "full", "tied", "diag", "spherical"
    tol : estimated remaining gain, in nats a row, at which a fit has converged; None is the engine's own (1e-9 for em)
    reg_covar : variance added to the diagonals, in the data's units; None is 1e-8 of each feature's variance
    max_iter : steps at most; for samplers draws a chain. None is the engine's own
    n_init : number of starts; "auto" is the engine's own search, moves included
    init_params : "auto": hierarchical trees, K-means and random partitions in turn; or one of scikit-learn's "kmeans",
        "k-means++", "random", "random_from_data", whose partitions of the rows are started from
    weights_init, means_init, precisions_init : parameters to start from, in scikit-learn's shapes
    random_state : int, RandomState or None
    warm_start : go on from the fit before
    verbose : show progress on the standard error stream
    verbose_interval : not used
    engine : "em", "nuts", "hmc", "gibbs", "cavi", "svi", "auto" (em), or an engine such as ``bayesgmm.NUTS(...)``

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : in scikit-learn's shapes; posterior means where
        the engine gives a posterior
    converged_, n_iter_, lower_bound_, lower_bounds_ : of the winning start; the bound is the mean log-likelihood of a
        row. Samplers have no bound; their draws have converged where the diagnostics find nothing
    labels_, n_clusters_, n_clusters_proba_, posterior_, partition_, components_frame_, warnings_ : see each
    result_ : what ``bayesgmm.fit`` returned, which can be saved
    n_features_in_, feature_names_in_ : of the training data

    Examples
    --------
    >>> from bayesgmm import GaussianMixture, load_dataset
    >>> gm = GaussianMixture(n_components=2, random_state=0).fit(load_dataset("faithful"))
    >>> gm.means_.round(2)
    array([[ 4.29, 79.97],
           [ 2.04, 54.48]])
    """

    _parameter_constraints: ClassVar[dict] = {
        **MixtureEstimator._parameter_constraints,
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
    }

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=None,
        reg_covar=None,
        max_iter=None,
        n_init="auto",
        init_params="auto",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        engine="em",
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.engine = engine

    def _model(self, data: Data, sample_weight: Any) -> FiniteMixture:
        return finite_mixture(self.n_components, self.covariance_type)

    def _given_start(self, data: Data, model: FiniteMixture, seed: int, sample_weight: Any) -> Any:
        given = self.weights_init, self.means_init, self.precisions_init
        return starts.given_start(data, model, seed, sample_weight, *given)

    # ---- criteria

    def aic(self, X: Any) -> float:
        """Akaike's criterion on the rows, smaller is better."""
        return information.aic(self._log_likelihood(X, "aic"), self._n_parameters())

    def bic(self, X: Any) -> float:
        """Schwarz's criterion on the rows, smaller is better."""
        return information.bic(self._log_likelihood(X, "bic"), self._n_parameters(), float(len(X)))

    def icl(self, X: Any) -> float:
        """Integrated completed likelihood on the rows (Biernacki et al. 2000), smaller is better."""
        return information.icl_of_entropy(self.bic(X), float(np.sum(entr(self.predict_proba(X)))))

    def _log_likelihood(self, X: Any, criterion: str) -> float:
        check_is_fitted(self, "result_")
        if not hasattr(self.result_, "bic"):
            raise ValueError(
                f"{criterion} needs the maximum of the likelihood: engine='em'. For posteriors there is "
                "posterior_.loo(), and bayesgmm.compare."
            )
        return float(np.sum(self.score_samples(X)))
