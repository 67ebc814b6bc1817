"""Memory beyond the data: one copy of the rows while EM fits, a piece of them while they are predicted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RESET = Path("/proc/self/clear_refs")

# A process of its own, whose freed memory does not hide what is taken anew.
MEASURE = """
import gc, json, pathlib
import numpy as np
import bayesgmm as bg
from bayesgmm import models

def megabytes(of):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(of))

def peak(function):
    gc.collect()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the largest so far is forgotten
    before = megabytes("VmRSS")
    return function(), megabytes("VmHWM") - before

x = np.random.default_rng(0).standard_normal((2_000_000, 4))
x.setflags(write=False)  # else a checked copy is made as well
model, engine = models.finite_mixture(2), bg.EM(max_steps=3, n_init=2, moves=0)
few = bg.fit(x[:300_000], model, engine, random_state=0)
few.score_samples(), few.predict()  # nothing is left to compile
fit, fitting = peak(lambda: bg.fit(x, model, engine, random_state=0))
densities, scoring = peak(fit.score_samples)
labels, predicting = peak(fit.predict)
print(json.dumps([x.nbytes / 1e6, fitting, densities.nbytes / 1e6, scoring, predicting]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not RESET.exists(), reason="only Linux tells the peak of a part of a process")
def test_rows_are_copied_once_to_fit_and_never_to_predict():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    size, fitting, result, scoring, predicting = json.loads(done.stdout.splitlines()[-1])
    assert 0.7 * size < fitting < 2.0 * size  # the blocks, with them a weight a row, and programs at work
    assert max(scoring, predicting) < result + 0.8 * size  # a piece is an eighth of the rows
