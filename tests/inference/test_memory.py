"""Memory beyond the data: one copy of the rows while EM fits, a piece of them while they are predicted."""

import gc
from pathlib import Path

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import models

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def megabytes(of):
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(of))
    return int(line.split()[1]) / 1e3


def peak(function):
    """The most megabytes that the process takes, beyond what it had, while a function runs; and its result."""
    gc.collect()
    RESET.write_text("5")  # the largest so far is forgotten
    before = megabytes("VmRSS")
    result = function()
    return megabytes("VmHWM") - before, result


@pytest.mark.slow
@pytest.mark.skipif(not RESET.exists(), reason="only Linux tells the peak of a part of a process")
def test_rows_are_copied_once_to_fit_and_never_to_predict():
    x = np.random.default_rng(0).standard_normal((2_000_000, 4))
    x.setflags(write=False)  # else a checked copy is made as well
    size = x.nbytes / 1e6
    model, engine = models.finite_mixture(2), bg.EM(max_steps=3, n_init=2, moves=0)
    few = bg.fit(x[:600_000], model, engine, random_state=0)
    few.score_samples()
    few.predict()  # nothing is left to compile
    used, fit = peak(lambda: bg.fit(x, model, engine, random_state=0))
    assert 0.7 * size < used < 2.0 * size  # the blocks, with them a weight a row, and programs at work
    for summary in (fit.score_samples, fit.predict):
        used, result = peak(summary)
        assert used < result.nbytes / 1e6 + 0.8 * size  # a piece is an eighth of the rows
