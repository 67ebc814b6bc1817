"""The page: self-contained, and nothing in it that the results do not say."""

import base64
import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from small_fits import em, posterior, selection

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.report import page, reproduce, sections, words


class Page(HTMLParser):
    """Headings, text, image sources and addresses of a page."""

    def __init__(self, source):
        super().__init__()
        self.open, self.headings, self.images, self.addresses, self.tags, self.text = (
            [],
            [],
            [],
            [],
            set(),
            [],
        )
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.open.append(tag)
        if tag == "img":
            self.images.append(attrs)
        self.addresses += [v for k, v in attrs.items() if k in ("src", "href", "action", "data")]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "h2" in self.open:
            self.headings.append(data)
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "faithful.html"
    known = {"command": "bayesgmm compare faithful", "random_state": 0}
    returned = bg.write_report(path, selection("faithful"), em("faithful"), posterior("faithful"), **known)
    assert returned == path
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(written):
    found = Page(written)
    assert "script" not in found.tags and "link" not in found.tags
    assert found.addresses and all(address.startswith("data:image/") for address in found.addresses)
    assert "http" not in re.sub(r"data:image/[^\"]*", "", written)
    assert "prefers-color-scheme: dark" in written and "@media print" in written
    assert 'name="viewport"' in written


def test_the_page_has_every_section_and_figure(written):
    found = Page(written)
    assert found.headings == [
        *("What was asked", "What was found", "How sure it is", "Comparison"),
        *("Warnings", "Doing it again", "Time and versions"),
    ]
    assert len(found.images) == 6
    assert all(image["alt"] for image in found.images)
    for image in found.images:
        kind, content = image["src"].split(";base64,")
        start = base64.b64decode(content)[:200]
        assert (b"<?xml" in start) if "svg" in kind else start.startswith(b"\x89PNG")


def test_the_numbers_on_the_page_are_the_results(written):
    said = Page(written).words
    post, sweep = posterior("faithful"), selection("faithful")
    assert f"{sweep.best.bic:.2f}" in said
    most = post.predict_proba().max(axis=1)
    assert f"{(most < 0.8).sum()} of 272 rows" in said
    drawn = post.data["clustering"]["drawn_sizes"].values.reshape(-1, 3)
    low, high = np.quantile(drawn[:, 1], (0.03, 0.97)).round().astype(int)
    assert f"component 1 holds {drawn[:, 1].mean():.0f} rows (94 % interval {low} to {high})" in said
    assert post.diagnostics().verdict in said
    for warning in post.warnings:
        assert warning in said
    assert "bayesgmm compare faithful" in said


def test_the_partition_has_its_own_section(tmp_path):
    part = bg.partition(posterior("faithful"), n_starts=2)
    path = bg.write_report(
        tmp_path / "page.html",
        selection("faithful"),
        em("faithful"),
        posterior("faithful"),
        partition=part,
    )
    found = Page(path.read_text(encoding="utf-8"))
    assert "The partition" in found.headings
    told = [image["alt"] for image in found.images]
    for alt in (
        "Probability of each number of clusters, posterior and prior",
        "Similarity matrix of the rows, ordered by cluster",
        "The share of the draws that put each row outside its cluster",
        "The partition and three bounds of its credible ball",
    ):
        assert told.count(alt) == 1
    for sentence in words.partition(part):
        assert " ".join(sentence.split()) in found.words
    assert "before the data" in found.words and "kinds of anything is not in these rows" in found.words
    for warning in part.warnings:
        assert f"partition: {warning}" in found.words


def test_the_runner_up_is_told_with_its_evidence():
    sweep = selection("faithful")
    second = sweep.order[1]
    difference = sweep.value(second) - sweep.value(sweep.order[0])
    told = " ".join(words.choice(sweep))
    assert f"lies {difference:.2f} higher: strong evidence against it" in told
    assert words.described(sweep.fits[second]) in told


