"""scikit-learn's judgement: its estimator checks, and its own mixture tests run unchanged against our classes."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sklearn
from sklearn.utils.estimator_checks import check_estimator

import bayesgmm as bg

HERE = Path(__file__).parent

# Quick enough: em and cavi. The others sample, or fit a guide: every one of some forty fits of a check compiles anew, a
# quarter of an hour for each, and none of them takes row weights, which the checks of sample_weight ask for.
CHECKED = {
    "GaussianMixture, em": bg.GaussianMixture(engine="em"),
    "GaussianMixture, cavi": bg.GaussianMixture(engine="cavi"),
    "BayesianGaussianMixture, cavi": bg.BayesianGaussianMixture(engine="cavi"),
    "BayesianGaussianMixture, em": bg.BayesianGaussianMixture(  # em knows no mode of a Dirichlet process
        engine="em", weight_concentration_prior_type="dirichlet_distribution"
    ),
}
NOT_PASSED = {
    # Its 15 rows have 30 features, and the default prior, scaled to the rows, is then singular: refused in words.
    "GaussianMixture, cavi": {"check_sample_weight_equivalence_on_dense_data"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_estimator_checks_pass(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(CHECKED[name], on_skip=None, on_fail=None)
    failed = {check["check_name"]: check["exception"] for check in found if check["status"] == "failed"}
    assert set(failed) == NOT_PASSED.get(name, set()), failed
    assert sum(check["status"] == "passed" for check in found) >= 40


# Their tests that ours do not pass, and why.
GAUSSIAN, BAYESIAN = "test_gaussian_mixture", "test_bayesian_mixture"
EXCEPTIONS = {
    (
        GAUSSIAN,
        "test_gaussian_mixture_precisions_init",
    ): "calls _set_parameters and _initialize, private to theirs",
    (GAUSSIAN, "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters"): (
        "counts the calls of a private function of theirs"
    ),
    (
        BAYESIAN,
        "test_compare_covar_type",
    ): "calls _check_parameters and _initialize_parameters, private to theirs",
    (GAUSSIAN, "test_multiple_init"): (
        "takes the default for a single start; ours searches, and five starts to the letter may end lower"
    ),
    (GAUSSIAN, "test_gaussian_mixture_setting_best_params"): (
        "wants a fit that diverges to be returned; ours is refused in words"
    ),
    (GAUSSIAN, "test_gaussian_mixture_precisions_init_diag"): (
        "compares components by number; ours are by weight, and two of .5 are in the order of rounding"
    ),
    (BAYESIAN, "test_monotonic_likelihood"): (
        "a warm start of cavi begins at the mixture of the posterior means, where the bound may dip"
    ),
    (BAYESIAN, "test_invariant_translation"): (
        "wants seven decimals of a covariance of 39 at tol=1e-3; ours agree to 6e-9 of it, so rounding decides"
    ),
}
BY_ROUNDING = {
    (BAYESIAN, "test_invariant_translation"),
    (GAUSSIAN, "test_gaussian_mixture_precisions_init_diag"),
}
# Tests of scikit-learn's own functions, which pass whatever our classes do.
NOT_OURS = "suffstat or log_det_cholesky or log_probabilities or dirichlet_norm or wishart_norm or array_api"
# Three minutes of compiling many shapes: run with BAYESGMM_ALL_OF_SCIKIT_LEARN=1.
LONG = (
    "regularisation or test_sample or verbose or test_init or n_init or predict_proba or fit_predict or concistency or "
    "check_precisions or check_covariance or prior_init or mixture_fit or n_parameters or bic or for_all_inits or "
    "monotonic or translation or estimate_log or mixture_weights or multiple_init"
)


@pytest.mark.slow
def test_their_own_tests_pass(tmp_path):
    everything = bool(os.environ.get("BAYESGMM_ALL_OF_SCIKIT_LEARN"))
    left_out = NOT_OURS if everything else f"{NOT_OURS} or {LONG}"
    report = tmp_path / "report.xml"
    modules = [
        f"sklearn.mixture.tests.test_{name}" for name in ("gaussian_mixture", "bayesian_mixture", "mixture")
    ]
    root = Path(sklearn.__file__).parents[1]
    options = ["-q", "-c", os.devnull, f"--rootdir={root}", f"--junitxml={report}"]
    options += ["-p", "no:cacheprovider", "-p", "ours_for_theirs"]
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-k", f"not ({left_out})", "--pyargs", *modules],
        cwd=tmp_path,
        # Compiling is nearly all that it does: quickly, then, rather than well.
        env={**os.environ, "PYTHONPATH": path, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        capture_output=True,
        check=False,
    )
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    names = {case: (case.get("classname").split(".")[-1], case.get("name").split("[")[0]) for case in cases}
    failed = {
        names[case] for case in cases if case.find("failure") is not None or case.find("error") is not None
    }
    passed = [case for case in cases if not list(case)]
    assert failed - set(EXCEPTIONS) == set()
    assert not everything or set(EXCEPTIONS) - failed <= BY_ROUNDING, (
        "these pass: strike them from the exceptions"
    )
    assert len(passed) >= (50 if everything else 12)
