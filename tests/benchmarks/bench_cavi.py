"""CAVI against scikit-learn's BayesianGaussianMixture: number of clusters, speed, warm starts, a million rows.

    taskset -c 0 env XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" OMP_NUM_THREADS=1 \\
        python tests/benchmarks/bench_cavi.py [clusters] [speed] [warm] [million]

Times are processor seconds after one run that compiles; both sides start from the same labels (or each from ten
partitions of its own), have the same priors and stop when a pass gains less than the same tolerance, in nats, of the
whole bound.
"""

import sys
import time
import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, load_wine
from sklearn.mixture import BayesianGaussianMixture

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.inference.cavi.ascent import advance
from bayesgmm.inference.cavi.starts import naturals_of_labels
from bayesgmm.inference.cavi.state import RUNNING, Settings, initial
from bayesgmm.inference.fit import prepare
from bayesgmm.models.components import NormalInverseWishart
from bayesgmm.row_blocks import make_rows

TOL = 1e-3  # scikit-learn's default, nats in total


class Theirs(BayesianGaussianMixture):
    """scikit-learn's, from given labels."""

    def _initialize_parameters(self, X, random_state, xp=None):
        self._initialize(X, np.eye(self.n_components)[self.labels])


def theirs(x, k, labels=None, kappa=1.0, tol=TOL, n_init=1):
    """A Dirichlet process of concentration 1 with their default degrees and scale; without labels from k-means."""
    kind = BayesianGaussianMixture if labels is None else Theirs
    found = kind(
        n_components=k, weight_concentration_prior_type="dirichlet_process", weight_concentration_prior=1.0,
        mean_precision_prior=kappa, reg_covar=0.0, tol=tol, max_iter=5000, n_init=n_init, random_state=0,
    )  # fmt: skip
    found.labels = labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return found.fit(x)


def their_prior(x, kappa=1.0):
    return NormalInverseWishart(x.mean(axis=0), kappa, float(x.shape[1]), np.cov(x.T))


def kmeans(x, k, seed=0):
    return KMeans(k, n_init=1, random_state=seed).fit(x).labels_


def cpu(function, rounds):
    """Least processor seconds over some rounds, and the last result."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        out = function()
        times.append(time.process_time() - began)
    return min(times), out


def three_gaussians(n, seed):
    """Rows (n, 2) of three clusters that overlap a little, as in the tests."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    centres = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    roots = np.array([[[1, 0], [0, 1]], [[1, 0], [0.6, 0.8]], [[0.7, 0], [0, 1.2]]])
    return centres[labels] + np.einsum("nij,nj->ni", roots[labels], rng.standard_normal((n, 2)))


def clusters():
    """Occupied slots of 15, ten seeds each, under our default prior and under theirs (mean_precision 1)."""
    for n in (200, 2000, 20_000):
        ours, same, sk, seconds = [], [], [], 0.0
        for seed in range(10):
            x = three_gaussians(n, seed)
            began = time.process_time()
            for found, prior in ((ours, None), (same, their_prior(x))):
                model = models.dirichlet_process_mixture(15, components=prior)
                found.append(bg.fit(x, model, bg.CAVI(), random_state=seed).n_occupied)
            seconds += time.process_time() - began
            labels = theirs(x, 15, kmeans(x, 15, seed)).predict(x)
            sk.append(len(np.unique(labels)))
        print(
            f"n={n}: ours {ours}; ours with their prior {same}; scikit-learn {sk}; {seconds / 20:.2f} s a fit of ours"
        )


def blobs(n, d, k, seed=0):
    """Rows (n, d) of k Gaussian clusters that overlap a little."""
    rng = np.random.default_rng(seed)
    centres = 3.0 * rng.standard_normal((k, d))
    return centres[rng.integers(k, size=n)] + rng.standard_normal((n, d)) @ np.linalg.cholesky(
        np.eye(d) + 0.3
    )


def our_bound(x, model, fit):
    """Our ELBO (nats) after one pass from the partition that their fit ends with."""
    return bg.fit(x, model, bg.CAVI(moves=0, max_steps=1), start=fit.predict(x)).elbo


