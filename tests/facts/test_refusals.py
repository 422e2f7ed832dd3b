"""A delivery that cannot be trusted changes nothing, and the sentence says what, where and what next."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis
import pyarrow as pa
import pytest

from facts.contracts import FACTS, SOURCE_LINE, UNREADABLE, UNREADABLE_RULE
from facts.errors import DeliveryRefused, GateFailed, MissingColumns
from facts.ingest import ingest
from facts.ingest.delivery import Delivery
from facts.lake import Lake
from tests.builders import at, delivery
from tests.facts.deliveries import Told, bytes_in, rows_in, rows_told, seen_until, told

SENTENCE = "the delivery was refused and nothing was changed: "
COUNT = 40
SOUND = [Told(id=f"o{number}", at=at(11)) for number in range(COUNT)]
NOBODY = "customer_id is one of the customers"


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("first") / "lake")
    ingest(told([Told(id="first")], until=at(10)), lake, at=at(10))
    return lake


@pytest.fixture
def lake(first, tmp_path) -> Lake:
    return Lake(shutil.copytree(first.folder, tmp_path / "lake"))


def delivered(orders: Sequence[Told], *, tolerated: tuple[str, ...] = (), **lines: Mapping[str, Any]) -> Delivery:
    """Return orders with the places where they stood; by order id, what is added to an order's row."""
    rows = rows_told(orders)
    schema = FACTS["orders"].schema.to_pyarrow()
    for name in (SOURCE_LINE, UNREADABLE, UNREADABLE_RULE):
        schema = schema.append(pa.field(name, pa.string()))
    placed = [
        {SOURCE_LINE: f"orders.csv:{line}"} | row | lines.get(row["order_id"], {})
        for line, row in enumerate(rows["orders"], 2)
    ]
    made = seen_until(at(12), delivery(rows))
    orders_table = ibis.memtable(pa.Table.from_pylist(placed, schema=schema))
    return replace(made, tables={**made.tables, "orders": orders_table}, tolerated=tolerated)


def refused(made: Delivery, lake: Lake, **how: Any) -> str:
    """Return what is said of a delivery, after seeing that it left the lake as it was."""
    before = bytes_in(lake)
    with pytest.raises(DeliveryRefused) as refusal:
        ingest(made, lake, at=at(12), **how)
    assert bytes_in(lake) == before
    said = str(refusal.value)
    assert said.startswith(SENTENCE)
    return said.removeprefix(SENTENCE)


class TestTooManyBadRows:
    def test_counts_and_the_first_with_its_place(self, lake):
        bad = {f"o{number}": {"customer_id": "nobody"} for number in (30, 8, 9)}
        said = refused(delivered(SOUND, **bad), lake)
        told_of = "3 of 40 rows of orders cannot be used (7.5%, at most 5.0% may); the first: orders.csv:10: it breaks"
        assert said.startswith(f'{told_of} the rule "{NOBODY}": order_id o8, customer_id nobody')

    def test_of_the_unreadable_it_is_told_why(self, lake):
        why = {UNREADABLE: "column 'Date' is '31/31/2020', not a date like %d/%m/%Y", UNREADABLE_RULE: "dates are"}
        said = refused(delivered(SOUND, o1=why, o2=why, o3=why), lake)
        assert said.endswith("the first: orders.csv:3: column 'Date' is '31/31/2020', not a date like %d/%m/%Y")

    def test_up_to_the_limit_they_are_set_aside(self, lake):
        made = delivered(SOUND, o1={"customer_id": "nobody"}, o2={"kind": "gift"})
        lines = {**made.tables, "order_lines": made.tables["order_lines"].filter(ibis._.order_id.notin(["o1", "o2"]))}
        done = ingest(replace(made, tables=lines), lake, at=at(12))
        assert (done.received["orders"], done.kept["orders"], done.orders["new"]) == (40, 38, 38)
        assert [(row["rule"], row[SOURCE_LINE]) for row in rows_in(lake, "quarantine")] == [
            (NOBODY, "orders.csv:3"),
            ("kind is one of sale, return, cancelled", "orders.csv:4"),
        ]

    def test_the_limit_is_said(self, lake):
        made = delivered(SOUND, o1={"kind": "gift"})
        assert "(2.5%, at most 2.0% may)" in refused(made, lake, limit=0.02)
        assert ingest(made, lake, at=at(12), limit=0.025).orders["new"] == 39

    def test_one_row_is_too_many_where_none_may_be(self, lake):
        assert "1 of 40 rows of orders" in refused(delivered(SOUND, o1={"kind": "gift"}), lake, limit=0)

    def test_tolerated_rules_count_for_nothing_and_are_not_shown(self, lake):
        without = {f"o{number}": {"customer_id": None} for number in range(20)}
        made = delivered(SOUND, tolerated=("customer_id is given", "order_id is one of the orders"), **without)
        assert ingest(made, lake, at=at(12)).kept["orders"] == 20
        other = delivered(SOUND, tolerated=made.tolerated, **without, o25={"kind": "gift"})
        said = refused(other, lake, limit=0.02)
        assert said.startswith("1 of 40 rows of orders cannot be used")
        assert 'orders.csv:27: it breaks the rule "kind is' in said

    def test_every_table_is_looked_at(self, lake):
        rows = rows_told(SOUND)
        rows["order_lines"] = [line | {"coupon_amount": -1} for line in rows["order_lines"]]
        assert "40 of 40 rows of order_lines cannot be used (100.0%" in refused(delivery(rows), lake)


