"""What every method says of the number of components and of clusters, in one table, with a verdict in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.criteria.guard import MisspecificationGuard
from bayesgmm.criteria.information import CRITERIA
from bayesgmm.criteria.k_answers import (
    CLUSTERS,
    COMPONENTS,
    MAXIMA,
    Answer,
    criterion_labels,
    of_criterion,
    of_elpds,
    of_posterior,
    of_tests,
    tables_of,
)
from bayesgmm.criteria.likelihood_ratio import LikelihoodRatioTest
from bayesgmm.criteria.model_weights import check_elpds
from bayesgmm.criteria.predictive import n_high_khat
from bayesgmm.criteria.select import Selection
from bayesgmm.tables import markdown_table, text_table

if TYPE_CHECKING:
    import pandas

NEAR_PRIOR = 0.25  # total variation from the prior below which a posterior says what the prior said


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class KTable:
    """Numbers of components and of clusters by method, priors beside posteriors.

    Attributes
    ----------
    answers : one a method
    posteriors : by method, a table by the number with ``probability`` and ``prior``
    guard : the misspecification guard's findings, if it was asked
    cautions : answers that are not to be trusted, and why: chains that disagree, the end of what was tried
    """

    answers: tuple[Answer, ...]
    posteriors: dict[str, pandas.DataFrame]
    guard: MisspecificationGuard | None
    cautions: tuple[str, ...] = ()

    @cached_property
    def table(self) -> pandas.DataFrame:
        """One row a method."""
        import pandas

        return pandas.DataFrame(self.answers, columns=list(Answer._fields))

    def agreed(self, of: str) -> tuple[int, ...]:
        """Numbers of "components" or "clusters" that no method rules out."""
        sets = [set(answer.plausible) for answer in self.answers if answer.of == of]
        return tuple(sorted(set.intersection(*sets))) if sets else ()

    @property
    def verdict(self) -> str:
        """In words; it may be that the data do not determine the number."""
        out = [words for of in (COMPONENTS, CLUSTERS) if (words := self._of(of))]
        if self.guard is not None:
            out.append(self.guard.verdict)
        return "\n".join(out)

    def _of(self, of: str) -> str:
        said = [answer for answer in self.answers if answer.of == of]
        if not said:
            return ""
        best, agreed = sorted({a.best for a in said}), self.agreed(of)
        names = ", ".join(a.method for a in said)
        one = f": one opinion, since all of them judge the same {said[0].basis}"
        one = one if said[0].basis and len({a.basis for a in said}) == 1 else ""
        if len(said) == 1:
            return f"{of}: {_numbers(said[0].plausible)}, by {said[0].method} alone."
        if len(best) == 1 and len(agreed) == 1:
            return f"{of}: {best[0]}, the choice of all {len(said)} methods ({names}){one}."
        if len(agreed) == 1:
            return f"{of}: {agreed[0]} is the one number that is plausible to all {len(said)} methods{one}."
        spread = f"the methods choose {', '.join(map(str, best))}"
        rest = f"plausible to all: {', '.join(map(str, agreed)) or 'none'}"
        return f"{of}: the data do not determine the number; {spread}; {rest}."

    @property
    def warnings(self) -> tuple[str, ...]:
        """Posteriors that repeat their prior, and what the guard found."""
        out = [
            f"the posterior of {name} is close to its prior (total variation {_variation(table):.2f}): it is the "
            "prior that speaks."
            for name, table in self.posteriors.items()
            if _variation(table) < NEAR_PRIOR
        ]
        return (*self.cautions, *out, *(() if self.guard is None else self.guard.warnings))

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table, as text."""
        header = ["method", "of", "says", "plausible", "why"]
        return header, [[a.method, a.of, str(a.best), _numbers(a.plausible), a.words] for a in self.answers]

    def to_markdown(self) -> str:
        """The table and the verdict as Markdown."""
        said = [f"- {words}" for words in (*self.verdict.splitlines(), *self.warnings)]
        return "\n".join([markdown_table(*self.cells()), "", *said, ""])

    def record(self) -> dict[str, Any]:
        """The same as plain numbers, lists and words, for JSON."""
        return {
            "answers": [{**a._asdict(), "plausible": list(a.plausible)} for a in self.answers],
            "posteriors": {
                name: {
                    column: {str(k): float(p) for k, p in table[column].items()}
                    for column in ("probability", "prior")
                }
                for name, table in self.posteriors.items()
            },
            "verdict": self.verdict,
            "warnings": list(self.warnings),
        }

    def __repr__(self) -> str:
        lines = [text_table(*self.cells())]
        for name, table in self.posteriors.items():
            shown = table[(table["probability"] > 0.005) | (table["prior"] > 0.05)]
            percent = [[f"{100 * p:.0f} %" for p in shown[column]] for column in ("probability", "prior")]
            numbers = [str(k) for k in shown.index]
            lines.append(text_table([name, *numbers], [["posterior", *percent[0]], ["prior", *percent[1]]]))
        return "\n".join([*lines, self.verdict, *(f"warning: {w}" for w in self.warnings)])


