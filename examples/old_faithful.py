"""Old Faithful from EM to NUTS to a partition: which model, what it says, and how sure it is.

272 eruptions of a geyser: how long each lasted, and how long one waits for the next. There are short and long ones.
BIC chooses a model, EM fits it, NUTS samples the posterior from where EM ended; the draws become one partition with
the eruptions that may belong elsewhere.

    python examples/old_faithful.py [FOLDER]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import bayesgmm as bg
from bayesgmm import models


def main(folder="."):
    """Choose by BIC, sample the posterior of two full components, compare, divide, draw."""
    x = "faithful"  # a bundled data set
    selection = bg.select(x, n_components=range(1, 5), covariance_type=("full", "tied"), random_state=0)
    print(selection)

    model = models.finite_mixture(2, covariance_type="full")
    em = bg.fit(x, model, bg.EM(), random_state=0)
    posterior = bg.fit(x, model, bg.NUTS(), start=em, random_state=0)
    partition = bg.partition(posterior, random_state=0)
    print(f"\n{posterior}\n")
    print(bg.compare({"EM": em, "NUTS": posterior}))
    print(f"\n{partition}")

    waiting = posterior.data["posterior"]["means"].sel(feature="waiting")
    gap = np.abs(waiting.isel(component=0) - waiting.isel(component=1)).values.ravel()
    low, high = np.quantile(gap, [0.03, 0.97])
    print(
        f"\nAfter a long eruption one waits {gap.mean():.1f} minutes more (94 % interval {low:.1f} to {high:.1f})."
    )
    long, short = partition.sizes
    print(
        f"{long} eruptions are long and {short} short; rows {partition.rows_in_doubt.tolist()} are in doubt."
    )
    print(
        f"BIC would have {selection.best.n_components} {selection.best.covariance_type} components: its third one"
    )
    print("splits the long eruptions, which are not quite Gaussian. A component is not yet a cluster.")

    _, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")
    bg.plots.components(posterior, ax=left)
    bg.plots.criteria(selection, ax=right)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    left.figure.savefig(Path(folder) / "old_faithful.png", dpi=150)
    return selection, em, posterior, partition


if __name__ == "__main__":
    main(*sys.argv[1:])
