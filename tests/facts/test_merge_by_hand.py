"""What deliveries add up to, in a shop that a person can follow: seen until day 10, told of again on day 12."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from facts.ingest import Ingested, ingest
from facts.lake import Lake
from facts.products import latest_products
from tests.builders import PRODUCTS, Event, Product, at, delivery
from tests.facts.deliveries import Told, bytes_in, rows_in, rows_told, seen_until, told, touched_by, versions_in

MICROSECOND = timedelta(microseconds=1)
KEPT, CHANGED, GONE = Told(id="kept"), Told(id="changed", customer="bob"), Told(id="gone", customer="cem")
MANY = [Told(id=f"n{number}", customer=f"c{number}") for number in range(8)]
OTHERWISE = [
    {"customer": "ann"}, {"kind": "cancelled"}, {"at": at(1, 1)}, {"nets": ("1.00", "0.01")}, {"nets": ()},
    {"product": "soap"}, {"product": None}, {"nets": ("1.0001",)},
]  # fmt: skip


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("first") / "lake")
    ingest(told([KEPT, CHANGED, GONE, *MANY], {"m0": Event(at=at(2))}, until=at(10)), lake, at=at(10))
    return lake


@pytest.fixture
def lake(first, tmp_path) -> Lake:
    return Lake(shutil.copytree(first.folder, tmp_path / "lake"))


def tell(lake: Lake, *orders: Told, mode="append", day=12, events=None, products=PRODUCTS) -> Ingested:
    return ingest(told(orders, events, products, until=at(day)), lake, mode=mode, at=at(day))


def amounts(lake: Lake, order_id: str) -> list[tuple[int, float]]:
    return [(r["version"], float(r["net_amount"])) for r in rows_in(lake, "order_lines") if r["order_id"] == order_id]


class TestCorrections:
    def test_a_first_delivery_is_known_from_when_it_happened(self, lake):
        assert versions_in(lake, "kept") == [(0, at(1), None)]
        assert rows_in(lake, "touched") == []

    def test_the_old_version_is_kept(self, lake):
        done = tell(lake, replace(CHANGED, nets=("5", "6")))
        assert done.orders == {"new": 0, "corrected": 1, "unchanged": 0, "ended": 0}
        assert versions_in(lake, "changed") == [(0, at(1), at(12)), (1, at(12), None)]
        assert amounts(lake, "changed") == [(0, 1), (1, 5), (1, 6)]
        assert touched_by(lake, 2) == {"bob": at(12)}
        assert versions_in(lake, "kept") == [(0, at(1), None)]

    def test_a_corrected_order_said_again_changes_nothing_and_taken_back_is_a_third_version(self, lake):
        corrected = replace(CHANGED, nets=("5", "6"))
        tell(lake, corrected)
        before = bytes_in(lake)
        assert tell(lake, corrected).orders["unchanged"] == 1
        assert bytes_in(lake) == before
        assert tell(lake, CHANGED, day=14).orders["corrected"] == 1
        assert versions_in(lake, "changed") == [(0, at(1), at(12)), (1, at(12), at(14)), (2, at(14), None)]
        assert amounts(lake, "changed") == [(0, 1), (1, 5), (1, 6), (2, 1)]

    def test_whatever_changes_is_a_correction(self, lake):
        done = tell(lake, *[replace(order, **change) for order, change in zip(MANY, OTHERWISE, strict=True)])
        assert done.orders == {"new": 0, "corrected": len(OTHERWISE), "unchanged": 0, "ended": 0}

    def test_lines_in_another_order_are_the_same_order(self, lake):
        tell(lake, replace(CHANGED, nets=("1", "2")))
        assert tell(lake, replace(CHANGED, nets=("2", "1")), day=13).orders["unchanged"] == 1

    def test_equal_lines_count_each(self, lake):
        tell(lake, replace(CHANGED, nets=("1", "1")))
        assert tell(lake, replace(CHANGED, nets=("1", "1", "1", "1")), day=13).orders["corrected"] == 1

    def test_the_source_is_believed_where_it_says_a_later_receipt_than_of_what_is_corrected(self, lake):
        said = [at(1), at(1, 1), at(11), at(15)]
        tell(lake, *[replace(order, nets=("5",), received_at=time) for order, time in zip(MANY, said, strict=False)])
        known_from = [versions_in(lake, order.id)[1][1] for order in MANY[:4]]
        assert known_from == [at(12), at(1, 1), at(11), at(15)]

    def test_an_order_that_changes_hands_touches_both(self, lake):
        tell(lake, replace(CHANGED, customer="dee"))
        assert touched_by(lake, 2) == {"bob": at(12), "dee": at(12)}

    def test_an_order_said_again_at_another_time_changes_nothing(self, lake):
        before = bytes_in(lake)
        tell(lake, replace(KEPT, received_at=at(11)), day=10)
        assert bytes_in(lake) == before


class TestWholeRecords:
    def test_they_end_exactly_the_orders_that_are_not_in_them(self, lake):
        done = tell(lake, KEPT, CHANGED, *MANY, mode="replace")
        assert done.orders == {"new": 0, "corrected": 0, "unchanged": 10, "ended": 1}
        ended = [row["order_id"] for row in rows_in(lake, "orders") if row["superseded_at"] is not None]
        assert ended == ["gone"]
        assert versions_in(lake, "gone") == [(0, at(1), at(12))]
        assert touched_by(lake, 2) == {"cem": at(12)}
        assert amounts(lake, "gone") == [(0, 1)]

    def test_an_order_that_comes_back_is_known_again_from_then(self, lake):
        tell(lake, KEPT, CHANGED, *MANY, mode="replace")
        assert tell(lake, GONE, day=14).orders["corrected"] == 1
        assert versions_in(lake, "gone") == [(0, at(1), at(12)), (1, at(14), None)]
        assert touched_by(lake, 3) == {"cem": at(14)}

    def test_gone_and_back_within_one_instant(self, lake):
        tell(lake, KEPT, mode="replace")
        tell(lake, GONE)
        assert versions_in(lake, "gone") == [(0, at(1), at(12)), (1, at(12) + MICROSECOND, None)]


class TestTimes:
    def test_a_late_order_is_known_from_now_and_a_new_one_from_when_it_happened(self, lake):
        tell(
            lake,
            Told(id="at the end", at=at(10)),
            Told(id="after it", at=at(11, 12), customer="bob"),
            Told(id="late", at=at(10) - MICROSECOND, customer="cem"),
            Told(id="late, said", at=at(3), received_at=at(4), customer="dee"),
            Told(id="new, said", at=at(11), received_at=at(20), customer="eve"),
        )
        names = ("at the end", "after it", "late", "late, said", "new, said")
        known_from = [at(10), at(11, 12), at(12), at(4), at(20)]
        assert [versions_in(lake, name) for name in names] == [[(0, time, None)] for time in known_from]
        assert touched_by(lake, 2) == dict(zip(("ann", "bob", "cem", "dee", "eve"), known_from, strict=True))

    def test_nothing_is_received_before_it_happened(self, lake):
        early = at(5)  # the shop was seen until day 10, and the lake is told on day 5
        made = told([Told(id="new", at=at(7)), replace(KEPT, at=at(8))], {"m1": Event(at=at(9))}, until=at(10))
        ingest(made, lake, at=early)
        assert versions_in(lake, "new") == [(0, at(7), None)]
        assert versions_in(lake, "kept") == [(0, at(1), at(8)), (1, at(8), None)]
        assert {row["message_id"]: row["received_at"] for row in rows_in(lake, "events")}["m1"] == at(9)

    def test_a_standing_shop_hears_of_it_just_before_the_end_of_its_record(self, lake):
        ingest(told([Told(id="late", at=at(3))], until=at(12)), lake)
        assert versions_in(lake, "late") == [(0, at(12) - MICROSECOND, None)]

    def test_the_record_reaches_as_far_as_any_delivery(self, lake):
        before = lake.shop()
        made = told([Told(id="new", at=at(4))], until=at(5))
        ingest(replace(made, shop=replace(made.shop, observed_from=at(3))), lake, at=at(12))
        assert lake.shop() == before
        tell(lake, Told(id="newer", at=at(11)))
        assert lake.shop() == replace(before, observed_until=at(12))


class TestProducts:
    GIFT = replace(PRODUCTS[0], category="gifts")  # milk

    def categories(self, lake: Lake, product_id: str = "milk") -> list[tuple[int, str, datetime]]:
        rows = [row for row in rows_in(lake, "products") if row["product_id"] == product_id]
        return [(row["version"], row["category"], row["received_at"]) for row in rows]

    def of_lines(self, lake: Lake, order_id: str) -> list[int | None]:
        return [row["product_version"] for row in rows_in(lake, "order_lines") if row["order_id"] == order_id]

    def test_those_of_a_first_delivery_are_known_from_its_first_order_on(self, lake):
        assert self.categories(lake) == [(0, "dairy", at(1))]
        assert {row["product_version"] for row in rows_in(lake, "order_lines")} == {0}

    def test_one_that_is_told_anew_has_a_next_version_and_touches_nobody(self, lake):
        before = {name: rows_in(lake, name) for name in ("orders", "order_lines", "touched")}
        tell(lake, *MANY, products=(self.GIFT,))
        assert self.categories(lake) == [(0, "dairy", at(1)), (1, "gifts", at(12))]
        assert {name: rows_in(lake, name) for name in before} == before

    def test_a_line_carries_the_version_that_was_known_when_it_was_received(self, lake):
        tell(lake, replace(CHANGED, nets=("5",)), products=(self.GIFT,))
        tell(lake, Told(id="new", at=at(12)), Told(id="said", at=at(3), received_at=at(4)), day=13, products=())
        assert self.of_lines(lake, "changed") == [0, 1]
        assert self.of_lines(lake, "kept") == [0]
        assert (self.of_lines(lake, "new"), self.of_lines(lake, "said")) == ([1], [0])

    def test_what_a_delivery_tells_is_known_with_the_first_of_its_lines(self, lake):
        tell(lake, Told(id="new", at=at(11)), Told(id="late", at=at(3)), products=(self.GIFT,))
        assert self.categories(lake) == [(0, "dairy", at(1)), (1, "gifts", at(11))]
        assert (self.of_lines(lake, "new"), self.of_lines(lake, "late")) == ([1], [1])

    def test_told_twice_within_one_instant_the_last_counts(self, lake):
        tell(lake, products=(self.GIFT,))
        tell(lake, replace(CHANGED, nets=("5",)), products=(replace(self.GIFT, category="toys"),))
        assert self.categories(lake)[1:] == [(1, "gifts", at(12)), (2, "toys", at(12))]
        assert self.of_lines(lake, "changed") == [0, 2]

    def test_told_back_is_a_third_version(self, lake):
        tell(lake, products=(self.GIFT,))
        tell(lake, day=13)
        assert [category for _version, category, _at in self.categories(lake)] == ["dairy", "gifts", "dairy"]

    def test_told_after_its_lines_it_describes_the_later_ones(self, lake):
        tell(lake, Told(id="before", at=at(11), product="tea"))
        tell(lake, Told(id="after", at=at(12), product="tea"), products=(Product(id="tea", category="drinks"),), day=13)
        assert self.categories(lake, "tea") == [(0, "drinks", at(12))]
        assert (self.of_lines(lake, "before"), self.of_lines(lake, "after")) == ([None], [0])

    def test_a_line_that_comes_to_light_was_of_a_product_that_was_known_then(self, lake):
        tell(lake, products=(Product(id="tea", category="drinks"),))
        tell(lake, Told(id="early", at=at(3), received_at=at(4), product="tea"), day=13)
        assert (self.categories(lake, "tea"), self.of_lines(lake, "early")) == ([(0, "drinks", at(4))], [0])

    def test_the_last_word_can_be_had_as_of_an_earlier_instant(self, lake):
        tell(lake, products=(self.GIFT, Product(id="tea", category="drinks")))
        with lake.connect() as connection:
            products = lake.table(connection, "products")
            told = [latest_products(products, known_before=time) for time in (None, at(12), at(1))]
            found = [dict(zip(*[t.execute()[c] for c in ("product_id", "category")], strict=True)) for t in told]
        first = {product.id: product.category for product in PRODUCTS}
        assert found == [first | {"milk": "gifts", "tea": "drinks"}, first, {}]


class TestOthers:
    def test_an_event_is_the_one_that_came_first(self, lake):
        said = {"m0": Event(at=at(3), customer="bob"), "m1": Event(at=at(4)), "m2": Event(at=at(11), customer="dee")}
        tell(lake, events=said)
        found = {row["message_id"]: (row["customer_id"], row["received_at"]) for row in rows_in(lake, "events")}
        assert found == {"m0": ("ann", at(2)), "m1": ("ann", at(12)), "m2": ("dee", at(11))}
        assert touched_by(lake, 2) == {"ann": at(12), "dee": at(11)}

    def test_a_customer_is_as_last_told_and_never_lost(self, lake):
        rows = rows_told([Told(id="new", customer="bob", at=at(11))])
        rows["customers"][0]["traits"] = '{"age": 40}'
        ingest(seen_until(at(12), delivery(rows)), lake, at=at(12))
        found = {row["customer_id"]: row["traits"] for row in rows_in(lake, "customers")}
        assert found == dict.fromkeys(["ann", "cem", *[f"c{n}" for n in range(8)]], "{}") | {"bob": '{"age": 40}'}
