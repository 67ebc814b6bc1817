"""How often the default fit finds the best known maximum, beside scikit-learn's ten starts.

    python tests/benchmarks/bench_optima.py [--seeds 20]

A seed hits where its log-likelihood is within 1e-4 nats a row of the best that any fit of this run found: the
default's, scikit-learn's (polished), and one search with ten times as many starts. Fits in spikes do not count.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_iris, load_wine
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm import models

NEAR = 1e-4  # nats a row


def clusters(seed, rows, features, components, separation):
    """Skewed, flat and Gaussian clusters of unequal sizes."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(components, rows, p=rng.dirichlet(np.full(components, 4.0)))
    shapes = [rng.standard_normal, lambda s: rng.lognormal(0, 0.5, s), lambda s: rng.uniform(-1.7, 1.7, s)]
    out = separation * rng.standard_normal((components, features))[labels]
    for j in range(components):
        here = labels == j
        turn = np.eye(features) + 0.4 * rng.standard_normal((features, features)) / np.sqrt(features)
        out[here] += shapes[j % 3]((here.sum(), features)) @ turn
    return out


DATA = {
    "faithful": (lambda: bg.load_dataset("faithful"), 3, "full"),
    "iris": (lambda: load_iris().data, 3, "full"),
    "wine": (lambda: load_wine().data, 3, "tied"),
    "penguins": (lambda: bg.load_dataset("penguins"), 3, "full"),
    "galaxies": (lambda: bg.load_dataset("galaxies_26.96"), 4, "tied"),
    "2-D, eight clusters": (lambda: clusters(1, 2000, 2, 8, 3.0), 8, "full"),
    "5-D, overlapping": (lambda: clusters(2, 2000, 5, 5, 1.2), 5, "full"),
    "3-D, many rows": (lambda: clusters(3, 30_000, 3, 6, 2.0), 6, "full"),
    "10-D, diagonal": (lambda: clusters(4, 3000, 10, 6, 1.5), 6, "diag"),
}


def ours(x, k, structure, seed, n_init=20):
    """Log-likelihood a row of a default fit, -inf where it is degenerate, and its processor seconds."""
    began = time.process_time()
    fitted = bg.fit(x, models.finite_mixture(k, structure), bg.EM(n_init=n_init), random_state=seed)
    seconds = time.process_time() - began
    return -np.inf if fitted.degeneracies else fitted.log_likelihood / fitted.n_rows, seconds


def theirs(x, k, structure, seed):
    """The same for scikit-learn's ten starts, polished by our EM so that early stopping does not count."""
    began = time.process_time()
    rows = bg.as_data(x).rows
    fitted = GaussianMixture(k, covariance_type=structure, n_init=10, random_state=seed).fit(rows)
    seconds = time.process_time() - began
    start = bg.Mixture.from_parameters(fitted.weights_, fitted.means_, fitted.covariances_, structure)
    polished = bg.fit(x, models.finite_mixture(k, structure), start=start)
    return -np.inf if polished.degeneracies else polished.log_likelihood / polished.n_rows, seconds


def main(seeds):
    """Print one line a data set."""
    warnings.simplefilter("ignore")
    print(
        f"{'data':22s} {'K':>2s} {'best known':>12s} {'ours':>6s} {'sklearn':>8s}   seconds a fit, ours and theirs"
    )
    for name, (load, k, structure) in DATA.items():
        x = load()
        mine = np.array([ours(x, k, structure, seed) for seed in range(seeds)])
        other = np.array([theirs(x, k, structure, seed) for seed in range(seeds)])
        wide, _ = ours(x, k, structure, 1000, 200)
        best = max(mine[:, 0].max(), other[:, 0].max(), wide)
        hits = [int(np.sum(each[:, 0] >= best - NEAR)) for each in (mine, other)]
        print(
            f"{name:22s} {k:2d} {best:12.6f} {hits[0]:3d}/{seeds} {hits[1]:5d}/{seeds}   "
            f"{np.median(mine[:, 1]):.3f} {np.median(other[:, 1]):.3f}   worst miss {best - mine[:, 0].min():.1e}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    main(**vars(parser.parse_args()))