def speed():
    """One fit from the same labels, and ten starts of each side's own, to the same tolerance."""
    cases = {
        "faithful": (bg.load_dataset("faithful").to_numpy(), 5, 20),
        "iris": (load_iris().data, 5, 20),
        "(1e5, 10, 15)": (blobs(100_000, 10, 15), 15, 1),
    }
    for name, (x, k, rounds) in cases.items():
        labels = kmeans(x, k)
        model = models.dirichlet_process_mixture(k, components=their_prior(x))
        # Our estimate of the remaining gain is never below the last gain where gains shrink by less than half a pass.
        engine = bg.CAVI(moves=0, tol=TOL / len(x))
        bg.fit(x, model, engine, start=labels)
        own, ours = cpu(lambda x=x, m=model, e=engine, s=labels: bg.fit(x, m, e, start=s), rounds)
        sk, fit = cpu(lambda x=x, k=k, s=labels: theirs(x, k, s), max(1, rounds // 4))
        print(
            f"{name}, one start: ours {own * 1e3:.1f} ms ({ours.n_steps} steps, ELBO {ours.elbo:.4f}), "
            f"scikit-learn {sk * 1e3:.1f} ms ({fit.n_iter_} steps), ratio {sk / own:.1f}"
        )
        if len(x) < 10_000:
            ten = bg.CAVI(n_init=10, moves=0, tol=TOL / len(x))
            bg.fit(x, model, ten, random_state=0)
            own, ours = cpu(lambda x=x, m=model, e=ten: bg.fit(x, m, e, random_state=0), rounds)
            sk, fit = cpu(lambda x=x, k=k: theirs(x, k, n_init=10), max(1, rounds // 4))
            print(
                f"{name}, ten starts: ours {own * 1e3:.1f} ms (ELBO {ours.elbo:.4f}), scikit-learn {sk * 1e3:.1f} ms "
                f"(its partition's ELBO {our_bound(x, model, fit):.4f}), ratio {sk / own:.1f}"
            )
        moves, moved = cpu(lambda x=x, m=model: bg.fit(x, m, bg.CAVI(), random_state=0), 2)
        print(
            f"{name}: default with 8 starts and moves {moves * 1e3:.0f} ms, ELBO {moved.elbo:.4f}, "
            f"{moved.n_occupied} occupied"
        )


def warm():
    """Passes until within 1 % of the final ELBO (of the distance from the first): from EM and from k-means labels."""
    data = {
        "faithful": (bg.load_dataset("faithful").to_numpy(), 3),
        "galaxies": (bg.load_dataset("galaxies_26.96").to_numpy(), 6),
        "iris": (load_iris().data, 3),
        "wine": (load_wine().data[:, :6], 3),
        "blobs": (blobs(2000, 5, 6), 6),
    }
    print("data        random labels   k-means   EM   final ELBO (random, k-means, EM)")
    for name, (x, k) in data.items():
        model = models.finite_mixture(k)
        em = bg.fit(x, model, bg.EM(n_init=10), random_state=0)
        starts = [np.random.default_rng(0).integers(k, size=len(x)), kmeans(x, k), em]
        posts = [bg.fit(x, model, bg.CAVI(moves=0), start=start) for start in starts]
        final = max(post.elbo for post in posts)
        level = final - 0.01 * abs(final)
        steps = [int(np.argmax(post.history >= level)) + 1 if post.elbo >= level else None for post in posts]
        shown = [f"{s}" if s else f"never in {p.n_steps}" for s, p in zip(steps, posts, strict=True)]
        print(
            f"{name:10s}  {shown[0]:>13s} {shown[1]:>9s} {shown[2]:>4s}   {[round(p.elbo, 2) for p in posts]}"
        )


def million():
    """1e6 rows: eight remembered parts against all rows at once, from one start, pass by pass and at the end."""
    x = blobs(1_000_000, 4, 6)
    task = prepare(x, models.finite_mixture(6), random_state=0)
    model = task.standard_model()
    labels = np.random.default_rng(0).integers(6, size=len(x))
    natural = naturals_of_labels(model, task.rows, task.sample_weight, [labels])
    rows = make_rows(task.rows, model.structure, spread=True)
    settings = Settings(*map(np.asarray, (1e-13, 300, False, False, -np.inf)))
    ends = {}
    for parts in (1, 8):
        first = settings._replace(max_steps=np.asarray(1))
        _, one = advance(model, rows, initial(natural, {}, parts), first)
        began, state, path = time.process_time(), initial(natural, {}, parts), []
        while np.any(state.status == RUNNING):
            state, chunk = advance(model, rows, state, settings)
            path += chunk[np.isfinite(chunk)].tolist()
        ends[parts] = (float(one[0, 0]), path[-1], len(path), time.process_time() - began)
    (a, b, n, s), (c, d, m, t) = ends[1], ends[8]
    print(
        f"random labels: first pass apart by {abs(a - c) / abs(a):.1e}, end by {abs(b - d) / abs(b):.1e} relative; "
        f"{n} passes in {s:.1f} s whole, {m} in {t:.1f} s in parts; ELBO {b:.3f} and {d:.3f}"
    )
    began = time.process_time()
    post = bg.fit(x, models.dirichlet_process_mixture(8), bg.CAVI(), random_state=0)
    print(
        f"bg.fit: {time.process_time() - began:.1f} s, {post.n_occupied} occupied, ELBO {post.elbo:.3f}, {post.moves}"
    )


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["clusters", "speed", "warm", "million"]
    for part in wanted:
        print(f"--- {part}", flush=True)
        {"clusters": clusters, "speed": speed, "warm": warm, "million": million}[part]()
