"""The command line: what it prints where, what it exits with, and that --help answers at once."""

import csv
import io
import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import bayesgmm as bg
from bayesgmm.cli import main


def run(*arguments):
    """Run a command in this process; JAX's configuration is left alone."""
    cache = [] if arguments[0] == "datasets" else ["--no-cache"]
    return CliRunner().invoke(main, [*map(str, arguments), *cache])


def test_help_answers_at_once_and_loads_nothing():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = (
        "import sys; from bayesgmm.cli import main\n"
        "try: main(['compare', '--help'])\n"
        "except SystemExit: print(*{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "--report" in done.stdout
    assert not set(done.stdout.splitlines()[-1].split()) & {"jax", "numpy", "pandas", "rich", "matplotlib"}
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_datasets_are_listed():
    result = run("datasets")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in bg.list_datasets())


@pytest.mark.parametrize(
    "engine",
    ["em", pytest.param("nuts", marks=pytest.mark.slow), pytest.param("hmc", marks=pytest.mark.slow), "cavi"],
)
def test_a_saved_fit_predicts_as_the_fit_did(tmp_path, engine):
    path = tmp_path / "fit.nc"
    settings = ["--chains", 2, "--samples", 40] if engine in ("nuts", "hmc") else []
    done = run("fit", "faithful", "-k", 2, "--engine", engine, "--out", path, "--seed", 1, *settings)
    assert done.exit_code == 0, done.output
    assert "component" in done.stdout and "loading" not in done.stdout
    assert "loading:" in done.stderr and f"wrote {path}" in done.stderr
    predicted = run("predict", "faithful", "--model", path)
    rows = list(csv.DictReader(io.StringIO(predicted.stdout)))
    chosen = {
        "em": bg.EM(),
        "nuts": bg.NUTS(num_chains=2, num_samples=40),
        "hmc": bg.HMC(num_chains=2, num_samples=40),
        "cavi": bg.CAVI(),
    }[engine]
    fit = bg.fit("faithful", bg.models.finite_mixture(2), chosen, random_state=1)
    probability = np.array([[float(row["p0"]), float(row["p1"])] for row in rows])
    np.testing.assert_array_equal(probability, fit.predict_proba())
    np.testing.assert_array_equal([float(row["log_density"]) for row in rows], fit.score_samples())
    assert bg.load(path).engine == chosen
    assert [int(row["component"]) for row in rows] == probability.argmax(axis=1).tolist()


