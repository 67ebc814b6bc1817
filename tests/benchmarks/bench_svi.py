"""SVI: guides against a published posterior, warm against cold starts, and minibatches of a million rows.

    python tests/benchmarks/bench_svi.py [guides] [starts] [million]

``guides``: posteriordb's low_dim_gauss_mix. ``starts``: steps until the smoothed ELBO is within 1 % of the best final
one, by our engine, by NumPyro's SVI begun at EM's optimum (``init_to_value``), and by NumPyro's SVI as it comes; the
same program, guide (full rank), particles and Adam for all. ``million``: predictive density against EM's. Processor
seconds include compiling unless said.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
import sklearn.datasets
from numpyro.infer import SVI, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoMultivariateNormal

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.float64 import to_device
from bayesgmm.inference.fit import prepare
from bayesgmm.models.components import HalfNormal, NormalLKJ

CASES = Path(__file__).parents[1] / "cases"
MOST = 6000  # steps
WINDOW = 20  # steps that smooth the ELBO


def timed(function):
    """Its value, processor and wall seconds."""
    processor, wall = time.process_time(), time.perf_counter()
    value = function()
    return value, time.process_time() - processor, time.perf_counter() - wall


def guides():
    """A line a guide: how far from the reference draws, in their standard deviations, and the bound."""
    known = json.loads((CASES / "B_posteriordb_low_dim_gauss_mix.json").read_text())["summary"]
    y = np.array(json.loads((CASES / "data/low_dim_gauss_mix.json").read_text())["y"])
    prior = NormalLKJ(mean=0.0, mean_scale=2.0, scales=HalfNormal(2.0))
    model = models.finite_mixture(2, concentration=5.0, components=prior)
    em = bg.fit(y, model, bg.EM(objective="likelihood"), random_state=0)
    print(
        "low_dim_gauss_mix: worst mean, least and largest sd ratio, ELBO, log evidence by weights, k-hat, steps, CPU s"
    )
    for name, engine in {
        "normal": bg.SVI("normal"),
        "low_rank": bg.SVI("low_rank"),
        "multivariate_normal": bg.SVI(),
        "multivariate_normal, corrected": bg.SVI(corrected=True),
        "laplace": bg.SVI("laplace"),
        "flow": bg.SVI("flow"),
    }.items():
        post, seconds, _ = timed(lambda engine=engine: bg.fit(y, model, engine, start=em, random_state=0))
        again = timed(lambda engine=engine: bg.fit(y, model, engine, start=em, random_state=1))[1]
        group = post.data["posterior"]
        ours = {
            "theta": group["weights"].values[..., 0],
            "mu[1]": group["means"].values[..., 0, 0],
            "mu[2]": group["means"].values[..., 1, 0],
            "sigma[1]": np.sqrt(group["covariances"].values[..., 0, 0, 0]),
            "sigma[2]": np.sqrt(group["covariances"].values[..., 1, 0, 0]),
        }
        off = max(abs(d.mean() - known[n]["mean"]) / known[n]["sd"] for n, d in ours.items())
        ratios = [d.std() / known[n]["sd"] for n, d in ours.items()]
        print(
            f"  {name:31s} {off:.3f}  {min(ratios):.3f} {max(ratios):.3f}  {post.elbo:.3f}  {post.log_evidence:.3f}  "
            f"{post.pareto_k:.2f}  {post.n_steps:5d}  {seconds:.1f} (again {again:.2f})",
            flush=True,
        )


def data_sets():
    """Name, rows and K."""
    rng = np.random.default_rng(0)
    centres = 2.5 * rng.standard_normal((4, 4))
    acidity = np.loadtxt(CASES / "data/acidity.csv", delimiter=",", ndmin=1)
    return {
        "faithful (272 x 2), K = 2": (bg.load_dataset("faithful").to_numpy(), 2),
        "iris (150 x 4), K = 3": (sklearn.datasets.load_iris().data, 3),
        "penguins (342 x 4), K = 3": (bg.load_dataset("penguins").to_numpy(), 3),
        "acidity (155 x 1), K = 2": (acidity[:, None], 2),
        "overlapping (1000 x 4), K = 4": (
            centres[rng.integers(4, size=1000)] + rng.standard_normal((1000, 4)),
            4,
        ),
    }


def numpyros(problem, strategy):
    """The ELBO at each step of NumPyro's own SVI on the standardised program, in the user's units."""
    with jax.enable_x64(True):
        model, rows = to_device(problem.standard_model()), jnp.asarray(problem.rows)
        guide = AutoMultivariateNormal(model, **strategy(model))
        svi = SVI(model, guide, optax.adam(0.02), Trace_ELBO(num_particles=8))
        result = svi.run(jax.random.key(0), MOST, rows, progress_bar=False, stable_update=True)
        return -np.asarray(result.losses) - problem.log_jacobian


def steps_to(history, best):
    """Steps until the mean of WINDOW steps is within 1 % of the best ELBO; and the final ELBO."""
    smooth = np.convolve(history, np.ones(WINDOW) / WINDOW, "valid")
    near = np.flatnonzero(smooth >= best - 0.01 * abs(best))
    return str(near[0] + WINDOW) if near.size else f"not in {len(history)}", smooth[-1]


def starts():
    """A line a data set: steps for each start."""
    print(f"steps to within 1 % of the best final ELBO (smoothed over {WINDOW}), and the final ELBO of each")
    for name, (x, k) in data_sets().items():
        model = models.finite_mixture(k)
        em = bg.fit(x, model, bg.EM(objective="posterior"), random_state=0)
        post = bg.fit(x, model, bg.SVI(), start=em, random_state=0)
        problem = prepare(x, model, start=em)
        start = problem.start_mixture()

        def at_em(model, start=start):
            return {"init_loc_fn": init_to_value(values=to_device(model.to_sites(start)))}

        histories = {
            "ours": post.history,
            "EM's position": numpyros(problem, at_em),
            "cold": numpyros(problem, lambda model: {}),
        }
        best = max(np.mean(h[-WINDOW:]) for h in histories.values())
        cells = [f"{which} {s} ({e:.2f})" for which, h in histories.items() for s, e in [steps_to(h, best)]]
        print(f"  {name}: {'; '.join(cells)}; k-hat {post.pareto_k:.2f}", flush=True)


def million():
    """EM, then minibatches of a million rows."""
    rng = np.random.default_rng(1)
    n, k, d = 1_000_000, 5, 3
    centres = 3.0 * rng.standard_normal((k, d))
    weights = np.array([0.35, 0.25, 0.2, 0.15, 0.05])
    scales = rng.uniform(0.6, 1.4, d)
    x, fresh = (
        centres[rng.choice(k, p=weights, size=size)] + rng.standard_normal((size, d)) * scales
        for size in (n, n // 10)
    )
    x.setflags(write=False)
    model = models.finite_mixture(k)
    em, cpu, wall = timed(lambda: bg.fit(x, model, bg.EM(objective="posterior"), random_state=0))
    print(
        f"{n} x {d}, K = {k}: EM {cpu:.1f} CPU s ({wall:.1f} wall), {em.score(x):.6f} nats a row", flush=True
    )
    for batch in (1000,):
        engine = bg.SVI(batch_size=batch, num_samples=100)
        post, cpu, wall = timed(lambda engine=engine: bg.fit(x, model, engine, start=em, random_state=0))
        phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in post.seconds.items())
        print(
            f"  SVI, {batch} rows a step: {post.n_steps} steps, {cpu:.1f} CPU s ({wall:.1f} wall: {phases}); "
            f"{post.score(x) - em.score(x):+.2e} nats a row, on new rows {post.score(fresh) - em.score(fresh):+.2e}; "
            f"ELBO {post.elbo:.2f}, log evidence by weights {post.log_evidence:.2f}, k-hat {post.pareto_k:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", help="guides, starts, million; all of them if none is given")
    parts = parser.parse_args().parts or ["guides", "starts", "million"]
    print(f"jax {jax.__version__}, numpyro {numpyro.__version__}, {jax.devices()[0].device_kind}")
    for part in parts:
        {"guides": guides, "starts": starts, "million": million}[part]()
