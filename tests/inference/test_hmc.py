"""HMC against closed forms and against the other engines; modes; a second round; checkpoints."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap

import arviz_stats
import jax
import numpy as np
import pytest
from compilations import count_compilations
from three_groups import three_groups_for_two

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.inference import checkpoint as checkpoints
from bayesgmm.inference.gradient import sampling as gradient_sampling
from bayesgmm.models.components import NormalInverseWishart

SHORT = bg.HMC(num_samples=250)


def z_scores(draws, expected):
    """How many Monte Carlo standard errors the mean of draws (chains, draws, ...) is from a value."""
    flat = draws.reshape(*draws.shape[:2], -1)
    mcse = [arviz_stats.mcse(flat[..., i], method="mean") for i in range(flat.shape[-1])]
    return (flat.mean(axis=(0, 1)) - np.ravel(expected)) / mcse


def test_one_component_is_the_conjugate_posterior():
    """K = 1 is exact: E mu, E Sigma and sd of mu. Six means within 4.5 MCSE: fails 4e-5; sds within 5 %."""
    rng = np.random.default_rng(5)
    x = rng.multivariate_normal([10.0, -3.0], [[4.0, 1.2], [1.2, 1.0]], size=40)
    m0, k0, nu0, scale0 = np.array([9.0, 0.0]), 2.0, 7.0, np.array([[3.0, 0.5], [0.5, 2.0]])
    prior = NormalInverseWishart(mean=m0, mean_precision=k0, dof=nu0, scale=scale0)
    post = bg.fit(x, models.finite_mixture(1, components=prior), bg.HMC(num_samples=2500), random_state=0)
    n, mean = 40, x.mean(axis=0)
    scatter = (x - mean).T @ (x - mean) + k0 * n / (k0 + n) * np.outer(mean - m0, mean - m0)
    sigma = (scale0 + scatter) / (nu0 + n - 2 - 1)
    group = post.data["posterior"]
    assert np.all(np.abs(z_scores(group["means"].values, (k0 * m0 + n * mean) / (k0 + n))) < 4.5)
    assert np.all(np.abs(z_scores(group["covariances"].values, sigma)) < 4.5)
    sd = np.sqrt(np.diag(sigma) / (k0 + n))  # var of mu is E Sigma / kappa
    np.testing.assert_allclose(group["means"].std(("chain", "draw")).values[0], sd, rtol=0.05)


@pytest.fixture(scope="module")
def small():
    rows = bg.load_dataset("faithful").iloc[:120]
    return rows, bg.fit(rows, models.finite_mixture(2), SHORT, random_state=3)


def test_same_seed_same_draws_and_the_callers_precision_is_left_alone(small):
    rows, post = small
    before = jax.config.jax_enable_x64
    again = bg.fit(rows, models.finite_mixture(2), SHORT, random_state=3)
    assert jax.config.jax_enable_x64 == before
    assert again.data["posterior"].equals(post.data["posterior"])


def test_other_settings_priors_and_a_few_more_rows_compile_nothing(small):
    rows = bg.load_dataset("faithful").iloc[:124] + 0.5
    engine = bg.HMC(num_warmup=100, num_samples=250, trajectory=1.2, max_steps=30, target_accept_prob=0.7)
    with count_compilations() as compiled:
        bg.fit(rows, models.finite_mixture(2, concentration=2.0), engine, random_state=4)
    assert not compiled


def test_units_change_nothing_but_the_units(small):
    rows, post = small
    scaled = bg.fit(rows * [4.0, 0.25], models.finite_mixture(2), SHORT, random_state=3)
    ours, theirs = scaled.data["posterior"], post.data["posterior"]
    np.testing.assert_allclose(ours["means"], theirs["means"] * [4.0, 0.25], rtol=1e-12)


def test_the_result_says_how_it_was_made(small):
    _, post = small
    assert post.kind == "HMC"
    assert post.diagnostics().max_r_hat < 1.03
    assert post.diagnostics().n_divergent == 0
    notes = post.data["warm_start"]
    assert float(notes["laplace_weight"].sum()) == pytest.approx(1.0)
    np.testing.assert_array_equal(notes["mode_of_chain"], 0)
    assert post.data["sample_stats"]["acceptance_rate"].mean() > 0.7


def interrupting(at):
    def report(phase, done, total):
        if phase == "sampling" and done >= at:
            raise KeyboardInterrupt

    return report


def test_an_interrupted_run_keeps_what_was_drawn(small):
    rows, post = small
    part = bg.fit(rows, models.finite_mixture(2), SHORT, random_state=3, progress=interrupting(250))
    assert "Interrupted: 100 of 250 draws" in part.warnings[0]
    ours, theirs = part.data["sample_stats"]["lp"], post.data["sample_stats"]["lp"]
    np.testing.assert_array_equal(ours, theirs[:, :100])
    with pytest.raises(KeyboardInterrupt):
        bg.fit(rows, models.finite_mixture(2), SHORT, random_state=3, progress=interrupting(150))


def test_a_round_that_objects_is_followed_by_one_with_its_metric(small, monkeypatch):
    """The threshold is lowered so that any round objects; draws must still be of the same posterior."""
    rows, post = small
    monkeypatch.setattr(gradient_sampling, "OBJECTS", 0.0)
    again = bg.fit(rows, models.finite_mixture(2), SHORT, random_state=3)
    assert "thrown away (R-hat of its log joint was" in again.remarks[0]
    assert again.diagnostics().max_r_hat < 1.03
    spread = post.data["posterior"]["means"].std(("chain", "draw"))
    gap = again.means - post.means
    assert np.all(np.abs(gap) < 0.3 * spread)  # both means have standard errors of about .04 sd


@pytest.fixture(scope="module")
def apart():
    engine = bg.HMC(num_samples=250, jumps=False)
    return bg.fit(three_groups_for_two(), models.finite_mixture(2), engine, random_state=0)


def test_chains_in_different_modes_are_reported_and_never_called_converged(apart):
    found = apart.diagnostics()
    assert not found.ok
    assert "several modes" in found.verdict
    assert "stay in 3 places" in found.verdict
    assert "converged" not in repr(apart)
    assert not any("thrown away" in words for words in apart.remarks)  # no metric cures this


def test_modes_stand_in_a_table_with_both_weights(apart):
    table = apart.modes
    assert len(table) == 3
    assert table["stacking_weight"].sum() == pytest.approx(1.0)
    laplace = apart.data["warm_start"]["laplace_weight"].values
    assert sorted(table["laplace_weight"]) == pytest.approx(sorted(laplace[:3]))
    assert laplace[:3].min() > 0.05
    assert laplace[:3].sum() > 0.99


def test_agreeing_chains_are_one_row_of_the_table(small):
    assert len(small[1].modes) == 1


@pytest.mark.parametrize(
    ("argument", "value"),
    [("num_chains", 0), ("max_steps", 0), ("trajectory", -1.0), ("target_accept_prob", 2.0)],
)
def test_bad_settings_are_refused_in_words(argument, value):
    with pytest.raises(ValueError, match=argument):
        bg.HMC(**{argument: value})


# --- checkpoints


@pytest.fixture
def eager(monkeypatch):
    """Checkpoints written after every chunk."""
    monkeypatch.setattr(checkpoints, "PAUSE", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 0.0)


@pytest.mark.parametrize("at", [50, 250])
def test_a_run_goes_on_from_its_checkpoint_bit_for_bit(small, tmp_path, eager, at):
    rows, post = small
    path, model = tmp_path / "run.ckpt", models.finite_mixture(2)

    def stop(phase, done, total):
        if phase == "sampling" and done == at:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        bg.fit(rows, model, SHORT, random_state=3, checkpoint=path, progress=stop)
    told = []
    again = bg.fit(rows, model, SHORT, random_state=3, checkpoint=path, progress=lambda *a: told.append(a))
    assert next(t for t in told if t[0] == "sampling") == ("sampling", at, 400)
    assert again.data["posterior"].equals(post.data["posterior"])
    assert again.data["sample_stats"].equals(post.data["sample_stats"])
    finished = bg.fit(rows, model, SHORT, random_state=3, checkpoint=path)
    assert finished.data["posterior"].equals(post.data["posterior"])


def test_the_second_round_goes_on_too(small, tmp_path, eager, monkeypatch):
    rows, _ = small
    monkeypatch.setattr(gradient_sampling, "OBJECTS", 0.0)
    path, model = tmp_path / "run.ckpt", models.finite_mixture(2)
    whole = bg.fit(rows, model, SHORT, random_state=3)
    seen = []

    def stop(phase, done, total):
        seen.append(done)
        if phase == "sampling" and seen.count(100) == 2:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        bg.fit(rows, model, SHORT, random_state=3, checkpoint=path, progress=stop)
    again = bg.fit(rows, model, SHORT, random_state=3, checkpoint=path)
    assert again.remarks == whole.remarks
    assert again.data["posterior"].equals(whole.data["posterior"])


@pytest.mark.parametrize(
    "engine",
    [bg.HMC(), pytest.param(bg.NUTS(), marks=pytest.mark.slow), bg.Gibbs()],
    ids=lambda e: type(e).__name__,
)
def test_a_run_that_was_too_short_is_prolonged(engine, tmp_path):
    """Lengths that are no multiples of a chunk; the first draws stay, and the whole is the long run's."""
    rows, model = bg.load_dataset("faithful").iloc[:120], models.finite_mixture(2)
    path = tmp_path / "run.ckpt"
    short, long = (dataclasses.replace(engine, num_warmup=130, num_samples=n) for n in (130, 290))
    bg.fit(rows, model, short, random_state=3, checkpoint=path)
    told = []
    longer = bg.fit(rows, model, long, random_state=3, checkpoint=path, progress=lambda *a: told.append(a))
    assert next(done for phase, done, _ in told if phase == "sampling") >= 260
    at_once = bg.fit(rows, model, long, random_state=3)
    assert longer.data["posterior"].equals(at_once.data["posterior"])
    again = bg.fit(rows, model, short, random_state=3, checkpoint=path)  # of a longer run, a part
    assert again.data["sample_stats"]["lp"].equals(at_once.data["sample_stats"]["lp"][:, :130])


