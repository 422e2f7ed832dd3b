"""Whether the next category is what the affinity map says: beside what everyone buys, and what the customer did."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from features.recommending.affinity import learn_affinities, probabilities
from features.recommending.nearest import NOBODY
from features.recommending.shelf import in_categories
from training.evaluation import DRAWS
from training.metrics import Estimate
from training.metrics.ranking import estimate_means, ranking_values
from training.recommender.baselines import by_frequency, by_popularity, counts_of, filled
from training.recommender.questions import MOST_ASKED, Night

MAP = "this map"
LENGTHS = (1, 5)


def measure_next_category(night: Night, *, seed: int) -> Mapping[str, Mapping[str, Estimate]]:
    """Measure the first and the first five categories of every customer who is asked about, by method.

    Of the map also `expected_hit_rate_at_1`, what it said of the first, and `expected_count`, how many categories it
    expected in the basket, beside the `count` there were; and by how much its metrics are ahead of the
    others', as `ahead of popularity` and so on. Nothing where products have no categories.
    """
    categories = night.shelf.category_count
    if not categories:
        return {}
    places = night.places(MOST_ASKED)
    unknown = len(night.future.product_ids) - night.shelf.product_count  # products that came after the night
    category = np.pad(night.shelf.category, (0, unknown), constant_values=NOBODY)
    past = in_categories(night.ask(places).baskets, night.shelf.category, categories)
    wanted = counts_of(in_categories(night.future.among(places), category, categories))
    affinities = learn_affinities(in_categories(night.past, night.shelf.category, categories))
    likely, popular, most = probabilities(past, affinities), affinities.share, max(LENGTHS)
    ranked = {
        MAP: np.argsort(-likely, axis=1, kind="stable")[:, :most],
        "popularity": by_popularity(popular, len(places), most),
        "personal frequency, then popularity": filled(by_frequency(past, popular, most), popular),
    }
    values = {name: ranking_values(lists, wanted, lengths=LENGTHS) for name, lists in ranked.items()}
    for name in list(ranked)[1:]:
        values[f"ahead of {name}"] = {metric: of - values[name][metric] for metric, of in values[MAP].items()}
    is_known = np.isfinite(values[MAP]["hit_rate_at_1"])
    values[MAP] |= {
        "expected_hit_rate_at_1": np.where(is_known, likely.max(axis=1), np.nan),
        "expected_count": np.where(is_known, likely.sum(axis=1), np.nan),
        "count": np.where(is_known, np.diff(wanted.indptr), np.nan),
    }
    return {name: estimate_means(of, draws=DRAWS, seed=seed) for name, of in values.items()}
