"""The first EM fit of a fresh process against scikit-learn's: imports, tracing, loading of compiled programs, the fit.

    taskset -c 0 env XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" OMP_NUM_THREADS=1 \\
        python tests/benchmarks/bench_cold.py [--rounds 3]

Every fit is a process of its own, in turn; our compiled programs are in a folder that an earlier process has filled.
Processor seconds from the interpreter's start to the fit's end, the making of the rows taken out. Clusters overlap.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

SHAPES = ((20_000, 2, 5), (100_000, 2, 5), (100_000, 10, 10), (400_000, 4, 8))  # rows, features, components
SIDES = ("ours", "default", "sklearn", "sklearn, one start")


def rows(n, d, k):
    """Unequal Gaussian clusters that overlap."""
    rng = np.random.default_rng(5)
    labels = rng.choice(k, n, p=rng.dirichlet(np.full(k, 4.0)))
    return (1.5 * rng.standard_normal((k, d)))[labels] + rng.standard_normal((n, d))


def measure(side, shape, cache):
    """Seconds, and the log-likelihood a row."""
    began = time.process_time()
    x = rows(*shape)
    making = time.process_time() - began
    if side.startswith("sklearn"):
        from sklearn.mixture import GaussianMixture

        n_init = 1 if "one" in side else 10
        found = float(GaussianMixture(shape[2], n_init=n_init, random_state=0).fit(x).score(x))
    else:
        import bayesgmm as bg
        from bayesgmm import models

        bg.enable_compilation_cache(cache)
        engine = bg.EM() if side == "default" else bg.EM(n_init=10, moves=0)
        fit = bg.fit(x, models.finite_mixture(shape[2]), engine, random_state=0)
        found = fit.log_likelihood / len(x)
    return {"seconds": time.process_time() - making, "log_likelihood": found}


def in_a_fresh_process(side, shape, cache):
    """What :func:`measure` finds there."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        __file__,
        "--measure",
        json.dumps([side, shape]),
        "--cache",
        cache,
    ]
    return json.loads(
        subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True).stdout
    )


def main(rounds):
    """Print one line a shape."""
    print("rows, features, components | seconds: " + ", ".join(SIDES) + " | log-likelihood a row: the same")
    with tempfile.TemporaryDirectory() as cache:
        for shape in SHAPES:
            for side in SIDES[:2]:
                in_a_fresh_process(side, shape, cache)
            runs = [[in_a_fresh_process(side, shape, cache) for side in SIDES] for _ in range(rounds)]
            times = np.median([[run["seconds"] for run in runs_of] for runs_of in runs], axis=0)
            line = " ".join(f"{seconds:6.2f}" for seconds in times)
            print(
                f"{shape} | {line} | " + " ".join(f"{run['log_likelihood']:.5f}" for run in runs[0]),
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", default="")
    parser.add_argument("--cache", default="")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(*json.loads(given.measure), given.cache)))
    else:
        main(given.rounds)
