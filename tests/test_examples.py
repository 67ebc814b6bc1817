"""Every example runs, on small settings, and finds what it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


def test_two_heights(tmp_path, capsys):
    fit = load("two_heights").main(rows=5000, out=tmp_path / "heights.png")
    assert np.sort(fit.means.ravel()) == pytest.approx([1.58, 1.71], abs=0.02)
    assert "Share of rows in the right group: 0.8" in capsys.readouterr().out
    assert (tmp_path / "heights.png").stat().st_size > 10_000


def test_old_faithful(tmp_path, capsys):
    selection, em, posterior = load("old_faithful").main(
        samples=100, out=tmp_path / "faithful.png", max_components=3
    )
    assert (selection.best.covariance_type, selection.best.n_components) == ("tied", 3)
    np.testing.assert_allclose(posterior.means, em.means, rtol=0.02)
    assert "minutes of waiting apart" in capsys.readouterr().out
    assert (tmp_path / "faithful.png").stat().st_size > 10_000
