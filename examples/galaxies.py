"""How many clusters of galaxies? It depends on what was believed before.

The speeds of 82 galaxies, the most re-analysed data set of mixtures. The same rows meet three priors. Two share a
uniform prior on the number of components and differ in what a component may look like: Richardson & Green's (1997)
from the range of the data, and a conjugate one that allows narrow components. The third keeps Richardson & Green's
components, but expects few of them and lets spare ones stay empty (Fruehwirth-Schnatter et al. 2021).

    python examples/galaxies.py [FOLDER]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import bayesgmm as bg
from bayesgmm import models


def beliefs():
    """Three models by name, each with a random number of components."""
    uniform, few = models.weights.uniform(15), models.weights.beta_negative_binomial(most=15)
    wide = models.components.richardson_green()
    return {
        "K uniform, Richardson & Green's components": models.mixture_of_finite_mixtures(
            number=uniform, components=wide
        ),
        "K uniform, narrower components": models.mixture_of_finite_mixtures(number=uniform),
        "few components expected": models.mixture_of_finite_mixtures(
            number=few, dynamic=True, components=wide
        ),
    }


def main(folder="."):
    """Sample three posteriors, print the number of clusters of each beside its prior, draw them."""
    engine = bg.Gibbs(num_samples=1000, thin=4)
    fits = {
        name: bg.fit("galaxies_26.96", model, engine, random_state=0) for name, model in beliefs().items()
    }
    expected = {}
    for name, fit in fits.items():
        table = fit.n_clusters_table
        before, after = ((table.index * table[column]).sum() for column in ("prior", "probability"))
        expected[name] = float(after)
        most = table["probability"].idxmax()
        print(f"{name}: {before:.1f} clusters expected before the data, {after:.1f} after them;")
        print(f"  most probable {most}, with {table['probability'][most]:.0%}.")
        print(f"  Chains: R-hat at most {fit.diagnostics().max_r_hat:.3f}.")
    answers = [f"{value:.1f}" for value in sorted(expected.values())]
    print(
        f"\nThe same 82 galaxies hold {', '.join(answers[:-1])} or {answers[-1]} clusters on average, by prior alone:"
    )
    print(
        "report a number of clusters together with its prior, or not at all. All agree on a slow group near 10 and"
    )
    print("a fast one near 33; they differ about how many make up the middle.")
    partition = bg.partition(fits["few components expected"], n_draws=1000, random_state=0)
    sizes = ", ".join(map(str, partition.sizes))
    print(f"As one partition, where few are expected: groups of {sizes} galaxies.")
    draw(fits, Path(folder) / "galaxies.png")
    return fits, expected, partition


def draw(fits, path):
    """The number of clusters under each prior, and the density under all of them."""
    _, axes = plt.subplots(2, 2, figsize=(14, 8.5), layout="constrained")
    grid = np.linspace(5, 40, 500)
    below = axes[1, 1]
    for ax, (name, fit) in zip(axes.flat, fits.items(), strict=False):
        bg.plots.n_clusters(fit, ax=ax)
        ax.set_title(name, loc="left")
        below.plot(grid, np.exp(fit.score_samples(grid)), label=name, lw=1.8)
    rows = bg.load_dataset("galaxies_26.96").to_numpy().ravel()
    below.plot(rows, np.full(len(rows), -0.004), "|", color="#444444", ms=8)
    below.set_title("The density of a new galaxy under each", loc="left")
    below.set(xlabel="velocity in 1000 km/s", ylabel="density", ylim=(-0.015, 0.3))
    below.legend(frameon=False, loc="upper left")
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    below.figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
