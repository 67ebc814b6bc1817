"""HMC, NUTS and Gibbs against the usual NumPyro program started cold: effective draws per processor second.

    taskset -c 0 env XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" OMP_NUM_THREADS=1 \\
        python tests/benchmarks/bench_sampling.py [--seeds 5] [--only faithful] [--prior niw] [--sides HMC NUTS] \\
            [--cold-chains 1] [--no-jumps]

One posterior, float64 on both sides, 4 chains; the cold program has 1000 warm-up steps and 1000 draws a chain and is
written as its users write it (MixtureSameFamily of MultivariateNormal). Sides alternate, seed by seed. Effective draws
are the least bulk ESS over all relabelled parameters and the log-likelihood; a cold run whose R-hat of the
log-likelihood exceeds 1.05 counts as stuck and is left out of its side's median. Compile time is apart: every side runs
once before it is timed, the cold program one chain, which can take minutes. Ours are timed from the rows to the last
draw: EM and the warm start are in, scoring is not. Where a cold chain takes a quarter of an hour, ``--cold-chains 1``
runs one a seed, and its R-hat and effective draws are those of its quarters. Where no cold run finds all regions of the
posterior (iris), ``--cold-chains 1 --no-jumps`` compares sides that all stay in one.

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
SIDES = ("cold", "HMC", "NUTS", "Gibbs")
STUCK = 1.05  # R-hat of the log-likelihood from which a run counts as stuck
SLOW = 60.0  # processor seconds from which a single cold chain is told of


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


LONG = {"10-D": (lambda: overlapping(5000, 10, 8), 8)}  # when asked for by name
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
    """The usual program, chain after chain.

    ``MCMC.run`` without a progress bar compiles its loop at every call and for every sequential chain (NumPyro 0.22),
    which costs more than sampling does; within a ``jax.jit``, as NumPyro's own examples run chains, it compiles once.
    """

    def __init__(self, x, model, n_chains=4):
        self.x, self.model, self.n_chains = x, jax.tree.map(jnp.asarray, model), n_chains
        program = cold_program(self.model)

        @jax.jit
        def chain(key, x):
            mcmc = MCMC(ColdNUTS(program), num_warmup=1000, num_samples=1000, progress_bar=False)
            mcmc.run(key, x)
            return mcmc.get_samples()

        self.chain = chain

    def compile(self):
        self._draw(1000, 1)

    def __call__(self, seed):
        drawn = self._draw(seed, self.n_chains)
        return bg.Mixture(
            self.model.structure, np.log(drawn["weights"]), drawn["means"], drawn["covariances"]
        )

    def _draw(self, seed, n_chains):
        """Draws of the sites (chains * 1000, ...)."""
        drawn = []
        with jax.enable_x64(True):
            for key in jax.random.split(jax.random.key(seed), 4)[:n_chains]:
                began = time.process_time()
                drawn.append(jax.tree.map(np.asarray, self.chain(key, jnp.asarray(self.x))))
                seconds = time.process_time() - began
                if seconds > SLOW:
                    print(f"    cold chain {len(drawn)} of {n_chains}: {seconds:.1f} s", flush=True)
        return {name: np.concatenate([one[name] for one in drawn]) for name in drawn[0]}


class Ours:
    """One of our engines, from the rows to the last draw."""

    def __init__(self, x, model, engine):
        self.x, self.model, self.engine = x, model, engine

    def compile(self):
        self(1000)

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
    """Effective draws, R-hat, processor seconds. Scoring of ours is taken out of the processor time by its share."""
    began = time.process_time()
    result = side(seed)
    seconds = time.process_time() - began
    if isinstance(result, bg.Posterior):
        phases = result.seconds
        seconds *= 1.0 - phases["relabel and score"] / sum(phases.values())
        result = result.restore(result.draws)
    elif isinstance(result, tuple):  # a side in another process, which tells its own time
        result, seconds = result
    return *quality(x, result), seconds


def report(title, found, compiling):
    """One line a side: the median rate of the runs that were not stuck, against the first side's."""
    base = None
    for label, runs in found.items():
        kept = [ess / seconds for ess, r_hat, seconds in runs if r_hat < STUCK]
        rate = float(np.median(kept)) if kept else float("nan")
        base = (label, rate) if base is None else base
        print(
            f"{title} {label:6} {rate:9.1f} effective draws a processor second, {rate / base[1]:6.2f} times {base[0]}; "
            f"stuck {len(runs) - len(kept)} of {len(runs)}; first run, compiling included, {compiling[label]:.1f} s",
            flush=True,
        )


def alternate(title, x, sides, seeds):
    """Run the sides in turn, seed by seed, and report."""
    compiling = {}
    for label, side in sides.items():
        began = time.process_time()
        compiling[label] = side.compile() or time.process_time() - began
    found = {label: [] for label in sides}
    for seed in range(seeds):
        for label, side in sides.items():
            ess, r_hat, seconds = measure(x, side, seed)
            found[label].append((ess, r_hat, seconds))
            print(
                f"  {title} seed {seed} {label}: ess {ess:.0f}, R-hat {r_hat:.3f}, {seconds:.2f} s",
                flush=True,
            )
    report(title, found, compiling)


def engine(label, jumps):
    """One of ours."""
    return getattr(bg, label)() if label == "Gibbs" else getattr(bg, label)(jumps=jumps)


def run(name, prior, seeds, labels, cold_chains=4, jumps=True):
    rows, k = (CASES | LONG)[name]
    x = rows()
    model = models.finite_mixture(k, components=PRIORS[prior]())
    makers = {label: lambda label=label: Ours(x, model, engine(label, jumps)) for label in SIDES[1:]}
    makers["cold"] = lambda: Cold(x, model.resolve(x), cold_chains)
    chosen = [label for label in SIDES if label in labels and (label != "Gibbs" or prior == "niw")]
    alternate(f"{name:12} {prior}", x, {label: makers[label]() for label in chosen}, seeds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=[*CASES, *LONG])
    parser.add_argument("--prior", choices=PRIORS)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--cold-chains", type=int, default=4)
    parser.add_argument("--no-jumps", action="store_true")
    given = parser.parse_args()
    print(f"jax {jax.__version__}, numpyro {numpyro.__version__}, {jax.devices()[0].platform}, float64")
    for case in CASES if given.only is None else [given.only]:
        for prior in PRIORS if given.prior is None else [given.prior]:
            run(case, prior, given.seeds, given.sides, given.cold_chains, not given.no_jumps)
