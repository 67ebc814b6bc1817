"""Every method asked at once: two clusters that nobody could miss, and what the table must hold."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.criteria.k_consensus import _doubts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("consensus")


@pytest.fixture(scope="module")
def consensus(folder):
    rng = np.random.default_rng(4)
    rows = np.concatenate([rng.normal(0, 1, 60), rng.normal(12, 1, 40)])[:, None]
    engine = bg.Gibbs(num_chains=2, num_warmup=200, num_samples=400)
    told = []
    found = bg.k_consensus(
        rows,
        n_components=range(1, 4),
        engine=engine,
        progress=lambda *step: told.append(step),
        random_state=1,
        checkpoint=folder / "made",
    )
    return found, told


def test_two_is_the_one_number_that_no_method_rules_out(consensus):
    found, _ = consensus
    says = found.table.set_index("method")
    sure = ["BIC", "ICL", "merging", "sparse finite (K+)", "finite mixtures (K)", "finite mixtures (K+)"]
    assert set(says.loc[sure, "best"]) == {2}
    assert all(2 in plausible for plausible in says["plausible"])
    assert {"held-out density", "evidence (K)", "Dirichlet process (K+)", "Pitman-Yor (K+)"} <= set(
        says.index
    )
    assert found.agreed("components") == found.agreed("clusters") == (2,)


def test_posteriors_stand_beside_their_priors(consensus):
    found, _ = consensus
    for table in found.posteriors.values():
        assert {"probability", "prior"} <= set(table.columns)
        assert 0.5 * np.abs(table["probability"] - table["prior"]).sum() > 0.05
        assert table["probability"].sum() == pytest.approx(1)


def test_progress_is_told_and_the_record_is_plain(consensus):
    found, told = consensus
    assert ("Gibbs", 7, 7) in told
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["verdict"] == found.verdict
    assert len(record["answers"]) == len(found.table)


def test_called_again_it_draws_nothing_anew(consensus, folder, monkeypatch):
    """The rows are the fixture's; cells of the sweep and chains come from the folder, and the answers are the same."""
    found, _ = consensus
    monkeypatch.setattr("bayesgmm.criteria.select.fit_many", lambda *_: pytest.fail("fitted anew"))
    monkeypatch.setattr(
        "bayesgmm.inference.gibbs.chunks_of_sweeps._advance", lambda *_: pytest.fail("drawn anew")
    )
    monkeypatch.setattr("bayesgmm.criteria.k_consensus.misspecification_guard", lambda *_, **__: None)
    rng = np.random.default_rng(4)
    rows = np.concatenate([rng.normal(0, 1, 60), rng.normal(12, 1, 40)])[:, None]
    engine = bg.Gibbs(num_chains=2, num_warmup=200, num_samples=400)
    arguments = {"engine": engine, "random_state": 1, "checkpoint": folder / "made"}
    again = bg.k_consensus(rows, n_components=range(1, 4), **arguments)
    assert again.answers == tuple(answer for answer in found.answers if answer.method != "merging")


def test_the_posterior_of_bics_choice_is_checked_for_its_tails(consensus):
    found, _ = consensus
    assert found.guard.predictive.fit.n_components == 2
    assert found.guard.predictive.p_value > 0.01


def test_numbers_without_evidence_are_named():
    sweep = SimpleNamespace(fits={("full", k): None for k in (1, 13, 14)})
    posterior = SimpleNamespace(diagnostics=lambda: SimpleNamespace(ok=True))
    (words,) = _doubts(sweep, {1: posterior}, "given")
    assert words.startswith("K = 13, 14 have neither held-out density nor evidence: these stop at K = 12")


def test_checkpoints_are_checked(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="checkpoint to be a folder"):
        bg.k_consensus(np.zeros((20, 1)), checkpoint=file)
    with pytest.raises(ValueError, match="no checkpoint for"):
        bg.k_consensus(np.zeros((20, 1)), engine=SimpleNamespace(num_chains=1), checkpoint=tmp_path)
