"""What is shown while something runs."""

import time

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.cli.progress import Progress
from bayesgmm.inference import progress
from bayesgmm.inference.progress import progress_reporter


def test_the_display_shows_count_rate_and_time(capsys):
    with progress_reporter(True) as report:
        for done in (0, 50, 100):
            report("sampling", done, 100)
            time.sleep(0.02)
    shown = capsys.readouterr().err
    assert "sampling" in shown
    assert "100/100" in shown
    assert "/s" in shown
    assert "50 of 100" not in shown


def test_without_a_terminal_a_line_is_written_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with progress_reporter(True) as report:
        report("sampling", 50, 100)
    assert "sampling: 50 of 100" in capsys.readouterr().err
    with Progress().phase("EM") as advance:
        advance(3, 8)
    assert "EM: 3 of 8 after 0 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("n", "phases"), [(300, {"EM", "EM, moves"}), (30_000, {"EM, sample", "EM, moves", "EM"})]
)
def test_em_tells_of_all_it_does(n, phases):
    told = []
    x = np.random.default_rng(0).standard_normal((n, 2))
    bg.fit(
        x,
        models.finite_mixture(3),
        bg.EM(n_init=4, moves=1, tol=1e-6),
        random_state=0,
        progress=lambda *event: told.append(event),
    )
    assert {phase for phase, _, _ in told} == phases
    assert all(0 <= done <= total for _, done, total in told)
