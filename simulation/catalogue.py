"""What the simulated shop sells: categories with a popularity, a price level and a cycle, and their products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from facts.contracts import PRODUCTS
from simulation.clock import Floats, Ints

PRODUCTS_PER_CATEGORY = 20
BRANDS = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Maple", "Own", "Pine", "Rowan", "Willow")
OWN_BRAND = BRANDS.index("Own")
SIZES = ("small", "medium", "large")
PRICE_SD = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One category: how often it is chosen beside the others, its median price and how long a purchase lasts."""

    name: str
    department: str
    popularity: float
    price_amount: float
    cycle_days: float


CATEGORIES = tuple(
    Category(name=name, department=department, popularity=popularity, price_amount=price, cycle_days=cycle)
    for name, department, popularity, price, cycle in (
        ("coffee", "pantry", 5.0, 11, 21), ("tea", "pantry", 3.0, 7, 35), ("chocolate", "pantry", 4.0, 5, 18),
        ("olive oil", "pantry", 2.0, 14, 60), ("pasta", "pantry", 2.5, 4, 28), ("wine", "pantry", 3.0, 13, 25),
        ("detergent", "household", 2.5, 9, 42), ("dishwashing", "household", 2.0, 7, 38),
        ("paper goods", "household", 2.5, 8, 30), ("candles", "household", 1.5, 16, 75),
        ("shampoo", "care", 2.5, 8, 45), ("skin care", "care", 2.5, 22, 55), ("razors", "care", 1.5, 15, 50),
        ("vitamins", "care", 2.0, 19, 30), ("dog food", "pets", 2.5, 24, 24), ("cat food", "pets", 2.5, 20, 20),
        ("pet toys", "pets", 1.0, 12, 70), ("socks", "clothing", 1.5, 12, 90), ("shirts", "clothing", 1.5, 34, 80),
        ("scarves", "clothing", 1.0, 28, 120), ("notebooks", "desk", 1.0, 9, 60), ("pens", "desk", 1.0, 6, 65),
        ("books", "desk", 2.0, 17, 35), ("games", "desk", 1.0, 32, 95),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The shop's products; number = category x PRODUCTS_PER_CATEGORY + rank, the first rank being the best seller."""

    price_cents: Ints
    brand: Ints
    size: Ints

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Catalogue:
        """Draw prices, brands and sizes."""
        count = len(CATEGORIES) * PRODUCTS_PER_CATEGORY
        median = np.repeat([category.price_amount for category in CATEGORIES], PRODUCTS_PER_CATEGORY)
        price = np.round(median * np.exp(PRICE_SD * rng.standard_normal(count)) * 10) / 10
        return cls(
            price_cents=np.maximum(np.round(price * 100).astype(np.int64) - 1, 99),
            brand=rng.integers(0, len(BRANDS), count),
            size=rng.integers(0, len(SIZES), count),
        )

    def table(self) -> pa.Table:
        """Return the products in their contract's columns."""
        numbers = range(len(self.price_cents))
        rows = {
            "product_id": list(product_ids()),
            "name": [f"{_category(n).name} {n % PRODUCTS_PER_CATEGORY + 1}" for n in numbers],
            "category": [_category(n).name for n in numbers],
            "department": [_category(n).department for n in numbers],
            "brand": [BRANDS[brand] for brand in self.brand],
            "is_private_label": [bool(brand == OWN_BRAND) for brand in self.brand],
            "size": [SIZES[size] for size in self.size],
        }
        return pa.table(rows, schema=PRODUCTS.schema.to_pyarrow())


def product_ids() -> tuple[str, ...]:
    """Return the products' ids by number."""
    return tuple(f"p{number + 1:04d}" for number in range(len(CATEGORIES) * PRODUCTS_PER_CATEGORY))


def draw_products(rng: np.random.Generator, category: Ints) -> Ints:
    """Draw a product of each category, the better sellers more often (by one over their rank)."""
    share: Floats = 1 / np.arange(1, PRODUCTS_PER_CATEGORY + 1)
    rank = np.searchsorted(np.cumsum(share / share.sum())[:-1], rng.random(len(category)), side="right")
    return np.asarray(category * PRODUCTS_PER_CATEGORY + rank, dtype=np.int64)


def _category(product: int) -> Category:
    return CATEGORIES[product // PRODUCTS_PER_CATEGORY]
