"""What is in an order: a log-normal amount, spread over categories that are due and some others.

A favourite category is bought at the first order at or after its cycle has passed since it was last bought. Every other
line is of another category. The order's gross amount is drawn first and the lines share it, so its law is exact to the
rounding of unit prices; a product's unit price therefore varies around its list price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.catalogue import PRODUCTS_PER_CATEGORY, Catalogue, draw_products
from simulation.clock import Bools, Floats, Ints
from simulation.customers import Customers, of_style
from simulation.purchases import numbers_within
from simulation.settings import Settings

MOST_UNITS = 12
OTHER_REACH = 0.25  # how fast the interest falls from one other category to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Baskets:
    """The lines of some orders, by order and line number; amounts in cents, before the coupon."""

    order: Ints
    line_number: Ints  # from 1
    product: Ints
    unit_count: Ints
    unit_cents: Ints
    sale_cents: Ints  # given up by reduced prices

    @property
    def gross_cents(self) -> Ints:
        """Amount of every line before discounts."""
        return self.unit_count * self.unit_cents


def draw_amounts(rng: np.random.Generator, customers: Customers, customer: Ints, settings: Settings) -> Floats:
    """Draw the gross amount of an order of each customer, in the shop's currency."""
    log = customers.basket_log_mean[customer] + settings.basket_within_sd * rng.standard_normal(len(customer))
    return np.asarray(np.exp(log), dtype=np.float64)


def draw_baskets(
    rng: np.random.Generator,
    customers: Customers,
    orders: tuple[Ints, Floats],
    amounts: Floats,
    catalogue: Catalogue,
    settings: Settings,
) -> Baskets:
    """Draw the lines of orders, given as customer and even time, by customer and time."""
    customer, even = orders
    due = _due(rng, customers, customer, even)
    others = rng.poisson(settings.other_lines_mean, len(customer))
    others = np.where(due.any(axis=1), others, np.maximum(others, 1))
    order, product = _products(rng, customers, customer, due, others, settings)
    line_number = numbers_within(np.bincount(order, minlength=len(customer))) + 1
    weight = catalogue.price_cents[product] * (0.5 + rng.random(len(product)))
    share = weight / np.bincount(order, weights=weight, minlength=len(customer))[order]
    wanted = np.maximum(amounts[order] * 100 * share, 1.0)
    units = np.clip(np.round(wanted / catalogue.price_cents[product]), 1, MOST_UNITS).astype(np.int64)
    unit_cents = np.maximum(np.round(wanted / units), 1).astype(np.int64)
    probability = of_style(settings, "sale_probability")[customers.style[customer[order]]]
    reduced = rng.random(len(product)) < probability
    rate = rng.uniform(settings.sale_rate_low, settings.sale_rate_high, len(product))
    return Baskets(
        order=order,
        line_number=line_number,
        product=product,
        unit_count=units,
        unit_cents=unit_cents,
        sale_cents=np.where(reduced, np.floor(units * unit_cents * rate), 0).astype(np.int64),
    )


def _due(rng: np.random.Generator, customers: Customers, customer: Ints, even: Floats) -> Bools:
    """Return, order x favourite, which favourites are due; one pass over the customers' orders by number."""
    cycle = customers.cycle_days
    bought = customers.joined[:, None] - cycle * rng.random(cycle.shape) * 2  # half are due at the first order
    due = np.zeros((len(customer), cycle.shape[1]), dtype=np.bool_)
    counts = np.bincount(customer, minlength=len(customers))
    start = np.cumsum(counts) - counts
    for number in range(int(counts.max(initial=0))):
        buyers = np.flatnonzero(counts > number)
        rows = start[buyers] + number
        at = even[rows][:, None]
        due[rows] = at - bought[buyers] >= cycle[buyers]
        bought[buyers] = np.where(due[rows], at, bought[buyers])
    return due


def _products(
    rng: np.random.Generator, customers: Customers, customer: Ints, due: Bools, others: Ints, settings: Settings
) -> tuple[Ints, Ints]:
    """Return the order and the product of every line: what is due first, out of habit or not, then the others."""
    due_order, favourite = np.nonzero(due)
    buyer = customer[due_order]
    varied = draw_products(rng, customers.preference[buyer, favourite])
    is_habit = rng.random(len(buyer)) < settings.habit_probability
    due_product = np.where(is_habit, customers.habit[buyer, favourite], varied)
    other_order = np.repeat(np.arange(len(customer)), others)
    other_product = draw_products(rng, draw_other(rng, customers, customer[other_order], settings))
    order = np.concatenate([due_order, other_order])
    place = np.argsort(order, kind="stable")
    return order[place], np.concatenate([due_product, other_product])[place]


def draw_other(rng: np.random.Generator, customers: Customers, customer: Ints, settings: Settings) -> Ints:
    """Draw a category that is none of each customer's favourites, the better liked more often."""
    last = customers.preference.shape[1] - 1
    rank = settings.favourite_count + rng.geometric(OTHER_REACH, len(customer)) - 1
    return np.asarray(customers.preference[customer, np.minimum(rank, last)], dtype=np.int64)


def category_of(product: Ints) -> Ints:
    """Return the category of products."""
    return product // PRODUCTS_PER_CATEGORY
