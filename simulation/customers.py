"""Who buys: every customer's parameters, drawn independently of each other and of the rest.

References
----------
Fader, Hardie & Lee (2005), "Counting your customers the easy way": purchase rates are gamma, dropout probabilities
beta distributed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.catalogue import CATEGORIES, draw_products
from simulation.clock import Floats, Ints
from simulation.settings import Settings, Style

SMALLEST = 1e-9  # a rate or probability of exactly zero has no logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Customers:
    """One chunk of customers, an array a parameter.

    `preference` ranks the categories, favourites first; `habit` and `cycle_days` belong to the favourites.
    """

    style: Ints
    zone: Ints
    joined: Floats  # even time of the first order
    purchases_per_week: Floats
    dropout_probability: Floats  # that a repeat order is the last
    basket_log_mean: Floats  # of the logarithm of an order's gross amount
    return_probability: Floats
    visits_per_week: Floats
    campaign_factor: Floats  # of the purchase rate while a campaign acts
    preference: Ints
    habit: Ints
    cycle_days: Floats

    def __len__(self) -> int:
        return len(self.style)


def draw_customers(rng: np.random.Generator, count: int, days: int, settings: Settings) -> Customers:
    """Draw the parameters of so many customers of a shop whose record has so many days."""
    style = _draw_index(rng, count, [one.share for one in settings.styles])
    preference = _draw_preference(rng, count)
    favourites = preference[:, : settings.favourite_count]
    effect_mean, effect_sd = (of_style(settings, name)[style] for name in ("log_effect_mean", "log_effect_sd"))
    log_effect = effect_mean + effect_sd * rng.standard_normal(count)
    return Customers(
        style=style,
        zone=_draw_index(rng, count, [share for _name, share in settings.timezones]),
        joined=1 + (days - 2) * rng.beta(settings.joining_a, settings.joining_b, count),
        purchases_per_week=np.maximum(rng.gamma(settings.rate_shape, 1 / settings.rate_weeks, count), SMALLEST),
        dropout_probability=np.maximum(rng.beta(settings.dropout_a, settings.dropout_b, count), SMALLEST),
        basket_log_mean=np.log(settings.basket_median_amount) + settings.basket_between_sd * rng.standard_normal(count),
        return_probability=rng.beta(settings.return_a, settings.return_b, count),
        visits_per_week=of_style(settings, "sessions_per_week")[style] * rng.gamma(2.0, 0.5, count),
        campaign_factor=np.exp(settings.effect_scale * log_effect),
        preference=preference,
        habit=draw_products(rng, favourites.ravel()).reshape(favourites.shape),
        cycle_days=_CYCLES[favourites] * np.exp(settings.cycle_sd * rng.standard_normal(favourites.shape)),
    )


def of_style(settings: Settings, name: str) -> Floats:
    """Return one parameter of every style, in their order."""
    return np.array([getattr(one, name) for one in settings.styles], dtype=np.float64)


def style_names(styles: tuple[Style, ...]) -> list[str]:
    """Return the styles' names, in their order."""
    return [one.name for one in styles]


_CYCLES: Floats = np.array([category.cycle_days for category in CATEGORIES])
_POPULARITY: Floats = np.array([category.popularity for category in CATEGORIES])


def _draw_index(rng: np.random.Generator, count: int, shares: list[float]) -> Ints:
    bounds = np.cumsum(shares) / np.sum(shares)
    return np.asarray(np.searchsorted(bounds[:-1], rng.random(count), side="right"), dtype=np.int64)


def _draw_preference(rng: np.random.Generator, count: int) -> Ints:
    """Rank the categories for each customer: popular ones first, by the Gumbel trick."""
    keys = np.log(_POPULARITY) + rng.gumbel(size=(count, len(CATEGORIES)))
    return np.asarray(np.argsort(-keys, axis=1, kind="stable"), dtype=np.int64)
