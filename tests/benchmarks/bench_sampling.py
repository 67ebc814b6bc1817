"""HMC, NUTS and Gibbs against the usual NumPyro program started cold: effective draws per processor second.

    taskset -c 0 env XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" OMP_NUM_THREADS=1 \\
        python tests/benchmarks/bench_sampling.py [--seeds 5] [--only faithful] [--prior niw]

One posterior, float64 on both sides, 4 chains; the cold program has 1000 warm-up steps and 1000 draws a chain and is
written as its users write it (MixtureSameFamily of MultivariateNormal). Sides alternate, seed by seed. Effective draws
are the least bulk ESS over all relabelled parameters and the log-likelihood; a cold run whose R-hat of the
log-likelihood exceeds 1.05 counts as stuck and is left out of its side's median. Compile time is apart: every side runs
once before it is timed. Ours are timed from the rows to the last draw: EM and the warm start are in, scoring is not.

Priors: ``lkj`` (normal means, half-normal scales, LKJ correlations) and ``niw``, the conjugate one that Gibbs needs.
"""

import argparse
import time

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC
from numpyro.infer import NUTS as ColdNUTS

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.models.components import NormalInverseWishart, NormalLKJ
from bayesgmm.posterior.relabel import relabel

PRIORS = {"lkj": NormalLKJ, "niw": NormalInverseWishart}


def overlapping(n=2000, d=5, k=5, seed=3):
    """Rows (n, d) from k overlapping Gaussians."""
    rng = np.random.default_rng(seed)
    shapes = np.eye(d) + 0.3 * rng.standard_normal((k, d, d))
    centres = 1.6 * rng.standard_normal((k, d))
    labels = rng.integers(k, size=n)
    return np.einsum("nd,nde->ne", rng.standard_normal((n, d)), shapes[labels]) + centres[labels]


def iris():
    from sklearn.datasets import load_iris

    return load_iris().data


CASES = {
    "faithful": (lambda: bg.load_dataset("faithful").to_numpy(), 2),
    "iris": (iris, 3),
    "overlapping": (overlapping, 5),
}


def cold_program(model):
    """The same posterior as its users would write it."""
    prior, k = model.components, model.n_components

    def lkj(d):
        means = numpyro.sample("means", dist.Normal(prior.mean, prior.mean_scale).expand([k, d]).to_event(2))
        spread = dist.HalfNormal(prior.scales.scale).expand([k, d]).to_event(2)
        scales = numpyro.sample("scales", spread)
        tril = numpyro.sample("tril", dist.LKJCholesky(d, prior.concentration).expand([k]).to_event(1))
        return means, {"scale_tril": scales[..., None] * tril}

    def niw(d):
        root = numpyro.sample(
            "root", dist.WishartCholesky(prior.dof, rate_matrix=prior.scale).expand([k]).to_event(1)
        )
        precision = root @ jnp.swapaxes(root, -1, -2)
        centre = dist.MultivariateNormal(prior.mean, precision_matrix=precision * prior.mean_precision)
        means = numpyro.sample("means", centre.to_event(1))
        return means, {"precision_matrix": precision}

    components = niw if isinstance(prior, NormalInverseWishart) else lkj

    def program(x):
        weights = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, model.weights.concentration)))
        means, spread = components(x.shape[1])
        normals = dist.MultivariateNormal(means, **spread)
        numpyro.deterministic("covariances", normals.covariance_matrix)
        numpyro.sample("x", dist.MixtureSameFamily(dist.Categorical(weights), normals), obs=x)

    return program


class Cold:
    """The usual program, one sampler whose second run compiles nothing."""

    def __init__(self, x, model):
        self.x, self.model = x, jax.tree.map(jnp.asarray, model)
        self.mcmc = MCMC(
            ColdNUTS(cold_program(self.model)),
            num_warmup=1000,
            num_samples=1000,
            num_chains=4,
            chain_method="sequential",
            progress_bar=False,
        )

    def __call__(self, seed):
        with jax.enable_x64(True):
            self.mcmc.run(jax.random.key(seed), jnp.asarray(self.x))
            drawn = {n: np.asarray(v) for n, v in self.mcmc.get_samples(group_by_chain=True).items()}
        mixture = bg.Mixture(
            self.model.structure,
            np.log(drawn["weights"]).reshape(4000, -1),
            drawn["means"].reshape(4000, *drawn["means"].shape[2:]),
            drawn["covariances"].reshape(4000, *drawn["covariances"].shape[2:]),
        )
        return mixture


class Ours:
    """One of our engines, from the rows to the last draw."""

    def __init__(self, x, model, engine):
        self.x, self.model, self.engine = x, model, engine

    def __call__(self, seed):
        return bg.fit(self.x, self.model, self.engine, random_state=seed)


def quality(x, draws):
    """Least bulk ESS, R-hat of the log-likelihood, of draws (S, ...) in the user's units, chains of equal length."""
    from bayesgmm.posterior.predict import log_likelihoods

    likelihood = log_likelihoods(draws, x)
    draws, _ = relabel(draws, x, likelihood)
    ess = [
        arviz_stats.ess(column)
        for values in (likelihood, np.exp(draws.log_weights), draws.means, draws.covariances)
        for column in values.reshape(4, len(likelihood) // 4, -1).transpose(2, 0, 1)
        if column.std() > 0
    ]
    return float(np.min(ess)), float(arviz_stats.rhat(likelihood.reshape(4, -1)))


def measure(x, side, seed):
    """Effective draws, processor seconds, R-hat. Scoring of ours is taken out of the processor time by its share."""
    began = time.process_time()
    result = side(seed)
    seconds = time.process_time() - began
    if isinstance(result, bg.Posterior):
        phases = result.seconds
        seconds *= 1.0 - phases["relabel and score"] / sum(phases.values())
        return *quality(x, result.restore(result.draws)), seconds
    return *quality(x, result), seconds


def run(name, prior, seeds):
    rows, k = CASES[name]
    x = rows()
    model = models.finite_mixture(k, components=PRIORS[prior]())
    sides = {
        "cold": Cold(x, model.resolve(x)),
        "HMC": Ours(x, model, bg.HMC()),
        "NUTS": Ours(x, model, bg.NUTS()),
    }
    if prior == "niw":
        sides["Gibbs"] = Ours(x, model, bg.Gibbs())
    compiling = {}
    for label, side in sides.items():
        began = time.process_time()
        side(1000)
        compiling[label] = time.process_time() - began
    found = {label: [] for label in sides}
    for seed in range(seeds):
        for label, side in sides.items():
            found[label].append(measure(x, side, seed))
            ess, r_hat, seconds = found[label][-1]
            print(
                f"  {name} {prior} seed {seed} {label}: ess {ess:.0f}, R-hat {r_hat:.3f}, {seconds:.2f} s",
                flush=True,
            )
    base = None
    for label, runs in found.items():
        kept = [(e, s) for e, r, s in runs if r < 1.05]
        rate = float(np.median([e / s for e, s in kept])) if kept else float("nan")
        base = rate if base is None else base
        stuck = len(runs) - len(kept)
        print(
            f"{name:12} {prior} {label:6} {rate:9.1f} effective draws a processor second, {rate / base:6.1f} times "
            f"cold; stuck {stuck} of {len(runs)}; first run, compiling included, {compiling[label]:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--prior", choices=PRIORS)
    given = parser.parse_args()
    print(f"jax {jax.__version__}, numpyro {numpyro.__version__}, {jax.devices()[0].platform}, float64")
    for case in CASES if given.only is None else [given.only]:
        for chosen in PRIORS if given.prior is None else [given.prior]:
            run(case, chosen, given.seeds)
