"""``bayesgmm compare`` with held-out density and a picture of the comparison."""

import json

import pytest
from click.testing import CliRunner

from bayesgmm.cli import main


def run(*arguments):
    return CliRunner().invoke(main, ["compare", "faithful", *map(str, arguments), "--no-cache"])


SMALL = ("--max-components", 2, "--covariance-type", "tied", "--no-nuts")


@pytest.mark.slow
def test_folds_and_the_picture(tmp_path):
    picture = tmp_path / "comparison.png"
    done = run(*SMALL, "--folds", 2, "--plot", picture, "--format", "json")
    assert done.exit_code == 0, done.output
    assert f"wrote {picture}" in done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    (fit,) = json.loads(done.stdout)["comparison"]["fits"].values()
    assert -4.5 < fit["held_out"] < -4.0 and fit["held_out_se"] > 0
    assert fit["passes"] >= 1 and fit["passes_of"] == "steps"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--plot", "comparison.doc"), "end in .png, .svg, .pdf; got 'comparison.doc'"),
        (("--plot", "/nonexistent/folder/comparison.png"), "no folder"),
        (("--folds", 1), "1 is not in the range x>=2"),
    ],
)
def test_what_could_not_be_written_is_refused_at_once(arguments, said):
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr and done.stdout == ""