def test_a_prolonged_run_keeps_the_draws_that_it_adds_to(small, tmp_path, monkeypatch):
    """Also where the longer first round would object."""
    rows, post = small
    path, model = tmp_path / "run.ckpt", models.finite_mixture(2)
    bg.fit(rows, model, SHORT, random_state=3, checkpoint=path)
    monkeypatch.setattr(gradient_sampling, "OBJECTS", 0.0)
    longer = bg.fit(rows, model, dataclasses.replace(SHORT, num_samples=350), random_state=3, checkpoint=path)
    assert longer.data["sample_stats"]["lp"][:, :250].equals(post.data["sample_stats"]["lp"])
    assert not longer.remarks


def test_a_checkpoint_of_another_run_is_refused_in_words(small, tmp_path):
    rows, _ = small
    path, model = tmp_path / "run.ckpt", models.finite_mixture(2)
    bg.fit(rows, model, SHORT, random_state=3, checkpoint=path)
    for name, again in {
        "seed is 3": lambda: bg.fit(rows, model, SHORT, random_state=4, checkpoint=path),
        "data is": lambda: bg.fit(rows + 1.0, model, SHORT, random_state=3, checkpoint=path),
        "model is": lambda: bg.fit(
            rows, models.finite_mixture(2, concentration=2.0), SHORT, random_state=3, checkpoint=path
        ),
        r"engine is HMC\(": lambda: bg.fit(rows, model, bg.Gibbs(), random_state=3, checkpoint=path),
    }.items():
        with pytest.raises(ValueError, match=name):
            again()
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="Expected a checkpoint"):
        bg.fit(rows, model, SHORT, random_state=3, checkpoint=path)
    with pytest.raises(ValueError, match="checkpoint for EM"):
        bg.fit(rows, model, bg.EM(), checkpoint=path)
    with pytest.raises(ValueError, match="existing folder"):
        bg.fit(rows, model, SHORT, checkpoint=tmp_path / "nowhere" / "run.ckpt")


