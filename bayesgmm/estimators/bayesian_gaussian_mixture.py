"""``BayesianGaussianMixture``: a posterior, by variational inference or by sampling."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from bayesgmm.covariances import get_structure
from bayesgmm.data import Data
from bayesgmm.estimators.mixture_estimator import MixtureEstimator
from bayesgmm.estimators.starts import check_shape
from bayesgmm.inference.em.degeneracy import RELATIVE_FLOOR
from bayesgmm.models import (
    FiniteMixture,
    dirichlet_process_mixture,
    finite_mixture,
    mixture_of_finite_mixtures,
    pitman_yor_mixture,
    sparse_mixture,
    weights,
)
from bayesgmm.models.components import ComponentPrior, DataMoments, NormalInverseWishart
from bayesgmm.models.weights.concentration import ConcentrationPrior

WEIGHT_PRIORS = {
    "dirichlet_process": dirichlet_process_mixture,
    "dirichlet_distribution": finite_mixture,
    "sparse_dirichlet": sparse_mixture,
    "pitman_yor_process": pitman_yor_mixture,
    "finite_mixtures": mixture_of_finite_mixtures,
}
OF_SCIKIT_LEARN = ("dirichlet_process", "dirichlet_distribution")


class BayesianGaussianMixture(MixtureEstimator):
    """A Bayesian Gaussian mixture for users of scikit-learn's class of that name: change the import.

    The priors left open are scikit-learn's. What differs: densities and memberships integrate over the posterior, the
    bound has all its constants, spare components come last, and a spherical or tied covariance learns from every row
    and feature that it describes.

    Parameters
    ----------
    n_components : number of components; the most there can be where spare ones may stay empty
    covariance_type : "full", "tied", "diag", "spherical"
    tol, max_iter, n_init, init_params : see :class:`GaussianMixture`
    reg_covar : variance added to the diagonal of the default covariance_prior, and by em
    weight_concentration_prior_type : "dirichlet_process", "dirichlet_distribution"; "sparse_dirichlet",
        "pitman_yor_process", or "finite_mixtures": the number of components has a prior of its own
    weight_concentration_prior : a number above 0, or a prior such as ``models.weights.Gamma(2, 4)``. None is
        1 / n_components for the first two, as in scikit-learn, else the model's own
    mean_precision_prior, mean_prior, degrees_of_freedom_prior, covariance_prior : of the normal-inverse-Wishart prior;
        None is 1, the mean, the number of features, the covariance (for "diag" variances, for "spherical" their mean)
    random_state, warm_start, verbose, verbose_interval : see :class:`GaussianMixture`
    engine : "auto" (cavi where the prior allows, else gibbs, else nuts), "cavi", "gibbs", "nuts", "hmc", "svi",
        "em" (the posterior's mode), or an engine such as ``bayesgmm.Gibbs(...)``
    component_prior : of means and covariances, such as ``models.components.richardson_green()``, in place of the
        normal-inverse-Wishart
    n_components_prior : for "finite_mixtures", such as ``models.weights.shifted_poisson(1)``; None is uniform on 1 to
        n_components

    Attributes
    ----------
    weights_, means_, covariances_, ... : see :class:`GaussianMixture`; ``lower_bound_`` is the evidence lower bound
    weight_concentration_prior_, mean_precision_prior_, mean_prior_, degrees_of_freedom_prior_, covariance_prior_ :
        the prior that was used
    weight_concentration_, mean_precision_, degrees_of_freedom_ : of the variational posterior, by cavi with
        scikit-learn's priors. Of a Dirichlet process's sticks the last takes the rest: its second number is 0

    Examples
    --------
    >>> from bayesgmm import BayesianGaussianMixture, load_dataset
    >>> BayesianGaussianMixture(n_components=5, random_state=0).fit(load_dataset("faithful")).n_clusters_
    2
    """

    _parameter_constraints: ClassVar[dict] = {
        **MixtureEstimator._parameter_constraints,
        "weight_concentration_prior_type": [StrOptions(set(WEIGHT_PRIORS))],
        "weight_concentration_prior": [None, Interval(Real, 0.0, None, closed="neither"), ConcentrationPrior],
        "mean_precision_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "covariance_prior": [None, "array-like", Interval(Real, 0.0, None, closed="neither")],
        "component_prior": [None, ComponentPrior],
        "n_components_prior": [None, weights.NumberPrior],
    }
    _objective = "posterior"

    def __init__(
        self,
        *,
        n_components=1,
        covariance_type="full",
        tol=None,
        reg_covar=None,
        max_iter=None,
        n_init="auto",
        init_params="auto",
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=None,
        mean_precision_prior=None,
        mean_prior=None,
        degrees_of_freedom_prior=None,
        covariance_prior=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        engine="auto",
        component_prior=None,
        n_components_prior=None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.engine = engine
        self.component_prior = component_prior
        self.n_components_prior = n_components_prior

    def _model(self, data: Data, sample_weight: Any) -> FiniteMixture:
        kind = self.weight_concentration_prior_type
        components = self._component_prior(data, sample_weight)
        settings: dict[str, Any] = {"components": components}
        concentration = self.weight_concentration_prior
        self.__dict__.pop("weight_concentration_prior_", None)
        if concentration is None and kind in OF_SCIKIT_LEARN:
            concentration = 1.0 / self.n_components
        if concentration is not None:
            whole = isinstance(concentration, Integral)
            settings["concentration"] = float(concentration) if whole else concentration
            self.weight_concentration_prior_ = settings["concentration"]
        if kind == "finite_mixtures":
            number = self.n_components_prior or weights.uniform(self.n_components)
            return mixture_of_finite_mixtures(self.covariance_type, number=number, **settings)
        return WEIGHT_PRIORS[kind](self.n_components, self.covariance_type, **settings)

    def _component_prior(self, data: Data, sample_weight: Any) -> ComponentPrior:
        """The prior that was given, or scikit-learn's normal-inverse-Wishart, scaled to the rows."""
        own = ("mean_precision_prior", "mean_prior", "degrees_of_freedom_prior", "covariance_prior")
        if self.component_prior is not None:
            given = [name for name in own if getattr(self, name) is not None]
            if given:
                raise ValueError(f"Expected component_prior or {given[0]}; got both. Leave one out.")
            return self.component_prior
        d, structure = data.n_features, get_structure(self.covariance_type)
        moments = DataMoments(data.rows, sample_weight)
        dof = self.degrees_of_freedom_prior
        if dof is not None and dof <= d - 1:
            raise ValueError(
                f"The parameter 'degrees_of_freedom_prior' should be greater than {d - 1}, but got {dof:.3f}."
            )
        self.degrees_of_freedom_prior_ = d if dof is None else dof
        self.mean_precision_prior_ = 1.0 if self.mean_precision_prior is None else self.mean_precision_prior
        self.mean_prior_ = (
            moments.mean if self.mean_prior is None else check_shape(self.mean_prior, (d,), "means")
        )
        variances = np.diag(moments.covariance)
        floor = RELATIVE_FLOOR * variances if self.reg_covar is None else np.full(d, self.reg_covar)
        scale = structure.prior_scale(moments.covariance + np.diag(floor))  # singular where rows are few
        if self.covariance_prior is not None:
            name = f"{self.covariance_type} covariance_prior"
            scale = check_shape(self.covariance_prior, np.shape(scale), name)
        self.covariance_prior_ = scale
        return NormalInverseWishart(
            self.mean_prior_, self.mean_precision_prior_, float(self.degrees_of_freedom_prior_), scale
        )

    def _keep(self, result: Any) -> None:
        super()._keep(result)
        for name in ("weight_concentration_", "mean_precision_", "degrees_of_freedom_"):
            self.__dict__.pop(name, None)
        kind, alpha = self.weight_concentration_prior_type, getattr(self, "weight_concentration_prior_", None)
        counts = getattr(result, "counts", None)  # expected rows, which a variational posterior has
        if (
            counts is None
            or not isinstance(alpha, Real)
            or kind not in OF_SCIKIT_LEARN
            or self.component_prior
        ):
            return
        self.mean_precision_ = self.mean_precision_prior_ + counts
        degrees = result.model.structure.row_degrees(counts, self.n_features_in_)
        self.degrees_of_freedom_ = self.degrees_of_freedom_prior_ + np.squeeze(degrees)
        after = np.cumsum(counts[::-1])[::-1] - counts
        rest = np.where(np.arange(len(counts)) < len(counts) - 1, alpha + after, 0.0)
        sticks = kind == "dirichlet_process"
        self.weight_concentration_ = (1.0 + counts, rest) if sticks else alpha + counts
