"""The search for the point partition: seconds, memory and hits, by draws and rows, one core.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_partition.py [--large] [--loss binder]

R's salso could not be run beside it, and no times published for draws of these sizes were found: the figures stand
alone. Nothing is compiled. Each case runs in a process of its own, so that its peak memory is its own; seconds are
processor seconds of reading the draws and of searching them (16 starts from nothing, up to 12 more). Draws are
allocations to 4 to 10 overlapping Gaussian clusters, each draw with its own centres and its own number.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

import numpy as np

from bayesgmm.posterior.label_draws import as_label_draws
from bayesgmm.posterior.point import find_point
from bayesgmm.tables import text_table

SMALL = [(1000, 100), (1000, 1000), (10_000, 100)]
LARGE = [(1000, 10_000)]


def label_draws(n_draws, n_rows, seed=0, spread=2.0):
    """Allocations (n_draws, n_rows) that are unsure of both the clusters and their number."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, spread, (6, 2))
    rows = centres[rng.integers(6, size=n_rows)] + rng.normal(size=(n_rows, 2))
    out = np.empty((n_draws, n_rows), np.int16)
    for draw in out:
        k = rng.integers(4, 11)
        drawn = np.vstack([centres + rng.normal(0, 0.2, centres.shape), rng.normal(0, spread, (5, 2))])[:k]
        logits = -0.5 * ((rows[:, None] - drawn) ** 2).sum(axis=2) + rng.gumbel(size=(n_rows, k))
        draw[:] = logits.argmax(axis=1)
    return out


def one(n_draws, n_rows, loss):
    """Search one case; print its row of the table."""
    given = label_draws(n_draws, n_rows)
    began = time.process_time()
    draws = as_label_draws(given)
    read = time.process_time()
    point = find_point(draws, loss)
    done = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    cells = [read - began, done - read, point.expected_loss]
    print(*(f"{c:.4g}" for c in cells), f"{point.n_hits}/{point.n_starts}", peak, sep="\t")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--loss", default="variation_of_information")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--one", nargs=2, type=int)
    arguments = parser.parse_args()
    if arguments.one:
        return one(*arguments.one, arguments.loss)
    rows = []
    for n_draws, n_rows in SMALL + LARGE * arguments.large:
        command = [sys.executable, __file__, "--loss", arguments.loss, "--one", str(n_draws), str(n_rows)]
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        rows.append([f"{n_draws} x {n_rows}", *run.stdout.split("\n")[0].split("\t")])
    print(f"{arguments.loss}; numpy {np.__version__}, Python {sys.version.split()[0]}")
    print(text_table(["draws x rows", "read, s", "search, s", "expected loss", "hits", "peak MB"], rows))


if __name__ == "__main__":
    main()
