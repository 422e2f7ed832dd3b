"""The product affinity map of customers: a row per customer and category, with when it is expected again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.recommending.affinity import probabilities
from features.recommending.candidates import Asked
from features.recommending.grouped import look_up
from features.recommending.night import ShopNight
from features.recommending.pairs import Floats, Numbers, purchases
from features.recommending.replenishment import expect


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryMap:
    """One row per customer and category, in the order of customers, then the most probable first.

    Parameters
    ----------
    customer, category
        (rows,) places among those asked about, and numbers of categories.
    probability
        How likely the customer's next basket holds it.
    affinity
        That over how likely a stranger's does; missing where nobody bought it in the last 30 days.
    basket_count, recency_days
        The customer's baskets that held it, and days since the last; missing days where none did.
    due_days
        In how many days the customer's usual gap is over, less than 0 where it was; missing below two purchases.
    again_probability, interval
        Whether it is bought within the horizon, and (rows, 3) in how many days a tenth, half and nine tenths of what
        is bought then are; missing below two purchases, or where too little was seen to measure them.
    """

    customer: Numbers
    category: Numbers
    probability: Floats
    affinity: Floats
    basket_count: Numbers
    recency_days: Floats
    due_days: Floats
    again_probability: Floats
    interval: Floats


def map_categories(night: ShopNight, asked: Asked, *, count: int) -> CategoryMap:
    """Return the most probable categories of every customer that is asked about, at most `count` of each.

    A customer of whom no basket is known gets what everyone buys.
    """
    baskets, categories = night.in_categories(asked.baskets), max(night.shelf.category_count, 1)
    likely = probabilities(baskets, night.affinities)
    best = np.argsort(-likely, axis=1, kind="stable")[:, :count]
    customer, category = np.repeat(np.arange(len(best)), best.shape[1]), best.ravel()
    probability, everyones = likely[customer, category], night.affinities.of_a_stranger[category]
    keys = customer * categories + category
    bought, again = purchases(baskets), expect(baskets, night.categories_again.rhythms)
    held = bought.customer * categories + bought.product
    expected = again.customer * categories + again.item
    return CategoryMap(
        customer=customer,
        category=category,
        probability=probability,
        affinity=probability / np.where(night.affinities.share[category] > 0, everyones, np.nan),
        basket_count=_at(keys, held, bought.counts.astype(float), otherwise=0.0).astype(np.int64),
        recency_days=_at(keys, held, bought.days_ago[bought.last]),
        due_days=_at(keys, expected, again.due_days),
        again_probability=_at(keys, expected, night.categories_again.share(again)),
        interval=_at(keys, expected, night.categories_again.interval(again)),
    )


def _at(keys: Numbers, known: Numbers, figures: Floats, *, otherwise: float = np.nan) -> Floats:
    """Return the figures of some keys, `known` ascend; a row of figures may be several."""
    if not len(known):
        return np.full((len(keys), *figures.shape[1:]), otherwise)
    place, is_there = look_up(known, keys)
    found: Floats = np.where(is_there.reshape(-1, *[1] * (figures.ndim - 1)), figures[place], otherwise)
    return found
