"""K-means, DBSCAN and a mixture on the same shapes.

Two long, tilted clusters side by side and a round one. K-means cuts the long ones across, since it knows only
distances to centres. DBSCAN knows only one density for all: small radii lose rows, large ones join clusters. Full
covariances describe these shapes, BIC finds their number, and every row comes with its doubt.

The rows are drawn to show the point, from three Gaussians: the model that wins is the one that made them. On rows that
no Gaussian made (rings, moons) the order may turn.

    python examples/shapes.py [FOLDER]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import DBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score

import bayesgmm as bg


def shapes():
    """600 rows: two tilted, elongated clusters and a round one, and which is which."""
    rng = np.random.default_rng(1)
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    long = rng.normal(size=(2, 200, 2)) * [3.0, 0.45] @ turn
    rows = [long[0], long[1] + [1.2, 3.6], rng.normal(size=(200, 2)) * 0.9 + [5.5, -2.5]]
    return np.concatenate(rows), np.repeat([0, 1, 2], 200)


def rivals(x, truth):
    """K-means told the right number, and DBSCAN at the radius that suits it best with the truth in hand."""
    found = {"K-means, told K = 3": KMeans(3, n_init=10, random_state=0).fit_predict(x)}
    radii = np.linspace(0.2, 1.5, 27)
    tries = [DBSCAN(eps=radius).fit_predict(x) for radius in radii]
    scores = [adjusted_rand_score(truth, labels) for labels in tries]
    best = int(np.argmax(scores))
    found[f"DBSCAN, best radius {radii[best]:.2f}"] = tries[best]
    return found


def main(folder="."):
    """Fit all three, score them against the truth, name the rows in doubt and the outliers, draw."""
    x, truth = shapes()
    selection = bg.select(x, n_components=range(1, 7), covariance_type="full", random_state=0)
    fit = selection.best
    found = {**rivals(x, truth), f"mixture, BIC chose K = {fit.n_components}": fit.predict()}
    scores = {name: adjusted_rand_score(truth, labels) for name, labels in found.items()}
    for name, score in scores.items():
        print(f"{name:30s} adjusted Rand index {score:.3f}")
    sure = fit.predict_proba().max(axis=1)
    density = fit.score_samples()
    outliers = density < np.quantile(density, 0.01)
    print(
        f"The mixture was told neither number nor radius. {np.sum(sure < 0.9)} of {len(x)} rows are in doubt"
    )
    print(f"(below 90 %), and the {outliers.sum()} rows of lowest density are marked as outliers.")
    print("These rows were drawn from three Gaussians to show the point: other shapes suit other methods.")
    draw(x, found, scores, fit, sure, outliers, Path(folder) / "shapes.png")
    return selection, scores


def draw(x, found, scores, fit, sure, outliers, path):
    """The three answers; in ours a row is the larger the surer, and outliers are ringed."""
    _, axes = plt.subplots(1, 3, figsize=(15, 5), layout="constrained", sharex=True, sharey=True)
    colours = np.array(
        ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A51A3", "#7F7F7F"]
    )
    for ax, (name, labels) in zip(axes, found.items(), strict=True):
        ours = ax is axes[2]
        noise = labels < 0
        size = 4 + 30 * (sure**4 if ours else np.full(len(x), 0.6))
        ax.scatter(*x[~noise].T, s=size[~noise], c=colours[labels[~noise] % len(colours)], alpha=0.7, lw=0)
        ax.scatter(*x[noise].T, s=14, marker="x", c="#888888", lw=0.8)
        if ours:
            ax.scatter(*x[outliers].T, s=90, facecolor="none", edgecolor="#222222")
        ax.set_title(f"{name}\nadjusted Rand index {scores[name]:.3f}", loc="left")
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_aspect("equal")
    axes[0].figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
