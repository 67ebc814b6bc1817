"""Calm and stormy months of the stock market.

The S&P 500 at the end of every month from 1990 to 2022 (it ships with matplotlib). One normal does not describe its
monthly returns: large losses are far too rare in it. A mixture of two does, with parts that have a meaning: calm
months, and stormy ones, which lose on average. BIC finds that two suffice for these 390 months.

    python examples/stock_returns.py [FOLDER]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cbook import get_sample_data

import bayesgmm as bg


def monthly_returns():
    """Returns of the S&P 500 in per cent a month (differences of logarithms), by date."""
    with get_sample_data("Stocks.csv") as file:
        prices = pd.read_csv(file, comment="#", parse_dates=["Date"], index_col="Date")["^GSPC"].dropna()
    return (100 * np.log(prices)).diff().dropna()


def sweep(returns):
    """One to four components of any variance, ranked by BIC."""
    return bg.select(np.asarray(returns), n_components=range(1, 5), covariance_type="full", random_state=0)


def main(folder="."):
    """Choose by BIC, name the regimes, compare the tails, draw."""
    returns = monthly_returns()
    selection = sweep(returns)
    one, best = selection.fits["full", 1], selection.best
    print(selection)

    spread = np.sqrt(best.covariances.ravel())
    stormy = int(np.argmax(spread))
    print(f"\nBIC chooses {best.n_components} components, {one.bic - best.bic:.1f} better than one normal:")
    for k in np.argsort(spread):
        kind = "stormy" if k == stormy else "calm"
        print(
            f"  {kind:7s} {best.weights[k]:.0%} of the months: {best.means[k, 0]:+.1f} % on average, sd {spread[k]:.1f}"
        )
    rows = 100_000
    bad = {
        name: np.mean(fit.sample(rows, random_state=0)[0] < -12)
        for name, fit in (("one", one), ("best", best))
    }
    seen = int(np.sum(returns < -12))
    expected = {name: share * len(returns) for name, share in bad.items()}
    print(
        f"Months that lose more than 12 %: {seen} of {len(returns)}. One normal expects {expected['one']:.1f},"
    )
    print(f"the mixture {expected['best']:.1f}.")
    storm = pd.Series(best.predict_proba()[:, stormy], index=returns.index)
    worst = storm.groupby(storm.index.year).mean().sort_values().index[-3:]
    print(
        f"The stormiest years: {', '.join(map(str, sorted(worst)))}. The model does not know that storms come in"
    )
    print("clusters: it takes months as independent, so this is a description, not a forecast.")
    draw(returns, best, storm, Path(folder) / "stock_returns.png")
    return selection, bad, worst


def draw(returns, best, storm, path):
    """The mixture of returns, and every month in the colour of its storm."""
    _, (left, right) = plt.subplots(1, 2, figsize=(13, 4.8), layout="constrained", width_ratios=(4, 6))
    bg.plots.components(best, ax=left)
    left.set_title("Two kinds of months", loc="left")
    left.set_xlabel("return in per cent a month")
    drawn = right.scatter(returns.index, returns, c=storm, cmap="cividis_r", s=22, vmin=0, vmax=1)
    right.axhline(0, color="#999999", lw=0.8)
    right.set_title("When they were", loc="left")
    right.set_ylabel("return in per cent a month")
    right.figure.colorbar(drawn, ax=right, label="probability of a stormy month", pad=0.01)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    left.figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])
