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
from training.metrics.ranking import LENGTHS, NOBODY, estimate_means, ranking_values
from training.recommender.baselines import by_frequency, by_popularity, counts_of, filled
from training.recommender.questions import MOST_ASKED, Found, Night

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
MODEL = "this ranking"
GATED_BY = "ndcg_at_10"
PARTS = ("all", "bought before", "new")


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffects:
    """What lists do beside being right, of the first ten products of each.

    `repeat_share` is how much of them customers had bought before, `catalogue_coverage` how many of the products that
    are sold are in any list, `novelty` the mean bits of surprise: minus the logarithm of a product's share of buyers.

    References
    ----------
    Castells, Hurley & Vargas (2022), "Novelty and diversity in recommender systems".
    """

    repeat_share: float
    catalogue_coverage: float
    novelty: float


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
    failed
        What kept it from becoming champion; empty where it is better.
    """

    customers: int
    metrics: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    ahead: Mapping[str, Mapping[str, Estimate]]
    side_effects: Mapping[str, SideEffects]
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
    buyers = np.pad(trait(night.shelf.traits, "product_buyer_count"), (0, len(popularity) - night.shelf.product_count))
    return RankingEvaluation(
        customers=len(places),
        metrics=metrics,
        ahead=ahead,
        side_effects={name: _side_effects(ranked, past, buyers) for name, ranked in lists.items()},
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


def _side_effects(ranked: Numbers, past: Baskets, buyers: Floats) -> SideEffects:
    first = ranked[:, : min(LENGTHS)]
    is_told = first != NOBODY
    had = counts_of(past)
    rows = np.broadcast_to(np.arange(len(first))[:, None], first.shape)[is_told]
    products = first[is_told]
    sold, shares = np.asarray(buyers > 0), buyers / max(float(buyers.max(initial=0)), 1.0)
    surprise = -np.log2(np.where(sold, shares, 1.0))
    return SideEffects(
        repeat_share=float(np.mean(np.asarray(had[rows, products]).ravel() > 0)) if len(products) else 0.0,
        catalogue_coverage=float(len(np.unique(products)) / max(int(sold.sum()), 1)),
        novelty=float(surprise[products].mean()) if len(products) else 0.0,
    )
