"""Customers, and the trap in counts.

946 customers of an online music shop: how many repeat orders, how much they spend, how long they have been silent.
Almost half have exactly one repeat order. A component that lies flat on that one value has an unbounded density, and
BIC falls without end: the more components, the more such planes. They are reported as spikes and set aside. The
remedy spreads every count evenly over its own unit before the logarithm, so that it is a continuous measure.

    python examples/customers.py [FOLDER]
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import bayesgmm as bg

ROWS = Path(__file__).parent / "data" / "cdnow.csv"  # data/README.md says where they come from


def customers(spread):
    """Logarithms of orders and of spend, and weeks of silence; with counts spread over their unit, or as they are."""
    raw = pd.read_csv(ROWS)
    orders = raw["repeat_orders"] + (np.random.default_rng(0).uniform(-0.5, 0.5, len(raw)) if spread else 0.0)
    silent = raw["observed_weeks"] - raw["recency_weeks"]
    return pd.DataFrame(
        {"log orders": np.log(orders), "log spend": np.log(raw["mean_spend"]), "weeks silent": silent}
    )


def main(folder="."):
    """Sweep K on the counts as they are and on spread ones, say what each offers, draw."""
    sweeps = {}
    for spread in (False, True):
        x = customers(spread)
        sweeps[spread] = bg.select(x, n_components=range(1, 7), covariance_type="full", random_state=0)
    trap, sound = sweeps[False], sweeps[True]
    lowest = trap.table.loc[trap.table["bic"].idxmin()]
    flat = [k for (_, k), fit in trap.fits.items() if fit.degeneracies]
    print(f"Counts as they are: BIC is lowest, {lowest['bic']:.0f}, for {lowest['n_components']} components.")
    print("It means nothing:")
    print(f"  {trap.fits['full', lowest['n_components']].warnings[0]}")
    print(f"  The sweep sets K = {', '.join(map(str, flat))} aside and offers {trap.best.n_components}.")

    best = sound.best
    print(f"Counts spread over their unit: no spike up to 6 components, and BIC chooses {best.n_components}:")
    typical = pd.DataFrame({"share": best.weights, "orders": np.exp(best.means[:, 0])})
    typical["spend"] = np.exp(best.means[:, 1])
    typical["spend varies by"] = np.exp(np.sqrt(best.covariances[:, 1, 1]))
    typical["weeks silent"] = best.means[:, 2]
    print(typical.round(2).to_string())
    print("(orders and spend: medians; 'varies by': the factor that is one standard deviation)")
    narrow = typical["spend varies by"].idxmin()
    price = typical["spend"][narrow]
    print(
        f"Component {narrow} spends {price:.0f} dollars, hardly more or less: the price of one CD. Prices are"
    )
    print("discrete too, so read these groups as a description of orders, not as kinds of people.")
    draw(trap, sound, Path(folder) / "customers.png")
    return trap, sound


def draw(trap, sound, path):
    """BIC with and without the trap, and the customers."""
    _, (left, right) = plt.subplots(1, 2, figsize=(13, 5.2), layout="constrained")
    for sweep, name, colour in ((trap, "counts as they are", "#D55E00"), (sound, "counts spread", "#0072B2")):
        table = sweep.table.sort_values("n_components")
        left.plot(table["n_components"], table["bic"], color=colour, label=name)
        sick = table["n_components"].isin([k for (_, k), fit in sweep.fits.items() if fit.degeneracies])
        left.plot(*table.loc[~sick, ["n_components", "bic"]].to_numpy().T, "o", color=colour)
        left.plot(*table.loc[sick, ["n_components", "bic"]].to_numpy(float).T, "o", color=colour, mfc="white")
    left.plot([], [], "o", color="#444444", mfc="white", label="has spikes: set aside")
    left.set_title("A BIC that falls without end is a trap", loc="left")
    left.set(xlabel="number of components", ylabel="BIC (smaller is better)")
    left.legend(frameon=False)
    bg.plots.components(sound.best, ax=right, features=["weeks silent", "log orders"])
    right.set_title(f"Counts spread: {sound.best.n_components} components", loc="left")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    left.figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
