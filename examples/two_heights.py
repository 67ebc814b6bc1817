"""Two groups of heights, and where EM really ends.

200 000 heights are drawn from two overlapping normals. scikit-learn's default stops after four steps, some 32 nats
short of the maximum, because it looks at the gain of one step; here EM stops when what is *left* to gain is small.

    python examples/two_heights.py [--rows 100000] [--out two_heights.png]
"""

import argparse

import numpy as np
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm import models


def heights(rows_per_group):
    """Heights in metres of two groups, and which group each row came from (the article's own recipe)."""
    np.random.seed(0)
    tall = np.random.normal(1.71, 0.056, rows_per_group)
    np.random.seed(0)
    short = np.random.normal(1.58, 0.051, rows_per_group)
    return np.concatenate([tall, short]), np.repeat([0, 1], rows_per_group)


def accuracy(labels, truth):
    """Share of rows in the right group, whichever group is called 0."""
    agreement = np.mean(labels == truth)
    return max(agreement, 1 - agreement)


def main(rows=100_000, out="two_heights.png"):
    """Fit both, print what each found, draw the density."""
    x, truth = heights(rows)
    fit = bg.fit(x, models.finite_mixture(2), bg.EM(), random_state=0)
    theirs = GaussianMixture(2, random_state=0).fit(x[:, None])
    print(fit)
    print(
        f"\nscikit-learn's default stops at {theirs.score(x[:, None]) * len(x):.3f} after {theirs.n_iter_} steps;"
    )
    print(f"EM goes on to {fit.log_likelihood:.3f} after {fit.n_steps} steps.")
    print(f"Share of rows in the right group: {accuracy(fit.predict(), truth):.4f}")
    ax = bg.plots.components(fit)
    ax.figure.savefig(out, dpi=150)
    return fit


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000, help="rows in each group")
    parser.add_argument("--out", default="two_heights.png")
    main(**vars(parser.parse_args()))
