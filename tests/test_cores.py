"""Programs side by side: never so many that XLA has no thread left to work with."""

import os
import subprocess
import sys

import pytest

from bayesgmm.cores import programs_at_once


@pytest.mark.parametrize(("threads", "at_once"), [("1", 1), ("2", 1), ("3", 2), ("16", 15)])
def test_one_thread_is_left_free(monkeypatch, threads, at_once):
    monkeypatch.setenv("NPROC", threads)
    assert programs_at_once() == at_once
    assert programs_at_once(2) == min(2, at_once)


def test_a_nonsensical_number_of_threads_is_passed_over(monkeypatch):
    monkeypatch.setenv("NPROC", "many")
    assert programs_at_once() >= 1


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 3])
def test_many_components_do_not_hang(threads):
    # With two threads and two programs this call never came back: both waited for a thread that neither let go.
    code = (
        "import numpy as np, bayesgmm as bg\n"
        "x = np.random.default_rng(0).normal(size=(400, 10))\n"
        "bg.fit(x, bg.models.finite_mixture(40), bg.EM(n_init=16, moves=0, tol=1e-3), random_state=0)\n"
    )
    environment = {**os.environ, "NPROC": str(threads)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True, timeout=240)
