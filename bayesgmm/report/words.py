"""Sentences about results. Each is computed; none is said unless it holds."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.criteria.information import CRITERIA
from bayesgmm.plots.membership import SURE
from bayesgmm.posterior.partition_words import head, partition_sentences

SAME = 1e-6  # nats: log-likelihoods closer than this, at as many parameters, are one model under two names

NOT_KINDS = (
    "A cluster is a set of rows that are alike under the model. Whether clusters are kinds of anything is not in these "
    "rows: it takes labels of their own to say so."
)

# Kass & Raftery 1995, section 3.2, on twice the log Bayes factor, which BIC approximates.
BIC_SCALE = (
    (2, "a difference not worth more than a bare mention"),
    (6, "positive evidence against it"),
    (10, "strong evidence against it"),
    (np.inf, "very strong evidence against it"),
)
# Burnham & Anderson 2002, section 2.6, on the runner-up's support.
AIC_SCALE = (
    (2, "substantial support"),
    (4, "some support"),
    (7, "considerably less support"),
    (np.inf, "little"),
)


def described(fit: Any) -> str:
    """A fit's model in a few words.

    "3 components sharing one covariance (tied)"
    """
    k = fit.n_components
    if k == 1:
        return f"1 component ({fit.covariance_type})"
    how = fit.model.structure.description
    return f"{k} components {how} ({fit.covariance_type})" if how else f"{k} {fit.covariance_type} components"


def choice(selection: Any) -> list[str]:
    """What the criterion chose, and by how much over what."""
    name, best = CRITERIA[selection.criterion].label, selection.best
    counts = sorted({k for _, k in selection.fits})
    structures = list(dict.fromkeys(structure for structure, _ in selection.fits))
    value = selection.value(selection.order[0])
    if len(selection.fits) == 1:
        return [
            f"One model was fitted, {described(best)}: its {name} is {value:.2f}, with nothing to compare it to."
        ]
    tried = f"{counts[0]} to {counts[-1]} components" if len(counts) > 1 else f"K = {counts[0]}"
    out = [
        f"Among {len(selection.fits)} models ({tried}; {listed(structures)}), {name} is lowest for {described(best)}: "
        f"{value:.2f}."
    ]
    rivals = [cell for cell in selection.order[1:] if not _is_same(selection.fits[cell], best)]
    if rivals:
        out.append(_runner_up(selection, rivals[0], "The runner-up"))
        others = [cell for cell in rivals if cell[1] != best.n_components]
        if others and others[0] != rivals[0]:
            out.append(_runner_up(selection, others[0], "The best with another number of components"))
    out.append(_other_criteria(selection))
    return [sentence for sentence in out if sentence]


def _is_same(fit: Any, best: Any) -> bool:
    """Whether two cells hold one model, as all structures do with one feature or one component."""
    alike = (fit.n_components, fit.n_parameters) == (best.n_components, best.n_parameters)
    return alike and abs(fit.log_likelihood - best.log_likelihood) < SAME


def _runner_up(selection: Any, cell: Any, who: str) -> str:
    difference = selection.value(cell) - selection.value(selection.order[0])
    said = f"{who}, {described(selection.fits[cell])}, lies {difference:.2f} higher"
    scale = {"bic": BIC_SCALE, "aic": AIC_SCALE}.get(selection.criterion)
    if scale is None:
        return f"{said}."
    words = next(words for most, words in scale if difference <= most)
    if selection.criterion == "aic":
        return f"{said}, which leaves it {words} (Burnham and Anderson 2002)."
    return f"{said}: {words}, on the scale of Kass and Raftery (1995)."


def _other_criteria(selection: Any) -> str:
    """Which models the other criteria prefer."""
    chosen = {}
    for name in ("aic", "bic", "icl"):
        if name != selection.criterion:
            sound = (selection.fits[cell] for cell in selection.order)
            chosen[name.upper()] = min(sound, key=operator.attrgetter(name))
    agree = [name for name, fit in chosen.items() if _is_same(fit, selection.best)]
    parts = [f"{listed(agree, 'and')} agree{'s' * (len(agree) == 1)}"] if agree else []
    parts += [f"{name} prefers {described(fit)}" for name, fit in chosen.items() if name not in agree]
    return f"{'; '.join(parts)}."


def sizes(em: Any, posterior: Any | None) -> list[str]:
    """How many rows each component holds, with the posterior's interval."""
    if posterior is None:
        shares = [f"component {k} {100 * w:.0f} %" for k, w in enumerate(em.weights)]
        return [f"Shares of the rows by EM: {listed(shares)}."]
    drawn = drawn_sizes(posterior)
    low, high = np.quantile(drawn, (0.03, 0.97), axis=0).round().astype(int)
    parts = [
        f"component {k} holds {mean:.0f} rows (94 % interval {a} to {b})"
        for k, (mean, a, b) in enumerate(zip(drawn.mean(axis=0), low, high, strict=True))
    ]
    return [f"By the posterior, of {em.observed.n_rows} rows {listed(parts, 'and')}.", _occupied(posterior)]


