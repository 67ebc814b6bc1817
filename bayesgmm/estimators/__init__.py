"""scikit-learn's two mixture classes, on our models and engines: a thin face of ``bayesgmm.fit``; no mathematics here.

- ``mixture_estimator``: what both share: fitting, predicting, scoring, anomalies, partitions.
- ``gaussian_mixture``, ``bayesian_gaussian_mixture``: the two classes.
- ``engines``: engines by name, and scikit-learn's words for their settings.
- ``starts``: where the caller wants a fit to begin.
- ``findings``: a result as the attributes with an underscore.
- ``frames``: answers as pandas or polars frames.
"""

from bayesgmm.estimators.bayesian_gaussian_mixture import BayesianGaussianMixture
from bayesgmm.estimators.gaussian_mixture import GaussianMixture

__all__ = ["BayesianGaussianMixture", "GaussianMixture"]
