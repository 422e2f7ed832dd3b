"""How good a ranking is on the test night: beside what is simpler, beside the champion, and with which side effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facts.baskets import Baskets
from features.recommending.pairs import trait
from scoring.ranker import Ranker
from training.evaluation import DRAWS
from training.metrics import Estimate
from training.metrics.ranking import LENGTHS, estimate_means, ranking_values
from training.recommender.baselines import by_frequency, by_popularity, counts_of, filled
from training.recommender.questions import MOST_ASKED, Found, Night
from training.recommender.side_effects import SideEffects, side_effects

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
MODEL = "this ranking"
GATED_BY = "ndcg_at_10"
PARTS = ("all", "bought before", "new")
SETTINGS: Mapping[str, tuple[float, float]] = {  # diversity and the share that may have been bought before
    "the ranking as it is": (0.0, 1.0),
    "diversity 0.1": (0.1, 1.0),
    "diversity 0.5": (0.5, 1.0),
    "diversity 1": (1.0, 1.0),
    "repeat_share 0.5": (0.0, 0.5),
    "repeat_share 0": (0.0, 0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingEvaluation:
    """Everything measured of a ranking on the test night.

    Parameters
    ----------
    customers
        Those whose next basket was foretold.
    metrics
        By method, part of the basket and metric, with intervals over customers.
    ahead
        By method, the metrics' paired differences, the ranking less the method.
    side_effects
        By method.
    settings
        By what is asked of the lists beside the ranking: the metrics of this ranking's, and what they are like.
    failed
        What kept it from becoming champion; empty where it is better.
    """

    customers: int
    metrics: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    ahead: Mapping[str, Mapping[str, Estimate]]
    side_effects: Mapping[str, SideEffects]
    settings: Mapping[str, tuple[Mapping[str, Estimate], SideEffects]]
    failed: tuple[str, ...]

    @property
    def is_champion(self) -> bool:
        """Whether the ranking is good enough to be served."""
        return not self.failed

    @property
    def reason(self) -> str:
        """Say in a sentence why it is champion, or why not."""
        if self.failed:
            return "; ".join(self.failed)
        ahead = "; ".join(f"{name} by {found[GATED_BY]:.4f}" for name, found in self.ahead.items())
        return f"{GATED_BY} ahead of {ahead}"


def evaluate(night: Night, ranker: Ranker, *, champion: Ranker | None, seed: int) -> RankingEvaluation:
    """Measure a ranking on a night's questions beside popularity, personal frequency and the champion."""
    count = max(LENGTHS)
    found = Found.of(night, most=MOST_ASKED)
    places, past = found.places, _past(night, found.places)
    popularity = np.pad(
        trait(night.shelf.traits, "product_recent_basket_count"),
        (0, len(night.future.product_ids) - night.shelf.product_count),
    )
    lists = {
        MODEL: found.rank(ranker, count),
        "popularity": by_popularity(popularity, len(places), count),
        "personal frequency, then popularity": filled(by_frequency(past, popularity, count), popularity),
    }
    if champion is not None:
        lists[champion.label] = found.rank(champion, count)
    wanted = parts_of(night.wanted[places], counts_of(past))
    values = {name: {part: ranking_values(ranked, of) for part, of in wanted.items()} for name, ranked in lists.items()}
    ahead = {
        name: estimate_means(
            {metric: figures - values[name]["all"][metric] for metric, figures in values[MODEL]["all"].items()},
            draws=DRAWS,
            seed=seed,
        )
        for name in list(lists)[1:]
    }
    metrics = {
        name: {part: estimate_means(of, draws=DRAWS, seed=seed) for part, of in parts.items()}
        for name, parts in values.items()
    }
    return RankingEvaluation(
        customers=len(places),
        metrics=metrics,
        ahead=ahead,
        side_effects={name: side_effects(night, past, ranked) for name, ranked in lists.items()},
        settings=_settings(night, found, ranker, wanted["all"], past, seed=seed),
        failed=tuple(_failed(ahead)),
    )


def parts_of(wanted: sparse.csr_array, had: sparse.csr_array) -> dict[str, sparse.csr_array]:
    """Return (customers, products) what is wanted: all, what the customer had bought before, and what not."""
    bought = sparse.csr_array(wanted > 0)
    before = sparse.csr_array(bought.multiply(had > 0))
    new = sparse.csr_array(bought.astype(int) - before.astype(int))
    for part in (before, new):
        part.eliminate_zeros()
    return dict(zip(PARTS, (bought, before, new), strict=True))


def _settings(
    night: Night, found: Found, ranker: Ranker, wanted: sparse.csr_array, past: Baskets, *, seed: int
) -> dict[str, tuple[Mapping[str, Estimate], SideEffects]]:
    """Measure what the settings of a list do."""
    told: dict[str, tuple[Mapping[str, Estimate], SideEffects]] = {}
    for name, (diversity, repeat_share) in SETTINGS.items():
        ranked = found.rank(ranker, min(LENGTHS), diversity=diversity, repeat_share=repeat_share)
        values = ranking_values(ranked, wanted, lengths=(min(LENGTHS),))
        metrics = estimate_means(values, draws=DRAWS, seed=seed)
        told[name] = (metrics, side_effects(night, past, ranked))
    return told


def _past(night: Night, places: Numbers) -> Baskets:
    asked = night.ask(places).baskets
    return Baskets(
        customer_ids=asked.customer_ids,
        product_ids=night.future.product_ids,
        customer=asked.customer,
        at=asked.at,
        now=asked.now,
        basket=asked.basket,
        product=asked.product,
    )


def _failed(ahead: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    return [
        f"{GATED_BY} is not beyond noise ahead of {name}: difference {found[GATED_BY]:.4f}"
        for name, found in ahead.items()
        if not found[GATED_BY].low > 0
    ]
