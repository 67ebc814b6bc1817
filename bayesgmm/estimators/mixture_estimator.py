"""What both estimators share: a thin face of ``bayesgmm.fit(data, model, engine)``."""

from __future__ import annotations

import abc
import dataclasses
import warnings
from functools import cached_property
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from bayesgmm.covariances import STRUCTURES
from bayesgmm.data import Data, as_data, check_sample_weight
from bayesgmm.estimators import starts
from bayesgmm.estimators.engines import make_engine
from bayesgmm.estimators.findings import FEW, better, findings, is_sampled
from bayesgmm.estimators.frames import component_columns, frame_like, row_columns
from bayesgmm.inference.fit import fit
from bayesgmm.models import FiniteMixture

NOT_CONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or increase max_iter, tol, or "
    "check for degenerate data."
)
ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance "
    "caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or scale "
    "the input data."
)
MOST_SEED = 2**31 - 1
PREDICTED = 20_000  # rows drawn for a quantile of the posterior predictive


class MixtureEstimator(DensityMixin, BaseEstimator, metaclass=abc.ABCMeta):
    """Fitting, predicting and scoring, in scikit-learn's words."""

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "engine": [str, HasMethods("run")],
        "tol": [Interval(Real, 0.0, None, closed="left"), None],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), None],
        "max_iter": [Interval(Integral, 0, None, closed="left"), None],
        "n_init": [Interval(Integral, 1, None, closed="left"), StrOptions({starts.OURS})],
        "init_params": [StrOptions({starts.OURS, *starts.PARTITIONS})],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }
    _objective = "likelihood"

    @abc.abstractmethod
    def _model(self, data: Data, sample_weight: Any) -> FiniteMixture:
        """What is believed."""

    def _given_start(self, data: Data, model: FiniteMixture, seed: int, sample_weight: Any) -> Any:
        """Where the caller's own parameters say to begin; None where there are none."""
        return None

    # ---- fitting

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> MixtureEstimator:
        """Fit the mixture.

        Parameters
        ----------
        X : (n_samples, n_features) array, or a pandas or polars frame, whose column names are kept
        y : ignored
        sample_weight : (n_samples,) weights of the rows, for engines that take them (em, cavi)

        Raises
        ------
        ValueError
            If the data, a setting or a start cannot be used.
        """
        self._validate_params()
        data = self._data(X, reset=True)
        if data.n_rows < self.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {data.n_rows}"
            )
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, data.n_rows)
        self._keep(self._fitted(data, sample_weight))
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.intp]:
        """Fit the mixture; the most probable component (n_samples,) of every row."""
        return self.fit(X, y, sample_weight=sample_weight).labels_

    def _data(self, X: Any, reset: bool) -> Data:
        """Checked rows with the names that they came with; scikit-learn's checks, and our words for frames."""
        try:
            rows = validate_data(self, X, dtype=np.float64, reset=reset, ensure_min_samples=2 if reset else 1)
        except ValueError as error:
            if not hasattr(X, "columns") or "feature names" in str(error):
                raise
            try:
                as_data(X)
            except (TypeError, ValueError) as ours:
                raise ValueError(f"{str(error).splitlines()[0]} ({ours})") from error
            raise
        names = getattr(self, "feature_names_in_", None)
        data = as_data(rows)
        return data if names is None else dataclasses.replace(data, feature_names=tuple(map(str, names)))

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(MOST_SEED))

    def _fitted(self, data: Data, sample_weight: Any) -> Any:
        """The best of as many fits as there are starts."""
        seed, model = self._seed(), self._model(data, sample_weight)
        words = {name: getattr(self, name) for name in ("tol", "reg_covar", "max_iter")}
        words["n_init"] = None if self.n_init == starts.OURS else self.n_init
        engine = make_engine(self.engine, model, words, self._objective)
        given = self._given_start(data, model, seed, sample_weight)
        before = self._start_before()
        start = given if before is None else before
        best = None
        for one in [start] if start is not None else self._partition_starts(data, seed):
            try:
                result = fit(
                    data,
                    model,
                    engine,
                    start=one,
                    sample_weight=sample_weight,
                    random_state=seed,
                    progress=bool(self.verbose),
                )
            except FloatingPointError as error:
                raise ValueError(ILL_DEFINED) from error
            best = better(result, best)
        return best if given is None else starts.in_the_order_of(best, given)

    def _start_before(self) -> Any:
        """The fit before, where the next is to go on from it."""
        before = getattr(self, "result_", None)
        if not self.warm_start or before is None or before.n_components != self.n_components:
            return None
        return before.start if is_sampled(before) else before

    def _partition_starts(self, data: Data, seed: int) -> list[Any]:
        """Labels to begin with, as many as ``n_init`` says; None leaves it to the engine."""
        if self.init_params == starts.OURS or self.n_components == 1:
            return [None]
        rng = np.random.RandomState(seed % MOST_SEED)
        count = 1 if self.n_init == starts.OURS else self.n_init
        return [starts.partition_start(data, self.n_components, self.init_params, rng) for _ in range(count)]

    def _keep(self, result: Any) -> None:
        """The result, and what follows from it; what an earlier one had is dropped."""
        before = getattr(self, "lower_bound_", -np.inf) if self.warm_start else -np.inf
        for name in ("partition_", "lower_bound_", "lower_bounds_"):
            self.__dict__.pop(name, None)
        self.result_ = result
        for name, value in findings(result).items():
            setattr(self, name, value)
        if not is_sampled(result) and 0 < self.n_iter_ <= FEW:  # too few for the engine to judge by itself
            gained = self.lower_bound_ - before
            self.converged_ = self.converged_ or gained < (1e-3 if self.tol is None else self.tol)
        if not self.converged_ and self.max_iter != 0:
            words = result.diagnostics().verdict if is_sampled(result) else NOT_CONVERGED
            warnings.warn(words, ConvergenceWarning, stacklevel=3)

    # ---- predicting

    def _found(self) -> Any:
        """The result, if there is one."""
        check_is_fitted(self, "result_")
        return self.result_

    def _rows(self, X: Any) -> Data:
        check_is_fitted(self, "result_")
        return self._data(X, reset=False)

    def predict(self, X: Any) -> NDArray[np.intp]:
        """The most probable component (n_samples,) of every row; posteriors average over their draws."""
        return self._found().predict(self._rows(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability (n_samples, n_components) of every component for every row."""
        return self._found().predict_proba(self._rows(X))

    def predict_frame(self, X: Any) -> Any:
        """Of every row its component, ``uncertainty``, ``log_density`` and memberships ``p0``, ``p1``, ..., as a frame.

        Of the library that X came in, with its index where it has one; pandas for arrays.
        """
        return frame_like(X, row_columns(self.predict_proba(X), self.score_samples(X)))

    def predict_uncertainty(self, X: Any) -> NDArray[np.float64]:
        """Probability (n_samples,) that a row is not of the component that ``predict`` says."""
        return 1.0 - self.predict_proba(X).max(axis=1)

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Log density (n_samples,) of every row, in nats."""
        return self._found().score_samples(self._rows(X))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log density of the rows, in nats; larger is better."""
        return self._found().score(self._rows(X), sample_weight)

    def sample(self, n_samples: Any = 1) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """New rows (n_samples, n_features) and their components (n_samples,)."""
        check_is_fitted(self, "result_")
        if n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample."
            )
        return self.result_.sample(int(n_samples), random_state=self._seed())

    # ---- anomalies

    def anomaly_score(self, X: Any) -> NDArray[np.float64]:
        """Minus the log density (n_samples,) of every row: the larger, the stranger."""
        return -self.score_samples(X)

    def anomaly_threshold(self, rate: Any = 0.01, by: Any = "contamination") -> float:
        """The anomaly score above which a row is strange.

        Parameters
        ----------
        rate : between 0 and 1
        by : "contamination": that share of the training rows lies above; "predictive": of new rows from the fitted
            distribution (posterior predictive for a posterior), none of them strange
        """
        check_is_fitted(self, "result_")
        if by not in ("contamination", "predictive"):
            raise ValueError(f"Expected by to be 'contamination' or 'predictive'; got {by!r}.")
        if not 0 < rate < 1:
            raise ValueError(f"Expected rate between 0 and 1; got {rate!r}.")
        rows = None if by == "contamination" else self.result_.sample(PREDICTED, random_state=self._seed())[0]
        weight = getattr(self.result_, "sample_weight", None) if rows is None else None
        method = "linear" if weight is None or np.all(weight == 1) else "inverted_cdf"
        weight = None if method == "linear" else weight
        return float(np.quantile(-self.result_.score_samples(rows), 1 - rate, weights=weight, method=method))

    # ---- what the fit says

    @property
    def labels_(self) -> NDArray[np.intp]:
        """The most probable component (n_samples,) of every training row."""
        return self._found().predict()

    @property
    def posterior_(self) -> Any:
        """The posterior, with its ArviZ groups in ``posterior_.data``; only where the engine gives one."""
        if not hasattr(self._found(), "data"):
            raise AttributeError(f"{self.result_.kind} gives no posterior: choose another engine.")
        return self.result_

    @property
    def n_clusters_(self) -> int:
        """The most probable number of clusters, the components that hold rows; ``n_clusters_proba_`` has them all."""
        if hasattr(self._found(), "data"):
            return int(self.n_clusters_proba_.idxmax())
        return len(np.unique(self.labels_))

    @property
    def n_clusters_proba_(self) -> Any:
        """Probability of every number of clusters, a pandas Series; only where the engine gives a posterior."""
        return self.posterior_.n_clusters

    @cached_property
    def partition_(self) -> Any:
        """The partition of least expected loss with its uncertainty: ``bayesgmm.partition`` of the fit."""
        from bayesgmm.posterior.partition import partition

        return partition(self._found(), random_state=self._seed())

    @property
    def components_frame_(self) -> Any:
        """Weight, means and standard deviations of the components by feature, a pandas DataFrame."""
        return frame_like(None, component_columns(self._found()))

    @property
    def warnings_(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        return self._found().warnings

    def _n_parameters(self) -> int:
        """Free parameters of the mixture."""
        k, d = self.means_.shape
        return k - 1 + k * d + self.result_.model.structure.n_parameters(k, d)
