"""Every method asked at once: two clusters that nobody could miss, and what the table must hold."""

import json

import numpy as np
import pytest

import bayesgmm as bg

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def consensus():
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
