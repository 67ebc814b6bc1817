"""Time of an EM step and memory beyond the data from ten thousand to four million rows.

    python tests/benchmarks/bench_scaling.py

Each size runs in a process of its own. Memory is the peak of the process over what it held before the fit, the
compiler included; rows are handed over read-only, so that no defensive copy of them is made.
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np

SIZES = (10_000, 100_000, 1_000_000, 4_000_000)
FEATURES, COMPONENTS = 4, 8


def measure(n):
    """Processor seconds of 20 steps from a given start, and peak megabytes, in this process."""
    import bayesgmm as bg
    from bayesgmm import models

    rng = np.random.default_rng(0)
    centres = 4 * rng.standard_normal((COMPONENTS, FEATURES))
    labels = rng.integers(COMPONENTS, size=n)
    x = centres[labels]
    for j in range(FEATURES):
        x[:, j] += rng.standard_normal(n)
    x.setflags(write=False)
    model = models.finite_mixture(COMPONENTS)
    start = bg.Mixture.from_parameters(
        np.ones(COMPONENTS), centres + 0.5, np.tile(np.eye(FEATURES), (COMPONENTS, 1, 1))
    )
    del labels
    runs = {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for steps in (1, 21):
        engine = bg.EM(max_steps=steps, accelerate=False, tol=0.0)
        bg.fit(x, model, engine, start=start)
        began = time.process_time()
        bg.fit(x, model, engine, start=start)
        runs[steps] = time.process_time() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"step": (runs[21] - runs[1]) / 20, "peak": (after - before) * 1024, "data": x.nbytes}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        sys.exit()
    print("rows       step ms   ns a row   peak beyond the data: MB, in data sizes")
    for size in SIZES:
        out = subprocess.run(
            [sys.executable, __file__, str(size)], capture_output=True, text=True, check=True
        )
        found = json.loads(out.stdout.splitlines()[-1])
        print(
            f"{size:9d} {1e3 * found['step']:8.2f} {1e9 * found['step'] / size:9.0f}   {found['peak'] / 1e6:7.0f} "
            f"{found['peak'] / found['data']:6.1f}",
            flush=True,
        )
