"""A warm-up that leaves chains far apart is prolonged by sweeps with split-merge moves."""

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.inference import checkpoint as checkpoints
from bayesgmm.inference.gibbs.chunks_of_sweeps import LED_OUT, chains_are_apart


def test_chains_are_judged_by_the_later_half_of_their_draws():
    """Sds of 1 in 400 draws: means differ by less than .5, unless they are made to."""
    chunks = list(np.random.default_rng(0).standard_normal((4, 100, 3)))
    assert not chains_are_apart(chunks)
    late = [chunk + np.array([0.0, 0.0, 4.0 * (i > 1)]) for i, chunk in enumerate(chunks)]
    assert chains_are_apart(late)
    assert not chains_are_apart(late[::-1])


@pytest.fixture(scope="module")
def penguins():
    """Under seed 0 a chain begins with two species in one cluster and stays there for 1600 sweeps by rows alone."""
    told: list[tuple[str, int, int]] = []
    engine = bg.Gibbs(num_samples=1000)
    post = bg.fit(
        "penguins", models.finite_mixture(3), engine, random_state=0, progress=lambda *a: told.append(a)
    )
    assert ("longer warm-up", 500, 500) in told
    return post


@pytest.mark.slow
def test_chains_that_were_caught_are_led_out(penguins):
    """R-hat was 2.05; nothing weighs e^-40 of the mode, so all chains must be about it."""
    assert LED_OUT in penguins.remarks
    assert penguins.diagnostics().max_r_hat < 1.03
    assert "split_merge_accepted" in penguins.data["sample_stats"]


@pytest.mark.slow
def test_such_a_run_goes_on_from_its_checkpoint_bit_for_bit(penguins, tmp_path, monkeypatch):
    """Stopped before the warm-up is judged and after it was prolonged."""
    monkeypatch.setattr(checkpoints, "PAUSE", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 0.0)
    path, engine = tmp_path / "run.ckpt", bg.Gibbs(num_samples=1000)

    def run(progress=False):
        model = models.finite_mixture(3)
        return bg.fit("penguins", model, engine, random_state=0, checkpoint=path, progress=progress)

    for at in (500, 700):

        def stop(phase, done, total, at=at):
            if phase == "sampling" and done == at:
                raise RuntimeError("power cut")

        with pytest.raises(RuntimeError, match="power cut"):
            run(stop)
    again = run()
    assert again.data["posterior"].equals(penguins.data["posterior"])
    assert again.remarks == penguins.remarks