KILLED = """
    import os, signal, sys
    import bayesgmm as bg
    from bayesgmm import models
    from bayesgmm.inference import checkpoint
    checkpoint.PAUSE = checkpoint.SHARE = 0.0
    engine = {engine}
    def report(phase, done, total):
        if phase == "sampling" and done >= {at}:
            os.kill(os.getpid(), signal.SIGKILL)
    rows = bg.load_dataset("faithful").iloc[:{n}]
    bg.fit(rows, {model}, engine, random_state=3, checkpoint={path!r}, progress=report)
"""


FINITE, RANDOM = "models.finite_mixture(2)", "models.mixture_of_finite_mixtures()"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "model", "at", "n"),
    [
        ("bg.HMC(num_samples=250)", FINITE, 50, 9),
        ("bg.HMC(num_samples=250)", FINITE, 250, 120),
        ("bg.NUTS(num_samples=250)", FINITE, 100, 120),
        ("bg.Gibbs(num_warmup=200, num_samples=200)", FINITE, 300, 120),
        ("bg.Gibbs(num_warmup=200, num_samples=200)", RANDOM, 100, 120),
    ],
)
def test_a_killed_process_goes_on_bit_for_bit(tmp_path, engine, model, at, n):
    """Really killed, in warm-up and in sampling; the program that goes on is this one. With nine rows chains jump."""
    path = str(tmp_path / "run.ckpt")
    code = textwrap.dedent(KILLED).format(engine=engine, model=model, at=at, n=n, path=path)
    killed = subprocess.run([sys.executable, "-c", code], cwd=os.getcwd(), capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    rows, engine, model = bg.load_dataset("faithful").iloc[:n], eval(engine), eval(model)
    again = bg.fit(rows, model, engine, random_state=3, checkpoint=path)
    whole = bg.fit(rows, model, engine, random_state=3)
    assert any("chains jumped" in words for words in again.remarks) == (n == 9)
    assert again.data["posterior"].equals(whole.data["posterior"])
    assert again.data["sample_stats"].equals(whole.data["sample_stats"])


# --- another start, and the engine chosen


@pytest.mark.slow
def test_a_variational_posterior_is_a_start(small):
    """Position and metric from CAVI: the same posterior. Six parameters within 4.5 combined MCSE: fails 4e-5."""
    rows, reference = small
    model = models.finite_mixture(2)
    cavi = bg.fit(rows, model, bg.CAVI(), random_state=0)
    post = bg.fit(rows, model, bg.HMC(num_samples=1000), start=cavi, random_state=5)
    assert post.diagnostics().ok
    swapped = np.argmax(post.weights) != np.argmax(reference.weights)  # numbered as CAVI's clusters are
    for name in ("weights", "means"):
        a, b = (fit.data["posterior"][name].values for fit in (post, reference))
        a, b = (c.reshape(*c.shape[:2], -1) for c in (a, b[:, :, ::-1] if swapped else b))
        for p in range(a.shape[-1]):
            mcse = np.hypot(*(arviz_stats.mcse(c[..., p], method="mean") for c in (a, b)))
            assert abs(a[..., p].mean() - b[..., p].mean()) < 4.5 * mcse


@pytest.mark.slow
def test_auto_chooses_a_sampler_and_says_why():
    rows = bg.load_dataset("faithful").iloc[:120]
    post = bg.fit(rows, models.finite_mixture(2), "auto", random_state=0)
    assert post.kind in ("HMC", "Gibbs")
    assert f"{post.kind} was chosen by pilots" in post.remarks[-1]


@pytest.mark.slow
def test_ctrl_c_while_auto_chooses_ends_the_fit():
    """A pilot that was cut short says nothing of its engine's rate, and the caller wanted to stop."""

    def stop(phase, done, total):
        if phase == "sampling" and done >= 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows = bg.load_dataset("faithful").iloc[:120]
        bg.fit(rows, models.finite_mixture(2), "auto", random_state=0, progress=stop)


def test_auto_where_one_sampler_is_able():
    rows = bg.load_dataset("faithful").iloc[:9]
    post = bg.fit(rows, models.dirichlet_process_mixture(3), "auto", random_state=0)
    assert post.kind == "Gibbs"
    assert "only sampler for this model" in post.remarks[-1]
    with pytest.raises(TypeError, match="'auto'"):
        bg.fit(rows, models.finite_mixture(2), "magic")
