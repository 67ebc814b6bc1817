"""Old Faithful from EM to NUTS: which model, what it says, and how sure it is.

python examples/old_faithful.py [--samples 1000] [--out old_faithful.png]
"""

import argparse

import numpy as np

import bayesgmm as bg
from bayesgmm import models


def main(samples=1000, out="old_faithful.png", max_components=6):
    """Choose a model by BIC, sample the posterior of two full components, compare and draw."""
    x = bg.load_dataset("faithful")

    selection = bg.select(x, n_components=range(1, max_components + 1), random_state=0)
    print(selection)

    model = models.finite_mixture(2, covariance_type="full")
    em = bg.fit(x, model, bg.EM(), random_state=0)
    posterior = bg.fit(x, model, bg.NUTS(num_samples=samples), start=em, random_state=0)
    print(f"\n{posterior}\n")
    print(bg.compare({"EM": em, "NUTS": posterior}))

    waiting = posterior.data["posterior"]["means"].sel(feature="waiting")
    gap = np.abs(waiting.isel(component=0) - waiting.isel(component=1)).values.ravel()
    low, high = np.quantile(gap, [0.03, 0.97])
    print(f"\nThe two kinds of eruption are {gap.mean():.1f} minutes of waiting apart")
    print(f"(94 % interval {low:.1f} to {high:.1f}).")
    doubtful = posterior.predict_proba().max(axis=1) < 0.9
    print(f"{doubtful.sum()} of {len(x)} eruptions belong to neither kind with probability 0.9.")
    ax = bg.plots.components(posterior)
    ax.figure.savefig(out, dpi=150)
    return selection, em, posterior


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=1000, help="draws a chain")
    parser.add_argument("--out", default="old_faithful.png")
    main(**vars(parser.parse_args()))
