"""Two groups of heights, and where EM really ends.

200 000 heights are drawn from two overlapping normals, a well-known tutorial's example. scikit-learn's default stops
after four steps, because the gain of *one* step has become small; the climb that is left is long. Here EM stops when
all that is *left* to gain is small. The parameters move by a millimetre, the likelihood by some thirty nats.

    python examples/two_heights.py [FOLDER]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm import models


def heights(rows_per_group=100_000):
    """Heights in metres of two groups, and which group each row came from (the tutorial's own recipe)."""
    np.random.seed(0)
    tall = np.random.normal(1.71, 0.056, rows_per_group)
    np.random.seed(0)
    short = np.random.normal(1.58, 0.051, rows_per_group)
    return np.concatenate([tall, short]), np.repeat([0, 1], rows_per_group)


def accuracy(labels, truth):
    """Share of rows in the right group, whichever group is called 0."""
    agreement = np.mean(labels == truth)
    return max(agreement, 1 - agreement)


def main(folder="."):
    """Fit with both, say where each stopped, draw the mixture and the climb."""
    x, truth = heights()
    fit = bg.fit(x, models.finite_mixture(2), bg.EM(), random_state=0)
    theirs = GaussianMixture(2, random_state=0).fit(x[:, None])
    stopped_at = theirs.score(x[:, None]) * len(x)
    print(fit)

    print(f"\nscikit-learn's default stops after {theirs.n_iter_} steps, at {stopped_at:.3f}.")
    print(f"The maximum is {fit.log_likelihood:.4f}: {fit.log_likelihood - stopped_at:.1f} nats higher.")
    moved = 1000 * np.abs(np.sort(fit.means.ravel()) - np.sort(theirs.means_.ravel())).max()
    print(f"The means move by {moved:.1f} mm, and the share of rows in the right group from")
    print(f"{accuracy(theirs.predict(x[:, None]), truth):.6f} to {accuracy(fit.predict(), truth):.6f}.")

    there = bg.Mixture.from_parameters(theirs.weights_, theirs.means_, theirs.covariances_, "full")
    plain = bg.EM(moves=0, accelerate=False)  # EM to the letter, from where they stopped
    climb = bg.fit(x, models.finite_mixture(2), plain, start=there, random_state=0)
    draw(fit, climb, Path(folder) / "two_heights.png")
    return fit, theirs


def draw(fit, climb, path):
    """The mixture, and how far below the maximum plain EM still is when it goes on from where the default stops."""
    _, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    bg.plots.components(fit, ax=left)
    left.set_title("200 000 heights: two components", loc="left")
    left.set_xlabel("height in metres")
    below = fit.log_likelihood - np.asarray(climb.history)
    right.semilogy(np.arange(len(below)), np.maximum(below, 1e-4), color="#0072B2", lw=2)
    right.plot(0, below[0], "o", color="#D55E00", ms=9)
    right.annotate("here the default stops", (0, below[0]), (12, 0), textcoords="offset points", va="center")
    right.set_title("What plain EM still has to climb", loc="left")
    right.set(xlabel="further steps", ylabel="nats below the maximum")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    left.figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])
