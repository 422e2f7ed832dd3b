"""Everyone on the same past, asked for the same next baskets, measured by the same resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recommender.peers import (
    Peer,
    Ranked,
    TifuKnn,
    factorised,
    nearest_items,
    personal_frequency,
    personal_then_popular,
    popularity,
)
from facts.baskets import Baskets
from facts.errors import GateFailed
from facts.lake import Lake
from features.recommending.candidates import find_candidates
from scoring.ranker import Ranker
from training.evaluation import DRAWS
from training.metrics import Estimate
from training.metrics.pairs import Floats
from training.metrics.ranking import LENGTHS, NOBODY, estimate_means, ranking_values
from training.recommender.baselines import counts_of
from training.recommender.evaluation import GATED_BY, PARTS, parts_of
from training.recommender.fitting import FIRST, fit_ranker
from training.recommender.nights import plan_nights, read_night_questions
from training.recommender.questions import Found, Night, RankingRows, last_baskets, ranking_rows

SEED = 1
OURS = "Regulars"
LEARNED_FROM = 4  # baskets of every customer
DISCOVER = "new, by lists of new products alone"
NEW = PARTS[2]
# What the paper searched over, thinned: every second value of the decays, three numbers of neighbours.
TIFU_SETTINGS = tuple(
    TifuKnn(group_size=size, within_decay=within, group_decay=group, neighbours=near)
    for size, within, group, near in product((3, 7), (0.9, 1.0), (0.6, 0.8, 1.0), (300, 900))
)
TIFU_ALPHAS = (0.2, 0.5, 0.7, 0.9)
MOST_SEARCHED = 1_000  # customers by whom settings are chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one way to foretell: by part of the basket every metric of every customer.

    Under `DISCOVER` is the part that is new, foretold by lists of nothing else.
    """

    name: str
    values: Mapping[str, Mapping[str, Floats]]
    said: str = ""

    def estimates(self, part: str) -> dict[str, Estimate]:
        """Return the metrics of a part, over the customers of whom something of it is wanted."""
        return estimate_means(self.values[part], draws=DRAWS, seed=SEED)

    def ahead_of(self, other: Outcome, part: str) -> dict[str, Estimate]:
        """Return by how much it is better than another, customer by customer."""
        theirs = other.values[part]
        apart = {name: values - theirs[name] for name, values in self.values[part].items()}
        return estimate_means(apart, draws=DRAWS, seed=SEED)


def measure(past: Baskets, future: Baskets, ours: Ours, *, on_step: Callable[[str], None]) -> list[Outcome]:
    """Ask everyone for the next basket of every customer, and measure those whose next basket is known.

    Both have the same numbers of customers and products.
    """
    wanted = parts_of(counts_of(future), counts_of(past))
    on_step("TIFU-KNN: settings")
    tifu, tifu_for_new = search_tifu(past), search_tifu(past, is_new=True)

    def best_tifu(past: Baskets, count: int, *, is_new: bool = False) -> Ranked:
        return (tifu_for_new if is_new else tifu)(past, count, is_new=is_new)

    peers: list[tuple[str, Peer, str]] = [
        ("popularity", popularity, ""),
        ("personal frequency", personal_frequency, ""),
        ("personal frequency, then popularity", personal_then_popular, ""),
        ("item-to-item neighbours", nearest_items, "cosine of the baskets that hold both, by implicit"),
        ("ALS", factorised, "64 factors, by implicit"),
        ("TIFU-KNN", best_tifu, f"{tifu}; for lists of new products {tifu_for_new}"),
        (OURS, ours, ""),
    ]
    found = []
    for name, peer, said in peers:
        on_step(name)
        ranked = peer(past, max(LENGTHS))
        values = {part: ranking_values(ranked, wanted[part]) for part in PARTS}
        values[DISCOVER] = ranking_values(peer(past, max(LENGTHS), is_new=True), wanted[NEW])
        found.append(Outcome(name=name, values=values, said=said))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The project itself: lists of products, and of new products alone, of the customers whose numbers are `whose`."""

    lists: Ranked
    of_new: Ranked
    whose: NDArray[np.int64]

    @classmethod
    def of(cls, night: Night, ranker: Ranker, whose: NDArray[np.int64]) -> Ours:
        """Rank the candidates of a night's customers, some at a time."""
        lists, of_new = [], []
        for places, asked in night.questions():
            found = Found(places, ((len(places), find_candidates(night.shelf, asked)),), night.shelf.category)
            lists.append(found.rank(ranker, max(LENGTHS)))
            of_new.append(found.rank(ranker, max(LENGTHS), repeat_share=0.0))
        return cls(lists=np.concatenate(lists), of_new=np.concatenate(of_new), whose=whose)

    def __call__(self, past: Baskets, count: int, *, is_new: bool = False) -> Ranked:
        """Rank products for the customers of whom it has lists; the past is the one that they are of."""
        ranked = np.full((len(past.customer_ids), count), NOBODY, np.int64)
        ranked[self.whose] = (self.of_new if is_new else self.lists)[:, :count]
        return ranked


