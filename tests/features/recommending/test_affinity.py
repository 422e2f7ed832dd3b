"""Planted leanings are found, everyone's shares stand for strangers, and a customer alone is as among all."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from facts.baskets import Baskets, baskets_of
from features.recommending.affinity import learn_affinities, probabilities
from features.recommending.asking import ask
from features.recommending.category_map import map_categories
from features.recommending.night import ShopNight, read_night
from tests.market import CUSTOMERS, ONCE, TASTES


@pytest.fixture(scope="module")
def night(market) -> ShopNight:
    return read_night(market)


def leaning(customers: int, seed: int) -> tuple[Baskets, np.ndarray]:
    """Return baskets of customers with constant leanings to three categories, and those; a fourth is in all baskets."""
    chance = np.random.default_rng(seed)
    leanings = chance.beta(2, 3, size=(customers, 3))
    rows = [
        (f"{customer:04}", f"{customer}-{at}", float(at), category)
        for customer in range(customers)
        for at in range(25)
        for category in range(4)
        if category == 3 or chance.random() < leanings[customer, category]
    ]
    told = pd.DataFrame(rows, columns=["customer_id", "basket", "at", "product_id"])
    return baskets_of(told, now=25.0, product_ids=[0, 1, 2, 3]), leanings


def test_planted_leanings_are_found_and_old_baskets_count_where_nothing_changes():
    baskets, leanings = leaning(400, seed=2)
    learned = learn_affinities(baskets)
    assert learned.fit[0] >= 0.98
    likely = probabilities(baskets, learned)[:, :3]
    own = np.array([int(name) for name in baskets.customer_ids])
    assert np.sqrt(np.mean((likely - leanings[own]) ** 2)) < 0.12  # of 25 baskets; 0.2 by everyone's share


def test_a_stranger_has_everyones_shares_and_nothing_is_beyond_certainty():
    baskets, _ = leaning(50, seed=4)
    learned = learn_affinities(baskets)
    nobody = baskets.among(np.empty(0, dtype=np.int64))
    stranger = baskets_of(
        pd.DataFrame(columns=["customer_id", "basket", "at", "product_id"]), now=0.0, product_ids=[0, 1, 2, 3]
    )
    assert probabilities(nobody, learned).shape == probabilities(stranger, learned).shape == (0, 4)
    likely = probabilities(baskets, learned)
    assert ((likely >= 0) & (likely <= 1)).all()


def test_a_customer_alone_has_the_map_that_it_has_among_others(night):
    names, at = (
        [*(f"c{number}" for number in range(0, CUSTOMERS, 7)), ONCE, "nobody"],
        night.cutoff + timedelta(hours=3),
    )
    among = map_categories(night, ask(night, names, {}, at=at), count=3)
    for place, name in enumerate(names):
        alone = map_categories(night, ask(night, [name], {}, at=at), count=3)
        rows = among.customer == place
        for figures in ("category", "probability", "affinity", "basket_count", "recency_days", "due_days", "interval"):
            assert np.array_equal(getattr(alone, figures), getattr(among, figures)[rows], equal_nan=True), (
                name,
                figures,
            )


def test_the_next_category_is_the_customers_taste(night):
    names = [f"c{number}" for number in range(40)]
    found = map_categories(night, ask(night, names, {}, at=night.cutoff), count=1)
    told = [night.category_names.text(number) for number in found.category.tolist()]
    assert told == [TASTES[number % len(TASTES)] for number in range(40)]
    assert (found.affinity > 1).all()
    assert np.isfinite(found.due_days).all()


def test_a_stranger_is_told_what_everyone_buys_and_no_dates(night):
    found = map_categories(night, ask(night, ["nobody"], {}, at=night.cutoff), count=10)
    assert found.probability == pytest.approx(np.sort(night.affinities.of_a_stranger)[::-1])
    assert found.affinity == pytest.approx(1.0)
    assert np.isnan(found.due_days).all()
    assert (found.basket_count == 0).all()
