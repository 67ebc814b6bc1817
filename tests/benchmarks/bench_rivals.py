"""One EM step against Intel's oneDAL (``daal4py``, C++, float64) and gmmx (JAX, float32), full covariances.

    taskset -c 0 env XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" OMP_NUM_THREADS=1 \\
        python tests/benchmarks/bench_rivals.py --rivals PYTHON [--rounds 5]

PYTHON is an interpreter that has daal4py and gmmx; they ask for older companions than ours, hence another environment.
Every side runs in a process of its own, in turn, on one core: processor seconds of 20 steps more against none more,
all from the same start. Compile time is apart.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

SHAPES = [(100_000, 2, 5), (100_000, 10, 10)]
STEPS = 20


def data(n, d, k):
    """Overlapping clusters of unequal size, and a start."""
    rng = np.random.default_rng(5)
    centres = 1.5 * rng.standard_normal((k, d))
    x = centres[rng.choice(k, n, p=rng.dirichlet(np.full(k, 4.0)))] + rng.lognormal(0, 0.4, (n, d))
    return (x - x.mean(axis=0)) / x.std(axis=0), rng.standard_normal((k, d)), np.tile(np.eye(d), (k, 1, 1))


def seconds(run):
    """Processor seconds of a step, from runs of few and of many."""
    taken = []
    for steps in (1, 1 + STEPS):
        run(steps)
        began = time.process_time()
        run(steps)
        taken.append(time.process_time() - began)
    return (taken[1] - taken[0]) / STEPS


def ours(x, means, covariances, dtype):
    """Our climb, step by step."""
    import jax
    import jax.numpy as jnp

    from bayesgmm.covariances import get_structure
    from bayesgmm.inference.em.steps import Settings, advance, initial
    from bayesgmm.mixture import Mixture
    from bayesgmm.row_blocks import make_rows

    structure, (k, d) = get_structure("full"), means.shape
    start = Mixture(structure, np.full((1, k), -np.log(k)), means[None], covariances[None])
    state = initial(start, structure.features(x[:1].T).shape[0])
    rows = make_rows(x, structure, dtype=dtype)
    with jax.enable_x64(True):
        state, rows = jax.tree.map(jnp.asarray, (state, rows))

    def run(steps):
        settings = Settings(np.full(d, 1e-6), np.asarray(0.0), np.asarray(steps), np.asarray(False))
        with jax.enable_x64(True):
            jax.block_until_ready(advance(structure, rows, state, None, jax.tree.map(jnp.asarray, settings)))

    return run


def onedal(x, means, covariances, _):
    """Intel's C++."""
    import daal4py

    k = len(means)

    def run(steps):
        engine = daal4py.em_gmm(k, maxIterations=steps, accuracyThreshold=0.0, covarianceStorage="full")
        engine.compute(x, np.full((1, k), 1 / k), means, list(covariances))

    return run


def gmmx(x, means, covariances, _):
    """A JAX rival."""
    import gmmx
    import jax

    k = len(means)
    mixture = gmmx.GaussianMixtureModelJax.from_squeezed(
        means=means, covariances=covariances, weights=np.full(k, 1 / k), covariance_type="full"
    )
    rows = jax.numpy.asarray(x, "float32")

    def run(steps):
        jax.block_until_ready(gmmx.EMFitter(max_iter=steps, tol=0.0).fit(rows, mixture))

    return run


SIDES = {"float64": ours, "float32": ours, "onedal": onedal, "gmmx": gmmx}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rivals", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", default="")
    given = parser.parse_args()
    if given.one:
        side, *shape = json.loads(given.one)
        print(json.dumps(seconds(SIDES[side](*data(*shape), side))))
        sys.exit()
    for shape in SHAPES:
        taken = {side: [] for side in SIDES}
        for _ in range(given.rounds):
            for side in SIDES:
                python = sys.executable if side.startswith("float") else given.rivals
                command = [python, __file__, "--one", json.dumps([side, *shape])]
                out = subprocess.run(command, capture_output=True, text=True, check=True)
                taken[side].append(json.loads(out.stdout.splitlines()[-1]))
        ms = {side: 1e3 * np.median(each) for side, each in taken.items()}
        print(
            f"{shape}: ms a step {', '.join(f'{side} {each:.2f}' for side, each in ms.items())}; "
            f"oneDAL / ours {ms['onedal'] / ms['float64']:.2f}, gmmx / ours {ms['gmmx'] / ms['float32']:.1f}",
            flush=True,
        )
