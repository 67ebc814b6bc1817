"""From an empty process to 4 x 1000 draws of faithful, K = 2: imports, compiling, EM and sampling, A B C A B C.

    taskset -c 0 env XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" OMP_NUM_THREADS=1 \\
        python tests/benchmarks/bench_end_to_end.py [--rivals PYTHON] [--rounds 3] [--only HMC]

Ours with the engines' defaults, result assembled and scored; the usual NumPyro program (1000 + 1000, float64), chains
in sequence and vectorised; with --rivals, an interpreter that has ``pymc``, ``nutpie`` and ``numba``, PyMC's usual
program sampled by nutpie (1000 + 1000). All have one posterior. Every run is a new process: wall and processor seconds
are the whole process's, the start of the interpreter included. ``disk`` sides find their compiled programs in a folder
that an earlier run has filled; the others have none.

Then what compiling costs with a filled folder (tracing, lowering and loading): in one process, the first fit less the
third, of another seed, with everything imported before.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ENGINES = ("HMC", "NUTS")
NUMPYRO = ("sequential", "vectorized")


def ours(given, engine, cache, n_fits):
    """Seconds of imports and of each fit, wall and processor."""
    laps = [now()]
    import bayesgmm as bg
    from bayesgmm import models
    from bayesgmm.models.components import NormalLKJ

    if cache:
        bg.enable_compilation_cache(cache)
    engine, model = getattr(bg, engine)(), models.finite_mixture(2, components=NormalLKJ())
    bg.fit  # noqa: B018 - imported where it is first named
    if n_fits > 1:  # else a fit imports these when it first needs them
        import arviz_stats  # noqa: F401
        import sklearn.cluster  # noqa: F401
    laps.append(now())
    for seed in range(n_fits):
        bg.fit(given["x"], model, engine, random_state=seed)
        laps.append(now())
    return np.diff(laps, axis=0).tolist()


def naive(given, method, cache, _):
    """The usual NumPyro program."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    numpyro.enable_x64()
    if cache:
        jax.config.update("jax_compilation_cache_dir", cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    k, d = len(given["concentration"]), given["x"].shape[1]

    def program(x):
        weights = numpyro.sample("weights", dist.Dirichlet(given["concentration"]))
        centre = dist.Normal(given["mean"], given["mean_scale"]).expand([k, d]).to_event(2)
        means = numpyro.sample("means", centre)
        scales = numpyro.sample("scales", dist.HalfNormal(given["spread"]).expand([k, d]).to_event(2))
        tril = numpyro.sample("tril", dist.LKJCholesky(d, given["eta"]).expand([k]).to_event(1))
        normals = dist.MultivariateNormal(means, scale_tril=scales[..., None] * tril)
        numpyro.sample("x", dist.MixtureSameFamily(dist.Categorical(weights), normals), obs=x)

    mcmc = MCMC(
        NUTS(program),
        num_warmup=1000,
        num_samples=1000,
        num_chains=4,
        chain_method=method,
        progress_bar=False,
    )
    mcmc.run(jax.random.key(0), jnp.asarray(given["x"]))
    return [np.asarray(value).sum() for value in mcmc.get_samples().values()]


def pymc(given, *_):
    """PyMC's usual program by nutpie."""
    from bench_pymc import pymc_program, sampler_of

    return [float(sampler_of(pymc_program(**given), "nutpie", 1000)(0).posterior["weights"].sum())]


def now():
    return time.perf_counter(), time.process_time()


def run(python, side, folder, cache, n_fits=1):
    """A process of its own: its answer, and its wall and processor seconds."""
    order = [python, "-W", "ignore", __file__, "--work", side, "--folder", str(folder), "--fits", str(n_fits)]
    environment = {**os.environ, "PYTENSOR_FLAGS": f"base_compiledir={cache or tempfile.mkdtemp(dir=folder)}"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [*order, *(["--cache", str(cache)] if cache else [])],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]), (wall, used)


def main(given):
    folder = Path(tempfile.mkdtemp())
    prepare(folder)
    pythons = dict.fromkeys((*ENGINES, *NUMPYRO), sys.executable)
    if given.rivals:
        pythons["pymc"] = given.rivals
    chosen = [side for side in pythons if side in (given.only or pythons)]
    sides = {(side, disk): [] for side in chosen for disk in (False, True)}
    caches = {side: folder / f"cache_{side}" for side in chosen}
    for side, cache in caches.items():
        cache.mkdir()
        run(pythons[side], side, folder, cache)
    for number in range(given.rounds):
        for (side, disk), found in sides.items():
            _, seconds = run(pythons[side], side, folder, caches[side] if disk else None)
            found.append(seconds)
            print(
                f"  round {number} {side}{' disk' * disk}: wall {seconds[0]:.2f} s, {seconds[1]:.2f} s",
                flush=True,
            )
    for (side, disk), found in sides.items():
        wall, used = np.median(found, axis=0)
        print(f"{side:10} {'disk' * disk:4} wall {wall:6.2f} s, processor {used:6.2f} s", flush=True)
    for side in (side for side in chosen if side in ENGINES):
        runs = [run(sys.executable, side, folder, caches[side], n_fits=3)[0] for _ in range(given.rounds)]
        (imports, first, second, third) = np.median(runs, axis=0)[:, 1]
        print(
            f"{side:10} disk, processor seconds in one process: imports {imports:.2f}, first fit {first:.2f}, "
            f"second {second:.2f}, third {third:.2f}; compiling {first - third:.2f}",
            flush=True,
        )


def prepare(folder):
    """Write the rows and the prior's numbers, for processes that shall not import us."""
    from bench_pymc import hyperparameters

    import bayesgmm as bg
    from bayesgmm import models
    from bayesgmm.models.components import NormalLKJ

    x = bg.load_dataset("faithful").to_numpy()
    model = models.finite_mixture(2, components=NormalLKJ()).resolve(x)
    np.savez(folder / "given.npz", **hyperparameters(x, model))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rivals")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--work")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cache")
    parser.add_argument("--fits", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.work:
        kind = ours if arguments.work in ENGINES else naive if arguments.work in NUMPYRO else pymc
        numbers = dict(np.load(arguments.folder / "given.npz"))
        print(json.dumps(kind(numbers, arguments.work, arguments.cache, arguments.fits)))
    else:
        main(arguments)