def test_the_same_model_under_another_name_is_no_runner_up():
    sweep = bg.select(
        "galaxies_26.96",
        n_components=[1, 2],
        covariance_type=("full", "diag"),
        engine=bg.EM(n_init=3),
        random_state=0,
    )
    told = " ".join(words.choice(sweep))
    assert "lies 0.00 higher" not in told
    assert "The runner-up, 1 component" in told


@pytest.mark.parametrize(("difference", "said"), [(1, "bare mention"), (4, "positive"), (30, "very strong")])
def test_words_follow_the_scale_of_evidence(difference, said):
    sweep = selection("faithful")
    best, second = sweep.order[:2]
    likelihood = (
        sweep.fits[second].log_likelihood + (sweep.value(second) - sweep.value(best) - difference) / 2
    )
    fits = {cell: sweep.fits[cell] for cell in (best, second)}
    fits[second] = dataclasses.replace(fits[second], log_likelihood=likelihood)
    assert said in " ".join(words.choice(dataclasses.replace(sweep, fits=fits)))


def test_without_a_posterior_nothing_is_said_of_uncertainty(tmp_path):
    path = bg.write_report(tmp_path / "em.html", selection("galaxies_26.96"), em("galaxies_26.96"))
    found = Page(path.read_text(encoding="utf-8"))
    assert "No posterior was sampled" in found.words
    assert "R-hat" not in found.words
    assert len(found.images) == 3


def test_names_cannot_break_the_page(tmp_path):
    fit = em("galaxies_26.96")
    evil = dataclasses.replace(
        fit.observed, feature_names=("<b>a & b</b>",), name="<script>alert(1)</script>"
    )
    fits = {
        cell: dataclasses.replace(f, observed=evil) for cell, f in selection("galaxies_26.96").fits.items()
    }
    sweep = dataclasses.replace(selection("galaxies_26.96"), fits=fits)
    path = bg.write_report(tmp_path / "evil.html", sweep, sweep.best)
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text and "<b>" not in text
    assert "<script>alert(1)</script>" in Page(text).words


def test_the_page_is_replaced_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr(page.os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        page._write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing"):
        bg.write_report(tmp_path / "missing" / "page.html", None, None)


def test_the_code_on_the_page_gives_the_same_fit(capsys):
    sweep = bg.select(
        bg.as_data("faithful", columns=["waiting"]),
        n_components=[1, 2],
        covariance_type="full",
        random_state=3,
    )
    code = reproduce.code(sweep, sweep.best, None, "faithful", 3)
    names = {}
    exec(code, names)
    assert names["em"].bic == sweep.best.bic
    assert "BIC" in capsys.readouterr().out


def test_columns_of_words_are_read_from_the_left():
    table = sections.Table(
        "",
        ["", "of", "why", "K", "EM"],
        [["BIC", "components", "the next is 2 worse", "3", "0.1"], ["ICL", "clusters", "", "2", "yes"]],
    )
    assert table.columns_of_words() == [True, True, True, False, False]


def test_the_code_of_a_model_with_other_priors_does_not_pretend(tmp_path):
    post = posterior("faithful")
    told = reproduce.code(selection("faithful"), em("faithful"), post, "faithful", 0)
    k, structure = post.n_components, post.covariance_type
    assert f"model = models.finite_mixture({k}, {structure!r})\n" in told
    other = models.finite_mixture(k, structure, components=models.components.NormalLKJ())
    posed = dataclasses.replace(post, model=other.resolve(post.observed.rows))
    told = reproduce.code(selection("faithful"), em("faithful"), posed, "faithful", 0)
    assert "model = ...  # Dirichlet weights, NormalLKJ components" in told
    asked = page._asked(selection("faithful"), em("faithful"), posed)
    assert "priors: Dirichlet weights, NormalLKJ components" in asked["Posterior"]


def test_numbers_of_components_are_told_as_a_range_where_they_are_one():
    assert page._range([1, 2, 3, 4]) == "1 to 4"
    assert page._range([1, 2]) == "1, 2"
    assert page._range([2, 3, 5]) == "2, 3, 5"
