"""Exports of known shop systems, and what comes of exporting again."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import ibis
import pytest

from facts.ingest import ingest
from facts.ingest.table import load_mapping, read
from facts.lake import Lake
from tests.facts.table_shop import DELIVERED_AT, LINES, ORDERS, deliver, rows, store, told, write

# The header of Shopify's export, in its order.
SHOPIFY = [
    "Name",
    "Email",
    "Financial Status",
    "Paid at",
    "Fulfillment Status",
    "Fulfilled at",
    "Accepts Marketing",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Code",
    "Discount Amount",
    "Shipping Method",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
    "Lineitem compare at price",
    "Lineitem sku",
    "Lineitem requires shipping",
    "Lineitem taxable",
    "Lineitem fulfillment status",
    "Billing Name",
    "Billing Street",
    "Billing Address1",
    "Billing Address2",
    "Billing Company",
    "Billing City",
    "Billing Zip",
    "Billing Province",
    "Billing Country",
    "Billing Phone",
    "Shipping Name",
    "Shipping Street",
    "Shipping Address1",
    "Shipping Address2",
    "Shipping Company",
    "Shipping City",
    "Shipping Zip",
    "Shipping Province",
    "Shipping Country",
    "Shipping Phone",
    "Notes",
    "Note Attributes",
    "Cancelled at",
    "Payment Method",
    "Payment Reference",
    "Refunded Amount",
    "Vendor",
    "Outstanding Balance",
    "Employee",
    "Location",
    "Device ID",
    "Id",
    "Tags",
    "Risk Level",
    "Source",
    "Lineitem discount",
    "Tax 1 Name",
    "Tax 1 Value",
    "Phone",
    "Receipt Number",
]
WOOCOMMERCE = [
    "order_id",
    "order_number",
    "order_date",
    "status",
    "shipping_total",
    "shipping_tax_total",
    "fee_total",
    "fee_tax_total",
    "tax_total",
    "discount_total",
    "order_total",
    "refunded_total",
    "order_currency",
    "payment_method",
    "shipping_method",
    "customer_id",
    "billing_first_name",
    "billing_last_name",
    "billing_company",
    "billing_email",
    "billing_phone",
    "billing_country",
    "customer_note",
    "item_id",
    "item_product_id",
    "item_name",
    "item_sku",
    "item_quantity",
    "item_subtotal",
    "item_subtotal_tax",
    "item_total",
    "item_total_tax",
    "item_refunded",
    "item_refunded_qty",
    "item_meta",
]


def export(header, *records):
    """Write records as an export does: every column there, most of them empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def first(name, **more):
    told = {"Created at": "2024-01-15 22:23:45 -0500", "Currency": "EUR", "Financial Status": "paid"}
    return {"Name": name, "Discount Amount": "0.00", "Refunded Amount": "0.00", **told, **more}


def line(name, sku, quantity, price, **more):
    return {"Name": name, "Lineitem sku": sku, "Lineitem name": f"The {sku or 'gift'}", "Lineitem quantity": quantity,
            "Lineitem price": price, "Vendor": "Acme", **more}  # fmt: skip


@pytest.fixture
def shopify(tmp_path):
    text = export(
        SHOPIFY,
        first("#1001", Email="Ann@x.de", **{"Discount Amount": "3.00", "Notes": "leave it\nat the door"})
        | line("#1001", "mug", 2, "10.00", **{"Billing Country": "DE", "Accepts Marketing": "yes"}),
        line("#1001", "", 1, "10.00"),
        first("#1002", Email="bob@x.de", **{"Refunded Amount": "5.00", "Financial Status": "partially_refunded"})
        | line("#1002", "mug", 1, "10.00"),
        first("#1003", Email="ann@x.de", **{"Cancelled at": "2024-01-16 10:00:00 -0500"})
        | line("#1003", "mug", 1, "10.00"),
        first("#1004") | line("#1004", "mug", 1, "10.00"),
        first("#1005", Email="eve@x.de", **{"Refunded Amount": "14.90", "Financial Status": "refunded"})
        | line("#1005", "mug", 1, "10.00"),
    )
    mapping = load_mapping("shopify", shop="Corner", currency="EUR", zone="Europe/Berlin")
    files = [write(tmp_path / "orders_export.csv", text)]
    return read(files, mapping, staging=tmp_path / "staging", at=DELIVERED_AT)


