"""A suggested mapping: what it says reads the file, and what it does not know it asks."""

from __future__ import annotations

import re
import tomllib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facts.ingest.table import BadFile, BadMapping, load_mapping, read, shipped_text, suggest
from tests.facts.table_shop import DELIVERED_AT, rows, write

HEAD = "Order No;Customer Email;Order Date;SKU;Qty;Unit Price;Status\n"
BODY = (
    "17;ann@x.de;31.01.2024 10:30;milk;2;1.234,50 €;paid\n"
    "17;ann@x.de;31.01.2024 10:30;bread;1;3,00 €;paid\n"
    "18;bob@x.de;01.02.2024 08:00;milk;1;1,60 €;cancelled\n"
    "19;;01.02.2024 08:00;milk;1;1,60 €;odd\n"
    "R20;ann@x.de;02.02.2024 08:00;milk;-1;1,60 €;paid\n"
)


def columns_of(names):
    """Return a row for some columns: a brand where one is asked for, else numbers."""
    return ",".join("Acme" if name == "brand" else "2" for name in names.split(","))


def completed(text):
    """Answer what is left open as its example says, by taking the comment sign away."""
    return "\n".join(
        line.removeprefix("# ") if "# undecided" in line[2:] and line.startswith("# ") else line
        for line in text.splitlines()
    )


@pytest.fixture
def german(tmp_path):
    return write(tmp_path / "bestellungen.csv", HEAD + BODY, "cp1252")


class TestAFileOfOnesOwn:
    def test_what_is_sure_is_written(self, german):
        told = tomllib.loads(suggest(german).text)
        assert told["file"] == {"row": "line", "encoding": "cp1252", "delimiter": ";"}
        assert told["time"] == {"format": "%d.%m.%Y %H:%M"}
        assert told["numbers"] == {"decimal": ",", "thousands": "."}
        assert told["shop"] == {"name": "bestellungen", "currency": "EUR"}
        assert told["columns"] == {
            "order_id": "Order No", "customer_id": "Customer Email", "ordered_at": "Order Date", "product_id": "SKU",
            "unit_count": "Qty", "unit_price": "Unit Price", "status": "Status",
        }  # fmt: skip
        assert told["kinds"] == {"prefix": {"R": "return"}, "status": {"paid": "sale", "cancelled": "cancelled"}}
        assert told["customers"] == {"missing": "set_aside"}

    def test_what_is_not_is_left_open_and_listed(self, german):
        suggestion = suggest(german)
        assert [sentence.split(":")[0] for sentence in suggestion.undecided] == ["time.zone", "kinds.other_status"]
        assert all(sentence in suggestion.text for sentence in suggestion.undecided)

    def test_it_is_refused_until_a_person_has_decided(self, german, tmp_path):
        with pytest.raises(BadMapping, match=r"'time\.zone' is missing"):
            load_mapping(write(tmp_path / "shop.toml", suggest(german).text))

    def test_decided_it_reads_the_file(self, german, tmp_path):
        mapping = load_mapping(write(tmp_path / "shop.toml", completed(suggest(german).text)))
        delivery = read([german], mapping, staging=tmp_path / "staging", at=DELIVERED_AT)
        assert rows(delivery, "orders", "order_id", "kind") == [
            ("17", "sale"), ("18", "cancelled"), ("19", "sale"), ("R20", "return"),
        ]  # fmt: skip
        assert [float(value) for value in rows(delivery, "order_lines", "net_amount")] == [2469, 3, 1.6, 1.6, -1.6]


