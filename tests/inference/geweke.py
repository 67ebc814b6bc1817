"""Geweke's (2004) joint distribution test, on many short independent chains.

Parameters drawn from the prior, then rows given parameters and parameters given rows in turn: if every conditional is
right, the parameters never leave the prior. Chains are independent, so their last states are an exact sample to
compare with fresh draws of the prior; no autocorrelation has to be estimated. The prior's draws come from the NumPyro
program, whose code shares nothing with the conditionals.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import scipy.stats

from bayesgmm.compiled import quick_options
from bayesgmm.float64 import in_float64, to_device
from bayesgmm.inference.gibbs.state import ChainState
from bayesgmm.inference.gibbs.sweep import sweep
from bayesgmm.mixture import Mixture
from bayesgmm.models.components.own_scale import scale_from_site
from bayesgmm.row_blocks import Rows

N_ROWS, N_FEATURES, N_STEPS = 6, 2, 12
QUICKLY_COMPILED = {"xla_backend_optimization_level": 0, **quick_options()}  # each program runs once


def prior_state(model, key, d=N_FEATURES):
    """A state drawn from the prior by running the program's sites."""
    structure, k = model.structure, model.n_components

    def sites():
        return model.weights.sites(k), model.components.sites(structure, k, d)

    with numpyro.handlers.trace() as found, numpyro.handlers.seed(rng_seed=key):
        log_weights, (means, precision) = sites()
    values = {name: site["value"] for name, site in found.items()}
    weights = {name: values[name] for name in ("concentration",) if name in values}
    if "n_components" in values:
        weights["n_components"] = values["n_components"] + 1
    scale_site = getattr(model.components, "scale_site", None)
    components = {}
    if scale_site in values:
        components[scale_site] = scale_from_site(structure, values[scale_site], d)
    components |= {
        name: values[name] for name in ("mean_spread", "centre", "mean_precision") if name in values
    }
    mixture = Mixture(structure, log_weights, means, structure.covariances(precision))
    return ChainState(mixture, weights, components)


def simulated_rows(state, key):
    """Rows given the parameters, as one block."""
    mixture, structure = state.mixture, state.mixture.structure
    k, d = mixture.means.shape
    key_label, key_noise = jax.random.split(key)
    labels = jax.random.categorical(key_label, mixture.log_weights, shape=(N_ROWS,))
    tril = jnp.linalg.cholesky(structure.dense(mixture.covariances, k, d))
    noise = jax.random.normal(key_noise, (N_ROWS, d))
    x = (mixture.means[labels] + jnp.einsum("nij,nj->ni", tril[labels], noise)).T
    total = structure.shared_features(x).sum(axis=1)
    return Rows(x[None], jnp.ones((1, N_ROWS)), jnp.array(1), total, jnp.array(1.0 * N_ROWS))


@in_float64
def forward_and_chained(prior, sampler, keys, moves=False):
    """Statistics (chains, ...) of prior draws, and of other prior draws after N_STEPS of rows and sweeps."""
    run = functools.partial(_forward_and_chained, moves=moves)
    return jax.jit(run, compiler_options=QUICKLY_COMPILED)(to_device(prior), to_device(sampler), keys)


def _forward_and_chained(prior, sampler, keys, moves):
    def moved(state, key):
        def step(state, key):
            key_rows, key_sweep = jax.random.split(key)
            rows = simulated_rows(state, key_rows)
            swept = sweep(sampler, rows, jax.tree.map(lambda a: a[None], state), key_sweep, moves)
            return jax.tree.map(lambda a, b: a[0].astype(b.dtype), swept.state, state), None

        return jax.lax.scan(step, state, jax.random.split(key, N_STEPS))[0]

    def observed(state):
        return statistics(state, prior.weights.random_number)

    states = jax.vmap(functools.partial(prior_state, prior))(keys)
    ours = jax.tree.map(lambda leaf: leaf[0::2], states)
    others = jax.tree.map(lambda leaf: leaf[1::2], states)
    return jax.vmap(observed)(ours), jax.vmap(observed)(jax.vmap(moved)(others, keys[1::2]))


def statistics(state, reordered):
    """Functions of a state that mean something whatever the number of components.

    Where the sampler puts occupied slots first, no slot has a meaning of its own, and none is looked at.
    """
    mixture = state.mixture
    k, d = mixture.means.shape
    weights = jnp.exp(mixture.log_weights)
    dense = mixture.structure.dense(mixture.covariances, k, d)
    out = {
        "largest weight": weights.max(),
        "mean of the mixture": weights @ mixture.means[:, -1],
        "spread of the means": weights @ (mixture.means[:, 0] ** 2),
        "variance": jnp.log(weights @ dense[:, 0, 0]),
        "correlation": weights @ (dense[:, 0, -1] / jnp.sqrt(dense[:, 0, 0] * dense[:, -1, -1])),
        "determinant": weights @ jnp.linalg.slogdet(dense)[1],
    }
    if not reordered:
        out |= {"first weight": weights[0], "first mean": mixture.means[0, 0]}
    hyper = {**state.weights, **state.components}
    return out | {name: jnp.ravel(value)[0] for name, value in hyper.items()}


def smallest_p_value(prior, sampler=None, n_chains=4000, seed=0, moves=False):
    """The smallest Kolmogorov-Smirnov p-value over the statistics, and its name."""
    keys = jax.random.split(jax.random.key(seed), 2 * n_chains)
    forward, chained = forward_and_chained(prior, prior if sampler is None else sampler, keys, moves)
    p_values = {
        name: scipy.stats.ks_2samp(np.asarray(forward[name], float), np.asarray(chained[name], float)).pvalue
        for name in forward
        if np.std(forward[name]) > 1e-9
    }
    return min((p, name) for name, p in p_values.items())