class TestShopify:
    def test_an_order_is_told_on_its_first_row(self, shopify):
        found = rows(shopify, "orders", "order_id", "customer_id", "kind", "ordered_at", "local_on", "local_hour")
        at = (datetime(2024, 1, 16, 3, 23, 45, tzinfo=UTC), date(2024, 1, 16), 4)
        assert [row for row in found if "/" not in row[0]] == [
            ("#1001", "ann@x.de", "sale", *at),
            ("#1002", "bob@x.de", "sale", *at),
            ("#1003", "ann@x.de", "cancelled", *at),
            ("#1004", None, "sale", *at),
            ("#1005", "eve@x.de", "sale", *at),
        ]

    def test_lines_carry_their_share_of_the_discount(self, shopify):
        found = rows(shopify, "order_lines", "order_id", "product_id", "unit_count", "gross_amount", "net_amount")
        assert [row[1:] for row in found if row[0] == "#1001"] == [
            ("mug", 2, Decimal(20), Decimal(18)),
            ("The gift", 1, Decimal(10), Decimal(9)),
        ]

    def test_a_refund_is_a_return_of_at_most_what_the_goods_cost(self, shopify):
        found = rows(shopify, "order_lines", "order_id", "product_id", "net_amount")
        assert [row for row in found if row[0].endswith("/refund")] == [
            ("#1002/refund", None, Decimal(-5)),
            ("#1005/refund", None, Decimal(-10)),
        ]

    def test_the_lake_takes_it_whole(self, tmp_path, shopify):
        done, stored = store(tmp_path, shopify, limit=0.0)
        assert {row["source_line"] for row in stored["quarantine"]} == {"orders_export.csv:7"}
        assert [row["traits"] for row in stored["customers"]][:1] == ['{"country": "DE", "accepts_marketing": "yes"}']
        assert {row["brand"] for row in stored["products"]} == {"Acme"}
        assert {"products", "brands", "returns", "cancellations", "discounts", "hours"} <= set(done.shop.has)


def test_woocommerce(tmp_path):
    def item(number, sku, quantity, before, after, **more):
        return {"order_number": number, "order_date": "2024-07-15 10:23:45", "status": "completed",
                "order_currency": "EUR", "billing_email": "Ann@x.de", "item_sku": sku, "item_name": f"The {sku}",
                "item_quantity": quantity, "item_subtotal": before, "item_total": after, "item_refunded": "0",
                "item_refunded_qty": "0", **more}  # fmt: skip

    text = export(
        WOOCOMMERCE,
        item(17, "mug", 2, "20", "18"),
        item(17, "tea", 1, "5", "5", item_refunded="-5", item_refunded_qty="-1"),
        item(18, "tea", 1, "5", "5", status="failed"),
    )
    mapping = load_mapping("woocommerce", shop="Corner", currency="EUR", zone="Europe/Berlin")
    files = [write(tmp_path / "orders.csv", text)]
    delivery = read(files, mapping, staging=tmp_path / "staging", at=DELIVERED_AT)
    assert rows(delivery, "orders", "order_id", "kind", "local_hour") == [
        ("17", "sale", 10), ("18", "cancelled", 10), ("17/refund", "return", 10),
    ]  # fmt: skip
    found = rows(delivery, "order_lines", "order_id", "product_id", "unit_count", "discount_amount", "net_amount")
    assert found == [
        ("17", "mug", 2, 2, 18), ("17", "tea", 1, 0, 5), ("18", "tea", 1, 0, 5), ("17/refund", "tea", -1, 0, -5),
    ]  # fmt: skip


