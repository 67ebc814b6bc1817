"""EM against scikit-learn: per step and for whole fits, alternated A B A B in one process, one core.

    taskset -c 0 env XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" OMP_NUM_THREADS=1 \\
        python tests/benchmarks/bench_em.py [--rounds 5] [--only heights]

Compile time is apart: every shape is run once before it is timed. Times are processor seconds. Whole fits have ten
starts on both sides, ours without the moves that follow by default; the last column is our default, with moves.
"""

import argparse
import dataclasses
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.covariances import get_structure
from bayesgmm.inference.em import steps
from bayesgmm.mixture import Mixture
from bayesgmm.row_blocks import make_rows

STEPS = 20


@dataclasses.dataclass(frozen=True)
class Case:
    """A data set's shape; ``separation`` is the spread of the centres in component standard deviations."""

    name: str
    rows: int
    features: int
    components: int
    structure: str = "full"
    separation: float = 3.0

    def data(self, seed=11):
        """Skewed and uniform clusters of unequal size: nothing here is Gaussian."""
        rng = np.random.default_rng(seed)
        k, d = self.components, self.features
        if self.name == "heights":
            np.random.seed(0)
            tall = np.random.normal(1.71, 0.056, self.rows // 2)
            np.random.seed(0)
            return np.concatenate([tall, np.random.normal(1.58, 0.051, self.rows // 2)])[:, None]
        labels = rng.choice(k, self.rows, p=rng.dirichlet(np.full(k, 4.0)))
        centres = self.separation * rng.standard_normal((k, d))
        shapes = [
            rng.standard_normal,
            lambda size: rng.lognormal(0, 0.4, size) - 1.08,
            lambda size: rng.uniform(-1.7, 1.7, size),
        ]
        out = np.empty((self.rows, d))
        for j in range(k):
            here = labels == j
            noise = shapes[j % 3]((here.sum(), d)) @ (
                np.eye(d) + 0.3 * rng.standard_normal((d, d)) / np.sqrt(d)
            )
            out[here] = centres[j] + noise
        return out


CASES = [
    Case("heights", 200_000, 1, 2),
    Case("2-D", 100_000, 2, 5),
    Case("10-D separated", 100_000, 10, 10),
    Case("10-D overlapping", 100_000, 10, 10, separation=0.8),
    Case("10-D tied", 100_000, 10, 10, "tied"),
    Case("10-D diag", 100_000, 10, 10, "diag"),
    Case("50-D", 20_000, 50, 10),
    Case("16-D, many", 200_000, 16, 64),
    Case("16-D, many, tied", 200_000, 16, 64, "tied"),
]


def alternate(functions, rounds):
    """Processor seconds of each function, (rounds,) each, called in turn."""
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.process_time()
            function()
            times[name].append(time.process_time() - began)
    return {name: np.array(t) for name, t in times.items()}


def step_functions(case, x):
    """One-start runs of STEPS steps: ours in two precisions, scikit-learn's."""
    k, d = case.components, case.features
    structure = get_structure(case.structure)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    rng = np.random.default_rng(0)
    means = standard[rng.choice(len(x), k, replace=False)]
    covariances = structure.from_dense(np.eye(d), k)

    def ours(dtype):
        start = Mixture(structure, np.full((1, k), -np.log(k)), means[None], covariances[None])
        state = steps.initial(start, structure.features(standard[:1].T).shape[0])
        rows = make_rows(standard, structure, dtype=dtype)
        settings = steps.Settings(np.full(d, 1e-6), np.asarray(0.0), np.asarray(STEPS), np.asarray(False))
        with jax.enable_x64(True):  # parameters and sums are in double precision whatever the blocks are
            state, rows, settings = jax.tree.map(jnp.asarray, (state, rows, settings))

        def run():
            with jax.enable_x64(True):
                jax.block_until_ready(steps.advance(structure, rows, state, None, settings))

        return run

    precisions = np.linalg.inv(structure.dense(covariances, k, d))
    theirs = GaussianMixture(
        k,
        covariance_type=case.structure,
        tol=0.0,
        max_iter=STEPS,
        means_init=means,
        weights_init=np.full(k, 1 / k),
        precisions_init=np.asarray(structure.project(precisions)),
        init_params="random_from_data",
        random_state=0,
    )
    return {"sklearn": lambda: theirs.fit(standard), "float64": ours("float64"), "float32": ours("float32")}


def fit_functions(case, x, found):
    """Whole fits with ten starts each; ``found`` receives the log-likelihoods."""
    model = models.finite_mixture(case.components, case.structure)

    def ours():
        found["ours"] = bg.fit(x, model, bg.EM(n_init=10, moves=0), random_state=0).log_likelihood

    def default():
        found["default"] = bg.fit(x, model, bg.EM(), random_state=0).log_likelihood

    def theirs():
        fitted = GaussianMixture(
            case.components, covariance_type=case.structure, n_init=10, random_state=0
        ).fit(x)
        found["sklearn"] = fitted.score(x) * len(x)

    return {"sklearn": theirs, "ours": ours, "default": default}


def main(rounds, only):
    """Print one line a case."""
    warnings.simplefilter("ignore")
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}")
    print(
        "case  shape  | step: sklearn ms, ratio float64, float32 | "
        "fit: sklearn s, ours s, ratio, log-likelihood gained a row | default: s, gained"
    )
    for case in CASES:
        if only and only not in case.name:
            continue
        x = case.data()
        repeats = rounds if case.components < 64 else 1
        steps = {name: t / STEPS for name, t in alternate(step_functions(case, x), repeats).items()}
        ratios = {name: np.median(steps["sklearn"] / steps[name]) for name in ("float64", "float32")}
        start = f"{case.name:18s} ({case.rows}, {case.features}, {case.components}) {case.structure:5s} | "
        start += f"{1e3 * np.median(steps['sklearn']):7.1f} {ratios['float64']:6.1f} {ratios['float32']:6.1f}"
        if case.components >= 64:  # scikit-learn's ten fits would take half an hour
            print(start, flush=True)
            continue
        found = {}
        fits = alternate(fit_functions(case, x, found), max(1, rounds // 3))
        gain, more = ((found[name] - found["sklearn"]) / case.rows for name in ("ours", "default"))
        print(
            f"{start} | {np.median(fits['sklearn']):7.2f} {np.median(fits['ours']):7.2f} "
            f"{np.median(fits['sklearn'] / fits['ours']):6.1f} {gain:+.1e} | "
            f"{np.median(fits['default']):.2f} {more:+.1e}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    main(**vars(parser.parse_args()))
