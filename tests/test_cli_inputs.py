"""Ways into the command line: a configuration file, the standard input, completion; and a page from a saved fit."""

import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import bayesgmm as bg
from bayesgmm.cli import main
from bayesgmm.cli.command import structures_for


def run(*arguments, stdin=None):
    return CliRunner().invoke(main, [*map(str, arguments), "--no-cache"], input=stdin)


def configured(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    return path


def test_a_configuration_file_stands_in_for_options_and_the_command_line_wins(tmp_path):
    path = configured(
        tmp_path,
        '[fit]\ndata = "faithful"\ncomponents = 3\ncovariance-type = "tied"\n\n[select]\nmax-components = 2\n',
    )
    assert (
        run("fit", "--config", path).stdout
        == run("fit", "faithful", "-k", 3, "--covariance-type", "tied").stdout
    )
    given = run("fit", "faithful", "--config", path, "-k", 1)
    assert given.stdout.startswith("EM fit of 1 tied component to faithful")


def test_a_list_and_a_flag_come_from_the_configuration_too(tmp_path):
    path = configured(
        tmp_path,
        '[compare]\nno-nuts = true\nmax-components = 2\ncovariance-type = ["tied", "diag"]\nformat = "csv"\n',
    )
    done = run("compare", "faithful", "--config", path)
    assert done.exit_code == 0, done.output
    assert "EM, 4 models" in done.stderr and done.stdout.count("\n") == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[fit]\ncomponent = 2\n", "[fit]: expected options; got 'component'. Did you mean 'components'?"),
        ("[fits]\n", "expected tables named for commands; got 'fits'. Did you mean 'fit'?"),
        ("fit = 3\n", "expected the table [fit]; got fit = 3"),
        ("[fit\n", "is no TOML"),
        ('[fit]\ncomponents = "two"\n', "[fit]: expected components to be a whole number; got 'two'"),
        ("[fit]\ncomponents = 2.5\n", "[fit]: expected components to be a whole number; got 2.5"),
        (None, "cannot be read"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_in_words(tmp_path, text, said):
    path = tmp_path / "none.toml" if text is None else configured(tmp_path, text)
    done = run("fit", "faithful", "--config", path)
    assert done.exit_code == 2 and done.stdout == ""
    assert said in " ".join(done.stderr.split())


def test_rows_come_from_the_standard_input():
    rows = bg.load_dataset("faithful").to_csv(index=False)
    piped = run("fit", "-", "-k", 2, stdin=rows)
    assert piped.exit_code == 0, piped.output
    assert piped.stdout == run("fit", "faithful", "-k", 2).stdout.replace("to faithful", "to stdin")
    empty = run("fit", "-", "-k", 2, stdin="")
    assert empty.exit_code == 2 and "'stdin.csv' could not be read" in empty.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts_are_printed(shell):
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0 and "_BAYESGMM_COMPLETE" in done.stdout


def test_data_sets_engines_and_files_are_completed():
    def completed(*words):
        asked = {"COMP_WORDS": " ".join(["bayesgmm", *words]), "COMP_CWORD": str(len(words))}
        code = (
            "import sys; sys.argv[0] = 'bayesgmm'; from bayesgmm.cli import main; main(prog_name='bayesgmm')"
        )
        environment = {**os.environ, **asked, "_BAYESGMM_COMPLETE": "zsh_complete"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        return done.stdout.split("\n")

    assert "faithful" in completed("fit", "fai")
    assert "file" in completed("fit", "my")
    assert {"nuts", "gibbs"} <= set(completed("fit", "faithful", "--engine", ""))


@pytest.mark.parametrize(
    "engine",
    ["em", pytest.param("cavi", marks=pytest.mark.slow), pytest.param("gibbs", marks=pytest.mark.slow)],
)
def test_a_saved_fit_becomes_a_page(tmp_path, engine):
    saved, page = tmp_path / "fit.nc", tmp_path / "page.html"
    chains = ["--chains", 2, "--samples", 50] if engine == "gibbs" else []
    assert run("fit", "faithful", "-k", 2, "--engine", engine, "--out", saved, *chains).exit_code == 0
    done = run("report", saved, "--out", page)
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert "One model was fitted, 2 components each with its own covariance (full)" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert run("report", "nothing.nc", "--out", page).exit_code == 2


def test_every_criterion_can_be_asked_for():
    from bayesgmm.cli.command import CRITERIA as OFFERED
    from bayesgmm.criteria.information import CRITERIA

    assert set(OFFERED) == set(CRITERIA)


@pytest.mark.parametrize("n_features", range(1, 8))
def test_every_structure_that_is_another_model_is_tried(n_features):
    """Of three features and two components, tied and diagonal covariances have as many parameters, by chance."""
    data = bg.as_data(np.random.default_rng(0).normal(size=(20, n_features)))
    every = ("full", "tied", "diag", "spherical") if n_features > 1 else ("full", "tied")
    assert structures_for(data, ()) == every