class TestWhatCannotBeDecided:
    def undecided(self, tmp_path, text):
        return " | ".join(suggest(write(tmp_path / "o.csv", text)).undecided)

    def test_day_and_month(self, tmp_path):
        said = self.undecided(tmp_path, "customer,date,total\nann,01/02/2024,1.50\n")
        assert "time.format: %d/%m/%Y, %m/%d/%Y all read 'date', as in 01/02/2024" in said

    def test_mixed_dates(self, tmp_path):
        said = self.undecided(
            tmp_path, "customer,date,total\nann,31/01/2024,1.50\nann,30/01/2024,1\nbob,2024-01-05,1\n"
        )
        assert "%d/%m/%Y reads 2 of 3 values of 'date', but not 2024-01-05" in said

    def test_thousands_or_three_decimals(self, tmp_path):
        said = self.undecided(tmp_path, "customer,date,total\nann,2024-01-31,1.500\nbob,2024-01-31,2.250\n")
        assert "numbers.decimal: 1.500 may be thousands or have three decimals" in said

    @pytest.mark.parametrize("columns", ["qty,price,total", "price,total", "qty,brand,total", "total,amount"])
    def test_every_column_is_used_or_said_not_to_be(self, tmp_path, columns):
        text = suggest(
            write(tmp_path / "o.csv", f"customer,date,{columns}\nann,2024-01-31,{columns_of(columns)}\n")
        ).text
        used = set(tomllib.loads(text)["columns"].values())
        (unused,) = [line for line in text.splitlines() if line.startswith("# not used: ")] or [""]
        assert {name for name in columns.split(",") if name not in used} == set(re.findall("'(.+?)'", unused))

    @pytest.mark.parametrize(("order", "is_said"), [("", False), ("order,", True)])
    def test_without_order_ids_files_must_hold_whole_days(self, tmp_path, order, is_said):
        text = f"{order}customer,date,total\n{order and '1,'}ann,2024-01-31,1.50\n"
        assert ("a file must hold whole days" not in suggest(write(tmp_path / "o.csv", text)).text) == is_said

    def test_two_currencies(self, tmp_path):
        said = self.undecided(tmp_path, "customer,date,total,currency\nann,2024-01-31,1,EUR\nbob,2024-01-31,2,USD\n")
        assert "orders are in EUR, USD" in said

    def test_a_total_that_is_the_orders(self, tmp_path):
        text = "order,customer,date,sku,total\n1,ann,2024-01-31,a,9\n1,ann,2024-01-31,b,9\n2,bob,2024-01-31,b,3\n"
        assert "'total' is the same on every line of an order" in self.undecided(tmp_path, text)

    def test_a_missing_amount_names_the_columns(self, tmp_path):
        said = self.undecided(tmp_path, "date,id\n2024-01-31,7\n")
        assert "columns.net_amount: no column looks like an amount: 'date', 'id'" in said

    @pytest.mark.parametrize(
        ("columns", "vouchers", "key"),
        [
            ("sku,qty,unit price", ("2.00", "2.00", ""), "order_discount_amount"),
            ("sku,qty,unit price", ("2.00", "", "1.00"), "order_discount_amount"),
            ("sku,qty,unit price", ("2.00", "0.50", "1.00"), "discount_amount"),
            ("sku,qty,total", ("2.00", "", ""), "coupon_amount"),
        ],
    )
    def test_whether_a_voucher_lowers_what_the_shop_received(self, tmp_path, columns, vouchers, key):
        lines = [
            f"{order},{who},2024-01-31,a{i},1,{9 + i}.50,{voucher}"
            for i, (order, who, voucher) in enumerate(
                zip(("1001", "1001", "1002"), ("ann", "ann", "bob"), vouchers, strict=True)
            )
        ]
        text = "\n".join([f"order,customer,date,{columns},Voucher", *lines]) + "\n"
        suggestion = suggest(write(tmp_path / "o.csv", text))
        assert any(
            sentence.startswith(f"columns.{key}: 'Voucher' lowers what the shop received")
            for sentence in suggestion.undecided
        )
        assert "Voucher" not in tomllib.loads(suggestion.text)["columns"].values()
        assert tomllib.loads(completed(suggestion.text))["columns"][key] == "Voucher"

    @pytest.mark.parametrize(
        ("ids", "kinds", "said"),
        [
            (("1001", "1002", "R1001"), {"R": "return"}, "1 of 3 order ids start with 'R', and 'R1001' names an order"),
            (("W1", "W2", "S3"), {"S": "sale"}, "1 of 3 order ids start with 'S', as 'S3'"),
            (("W1", "W2", "W3"), None, ""),
            (("a1", "b2", "c3", "d4", "e5", "f6", "ab7"), None, ""),
        ],
    )
    def test_what_the_start_of_an_order_id_means(self, tmp_path, ids, kinds, said):
        lines = [f"{order},ann,2024-01-31,{i}.50" for i, order in enumerate(ids)]
        suggestion = suggest(write(tmp_path / "o.csv", "\n".join(["order,customer,date,total", *lines]) + "\n"))
        assert said in " | ".join(suggestion.undecided)
        assert "prefix" not in tomllib.loads(suggestion.text).get("kinds", {})
        assert tomllib.loads(completed(suggestion.text)).get("kinds", {}).get("prefix") == kinds

    def test_a_start_that_is_sure_does_not_hide_one_that_is_not(self, tmp_path):
        text = "order,customer,date,sku,qty,price\n1,ann,2024-01-31,a,2,1.50\n2,bob,2024-01-31,a,1,1.50\n"
        text += "C1,ann,2024-02-01,a,-2,1.50\nR2,bob,2024-02-01,a,1,1.50\n"
        suggestion = suggest(write(tmp_path / "o.csv", text))
        assert tomllib.loads(suggestion.text)["kinds"]["prefix"] == {"C": "return"}
        assert any("'R2' names an order" in sentence for sentence in suggestion.undecided)

    def test_whose_group_it_is(self, tmp_path):
        text = "customer,date,sku,Group,total\nann,2024-01-31,a,Drinks,1.50\n"
        assert "columns.category: 'Group' may be the group of the product" in self.undecided(tmp_path, text)

    def test_a_column_that_stands_twice(self, tmp_path):
        said = self.undecided(tmp_path, "customer,date,amount,amount\nann,2024-01-31,1.50,9.00\n")
        assert "columns.net_amount: 'amount' stands 2 times in the header" in said

    def test_no_header(self, tmp_path):
        suggestion = suggest(write(tmp_path / "o.csv", "ann,2024-01-31,1.50\nbob,2024-01-31,2.25\n"))
        told = tomllib.loads(suggestion.text)
        assert told["file"]["columns"] == ["column_1", "column_2", "column_3"]
        assert told["columns"] == {"ordered_at": "column_2"}
        assert any(sentence.startswith("columns.customer_id") for sentence in suggestion.undecided)


