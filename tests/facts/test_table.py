"""Any shop's files: what stands in them is what is delivered, and the lake takes it."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from facts.contracts import FACTS
from facts.ingest.table import load_mapping, read
from tests.facts.table_shop import DELIVERED_AT, LINES, ORDERS, deliver, rows, store, told, write

SMALL = """Order,Customer,Date,Product,Quantity,Price
1,ann,2024-01-05 10:30:00,milk,2,1.50
1,ann,2024-01-05 10:30:00,bread,1,3.00
2,bob,2024-07-05 23:30:00,milk,1,1.60
"""
EURO = Decimal("1.0000")


def amounts(delivery, *columns):
    return [tuple(float(value) for value in row) for row in rows(delivery, "order_lines", *columns)]


class TestWhatIsDelivered:
    def test_a_line_per_row_and_an_order_per_id(self, tmp_path):
        delivery = deliver(tmp_path, SMALL, LINES)
        assert rows(delivery, "order_lines", "order_id", "line_number", "product_id", "unit_count", "net_amount") == [
            ("1", 1, "milk", 2, 3 * EURO),
            ("1", 2, "bread", 1, 3 * EURO),
            ("2", 1, "milk", 1, Decimal("1.6")),
        ]
        assert rows(delivery, "orders", "order_id", "customer_id", "kind") == [
            ("1", "ann", "sale"), ("2", "bob", "sale"),
        ]  # fmt: skip

    def test_local_times_are_on_the_shops_clock(self, tmp_path):
        delivery = deliver(tmp_path, SMALL, LINES)
        assert rows(delivery, "orders", "ordered_at", "local_on", "local_weekday", "local_hour") == [
            (datetime(2024, 1, 5, 9, 30, tzinfo=UTC), date(2024, 1, 5), 4, 10),
            (datetime(2024, 7, 5, 21, 30, tzinfo=UTC), date(2024, 7, 5), 4, 23),
        ]

    def test_every_table_has_its_contracts_columns(self, tmp_path):
        tables = deliver(tmp_path, SMALL, LINES).tables
        assert {name: set(contract.columns) - set(tables[name].columns) for name, contract in FACTS.items()} == {
            name: set() for name in FACTS
        }

    def test_customers_and_products_stand_once(self, tmp_path):
        delivery = deliver(tmp_path, SMALL, LINES)
        assert rows(delivery, "customers", "customer_id", "traits") == [("ann", "{}"), ("bob", "{}")]
        assert sorted(rows(delivery, "products", "product_id")) == ["bread", "milk"]

    def test_only_customer_time_and_amount_are_needed(self, tmp_path):
        delivery = deliver(tmp_path, "Customer,Date,Total\nann,2024-01-05,9.50\nann,2024-01-05,1\n", ORDERS)
        assert rows(delivery, "order_lines", "order_id", "product_id", "unit_count", "net_amount") == [
            ("ann/2024-01-05", None, None, Decimal("9.5")),
            ("ann/2024-01-05/2", None, None, EURO),
        ]
        assert rows(delivery, "products", "product_id") == []

    def test_a_day_without_hours_counts_from_its_midnight(self, tmp_path):
        delivery = deliver(tmp_path, "Customer,Date,Total\nann,2024-07-05,9.50\n", ORDERS)
        assert rows(delivery, "orders", "ordered_at", "local_hour") == [(datetime(2024, 7, 4, 22, tzinfo=UTC), None)]
        assert delivery.shop.observed_until == datetime(2024, 7, 5, 22, tzinfo=UTC)
        assert any("midnight" in note for note in delivery.notes)

    def test_times_that_are_all_midnight_have_no_hours(self, tmp_path):
        delivery = deliver(tmp_path, "Customer,Date,Total\nann,2024-07-05 00:00:00,9.50\n", ORDERS)
        assert rows(delivery, "orders", "local_hour") == [None]

    def test_the_shop_is_seen_from_its_first_day_to_its_last_order(self, tmp_path):
        shop = deliver(tmp_path, SMALL, LINES).shop
        assert (shop.name, shop.currency, shop.timezone) == ("Corner", "EUR", "Europe/Berlin")
        assert shop.observed_from == datetime(2024, 1, 4, 23, tzinfo=UTC)
        assert shop.observed_until == datetime(2024, 7, 5, 21, 30, 0, 1, tzinfo=UTC)

    def test_lines_without_an_order_id_are_one_order_at_one_time(self, tmp_path):
        mapping = told(LINES, columns={"order_id": None})
        delivery = deliver(tmp_path, SMALL, mapping)
        assert rows(delivery, "orders", "order_id") == ["ann/2024-01-05T10:30:00", "bob/2024-07-05T23:30:00"]
        assert rows(delivery, "order_lines", "line_number") == [1, 2, 1]

    def test_constants_joined_columns_and_the_first_that_is_filled(self, tmp_path):
        text = "Mail,Card,Day,Hour,Total\n,c1,2024-01-05,10:30,2\nann,c2,2024-01-06,11:30,3\n"
        columns = {
            "customer_id": ["Mail", "Card"],
            "ordered_at": {"join": ["Day", "Hour"]},
            "store_id": {"constant": "web"},
        }
        delivery = deliver(tmp_path, text, told(ORDERS, columns=columns))
        found = rows(delivery, "orders", "customer_id", "local_hour", "store_id")
        assert found == [("ann", 11, "web"), ("c1", 10, "web")]

    def test_traits_are_the_last_that_was_told(self, tmp_path):
        text = (
            "Customer,Date,Total,Land\nann,2024-01-05,1,DE\nann,2024-01-06,1,FR\nann,2024-01-07,1,\nbob,2024-01-07,1,\n"
        )
        delivery = deliver(tmp_path, text, told(ORDERS, traits={"country": "Land"}))
        assert rows(delivery, "customers", "traits") == ['{"country": "FR"}', "{}"]

    def test_a_columns_last_value_describes_a_product(self, tmp_path):
        text = "Customer,Date,Total,Sku,Group\nann,2024-01-05,1,a,\nann,2024-01-06,1,a,food\n"
        delivery = deliver(tmp_path, text, told(ORDERS, columns={"product_id": "Sku", "category": "Group"}))
        assert rows(delivery, "products", "product_id", "category") == [("a", "food")]


class TestAmounts:
    HEAD = "Customer,Date,Gross,Off,Net,Quantity,Price\n"

    @pytest.mark.parametrize(
        ("columns", "row", "expected"),
        [
            ({"net_amount": "Net"}, ",,8,,", (8, 0, 8)),
            ({"net_amount": "Net", "discount_amount": "Off"}, ",2,8,,", (10, 2, 8)),
            ({"net_amount": "Net", "discount_amount": "Off"}, ",-2,8,,", (10, 2, 8)),
            ({"gross_amount": "Gross", "discount_amount": "Off"}, "10,2,,,", (10, 2, 8)),
            ({"gross_amount": "Gross", "discount_amount": "Off"}, "10,,,,", (10, 0, 10)),
            ({"gross_amount": "Gross", "net_amount": "Net"}, "10,,8,,", (10, 2, 8)),
            ({"unit_price": "Price", "unit_count": "Quantity"}, ",,,4,2.5", (10, 0, 10)),
            ({"unit_price": "Price", "unit_count": "Quantity", "net_amount": "Net"}, ",,8,4,2.5", (10, 2, 8)),
            ({"unit_price": "Price", "unit_count": "Quantity", "discount_amount": "Off"}, ",2,,4,2.5", (10, 2, 8)),
        ],
    )
    def test_gross_discount_and_net_follow_from_what_is_told(self, tmp_path, columns, row, expected):
        mapping = told(ORDERS, columns={"net_amount": None} | columns)
        delivery = deliver(tmp_path, f"{self.HEAD}ann,2024-01-05,{row}\n", mapping)
        assert amounts(delivery, "gross_amount", "discount_amount", "net_amount") == [expected]

    def test_an_orders_discount_is_shared_out_to_the_last_cent(self, tmp_path):
        text = "Order,Customer,Date,Product,Quantity,Price,Off\n"
        text += "1,ann,2024-01-05,a,1,1,1\n1,,,b,1,1,\n1,,,c,1,1,\n2,bob,2024-01-05,a,1,1,\n"
        delivery = deliver(tmp_path, text, told(LINES, columns={"order_discount_amount": "Off"}))
        off = rows(delivery, "order_lines", "discount_amount")
        assert off[:3] == [Decimal("0.3333"), Decimal("0.3334"), Decimal("0.3333")]
        assert off[3] == 0
        assert sum(rows(delivery, "order_lines", "net_amount")) == 3

    def test_a_measured_quantity_counts_as_one_piece(self, tmp_path):
        text = "Order,Customer,Date,Product,Quantity,Price\n1,ann,2024-01-05 10:00,cheese,0.250,12\n"
        delivery = deliver(tmp_path, text, told(LINES, numbers={"thousands": ""}))
        assert rows(delivery, "order_lines", "unit_count", "net_amount") == [(1, 3 * EURO)]
        assert any("measured" in note for note in delivery.notes)


class TestReturnsAndCancellations:
    def test_negative_rows_are_an_order_of_their_own(self, tmp_path):
        text = SMALL + "1,ann,2024-01-05 10:30:00,milk,-1,1.50\n"
        delivery = deliver(tmp_path, text, LINES)
        assert rows(delivery, "orders", "order_id", "kind") == [("1", "sale"), ("2", "sale"), ("1/return", "return")]
        back = [row for row in rows(delivery, "order_lines", "order_id", "unit_count", "net_amount") if "/" in row[0]]
        assert back == [("1/return", -1, Decimal("-1.5"))]

    @pytest.mark.parametrize("is_newest_first", [False, True])
    def test_goods_come_back_when_their_row_says(self, tmp_path, is_newest_first):
        head, *lines = [*SMALL.splitlines(), "1,ann,2024-02-10 10:30:00,milk,-1,1.50"]
        text = "\n".join([head, *(reversed(lines) if is_newest_first else lines)]) + "\n"
        delivery = deliver(tmp_path, text, LINES)
        found = {row[0]: row[1:] for row in rows(delivery, "orders", "order_id", "ordered_at", "local_on")}
        assert found["1"] == (datetime(2024, 1, 5, 9, 30, tzinfo=UTC), date(2024, 1, 5))
        assert found["1/return"] == (datetime(2024, 2, 10, 9, 30, tzinfo=UTC), date(2024, 2, 10))

    def test_goods_that_came_back_are_not_known_before(self, tmp_path):
        text = "Order,Customer,Date,Product,Quantity,Price,Seen\n"
        text += "1,ann,2024-01-05,a,2,1,2024-01-06\n1,ann,2024-02-10,a,-1,1,2024-01-06\n"
        text += "2,ann,2024-01-05,a,2,1,2024-01-06\n2,,,a,-1,1,\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, told(LINES, columns={"received_at": "Seen"})))
        seen = {row["order_id"]: row["received_at"] for row in stored["orders"]}
        told_at = datetime(2024, 1, 5, 23, tzinfo=UTC)
        back_at = datetime(2024, 2, 9, 23, tzinfo=UTC)
        assert seen == {"1": told_at, "1/return": back_at, "2": told_at, "2/return": told_at}

    def test_negative_rows_can_be_refused(self, tmp_path):
        text = SMALL + "1,ann,2024-01-05 10:30:00,milk,-1,1.50\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, told(LINES, kinds={"negative": "refuse"})))
        assert [row["source_line"] for row in stored["quarantine"]] == ["orders.csv:5"]

    def test_a_prefix_of_the_order_id_tells_the_kind(self, tmp_path):
        text = SMALL + "C3,ann,2024-02-05 10:30:00,milk,1,1.50\nX4,ann,2024-02-05 10:30:00,milk,-1,1.50\n"
        delivery = deliver(tmp_path, text, told(LINES, kinds={"prefix": {"C": "return", "X": "cancelled"}}))
        assert rows(delivery, "orders", "order_id", "kind")[2:] == [("C3", "return"), ("X4", "cancelled")]
        assert amounts(delivery, "unit_count", "net_amount")[3:] == [(-1, -1.5), (1, 1.5)]

    def test_a_status_tells_the_kind_of_the_whole_order(self, tmp_path):
        text = "Order,Customer,Date,Product,Quantity,Price,State\n"
        text += "1,ann,2024-01-05,a,1,1,Voided\n1,,,b,1,1,\n2,ann,2024-01-06,a,1,1,PAID\n3,ann,2024-01-06,a,1,1,odd\n"
        kinds = {"status": {"paid": "sale", "voided": "cancelled"}}
        delivery = deliver(tmp_path, text, told(LINES, columns={"status": "State"}, kinds=kinds))
        assert rows(delivery, "orders", "order_id", "kind")[:2] == [("1", "cancelled"), ("2", "sale")]
        _done, stored = store(tmp_path, delivery)
        assert {row["rule"] for row in stored["quarantine"]} == {"status is one that the mapping names"}
        assert "'odd'" in stored["quarantine"][0]["row"]

    def test_other_statuses_can_have_a_kind(self, tmp_path):
        text = "Customer,Date,Total,State\nann,2024-01-05,1,new\n"
        mapping = told(ORDERS, columns={"status": "State"}, kinds={"other_status": "sale"})
        assert rows(deliver(tmp_path, text, mapping), "orders", "kind") == ["sale"]

    def test_a_refund_is_a_return_some_days_later_and_received_then(self, tmp_path):
        text = "Customer,Order,Date,Total,Back\nann,1,2024-01-05 10:00,10,4\nann,2,2024-01-15 10:00,5,9\n"
        columns = {"order_id": "Order", "refunded_amount": "Back"}
        delivery = deliver(tmp_path, text, told(ORDERS, columns=columns, kinds={"refund_after_days": 7}))
        back = rows(delivery, "orders", "order_id", "kind", "ordered_at", "local_on")[2:]
        assert back == [
            ("1/refund", "return", datetime(2024, 1, 12, 9, tzinfo=UTC), date(2024, 1, 12)),
            ("2/refund", "return", datetime(2024, 1, 22, 9, tzinfo=UTC), date(2024, 1, 22)),
        ]
        assert delivery.shop.observed_until == datetime(2024, 1, 15, 9, 0, 0, 1, tzinfo=UTC)
        _done, stored = store(tmp_path, delivery)
        assert all(row["received_at"] == row["ordered_at"] for row in stored["orders"])
        assert amounts(delivery, "gross_amount", "net_amount")[2:] == [(-4, -4), (-5, -5)]

    def test_a_refund_happens_when_its_column_says(self, tmp_path):
        text = "Customer,Order,Date,Total,Back,When\nann,1,2024-01-05 10:00,10,4,2024-03-01 08:00\n"
        columns = {"order_id": "Order", "refunded_amount": "Back", "refunded_at": "When"}
        delivery = deliver(tmp_path, text, told(ORDERS, columns=columns))
        assert rows(delivery, "orders", "ordered_at")[1] == datetime(2024, 3, 1, 7, tzinfo=UTC)

    def test_the_lake_takes_returns_and_cancelled_orders(self, tmp_path):
        text = SMALL + "1,ann,2024-01-05 10:30:00,milk,-1,1.50\nX4,ann,2024-02-05 10:30:00,milk,-1,1.50\n"
        done, stored = store(tmp_path, deliver(tmp_path, text, told(LINES, kinds={"prefix": {"X": "cancelled"}})))
        assert stored["quarantine"] == []
        assert {"returns", "cancellations", "products", "units", "lines", "hours"} <= set(done.shop.has)


class TestWhatCannotBeRead:
    def test_a_bad_row_goes_to_quarantine_with_its_rule_line_and_reason(self, tmp_path):
        text = SMALL + "3,bob,31/31/2020,milk,1,1.60\n4,bob,2024-01-05 10:00,milk,one,1.60\n"
        done, stored = store(tmp_path, deliver(tmp_path, text, LINES))
        found = {(row["table_name"], row["source_line"], row["rule"]) for row in stored["quarantine"]}
        assert found == {
            ("orders", "orders.csv:5", "ordered_at is a date as the mapping says"),
            ("order_lines", "orders.csv:5", "ordered_at is a date as the mapping says"),
            ("order_lines", "orders.csv:6", "unit_count is a number as the mapping says"),
        }
        said = [row["row"] for row in stored["quarantine"]]
        assert any("column 'Date' is '31/31/2020', not a date like 2024-01-31" in row for row in said)
        assert done.received["order_lines"] == 5

    def test_a_row_that_is_an_order_is_set_aside_whole(self, tmp_path):
        text = "Customer,Order,Date,Total\nann,1,2024-01-05,x\nann,2,2024-01-05,1\nann,3,2024-01-05,2\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, told(ORDERS, columns={"order_id": "Order"})))
        assert [row["order_id"] for row in stored["orders"]] == ["2", "3"]
        assert {row["table_name"] for row in stored["quarantine"]} == {"orders", "order_lines"}

    def test_a_repeated_order_names_the_first(self, tmp_path):
        text = "Customer,Order,Date,Total\nann,1,2024-01-05,1\nann,1,2024-01-06,2\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, told(ORDERS, columns={"order_id": "Order"})))
        assert [row["net_amount"] for row in stored["order_lines"]] == [EURO]
        assert "stands on orders.csv:2 too" in stored["quarantine"][0]["row"]

    def test_a_line_whose_time_cannot_be_read_leaves_the_order_to_the_others(self, tmp_path):
        text = SMALL.replace("1,ann,2024-01-05 10:30:00,milk", "1,ann,soon,milk") + "1,,,tea,1,2\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, LINES))
        assert [row["source_line"] for row in stored["quarantine"]] == ["orders.csv:2"]
        assert [row["local_on"] for row in stored["orders"]] == [date(2024, 1, 5), date(2024, 7, 5)]
        assert [row["product_id"] for row in stored["order_lines"]] == ["bread", "tea", "milk"]

    def test_an_order_has_one_customer(self, tmp_path):
        text = SMALL + "2,ann,2024-07-05 23:30:00,tea,1,2\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, LINES))
        assert {row["rule"] for row in stored["quarantine"]} == {"an order has one customer"}
        assert "order '2' has the customers 'ann' and 'bob'" in stored["quarantine"][0]["row"]

    def test_an_order_in_two_files_is_not_counted_twice(self, tmp_path):
        files = [write(tmp_path / "may.csv", SMALL), write(tmp_path / "june.csv", SMALL.replace("\n2,", "\n3,"))]
        _done, stored = store(tmp_path, deliver(tmp_path, files, LINES))
        assert [row["order_id"] for row in stored["orders"]] == ["2", "3"]
        assert {row["rule"] for row in stored["quarantine"]} == {"an order stands in one file"}

    def test_orders_in_another_currency_are_set_aside(self, tmp_path):
        text = "Customer,Date,Total,Cur\nann,2024-01-05,1,EUR\nbob,2024-01-05,1,USD\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, told(ORDERS, columns={"currency": "Cur"})))
        assert [row["customer_id"] for row in stored["orders"]] == ["ann"]
        assert {row["rule"] for row in stored["quarantine"]} == {"currency is the shop's"}

    def test_a_ragged_row_is_set_aside_and_the_lines_after_it_keep_their_numbers(self, tmp_path):
        text = SMALL + "3,bob,2024-01-05\n\n4,bob,2024-01-05 10:00,milk,x,1.60\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, LINES))
        found = {(row["source_line"], row["rule"]) for row in stored["quarantine"]}
        assert found == {
            ("orders.csv:5", "the row has as many fields as the header"),
            ("orders.csv:7", "unit_count is a number as the mapping says"),
        }

    def test_an_order_after_the_delivery_is_no_order(self, tmp_path):
        text = "Customer,Date,Total\nann,2024-01-05,1\nann,2204-01-05,1\nann,0020-01-05,1\nann,2024-01-07,1\n"
        delivery = deliver(tmp_path, text, ORDERS)
        assert delivery.shop.observed_until == datetime(2024, 1, 7, 23, tzinfo=UTC)
        _done, stored = store(tmp_path, delivery)
        assert len(stored["orders"]) == 2
        assert {row["rule"] for row in stored["quarantine"]} == {"ordered_at is between time.earliest and the delivery"}
        said = " ".join(row["row"] for row in stored["quarantine"])
        assert "column 'Date' is '2204-01-05', after the delivery (2026-01-01)" in said
        assert "'0020-01-05', not between time.earliest (1990-01-01) and the delivery" in said


def test_ids_with_a_nul_are_set_aside_with_their_line(tmp_path):
    text = SMALL + "3,a\0n,2024-01-05 10:00,milk,1,1\n4,ann,2024-01-05 11:00,te\0a,1,1\n5\0,ann,2024-01-05,tea,1,1\n"
    _done, stored = store(tmp_path, deliver(tmp_path, text, LINES))
    aside = {(row["table_name"], row["source_line"]): row["rule"] for row in stored["quarantine"]}
    assert aside == {
        ("customers", "orders.csv:5"): "customer_id has no NUL character",
        ("orders", "orders.csv:5"): "customer_id has no NUL character",
        ("order_lines", "orders.csv:5"): "order_id is one of the orders",
        ("products", "orders.csv:6"): "product_id has no NUL character",
        ("order_lines", "orders.csv:6"): "product_id has no NUL character",
        ("orders", "orders.csv:7"): "order_id has no NUL character",
        ("order_lines", "orders.csv:7"): "order_id has no NUL character",
    }


class TestCustomersMissing:
    TEXT = SMALL + "3,,2024-01-05 10:00,milk,1,1\n3,,2024-01-05 10:00,tea,1,1\n"

    def test_set_aside_they_do_not_count_towards_the_limit(self, tmp_path):
        delivery = deliver(tmp_path, self.TEXT, told(LINES, customers={"missing": "set_aside"}))
        done, stored = store(tmp_path, delivery, limit=0.0)
        assert delivery.tolerated == ("customer_id is given",)
        assert [row["order_id"] for row in stored["orders"]] == ["1", "2"]
        assert done.breaches == {
            ("orders", "customer_id is given", "quarantine"): 1,
            ("order_lines", "customer_id is given", "quarantine"): 2,
        }

    @pytest.mark.parametrize("row", ["order", "line"])
    def test_where_order_ids_are_made_the_customer_is_what_is_missing(self, tmp_path, row):
        text = "Customer,Date,Total\nann,2024-01-05,1\n,2024-01-06,1\n,2024-01-07,1\nbob,,1\n"
        delivery = deliver(tmp_path, text, told(ORDERS, file={"row": row}, customers={"missing": "set_aside"}))
        done, stored = store(tmp_path, delivery, limit=0.5)
        assert [row["order_id"] for row in stored["orders"]] == ["ann/2024-01-05"]
        aside = {(row["table_name"], row["source_line"]): row["rule"] for row in stored["quarantine"]}
        lines = {("order_lines", f"orders.csv:{line}"): "customer_id is given" for line in (3, 4)}
        lines[("order_lines", "orders.csv:5")] = "ordered_at is given"
        orders = {("orders", place): rule for (_table, place), rule in lines.items()} if row == "order" else {}
        assert aside == orders | lines
        assert sum(n for (_table, rule, _kind), n in done.breaches.items() if rule == "customer_id is given") == (
            4 if row == "order" else 2
        )

    @pytest.mark.parametrize(("rows_without", "said"), [(0, []), (1, ["1 row has"]), (2, ["2 rows have"])])
    def test_a_row_whose_order_names_the_customer_elsewhere_is_not_without(self, tmp_path, rows_without, said):
        text = SMALL + "2,,,tea,1,1\n" + "".join(f"{i},,2024-01-05,milk,1,1\n" for i in range(5, 5 + rows_without))
        notes = deliver(tmp_path, text, told(LINES, customers={"missing": "set_aside"})).notes
        expected = [f"{count} no customer: orders without one are set aside" for count in said]
        assert [note for note in notes if "no customer" in note] == expected

    def test_rows_that_no_id_can_be_made_for_are_without(self, tmp_path):
        text = "Customer,Date,Total\nann,2024-01-05,1\n,2024-01-06,1\n"
        mapping = told(ORDERS, file={"row": "line"}, customers={"missing": "set_aside"})
        assert any(note.startswith("1 row has no customer") for note in deliver(tmp_path, text, mapping).notes)

    def test_refused_they_do(self, tmp_path):
        assert deliver(tmp_path, self.TEXT, LINES).tolerated == ()

    def test_case_can_be_folded(self, tmp_path):
        text = "Customer,Date,Total\nAnn@X.de,2024-01-05,1\nann@x.DE,2024-01-06,1\n"
        delivery = deliver(tmp_path, text, told(ORDERS, customers={"fold_case": True}))
        assert rows(delivery, "customers", "customer_id") == ["ann@x.de"]


class TestWaysOfWriting:
    def everything(self, delivery):
        return [
            sorted(map(str, rows(delivery, name, *FACTS[name].columns)))
            for name in ("customers", "products", "orders", "order_lines")
        ]

    @pytest.fixture
    def expected(self, tmp_path):
        (tmp_path / "plain").mkdir()
        return self.everything(deliver(tmp_path / "plain", SMALL, LINES))

    @pytest.mark.parametrize(
        ("delimiter", "file"),
        [(";", {"delimiter": ";"}), ("\t", {"delimiter": "\t"}), ("|", {"delimiter": "|"})],
    )
    def test_delimiters(self, tmp_path, expected, delimiter, file):
        assert self.everything(deliver(tmp_path, SMALL.replace(",", delimiter), told(LINES, file=file))) == expected

    def test_a_tsv_file_needs_no_delimiter(self, tmp_path, expected):
        file = write(tmp_path / "orders.tsv", SMALL.replace(",", "\t"))
        assert self.everything(deliver(tmp_path, file, LINES)) == expected

    def test_a_byte_order_mark_is_no_content(self, tmp_path, expected):
        assert self.everything(deliver(tmp_path, "\ufeff" + SMALL, LINES)) == expected

    def test_windows_lines(self, tmp_path, expected):
        assert self.everything(deliver(tmp_path, SMALL.replace("\n", "\r\n"), LINES)) == expected

    @pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
    def test_encodings(self, tmp_path, encoding):
        file = write(tmp_path / "orders.csv", SMALL.replace("milk", "Käse"), encoding)
        delivery = deliver(tmp_path, file, told(LINES, file={"encoding": encoding}))
        assert sorted(rows(delivery, "products", "product_id")) == ["Käse", "bread"]

    def test_gzip(self, tmp_path, expected):
        file = tmp_path / "orders.csv.gz"
        file.write_bytes(gzip.compress(SMALL.encode()))
        assert self.everything(deliver(tmp_path, file, LINES)) == expected

    def test_titles_above_the_header_are_skipped(self, tmp_path, expected):
        mapping = told(LINES, file={"skip_lines": 2})
        assert self.everything(deliver(tmp_path, "Report\nof May\n" + SMALL, mapping)) == expected

    def test_no_header(self, tmp_path, expected):
        header, body = SMALL.split("\n", 1)
        mapping = told(LINES, file={"columns": header.split(",")})
        assert self.everything(deliver(tmp_path, body, mapping)) == expected

    def test_blanks_between_columns(self, tmp_path):
        text = " Customer  Date   Total\n ann 20240105   1.50\n\n bob  20240106  2\n bob 20240107\n"
        mapping = told(ORDERS, file={"delimiter": "whitespace"}, time={"format": "%Y%m%d"})
        delivery = deliver(tmp_path, text, mapping)
        found = rows(delivery, "orders", "source_line", "customer_id", "unreadable")
        assert sorted(found) == [
            ("orders.csv:2", "ann", None),
            ("orders.csv:4", "bob", None),
            ("orders.csv:5", None, "the row has 2 fields, the header 3"),
        ]

    def test_parquet_keeps_its_types(self, tmp_path, expected):
        types = [pa.float64(), pa.string(), pa.timestamp("s"), pa.string(), pa.int8(), pa.float64()]
        table = pyarrow.csv.read_csv(pa.BufferReader(SMALL.encode()))
        schema = pa.schema(list(zip(table.column_names, types, strict=True)))
        pq.write_table(table.cast(schema), tmp_path / "orders.parquet")
        assert self.everything(deliver(tmp_path, tmp_path / "orders.parquet", LINES)) == expected

    def test_parquet_rows_are_numbered_from_one(self, tmp_path):
        pq.write_table(
            pa.table({"Customer": ["ann", "bob"], "Date": [date(2024, 1, 5)] * 2, "Total": [1.5, 2.0]}),
            tmp_path / "o.parquet",
        )
        delivery = deliver(tmp_path, tmp_path / "o.parquet", ORDERS)
        assert rows(delivery, "orders", "source_line", "local_hour") == [("o.parquet:1", None), ("o.parquet:2", None)]

    def test_instants_in_parquet_keep_their_instant(self, tmp_path):
        when = datetime(2024, 1, 5, 12, tzinfo=UTC)
        pq.write_table(pa.table({"Customer": ["ann"], "Date": [when], "Total": [1.5]}), tmp_path / "o.parquet")
        delivery = deliver(tmp_path, tmp_path / "o.parquet", ORDERS)
        assert rows(delivery, "orders", "ordered_at", "local_hour") == [(when, 13)]

    def test_several_files_are_one_record(self, tmp_path):
        head, first, second, third = SMALL.strip().split("\n")
        may = write(tmp_path / "may.csv", f"{head}\n{first}\n{second}\n")
        june = write(tmp_path / "june.csv", f"{head}\n{third}\n")
        delivery = deliver(tmp_path, [may, june], LINES)
        assert rows(delivery, "orders", "order_id", "source_line") == [("1", "may.csv:2"), ("2", "june.csv:2")]

    def test_quoted_newlines_do_not_shift_the_lines(self, tmp_path):
        text = (
            "Order,Customer,Date,Product,Quantity,Price,Note\n"
            '1,ann,2024-01-05 10:00,milk,1,1,"two\nlines"\n'
            '2,bob,2024-01-05 10:00,milk,1,1,"three\nlines\nhere"\n'
            "3,bob\n"
            '4,bob,2024-01-05 10:00,milk,1,1,"x\ny"\n'
            "5,bob,2024-01-05 10:00,milk,1,1,\n"
        )
        delivery = deliver(tmp_path, text, LINES)
        found = sorted(rows(delivery, "order_lines", "source_line"), key=lambda line: int(line.split(":")[1]))
        assert [int(line.split(":")[1]) for line in found] == [2, 4, 7, 8, 10]


class TestCdnow:
    @pytest.fixture(scope="class")
    def folder(self):
        spec = find_spec("lifetimes")
        if spec is None or spec.origin is None:
            pytest.skip("the package lifetimes, which ships the file, is not installed")
        return Path(spec.origin).parent / "datasets"

    def test_the_mapping_that_comes_along_reads_it(self, tmp_path, folder):
        delivery = read([folder / "CDNOW_master.txt"], load_mapping("cdnow"), staging=tmp_path / "s", at=DELIVERED_AT)
        done, stored = store(tmp_path, delivery, limit=0.0)
        assert (len(stored["customers"]), len(stored["orders"]), len(stored["order_lines"])) == (23_570, 69_659, 69_659)
        assert sum(row["net_amount"] for row in stored["order_lines"]) == Decimal("2500315.63")
        assert sum(row["unit_count"] for row in stored["order_lines"]) == 167_881
        assert {"units"} <= set(done.shop.has)
        assert not {"products", "lines", "hours"} & set(done.shop.has)
        first = min(stored["orders"], key=lambda row: (row["customer_id"], row["ordered_at"]))
        assert (first["order_id"], first["ordered_at"]) == (
            "00001/1997-01-01", datetime(1997, 1, 1, 5, tzinfo=UTC),
        )  # fmt: skip
