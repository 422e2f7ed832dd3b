"""Everyone on the same past, asked for the same next baskets, measured by the same resamples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

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
from training.evaluation import DRAWS
from training.metrics import Estimate
from training.metrics.pairs import Floats
from training.metrics.ranking import LENGTHS, estimate_means, ranking_values
from training.recommender.baselines import counts_of
from training.recommender.evaluation import PARTS, parts_of
from training.recommender.fitting import DEFAULTS, fit_ranker
from training.recommender.questions import Found, Night, RankingRows, last_baskets, ranking_rows

SEED = 1
OURS = "Regulars"
LEARNED_FROM = 4  # baskets of every customer
# What the paper searched over, thinned: every second value of the decays, three numbers of neighbours.
TIFU_SETTINGS = tuple(
    TifuKnn(group_size=size, within_decay=within, group_decay=group, neighbours=near)
    for size, within, group, near in product((3, 7), (0.9, 1.0), (0.6, 0.8, 1.0), (300, 900))
)
TIFU_ALPHAS = (0.2, 0.5, 0.7, 0.9)
MOST_SEARCHED = 1_000  # customers by whom settings are chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one way to foretell: seconds, and by part of the basket every metric of every customer."""

    name: str
    seconds: float
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


def measure(past: Baskets, future: Baskets, *, on_step: Callable[[str], None]) -> list[Outcome]:
    """Ask everyone for the next basket of every customer, and measure those whose next basket is known."""
    wanted = parts_of(counts_of(future), counts_of(past))
    on_step("TIFU-KNN: settings")
    tifu = search_tifu(past)
    peers: list[tuple[str, Peer, str]] = [
        ("popularity", popularity, ""),
        ("personal frequency", personal_frequency, ""),
        ("personal frequency, then popularity", personal_then_popular, ""),
        ("item-to-item neighbours", nearest_items, "cosine of the baskets that hold both, by implicit"),
        ("ALS", factorised, "64 factors, by implicit"),
        ("TIFU-KNN", tifu, str(tifu)),
        (OURS, foretell, ""),
    ]
    found = []
    for name, peer, said in peers:
        on_step(name)
        started = time.monotonic()
        ranked = peer(past, max(LENGTHS))
        seconds = time.monotonic() - started
        values = {part: ranking_values(ranked, wanted[part]) for part in PARTS}
        found.append(Outcome(name=name, seconds=seconds, values=values, said=said))
    return found


def foretell(past: Baskets, count: int) -> Ranked:
    """Rank products by this project: a ranking learned from the last known baskets, four of every customer."""
    nights, earlier = [], past
    for _ in range(LEARNED_FROM):
        earlier, later = last_baskets(earlier)
        if len(later.customer):
            nights.append(ranking_rows(Night.of(earlier, later)))
    ranker = fit_ranker(RankingRows.joined(nights), DEFAULTS, seed=SEED)
    return Found.of(Night.of(past)).rank(ranker, count)


def search_tifu(past: Baskets) -> TifuKnn:
    """Choose the settings that foretell the last known basket best, by recall at ten."""
    before, last = last_baskets(past)
    wanted = counts_of(last)
    asked = np.flatnonzero(np.diff(wanted.indptr))[:MOST_SEARCHED]

    def recall(ranked: Ranked) -> float:
        return float(np.mean(ranking_values(ranked, wanted[asked], lengths=(10,))["recall_at_10"]))

    tried = [
        (recall(ranked), setting)
        for settings in TIFU_SETTINGS
        for setting, ranked in settings.with_alphas(before, 10, TIFU_ALPHAS, asked)
    ]
    return max(tried, key=lambda found: found[0])[1]