def k_table(
    selection: Any = None,
    *,
    guard: Any = None,
    tests: Any = (),
    elpds: Any = None,
    evidence: Any = None,
    posteriors: Any = None,
) -> KTable:
    """Set side by side what methods say of the number of components (K) and of clusters (K+).

    A number is plausible to a criterion within 4 (AIC, AICc) or 6 (BIC, ICL) of its lowest value, to held-out density
    within 4 or two standard errors of the best, to a posterior in the smallest set of 90 % probability, to a test where
    it is the first that is not rejected.

    They answer different questions: BIC asks how many components the best supported density has, AIC and elpd the one
    that predicts best, ICL, NEC and merging how many clusters can be told apart, a posterior what to believe given its
    prior. So agreement means much, and disagreement is shown as it is.

    Parameters
    ----------
    selection : by ``select``: its information criteria, each at the best structure of each K
    guard : by ``misspecification_guard``: the merged clusters and the warnings
    tests : by ``likelihood_ratio_test``, K against K + 1 for successive K: the first K that is not rejected
    elpds : by K, what ``loo``, ``waic`` or ``cross_validate`` gave
    evidence : by K, a table with ``probability`` and ``prior``, as ``k_posterior`` gives
    posteriors : by name; K where it is random, and K+, each beside its prior

    Raises
    ------
    TypeError, ValueError
        If nothing is given, or something is not what it should be.
    """
    answers: list[Answer] = []
    tables: dict[str, Any] = {}
    _check(selection, guard, tests, elpds, evidence, posteriors)
    if selection is not None:
        answers += [found for name in CRITERIA if (found := of_criterion(selection, name)) is not None]
    if tests:
        answers.append(of_tests(tests))
    if elpds:
        answers.append(of_elpds(elpds))
    if evidence is not None:
        tables["evidence (K)"] = evidence
    for name, posterior in (posteriors or {}).items():
        tables |= tables_of(name, posterior)
    answers += [of_posterior(name, table) for name, table in tables.items()]
    if guard is not None:
        k = guard.n_clusters
        answers.append(
            Answer(
                "merging", CLUSTERS, k, (k,), f"{guard.n_components} components, merged by overlap", MAXIMA
            )
        )
    if not answers:
        raise ValueError("Expected something to compare, such as selection=bayesgmm.select(x); got nothing.")
    return KTable(
        tuple(answers), tables, guard, _cautions(selection, answers, elpds, evidence, posteriors or {})
    )


def _check(selection: Any, guard: Any, tests: Any, elpds: Any, evidence: Any, posteriors: Any) -> None:
    """Refuse what is not what it should be."""
    for what, kind, value in (("selection", Selection, selection), ("guard", MisspecificationGuard, guard)):
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"Expected {what} to be a {kind.__name__}; got {type(value).__name__}.")
    if not isinstance(tests, Sequence) or not all(isinstance(t, LikelihoodRatioTest) for t in tests):
        raise TypeError(f"Expected tests to be a list of what likelihood_ratio_test returned; got {tests!r}.")
    if elpds is not None:
        check_elpds(elpds, "K")
        others = [k for k in elpds if isinstance(k, bool) or not isinstance(k, int | np.integer)]
        if others:
            raise TypeError(f"Expected elpds by number of components; got {others[0]!r} as one.")
    if evidence is not None and not {"probability", "prior"} <= set(getattr(evidence, "columns", ())):
        raise TypeError(
            "Expected evidence to be the table that k_posterior makes of evidences, with probability and prior; got "
            f"{type(evidence).__name__}."
        )
    if posteriors is not None and not isinstance(posteriors, Mapping):
        raise TypeError(f"Expected posteriors by name; got {type(posteriors).__name__}.")


def _cautions(
    selection: Any, answers: Sequence[Answer], elpds: Any, evidence: Any, posteriors: Mapping[str, Any]
) -> tuple[str, ...]:
    """Which answers are not to be trusted: the end of the sweep, high k-hats, and chains or bridges that warn."""
    out = []
    if selection is not None:
        most = max(k for _, k in selection.fits)
        chosen = [a.method for a in answers if a.best == most and a.method in criterion_labels()]
        if chosen and most > min(k for _, k in selection.fits):
            out.append(f"{', '.join(chosen)} chose the largest number tried, {most}: try more.")
    out += _high_khats(elpds or {})
    out += list(getattr(evidence, "attrs", {}).get("warnings", ()))
    for name, posterior in posteriors.items():
        out += of_chains(name, posterior)
    return tuple(out)


def _high_khats(elpds: Mapping[int, Any]) -> list[str]:
    """For which K importance sampling failed, in one sentence."""
    failed = {k: bad for k, elpd in elpds.items() if (bad := n_high_khat(elpd))}
    if not failed:
        return []
    where = ", ".join(f"K = {k} ({bad} row{'s' * (bad > 1)})" for k, bad in failed.items())
    return [
        f"held-out density: k-hat is high for {where}: elpd is too high there by an unknown amount; "
        "bayesgmm.loo(posterior, refit=True) samples anew without such rows."
    ]


def of_chains(name: str, posterior: Any) -> list[str]:
    """What is wrong with the chains of a posterior, by name, in the first of their own warnings; empty if sound."""
    report = posterior.diagnostics()
    return [] if report.ok else [f"{name}: do not rely on it. {report.warnings[0]}"]


def _variation(table: Any) -> float:
    return 0.5 * float(np.abs(table["probability"] - table["prior"]).sum())


def _numbers(values: tuple[int, ...]) -> str:
    """As text; a range where they follow one another."""
    in_a_row = len(values) > 2 and values == tuple(range(values[0], values[-1] + 1))
    return f"{values[0]}-{values[-1]}" if in_a_row else ", ".join(map(str, values))