def of_last_baskets(past: Baskets) -> Ours:
    """Learn a ranking from the last known baskets, four of every customer, and ask it about the next ones.

    Raises
    ------
    GateFailed
        No customer has two known baskets.
    """
    rows, latest, earlier = [], None, past
    for _ in range(LEARNED_FROM):
        earlier, later = last_baskets(earlier)
        if len(later.customer):
            night = Night.of(earlier, later)
            rows.append(ranking_rows(night))
            latest = latest or night
    if latest is None:
        raise GateFailed("customers with two known baskets", needed="at least 1", found="0")
    return Ours.of(Night.of(past), _learned(rows, latest, place=0), np.arange(len(past.customer_ids)))


def _learned(rows: list[RankingRows], last: Night, *, place: int) -> Ranker:
    """Learn a ranking from nights by those first settings that foretell the last one best; its rows are at `place`."""
    earlier, found = RankingRows.joined([*rows[:place], *rows[place + 1 :]] or rows), Found.of(last, most=MOST_SEARCHED)
    wanted = last.wanted[found.places]

    def value(params: Mapping[str, Any]) -> float:
        ranked = found.rank(fit_ranker(earlier, params, seed=SEED), min(LENGTHS))
        return float(np.nanmean(ranking_values(ranked, wanted, lengths=(min(LENGTHS),))[GATED_BY]))

    return fit_ranker(RankingRows.joined(rows), max(FIRST, key=value), seed=SEED)


def in_time(lake: Lake) -> tuple[Baskets, Baskets, Ours]:
    """Split in time, as `regulars recommender train` does: a night's baskets, and each customer's first one after it.

    The ranking is learned from the nights before.
    """
    plan = plan_nights(lake.shop())
    *train, test = (read_night_questions(lake, cutoff, plan.wait) for cutoff in plan.cutoffs)
    rows = [ranking_rows(night) for night in train]
    past = replace(test.past, product_ids=test.future.product_ids)
    whose = np.searchsorted(past.customer_ids, test.future.customer_ids)
    future = replace(test.future, customer_ids=past.customer_ids, now=past.now, customer=whose[test.future.customer])
    return past, future, Ours.of(test, _learned(rows, train[-1], place=len(rows) - 1), whose)


def search_tifu(past: Baskets, *, is_new: bool = False) -> TifuKnn:
    """Choose the settings that foretell the last known basket best, or what is new in it, by recall at ten."""
    before, last = last_baskets(past)
    wanted = parts_of(counts_of(last), counts_of(before))[NEW if is_new else PARTS[0]]
    asked = np.flatnonzero(np.diff(wanted.indptr))[:MOST_SEARCHED]

    def recall(ranked: Ranked) -> float:
        return float(np.mean(ranking_values(ranked, wanted[asked], lengths=(10,))["recall_at_10"]))

    tried = [
        (recall(ranked), setting)
        for settings in TIFU_SETTINGS
        for setting, ranked in settings.with_alphas(before, 10, TIFU_ALPHAS, asked, is_new=is_new)
    ]
    return max(tried, key=lambda found: found[0])[1]
