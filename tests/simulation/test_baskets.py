"""Orders' lines, drawn for customers whose tastes are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulation.baskets import Baskets, category_of, draw_amounts, draw_baskets
from simulation.catalogue import CATEGORIES, PRODUCTS_PER_CATEGORY, Catalogue, draw_products
from simulation.customers import Customers, draw_customers
from simulation.settings import SETTINGS, Settings

COUNT, VISITS = 300, 20
CATALOGUE = Catalogue.draw(np.random.default_rng(8))


def weekly(settings: Settings = SETTINGS) -> tuple[Customers, np.ndarray, np.ndarray, np.ndarray, Baskets]:
    """Return the baskets of customers who all order on twenty days, a week apart."""
    rng = np.random.default_rng(2)
    customers = draw_customers(rng, COUNT, 365, settings)
    customer = np.repeat(np.arange(COUNT), VISITS)
    even = customers.joined[customer] + np.tile(np.arange(VISITS) * 7.0, COUNT)
    amounts = draw_amounts(rng, customers, customer, settings)
    baskets = draw_baskets(rng, customers, (customer, even), amounts, CATALOGUE, settings)
    return customers, customer, even, amounts, baskets


def test_lines_are_numbered_from_one_and_every_order_has_some():
    _customers, customer, _even, _amounts, baskets = weekly()
    counts = np.bincount(baskets.order, minlength=len(customer))
    assert counts.min() == 1
    assert (baskets.line_number[np.flatnonzero(np.diff(baskets.order, prepend=-1))] == 1).all()
    assert (np.diff(baskets.line_number)[np.diff(baskets.order) == 0] == 1).all()


def test_lines_share_the_orders_amount_to_the_rounding_of_unit_prices():
    _customers, _customer, _even, amounts, baskets = weekly()
    gross = np.bincount(baskets.order, weights=baskets.gross_cents) / 100
    units = np.bincount(baskets.order, weights=baskets.unit_count)
    assert (np.abs(gross - amounts) <= 0.005 * units + 0.02).all()
    assert (baskets.sale_cents < baskets.gross_cents).all()


def test_a_favourite_is_bought_when_its_cycle_has_passed_and_never_before():
    customers, customer, even, _amounts, baskets = weekly()
    category = category_of(baskets.product)
    for place in range(SETTINGS.favourite_count):
        row = category == customers.preference[customer[baskets.order], place]
        order = baskets.order[row]
        same = np.diff(customer[order]) == 0
        gap, cycle = np.diff(even[order])[same], customers.cycle_days[customer[order][1:][same], place]
        assert (gap >= cycle).all()
        assert (gap < cycle + 7).all()
        assert len(gap) > 100


def test_other_lines_are_of_other_categories():
    nothing_due = replace(SETTINGS, favourite_count=1)
    customers, customer, _even, _amounts, baskets = weekly(nothing_due)
    is_favourite = category_of(baskets.product) == customers.preference[customer[baskets.order], 0]
    per_order = np.bincount(baskets.order, weights=is_favourite)
    assert per_order.max() == 1
    assert 0.3 < (~is_favourite).sum() / len(customer) < 2


def test_most_of_a_favourites_purchases_are_of_the_habitual_product():
    customers, customer, _even, _amounts, baskets = weekly()
    buyer = customer[baskets.order]
    row = category_of(baskets.product) == customers.preference[buyer, 0]
    is_habit = baskets.product[row] == customers.habit[buyer[row], 0]
    assert is_habit.mean() == pytest.approx(0.7 + 0.3 * 0.12, abs=0.05)  # 0.12: two draws of a category agree


def test_best_sellers_sell_best():
    category = np.full(20_000, 5)
    counts = np.bincount(draw_products(np.random.default_rng(1), category) - 5 * PRODUCTS_PER_CATEGORY)
    assert len(counts) == PRODUCTS_PER_CATEGORY
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.2)


def test_the_catalogue_has_every_category_with_its_products():
    table = CATALOGUE.table().to_pandas()
    assert len(table) == len(CATEGORIES) * PRODUCTS_PER_CATEGORY
    assert table.product_id.is_unique
    assert table.groupby("category").size().eq(PRODUCTS_PER_CATEGORY).all()
    assert (table.is_private_label == (table.brand == "Own")).all()
    assert table.is_private_label.any()
