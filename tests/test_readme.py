"""The README's snippets run as they stand."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import run_readme
from run_readme import README, shell_lines, snippets

from bayesgmm.compiled import quick_options

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder in which all snippets were run, and what they found."""
    folder = tmp_path_factory.mktemp("readme")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", run_readme.__file__, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "XLA_FLAGS": _quickly_compiled()},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads((folder / "found.json").read_text(encoding="utf-8"))


def _quickly_compiled():
    """XLA's flags, with the options that our own programs are compiled with for NumPyro's as well."""
    ours = [f"--{name}={str(value).lower()}" for name, value in quick_options().items()]
    return " ".join([os.environ.get("XLA_FLAGS", ""), *ours])


@pytest.mark.slow
def test_python_snippets_run_in_order(ran):
    found = ran[1]["python"]
    assert found["best"] == 3
    assert found["r_hat"] < 1.05
    for chain in found["cold means"]:  # both chains found both kinds of eruption
        assert chain == pytest.approx(found["em means"], abs=1.5)


@pytest.mark.slow
def test_shell_snippets_run_in_order(ran):
    folder, found = ran
    assert list(found["shell"]) == shell_lines() and len(shell_lines()) == 6
    for line, (code, output) in found["shell"].items():
        assert code == 0, f"{line}\n{output}"
    assert (folder / "faithful.html").stat().st_size > 100_000
    assert (folder / "fit.html").stat().st_size > 100_000
    assert len((folder / "clusters.csv").read_text().splitlines()) == 11


def test_both_commands_stand_on_their_own():
    first, second = (block.strip() for block in snippets("sh")[:2])
    for line in (first, second):
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/")


def test_files_that_are_named_exist():
    named = set(re.findall(r"`((?:bayesgmm|tests|models|examples)/[\w/.-]+)`", README))
    assert named
    assert all((ROOT / name).exists() for name in named)
