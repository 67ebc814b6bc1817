"""Our samplers against PyMC's usual mixture program, sampled by nutpie, on faithful K = 2: one posterior, float64.

    taskset -c 0 env XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" OMP_NUM_THREADS=1 \\
        python tests/benchmarks/bench_pymc.py --rivals PYTHON [--seeds 5] [--tune 1000] [--sampler nutpie]

PYTHON is an interpreter that has ``pymc``, ``nutpie`` and ``numba``; their companions need not be ours, hence another
environment. PyMC runs in a process of its own that stays, so that it compiles once; processor seconds are those of all
its threads and children. Sides alternate, seed by seed; scores are those of bench_sampling.py. Before anything is
timed, the two programs' log densities are compared at ten points: they may differ by a constant only.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

POINTS = 10


def processor_seconds():
    """Of this process, its threads and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def pymc_program(x, concentration, mean, mean_scale, spread, eta):
    """The program as PyMC's users write it: pm.Mixture of MvNormal, LKJCholeskyCov for each component."""
    import pymc as pm

    k, d = len(concentration), x.shape[1]
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", concentration)
        means = pm.Normal("means", mean, mean_scale, shape=(k, d))
        scales = pm.HalfNormal.dist(spread, shape=d)
        trils = [pm.LKJCholeskyCov(f"tril{j}", eta=eta, n=d, sd_dist=scales)[0] for j in range(k)]
        normals = [pm.MvNormal.dist(means[j], chol=trils[j]) for j in range(k)]
        pm.Mixture("x", w=weights, comp_dists=normals, observed=x)
    return model


def densities(model, points):
    """Log joint densities of (weights, means, packed Cholesky factors), no Jacobian of PyMC's coordinates."""
    from pytensor.tensor import as_tensor

    log_joint = model.compile_logp(jacobian=False)
    values = []
    for weights, means, trils in zip(*points, strict=True):
        point = {"weights": weights, "means": means, **{f"tril{j}": tril for j, tril in enumerate(trils)}}
        moved = {}
        for variable in model.free_RVs:
            value, transform = model.rvs_to_values[variable], model.rvs_to_transforms[variable]
            raw = point[variable.name]
            forward = (
                raw if transform is None else transform.forward(as_tensor(raw), *variable.owner.inputs).eval()
            )
            moved[value.name] = np.asarray(forward)
        values.append(float(log_joint(moved)))
    return values


def sampler_of(model, sampler, tune):
    """A function of a seed that draws 4 chains of 1000; nutpie compiles at once, PyMC's own at its first run."""
    import pymc as pm

    settings = {"draws": 1000, "tune": tune, "chains": 4, "cores": 1}
    if sampler == "nutpie":
        import nutpie

        program = nutpie.compile_pymc_model(model, backend="numba")
        return lambda seed: nutpie.sample(program, **settings, seed=seed, progress_bar=False)

    def sample(seed):
        with model:
            return pm.sample(
                **settings, random_seed=seed, progressbar=False, compute_convergence_checks=False
            )

    return sample


def work(folder, sampler, tune):
    """In the rivals' interpreter: compile, answer the density check, then do a run for every seed that is read."""
    given = dict(np.load(folder / "given.npz"))
    points = [given.pop(name) for name in ("at_weights", "at_means", "at_trils")]
    found = densities(pymc_program(**given), points)
    began = processor_seconds()
    sample = sampler_of(pymc_program(**given), sampler, tune)
    sample(1000)
    print(json.dumps([processor_seconds() - began, found]), flush=True)
    for line in sys.stdin:
        began = processor_seconds()
        drawn = sample(int(line)).posterior
        seconds = processor_seconds() - began
        np.savez(folder / "drawn.npz", **{name: drawn[name].values for name in drawn.data_vars})
        print(json.dumps(seconds), flush=True)


def packed(trils):
    """Lower triangles (..., D, D), row by row."""
    return trils[..., *np.tril_indices(trils.shape[-1])]


def unpacked(rows, d):
    """The inverse of ``packed``."""
    trils = np.zeros((*rows.shape[:-1], d, d))
    trils[..., *np.tril_indices(d)] = rows
    return trils


