"""Small fits that the tests of plots, reports and the command line share; each is made once."""

import functools

import bayesgmm as bg
from bayesgmm import models

MODELS = {"faithful": (3, "tied"), "galaxies_26.96": (3, "full"), "penguins": (3, "full")}


@functools.cache
def em(name):
    """An EM fit of a bundled data set."""
    return bg.fit(name, models.finite_mixture(*MODELS[name]), bg.EM(n_init=5), random_state=0)


@functools.cache
def posterior(name):
    """A short run: enough to draw and to tell of, too short to trust."""
    engine = bg.Gibbs(num_chains=2, num_warmup=50, num_samples=50)
    return bg.fit(name, models.finite_mixture(*MODELS[name]), engine, start=em(name), random_state=0)


@functools.cache
def selection(name):
    """A sweep of 1 to 3 components under two structures."""
    structures = ("full", "tied")
    return bg.select(
        name, n_components=range(1, 4), covariance_type=structures, engine=bg.EM(n_init=5), random_state=0
    )
