"""What a shop's facts carry: each mark is there for what makes it, and for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from facts.carries import BROWSING_EVENTS, MARKS, SECOND_YEAR, SECOND_YEAR_DAYS, carries
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import Event, Product, at, tables_of
from tests.facts.deliveries import Rows, Told, rows_told, told

NOTHING_KNOWN = {"local_hour": None, "product_id": None, "unit_count": None}
BARE = Product(id="p", own=None)


def bare(*orders: Told, events: Mapping[str, Event] | None = None, **changes: Any) -> Rows:
    """Return a shop of which as little is known as can be, but for some columns."""
    rows = rows_told(orders or [Told(id="o")], events, [BARE])
    known = NOTHING_KNOWN | changes
    return {name: [row | {c: known[c] for c in known if c in row} for row in some] for name, some in rows.items()}


def marks(rows: Rows, *, observed_days: int = 100) -> tuple[str, ...]:
    return carries(tables_of(rows), observed_days=observed_days)


def product(**told_of: Any) -> Rows:
    return bare() | {"products": [replace(BARE, **told_of).row()]}


def event(name: str) -> Rows:
    return bare(events={"m": Event(event=name)})


CARRIES = {
    "products": bare(product_id="p"),
    "categories": product(category="dairy"),
    "departments": product(department="food"),
    "brands": product(brand="farm"),
    "private_label": product(own=True),
    "units": bare(unit_count=0),
    "lines": bare(Told(id="o", nets=("1", "2"))),
    "discounts": bare(discount_amount=Decimal("0.01")),
    "coupons": bare(coupon_amount=Decimal("0.01")),
    "returns": bare(Told(id="o", kind="return", nets=("-1",))),
    "cancellations": bare(Told(id="o", kind="cancelled")),
    "hours": bare(local_hour=0),
    "campaigns": event("Campaign Received"),
    "redemptions": event("Coupon Applied"),
    "browsing": event("Product Viewed"),
}


@pytest.mark.parametrize("mark", CARRIES)
def test_a_mark_is_there_for_what_makes_it_and_alone(mark):
    assert marks(CARRIES[mark]) == (mark,)


def test_every_mark_is_made_above():
    assert set(CARRIES) == set(MARKS)


@pytest.mark.parametrize(
    "rows",
    [
        bare(),
        rows_told(products=()),
        product(own=False),
        event("Order Completed"),
        event("Order Cancelled"),
        event("Something of their own"),
        bare(discount_amount=Decimal(0), coupon_amount=None),
    ],
    ids=["bare", "nothing", "none private", "order", "cancelled", "unknown event", "no discount"],
)
def test_what_says_nothing_of_them_carries_none(rows):
    assert marks(rows) == ()


def test_any_of_the_browsing_events_makes_the_mark():
    assert [name for name in BROWSING_EVENTS if marks(event(name)) != ("browsing",)] == []


def test_they_come_in_their_order():
    rows = bare(Told(id="o", nets=("1", "2")), events={"m": Event(event="Page")}, product_id="p", local_hour=9)
    assert marks(rows) == ("products", "lines", "hours", "browsing")


@pytest.mark.parametrize(("days", "has"), [(SECOND_YEAR_DAYS - 1, ()), (SECOND_YEAR_DAYS, (SECOND_YEAR,))])
def test_a_second_year_is_seen_when_a_year_and_four_weeks_are(days, has):
    assert marks(bare(), observed_days=days) == has


def test_the_shop_says_what_all_deliveries_together_carry(tmp_path):
    lake = Lake(tmp_path / "lake")
    first = ingest(told([Told(id="o", product=None)], products=[BARE], until=at(10)), lake, at=at(10))
    assert first.shop.has == ("hours",)
    back = Told(id="o/return", kind="return", nets=("-1",), at=at(11), product=None)
    second = ingest(told([back], {"m": Event(event="Page")}, [BARE], until=at(12)), lake, at=at(12))
    assert second.shop.has == lake.shop().has == ("returns", "hours", "browsing")
