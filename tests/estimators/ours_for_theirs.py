"""A pytest plugin that puts our classes in the place of scikit-learn's, for its own tests; see test_scikit_learn.py."""


def pytest_configure(config):
    """Before their tests are imported, and only where this is loaded as a plugin: doctests import every file."""
    import sklearn.mixture

    import bayesgmm

    sklearn.mixture.GaussianMixture = bayesgmm.GaussianMixture
    sklearn.mixture.BayesianGaussianMixture = bayesgmm.BayesianGaussianMixture