class TestWhatIsKnown:
    @pytest.mark.parametrize("name", ["shopify", "woocommerce"])
    def test_the_columns_of_an_export_are_recognised(self, tmp_path, name):
        mapping = load_mapping(name, shop="x", currency="EUR", zone="UTC")
        header = ",".join([*mapping.names, "Something else"])
        values = ",".join("1" for _ in mapping.names) + ",x\n"
        suggestion = suggest(write(tmp_path / "export.csv", f"{header}\n{values}"))
        assert f"export.csv has the columns of {name}" in suggestion.text
        assert shipped_text(name).splitlines()[0] in suggestion.text
        told = tomllib.loads(completed(suggestion.text).replace('# name = "..."', 'name = "x"'))
        assert "columns" in told
        with pytest.raises(BadMapping, match="missing"):
            load_mapping(write(tmp_path / "shop.toml", suggestion.text))

    def test_types_of_a_parquet_file_need_no_formats(self, tmp_path):
        table = pa.table({"customer": ["ann"], "date": [DELIVERED_AT], "total": [1.5]})
        pq.write_table(table, tmp_path / "o.parquet")
        told = tomllib.loads(suggest(tmp_path / "o.parquet").text)
        assert "format" not in told["time"]
        assert "numbers" not in told
        assert told["columns"] == {"customer_id": "customer", "ordered_at": "date", "net_amount": "total"}

    def test_columns_set_apart_by_blanks(self, tmp_path):
        text = " customer  day   total\n ann 20240131   1.50\n bob  20240130  2\n"
        told = tomllib.loads(suggest(write(tmp_path / "o.txt", text)).text)
        assert told["file"]["delimiter"] == "whitespace"
        assert told["time"]["format"] == "%Y%m%d"
        assert told["columns"]["ordered_at"] == "day"


class TestBrokenFiles:
    """What is wrong is said as it is said when the file is ingested."""

    def test_a_parquet_file_that_was_cut_off(self, tmp_path):
        table = pa.table({"customer": ["ann"] * 5000, "total": list(range(5000))})
        pq.write_table(table, tmp_path / "whole.parquet")
        (tmp_path / "o.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:3000])
        with pytest.raises(BadFile, match=r"o\.parquet: it cannot be read as Parquet .*; copy or write it again"):
            suggest(tmp_path / "o.parquet")

    @pytest.mark.parametrize(("before", "line"), [("", 2), ("ann,2024-01-31,1\n" * 9, 11)])
    def test_a_quote_that_is_not_closed(self, tmp_path, before, line):
        text = f'customer,date,total\n{before}"bob,2024-01-31,1\nann,2024-01-31,1\n'
        with pytest.raises(BadFile, match=f"a quoted field opens on line {line} and never ends; close the quote"):
            suggest(write(tmp_path / "o.csv", text))

    def test_an_open_quote_in_a_large_file(self, tmp_path):
        text = 'customer,date,total\n"' + "ann,2024-01-31,1\n" * 70_000
        with pytest.raises(BadFile, match="a quoted field opens on line 2 and never ends"):
            suggest(write(tmp_path / "o.csv", text))

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_characters_that_no_text_has(self, tmp_path, encoding):
        file = write(tmp_path / "o.csv", HEAD + BODY, encoding)
        with pytest.raises(BadFile, match="its first row has NUL characters"):
            suggest(file)

    def test_a_sheet_of_what_is_no_workbook(self, german):
        with pytest.raises(BadFile, match="it is no workbook but csv, and has no sheet 'May'"):
            suggest(german, sheet="May")


@pytest.mark.parametrize("text", ["", "a,b,c\n"])
def test_nothing_to_look_at(tmp_path, text):
    with pytest.raises(BadFile, match="export it again"):
        suggest(write(tmp_path / "o.csv", text))
