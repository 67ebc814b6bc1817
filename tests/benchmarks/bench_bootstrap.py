"""The bootstrap: all refits by one program against a loop over fits, alternated A B A B in one process.

    python tests/benchmarks/bench_bootstrap.py [--rounds 3] [--draws 200]

Both start at the fit, see the same data sets and stop by the same rule. Compile time is apart: what the first call
takes more than the later ones. Processor and wall seconds; and the time of the standard errors from the information.
"""

import argparse
import time

import jax
import numpy as np

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.inference.em.resampling import data_sets


def overlapping(n, k, d, spread=2.0):
    """Rows of k Gaussian clusters whose centres lie few standard deviations apart."""
    rng = np.random.default_rng(0)
    return (spread * rng.standard_normal((k, d)))[rng.integers(k, size=n)] + rng.standard_normal((n, d))


CASES = {
    "faithful, K=2": lambda: (bg.load_dataset("faithful").to_numpy(), 2),
    "2-D overlapping, 1000 rows, K=3": lambda: (overlapping(1000, 3, 2), 3),
    "4-D, 20000 rows, K=4": lambda: (overlapping(20_000, 4, 4, 4.0), 4),
}


def loop(em, n_draws):
    """The refits one by one, each through the front door."""
    rows = (em.standardisation.inverse(data.rows) for data in data_sets(em, n_draws, 0, "parametric"))
    return [bg.fit(x, em.model, em.engine, start=em) for x in rows]


def timed(function):
    """Processor and wall seconds."""
    processor, wall = time.process_time(), time.perf_counter()
    function()
    return time.process_time() - processor, time.perf_counter() - wall


def main(rounds, n_draws):
    """Print one line a case."""
    print(
        f"jax {jax.__version__}, {jax.devices()[0].device_kind}; {n_draws} refits; processor (wall) seconds"
    )
    for name, make in CASES.items():
        x, k = make()
        em = bg.fit(x, models.finite_mixture(k), bg.EM(n_init=3), random_state=0)
        functions = {
            "batched": lambda em=em: bg.bootstrap(em, n_draws),
            "loop": lambda em=em: loop(em, n_draws),
        }
        first = {which: timed(function) for which, function in functions.items()}
        again = {which: [] for which in functions}
        for _ in range(rounds):
            for which, function in functions.items():
                again[which].append(timed(function))
        seconds = {which: np.median(times, axis=0) for which, times in again.items()}
        cells = [
            f"{which} {cpu:.3f} ({wall:.3f}), compiling {first[which][0] - cpu:.1f}"
            for which, (cpu, wall) in seconds.items()
        ]
        ratio = seconds["loop"] / seconds["batched"]
        errors = [timed(em.standard_errors)[0] for _ in range(3)]
        cells.append(f"ratio {ratio[0]:.1f} ({ratio[1]:.1f})")
        cells.append(f"standard errors {errors[-1]:.4f}, compiling {errors[0] - errors[-1]:.1f}")
        print(f"{name}: {'; '.join(cells)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=200, dest="n_draws")
    main(**vars(parser.parse_args()))
