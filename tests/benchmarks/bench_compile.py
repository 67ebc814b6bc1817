"""What compiling costs: the first fit of each engine, with our compiler options and with XLA's own, A B A B.

    taskset -c 0 python tests/benchmarks/bench_compile.py [--rounds 3]

Each figure comes from a fresh process without a disk cache. Times are processor seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

ENGINES = ("EM", "CAVI", "Gibbs", "HMC", "NUTS", "SVI")


def measure(quick):
    """Seconds of the first and of the second fit of faithful, K = 2, by each engine in this process."""
    import bayesgmm as bg
    from bayesgmm import compiled, models

    if not quick:
        compiled.quick_options = dict
    x = bg.load_dataset("faithful")
    seconds = {}
    for name in ENGINES:
        times = []
        for seed in range(2):
            start = time.process_time()
            bg.fit(x, models.finite_mixture(2), getattr(bg, name)(), random_state=seed)
            times.append(time.process_time() - start)
        seconds[name] = times
    return seconds


def main(rounds):
    """Print one line an engine."""
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    found = {"quick": [], "plain": []}
    for _ in range(rounds):
        for kind, runs in found.items():
            out = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--measure", kind],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            runs.append(json.loads(out.stdout))
    print("engine: first fit with our options, with XLA's own, ratio | second fit: the same")
    for name in ENGINES:
        quick, plain = (np.array([run[name] for run in found[kind]]) for kind in ("quick", "plain"))
        line = [
            f"{np.median(a):.2f} s {np.median(b):.2f} s {np.median(b / a):.2f}"
            for a, b in zip(quick.T, plain.T, strict=True)
        ]
        print(f"{name:6s} {' | '.join(line)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=("quick", "plain"))
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure == "quick")))
    else:
        main(given.rounds)