class TestExportedAgain:
    TEXT = (
        "Order,Customer,Date,Product,Quantity,Price\n"
        "1,ann,2024-01-05 10:30,milk,2,1.50\n"
        "2,bob,2024-01-06 10:30,milk,1,1.50\n"
    )

    def again(self, tmp_path, text, mapping=LINES, first=TEXT):
        lake = Lake(tmp_path / "lake")
        for i, told_text in enumerate((first, text)):
            folder = tmp_path / str(i)
            folder.mkdir()
            self.done = ingest(deliver(folder, told_text, mapping), lake, at=DELIVERED_AT)
        return self.done.orders

    def test_the_same_file_changes_nothing(self, tmp_path):
        assert self.again(tmp_path, self.TEXT) == {"new": 0, "corrected": 0, "unchanged": 2, "ended": 0}

    def test_a_made_up_order_id_stays_the_same(self, tmp_path):
        mapping = told(LINES, columns={"order_id": None})
        text = self.TEXT + ",ann,2024-01-07 10:30,milk,1,1\n"
        assert self.again(tmp_path, text, mapping) == {"new": 1, "corrected": 0, "unchanged": 2, "ended": 0}

    def test_an_assumed_refund_stays_the_same_when_newer_orders_come(self, tmp_path):
        text = "Order,Customer,Date,Total,Back\n1,ann,2024-02-16 10:00,30,10\n2,bob,2024-02-17 15:23:45,5,\n"
        columns = {"order_id": "Order", "refunded_amount": "Back"}
        mapping = told(ORDERS, columns=columns, kinds={"refund_after_days": 14})
        newer = text + "3,cat,2024-02-20 09:00,5,\n"
        assert self.again(tmp_path, newer, mapping, text) == {"new": 1, "corrected": 0, "unchanged": 3, "ended": 0}

    def test_a_changed_line_is_the_orders_next_version(self, tmp_path):
        text = self.TEXT.replace("1,ann,2024-01-05 10:30,milk,2", "1,ann,2024-01-05 10:30,milk,3")
        assert self.again(tmp_path, text) == {"new": 0, "corrected": 1, "unchanged": 1, "ended": 0}

    @pytest.mark.parametrize(("time", "same"), [("", "customer and day"), (" 10:30", "customer and time")])
    def test_without_order_ids_what_was_replaced_is_said(self, tmp_path, time, same):
        head = "Customer,Date,Total\n"
        first, then = (f"{head}ann,2024-01-05{time},{total}\n" for total in (10, 20))
        assert self.again(tmp_path, then, ORDERS, first)["corrected"] == 1
        (said,) = (note for note in self.done.notes if "gave way" in note)
        assert said.startswith(f"what was known of 1 order gave way to what is delivered of the same {same}: without ")
        assert "deliver whole days" in said

    def test_a_day_that_is_delivered_whole_loses_and_doubles_nothing(self, tmp_path):
        first = "Customer,Date,Total\nann,2024-01-05,10\nbob,2024-01-05,10\n"
        whole = first + "ann,2024-01-05,20\nann,2024-01-05,10\n"
        self.again(tmp_path, whole, ORDERS, first)
        assert self.totals(tmp_path) == {"ann": [10, 10, 20], "bob": [10]}

    @pytest.mark.parametrize(
        ("left", "gave_way"), [(["10"], 3), (["20"], 2), (["5"], 3), (["10", "20"], 1), (["-3"], 3)]
    )
    def test_a_day_that_is_delivered_again_with_fewer_rows_is_what_is_delivered(self, tmp_path, left, gave_way):
        """Ann's day had three orders; bob's, and another day of ann's, are not told of again."""
        first = "Customer,Date,Total\nbob,2024-01-05,10\nann,2024-01-06,7\n"
        whole = first + "ann,2024-01-05,20\nann,2024-01-05,10\nann,2024-01-05,10\n"
        day = "Customer,Date,Total\n" + "".join(f"ann,2024-01-05,{total}\n" for total in left)
        self.again(tmp_path, day, ORDERS, whole)
        assert self.totals(tmp_path) == {"ann": sorted(map(float, [7, *left])), "bob": [10]}
        (said,) = (note for note in self.done.notes if "gave way" in note)
        assert said.startswith(f"what was known of {gave_way} order")

    def test_with_order_ids_nothing_is_said_of_a_correction(self, tmp_path):
        self.again(tmp_path, self.TEXT.replace("1.50", "1.60"))
        assert not any("gave way" in note for note in self.done.notes)

    def totals(self, tmp_path):
        lake, found = Lake(tmp_path / "lake"), {}
        with lake.connect() as connection:
            orders = lake.table(connection, "orders").filter(ibis._.superseded_at.isnull())
            lines = lake.table(connection, "order_lines").join(orders, ["order_id", "version"])
            for row in lines.order_by("net_amount").to_pyarrow().to_pylist():
                found.setdefault(row["customer_id"], []).append(row["net_amount"])
        return found
