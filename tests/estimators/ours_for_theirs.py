"""A pytest plugin: scikit-learn's mixture tests, which import its two classes, find ours in their place."""

import sklearn.mixture

import bayesgmm

sklearn.mixture.GaussianMixture = bayesgmm.GaussianMixture
sklearn.mixture.BayesianGaussianMixture = bayesgmm.BayesianGaussianMixture
