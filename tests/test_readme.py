"""The README's snippets run as they stand."""

import re
import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from click.testing import CliRunner

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def snippets(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore"
)  # NumPyro's own sampler, run cold in the last snippet, warns as it likes
def test_python_snippets_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    names = {}
    for snippet in snippets("python"):
        exec(compile(snippet, "README.md", "exec"), names)
    assert names["table"].best.n_components == 3
    assert names["post"].diagnostics().max_r_hat < 1.05
    cold = names["mcmc"].get_samples(group_by_chain=True)
    assert np.sort(cold["means"][..., 1].mean(axis=1), axis=1) == pytest.approx(
        np.tile(np.sort(names["em"].means[:, 1]), (2, 1)), abs=1.5
    )  # both chains found both kinds of eruption
    plt.close("all")


@pytest.mark.slow
def test_shell_snippets_run_in_order(tmp_path, monkeypatch):
    from bayesgmm.cli import main
    from bayesgmm.datasets import load_dataset

    monkeypatch.chdir(tmp_path)
    rows = load_dataset("faithful").iloc[:150]
    rows.to_csv("my.csv", index=False)
    rows.iloc[:10].to_csv("new.csv", index=False)
    lines = [line for text in snippets("sh") for line in text.splitlines() if line.startswith("bayesgmm ")]
    assert len(lines) == 6
    for line in lines:
        result = CliRunner().invoke(main, shlex.split(line, comments=True)[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"
    assert (tmp_path / "faithful.html").stat().st_size > 100_000
    assert (tmp_path / "fit.html").stat().st_size > 100_000
    assert len((tmp_path / "clusters.csv").read_text().splitlines()) == 11


def test_both_commands_stand_on_their_own():
    first, second = (block.strip() for block in snippets("sh")[:2])
    for line in (first, second):
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/")


def test_files_that_are_named_exist():
    root = Path(__file__).parents[1]
    named = set(re.findall(r"`((?:bayesgmm|tests|models|examples)/[\w/.-]+)`", README))
    assert named
    assert all((root / name).exists() for name in named)