def _occupied(posterior: Any) -> str:
    """How many components hold rows at all."""
    probability = posterior.n_clusters
    probability = probability[probability > 0]
    k = posterior.n_components
    if list(probability.index) == [k]:
        whole = "the component holds" if k == 1 else f"all {k} components hold"
        return f"In every draw {whole} at least one row."
    parts = [f"{n} with probability {p:.2f}" for n, p in probability.items()]
    return f"Of {k} components, so many hold at least one row: {listed(parts)}."


def drawn_sizes(posterior: Any) -> NDArray[np.float64]:
    """Rows (S, K) in each component, draw by draw."""
    drawn = posterior.data["clustering"]["drawn_sizes"].values
    return drawn.reshape(-1, drawn.shape[-1])


def doubt(result: Any, probability: NDArray[np.float64]) -> str:
    """How many rows have no clear component; nothing where there is only one."""
    if result.n_components == 1:
        return ""
    n, most = len(probability), probability.max(axis=1)
    n_doubtful = int((most < SURE).sum())
    averaged = ", averaged over the posterior" if result.kind != "EM" else ""
    if not n_doubtful:
        least = f"the lowest is {most.min():.3f}"
        return f"Every row has a component with a probability of at least {SURE}{averaged} ({least})."
    return (
        f"Of {n} rows {n_doubtful} ({100 * n_doubtful / n:.1f} %) {'has' if n_doubtful == 1 else 'have'} no component "
        f"of probability {SURE} or more{averaged}; components are not yet clusters."
    )


def agreement(comparison: Any | None) -> str:
    """How far the fits' partitions agree."""
    if comparison is None or len(comparison.table) < 2:
        return ""
    first, *others = comparison.table.index
    parts = [f"{comparison.table.loc[name, 'agreement']:.3f} for {name}" for name in others]
    return f"Agreement with the partition by {first} (adjusted Rand index; 1 is the same): {listed(parts)}."


def certainty(em: Any, posterior: Any | None) -> list[str]:
    """How far the numbers can be trusted."""
    ended = f"EM {em.status.value}" if em.status.ok else f"EM did not converge: {em.status.value}"
    found = em.restarts[np.isfinite(em.restarts)]
    reached = int((found > found.max() - 0.01).sum())
    starts = f"{reached} of {len(em.restarts)} starts reached its maximum (to 0.01 nats)"
    out = [f"{ended}, after {em.n_steps} steps; {starts}."]
    if posterior is None:
        out.append("No posterior was sampled, so nothing here says how uncertain the parameters are.")
        return out
    diagnostics = posterior.diagnostics()
    return [diagnostics.verdict, *out]


def headline(selection: Any, em: Any, posterior: Any | None, probability: NDArray[np.float64]) -> str:
    """The page's first sentence."""
    n_doubtful = int((probability.max(axis=1) < SURE).sum())
    unclear = f"{n_doubtful} of {len(probability)} rows without a clear component"
    rows = unclear if n_doubtful else "every row has a clear component"
    if posterior is None:
        sure = "uncertainty not computed"
    else:
        sure = "the chains agree" if posterior.diagnostics().ok else "the chains must be read with care"
    return f"{described(em)}; {rows}; {sure}."


def listed(parts: list[str], last: str = "") -> str:
    """Parts separated by commas, with a word before the last."""
    if last and len(parts) > 1:
        return f"{', '.join(parts[:-1])} {last} {parts[-1]}"
    return ", ".join(parts)


def how_many(found: Any | None) -> list[str]:
    """The verdict on the number of components and of clusters, a sentence each."""
    if found is None:
        return []
    return [f"{line[0].upper()}{line[1:]}" for line in (*found.verdict.splitlines(), *found.warnings)]


def partition(found: Any | None) -> list[str]:
    """What the posterior of the partition says, a sentence each, and what it does not."""
    if found is None:
        return []
    told = [f"{text[0].upper()}{text[1:]}." for text in (head(found), *partition_sentences(found))]
    return [*told, NOT_KINDS]
