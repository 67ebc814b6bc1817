"""What compiling costs: the first fit of each engine, with our compiler options, with XLA's own, and with all on disk.

    taskset -c 0 python tests/benchmarks/bench_compile.py [--rounds 3]

Each round has a fresh process of each kind, in turn; the first two are without a disk cache, for the third another
process has filled one. Times are processor seconds; what is imported on the way counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

ENGINES = ("EM", "CAVI", "Gibbs", "HMC", "NUTS", "SVI")


KINDS = ("quick", "plain", "kept")


def measure(kind, cache):
    """Seconds of the first and of the second fit of faithful, K = 2, by each engine in this process."""
    import bayesgmm as bg
    from bayesgmm import compiled, models

    if kind == "plain":
        compiled.quick_options = dict
    if kind == "kept":
        bg.enable_compilation_cache(cache)
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


def in_a_fresh_process(kind, cache):
    """What :func:`measure` finds there."""
    switch = {} if kind == "kept" else {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    command = [sys.executable, "-W", "ignore", __file__, "--measure", kind, "--cache", cache]
    out = subprocess.run(command, env={**os.environ, **switch}, capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def main(rounds):
    """Print one line an engine."""
    with tempfile.TemporaryDirectory() as cache:
        in_a_fresh_process("kept", cache)
        runs = [{kind: in_a_fresh_process(kind, cache) for kind in KINDS} for _ in range(rounds)]
    print("engine: first fit with our options, with XLA's own, with all on disk | second fit: the same")
    for name in ENGINES:
        times = np.array([[run[kind][name] for kind in KINDS] for run in runs])  # rounds, kinds, fits
        line = [" ".join(f"{seconds:.2f}" for seconds in kinds) for kinds in np.median(times, axis=0).T]
        print(f"{name:6s} {' | '.join(line)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=KINDS)
    parser.add_argument("--cache", default="")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.cache)))
    else:
        main(given.rounds)
