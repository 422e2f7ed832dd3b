"""Everyone on the same past, asked for the same next baskets, measured by the same resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from facts.lake import Lake
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
    """The project itself: a ranking, and the candidates of customers, whose numbers are `whose`."""

    ranker: Ranker
    found: Found
    whose: NDArray[np.int64]

    def __call__(self, past: Baskets, count: int, *, is_new: bool = False) -> Ranked:
        """Rank products for the customers of whom it has candidates; the past is the one that they are of."""
        ranked = np.full((len(past.customer_ids), count), NOBODY, np.int64)
        ranked[self.whose] = self.found.rank(self.ranker, count, repeat_share=0.0 if is_new else 1.0)
        return ranked


def of_last_baskets(past: Baskets) -> Ours:
    """Learn a ranking from the last known baskets, four of every customer, and ask it about the next ones."""
    nights, earlier = [], past
    for _ in range(LEARNED_FROM):
        earlier, later = last_baskets(earlier)
        if len(later.customer):
            nights.append(Night.of(earlier, later))
    return Ours(ranker=_learned(nights[::-1]), found=Found.of(Night.of(past)), whose=np.arange(len(past.customer_ids)))


def _learned(nights: Sequence[Night]) -> Ranker:
    """Learn a ranking from nights, oldest first, by those first settings that foretell the last of them best."""
    rows = [ranking_rows(night) for night in nights]
    earlier, last = RankingRows.joined(rows[:-1] or rows), nights[-1]
    found = Found.of(last, most=MOST_SEARCHED)
    wanted = last.wanted[found.places]

    def value(params: Mapping[str, Any]) -> float:
        ranked = found.rank(fit_ranker(earlier, params, seed=SEED), min(LENGTHS))
        return float(np.nanmean(ranking_values(ranked, wanted, lengths=(min(LENGTHS),))[GATED_BY]))

    return fit_ranker(RankingRows.joined(rows), max(FIRST, key=value), seed=SEED)


def in_time(lake: Lake) -> tuple[Baskets, Baskets, Ours]:
    """Split in time, as `regulars train recommender` does: a night's baskets, and each customer's first one after it.

    The ranking is learned from the nights before.
    """
    plan = plan_nights(lake.shop())
    *train, test = (read_night_questions(lake, cutoff, plan.wait) for cutoff in plan.cutoffs)
    past = replace(test.past, product_ids=test.future.product_ids)
    whose = np.searchsorted(past.customer_ids, test.future.customer_ids)
    future = replace(test.future, customer_ids=past.customer_ids, now=past.now, customer=whose[test.future.customer])
    return past, future, Ours(ranker=_learned(train), found=Found.of(test), whose=whose)


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