class TestAnotherShop:
    @pytest.mark.parametrize(
        ("name", "value"), [("name", "Other shop"), ("currency", "USD"), ("timezone", "Europe/Berlin")]
    )
    def test_it_is_refused(self, lake, name, value):
        made = told(SOUND, until=at(12))
        said = refused(replace(made, shop=replace(made.shop, **{name: value})), lake)
        former = getattr(made.shop, name)
        assert said == (
            f"the lake holds a shop whose {name} is {former!r}, and here it is {value!r}; "
            "give another shop a folder of its own with REGULARS_HOME, or mend what the source says"
        )

    @pytest.mark.parametrize("change", [{"source": "another file"}, {"clock": "wall"}, {"observed_from": at(-9)}])
    def test_the_same_shop_from_elsewhere_is_taken(self, lake, change):
        made = told(SOUND, until=at(12))
        done = ingest(replace(made, shop=replace(made.shop, **change)), lake, at=at(12))
        assert {name: getattr(done.shop, name) for name in change} == change


class TestTooLittle:
    def test_a_first_delivery_without_orders(self, tmp_path):
        lake = Lake(tmp_path / "none")
        with pytest.raises(GateFailed, match="valid orders: needed at least 1, found 0; the source delivered none"):
            ingest(told(), lake)
        assert lake.is_empty
        assert list(lake.folder.glob("*.parquet")) == []

    def test_a_first_delivery_of_bad_orders(self, tmp_path):
        lake = Lake(tmp_path / "none")
        made = delivered([Told(id="o")], o={"kind": "gift"})
        with pytest.raises(GateFailed, match=r"found 0; the first of orders set aside: orders\.csv:2: it breaks the"):
            ingest(made, lake, limit=1.0)
        with pytest.raises(DeliveryRefused, match="1 of 1 rows of orders cannot be used"):
            ingest(made, lake)
        assert lake.is_empty

    def test_a_later_delivery_may_have_none(self, lake):
        assert ingest(told(until=at(12)), lake, at=at(12)).orders["new"] == 0

    def test_a_missing_column_is_named_and_nothing_is_changed(self, lake):
        before = bytes_in(lake)
        made = told(SOUND)
        tables = {**made.tables, "orders": made.tables["orders"].drop("local_on")}
        with pytest.raises(MissingColumns, match="table 'orders' of builders has no column 'local_on'"):
            ingest(replace(made, tables=tables), lake)
        assert bytes_in(lake) == before