def some_points(x, k, rng):
    """Weights (S, K), means (S, K, D), standard deviations (S, K, D) and correlations' factors (S, K, D, D)."""
    d = x.shape[1]
    raw = np.linalg.cholesky(np.eye(d) + 0.3 * np.ones((d, d))) + 0.2 * np.tril(
        rng.standard_normal((POINTS, k, d, d)), -1
    )
    trils = raw / np.linalg.norm(raw, axis=-1, keepdims=True)
    scales = x.std(axis=0) * rng.uniform(0.5, 1.5, (POINTS, k, d))
    means = x.mean(axis=0) + x.std(axis=0) * rng.standard_normal((POINTS, k, d))
    return rng.dirichlet(np.full(k, 5.0), POINTS), means, scales, trils


def own_densities(model, x, points):
    """What PyMC should find at the points: the cold NumPyro program's log density, in PyMC's variables."""
    import jax
    from bench_sampling import cold_program
    from numpyro.infer.util import log_density

    values = []
    with jax.enable_x64(True):
        for point in zip(*points, strict=True):
            sites = dict(zip(("weights", "means", "scales", "tril"), map(np.asarray, point), strict=True))
            value, _ = log_density(cold_program(model), (x,), {}, sites)
            log_scales = np.log(sites["scales"]) * np.arange(x.shape[1])  # of rows s t, t of unit length
            diagonals = np.log(np.diagonal(sites["tril"], axis1=-2, axis2=-1))
            values.append(float(value) - log_scales.sum() + diagonals.sum())
    return np.array(values)


def hyperparameters(x, model):
    """What ``pymc_program`` is given, from a resolved model."""
    prior = model.components
    return {
        "x": x,
        "concentration": np.full(model.n_components, model.weights.concentration),
        "mean": prior.mean,
        "mean_scale": prior.mean_scale,
        "spread": prior.scales.scale,
        "eta": prior.concentration,
    }


class Rival:
    """PyMC in its own process: a side for bench_sampling's ``alternate``."""

    def __init__(self, x, model, python, sampler, tune):
        self.d, self.k, self.structure = x.shape[1], model.n_components, model.structure
        self.folder = Path(tempfile.mkdtemp())
        weights, means, scales, trils = points = some_points(x, self.k, np.random.default_rng(0))
        self.expected = own_densities(model, x, points)
        given = hyperparameters(x, model)
        given |= {"at_weights": weights, "at_means": means, "at_trils": packed(scales[..., None] * trils)}
        np.savez(self.folder / "given.npz", **given)
        order = [python, __file__, "--work", str(self.folder), "--sampler", sampler, "--tune", str(tune)]
        self.process = subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def compile(self):
        """Wait for the first run; return its processor seconds."""
        seconds, found = json.loads(self.process.stdout.readline())
        apart = np.array(found) - self.expected
        print(
            f"log densities differ by {apart.mean():.6f} at {POINTS} points, give or take {np.ptp(apart):.1e}"
        )
        if np.ptp(apart) > 1e-6:
            raise ValueError("Expected one posterior on both sides; got two.")
        return seconds

    def __call__(self, seed):
        self.process.stdin.write(f"{seed}\n")
        self.process.stdin.flush()
        seconds = json.loads(self.process.stdout.readline())
        drawn = np.load(self.folder / "drawn.npz")
        trils = unpacked(np.stack([drawn[f"tril{j}"] for j in range(self.k)], axis=-2), self.d)
        from bayesgmm import Mixture

        flat = [
            a.reshape(-1, *a.shape[2:])
            for a in (np.log(drawn["weights"]), drawn["means"], trils @ np.swapaxes(trils, -1, -2))
        ]
        return Mixture(self.structure, *flat), seconds

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main(given):
    from bench_sampling import Ours, alternate

    import bayesgmm as bg
    from bayesgmm import models
    from bayesgmm.models.components import NormalLKJ

    x = bg.load_dataset("faithful").to_numpy()
    model = models.finite_mixture(2, components=NormalLKJ())
    rival = Rival(x, model.resolve(x), given.rivals, given.sampler, given.tune)
    sides = {given.sampler: rival, "HMC": Ours(x, model, bg.HMC()), "NUTS": Ours(x, model, bg.NUTS())}
    alternate(f"faithful lkj, PyMC {given.tune} + 1000", x, sides, given.seeds)
    rival.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rivals")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tune", type=int, default=1000)
    parser.add_argument("--sampler", choices=("nutpie", "pymc"), default="nutpie")
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.sampler, arguments.tune)
    else:
        main(arguments)