def test_foreign_model_files_are_refused_in_words(tmp_path):
    path = tmp_path / "model.nc"
    for words, content in {
        "no netCDF file": b"a,b\n1,2\n",
        "checksum is missing": b"\x89HDF\r\n\x1a\n" + bytes(99),
    }.items():
        path.write_bytes(content)
        result = run("predict", "galaxies_26.96", "--model", path)
        assert result.exit_code == 2
        assert words in result.stderr and "bayesgmm fit --out" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "nothing.csv", "-k", 2], "no file 'nothing.csv'"),
        (["fit", "faithfull", "-k", 2], "Did you mean 'faithful'"),
        (["fit", "faithful", "-k", 0], "0 is not in the range"),
        (["fit", "faithful"], "Missing option '-k'"),
        (["fit", "faithful", "-k", 2, "--columns", "wait"], "Did you mean 'waiting'"),
        (["fit", "faithful", "-k", 999], "Ask for fewer components"),
        (["predict", "faithful", "--model", "nothing.nc"], "no file 'nothing.nc'"),
        (["compare", "faithful", "--report", "/nonexistent/folder/page.html"], "no folder"),
        (["select", "faithful", "--criterion", "dic"], "'dic' is not one of"),
    ],
)
def test_bad_input_exits_with_2_and_one_line_of_remedy(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1 and said in errors[0]
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback():
    result = run("fit", "nothing.csv", "-k", 2, "--debug")
    assert isinstance(result.exception, FileNotFoundError)


def test_a_failure_that_is_not_the_users_exits_with_1(monkeypatch):
    def fail(*_, **__):
        raise FloatingPointError("no start gave\na finite likelihood")

    monkeypatch.setattr("bayesgmm.inference.fit.fit", fail)
    result = run("fit", "faithful", "-k", 2)
    assert result.exit_code == 1
    assert "Error: no start gave a finite likelihood (--debug shows where)" in result.stderr


SMALL = ["--max-components", 2, "--covariance-type", "tied"]


def test_select_prints_every_format():
    table, records, text, markdown = (
        run("select", "faithful", *SMALL, "--format", form).stdout for form in ("table", "json", "csv", "md")
    )
    assert "smaller is better" in table
    found = json.loads(records)
    assert [row["n_components"] for row in found] == [1, 2]
    assert list(csv.DictReader(io.StringIO(text)))[1]["bic"] == str(found[1]["bic"])
    assert markdown.splitlines()[1].startswith("| --- |")
    assert f"{found[1]['bic']:.2f}" in table and f"{found[1]['bic']:.2f}" in markdown


def test_select_goes_on_from_a_checkpoint(tmp_path):
    folder = tmp_path / "fits"
    first = run("select", "faithful", *SMALL, "--checkpoint", folder)
    assert first.exit_code == 0 and any(folder.iterdir())
    assert run("select", "faithful", *SMALL, "--checkpoint", folder).stdout == first.stdout


def test_an_interrupted_fit_is_told_kept_and_exits_with_130(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bayesgmm.inference.problem.Problem.tell", stop)
    path = tmp_path / "fit.nc"
    done = run("fit", "faithful", "-k", 3, "--out", path)
    assert done.exit_code == 130, done.output
    assert "interrupted: the best state until then is kept" in done.stdout
    assert bg.load(path).status.name == "INTERRUPTED"


def test_standard_errors_follow_the_fit():
    done = run("fit", "faithful", "-k", 2, "--standard-errors")
    assert done.exit_code == 0, done.output
    fitted = bg.fit("faithful", bg.models.finite_mixture(2), random_state=0)
    assert done.stdout == f"{fitted!r}\n\n{fitted.standard_errors()!r}\n"
    refused = run("fit", "faithful", "-k", 2, "--engine", "gibbs", "--standard-errors")
    assert refused.exit_code == 2 and "those of a maximum" in refused.stderr


@pytest.mark.slow
def test_compare_does_the_whole_job(tmp_path):
    report = tmp_path / "out.html"
    result = run("compare", "faithful", *SMALL, "--chains", 2, "--samples", 40, "--report", report)
    assert result.exit_code == 0, result.output
    for words in (
        "tied",
        "elpd_loo",
        "R-hat",
        "in doubt",
        "The runner-up",
        "credible ball",
        "before the data",
    ):
        assert words in result.stdout
    lines = [line.split(":")[0] for line in result.stderr.splitlines()]
    assert lines == [
        "loading",
        "EM, 2 models",
        "NUTS",
        "partition",
        "how many",
        "comparison",
        "report",
        f"wrote {report}",
    ]
    page = report.read_text(encoding="utf-8")
    assert "NUTS(num_chains=2, num_samples=40)" in page
    assert "bg.load_dataset" in page


def test_compare_without_nuts_prints_every_format():
    table, text, records, markdown = (
        run("compare", "galaxies_26.96", *SMALL, "--no-nuts", "--format", form).stdout
        for form in ("table", "csv", "json", "md")
    )
    content = json.loads(records)
    assert list(content["comparison"]["fits"]) == ["EM"]
    assert len(content["selection"]) == 2
    assert content["how_many"]["verdict"].splitlines()[0] in table
    found = content["partition"]
    assert found["of"] == "EM"
    assert len(found["rows"]["cluster"]) == 82
    assert any("given one set of parameters" in words for words in found["warnings"])
    sizes = [cluster["sizes"] for cluster in found["clusters"]]
    line = next(iter(csv.DictReader(io.StringIO(text))))
    assert line["partition_sizes"] == "/".join(map(str, sizes))
    assert float(line["partition_expected_loss"]) == pytest.approx(found["expected_loss"])
    assert int(line["partition_rows_in_doubt"]) == len(found["rows_in_doubt"])
    for told in (table, markdown):
        assert "Partition of galaxies_26.96 (82 rows) into" in told
        assert "merged by overlap" in told
        assert "given one set of parameters" in told
        assert all(words in told for words in found["words"])
