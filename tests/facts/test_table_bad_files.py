"""A file that is not what its mapping says is refused by one sentence: what, where, what next."""

from __future__ import annotations

import gzip
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facts.errors import GateFailed, MissingColumns, RegularsError
from facts.ingest.table import BadFile
from tests.facts.table_shop import LINES, ORDERS, deliver, rows, store, told, write

HEAD = "Order,Customer,Date,Product,Quantity,Price\n"
GOOD = "1,ann,2024-01-05 10:30,milk,2,1.50\n"


def refused(folder, files, mapping, kind=BadFile):
    """Return the sentence with which files are refused."""
    with pytest.raises(kind) as caught:
        deliver(folder, files, mapping)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def total(values):
    return "Customer,Date,Total\n" + "".join(f'ann,2024-01-{i + 1:02},"{value}"\n' for i, value in enumerate(values))


class TestTheFileItself:
    def test_it_is_not_there(self, tmp_path):
        write(tmp_path / "order.csv", HEAD + GOOD)
        sentence = refused(tmp_path, tmp_path / "orders.csv", LINES)
        assert sentence == f"{tmp_path / 'orders.csv'}: there is no such file; beside it lie order.csv"

    def test_it_is_a_folder(self, tmp_path):
        assert "it is a folder; name the files in it" in refused(tmp_path, tmp_path, LINES)

    def test_it_is_given_twice(self, tmp_path):
        file = write(tmp_path / "a.csv", HEAD + GOOD)
        assert refused(tmp_path, [file, file], LINES) == "a.csv: it is given twice; name each file once"

    def test_no_file(self, tmp_path):
        assert "name one file or several" in refused(tmp_path, [], LINES)

    @pytest.mark.parametrize("text", ["", "\n", "  \n\n"])
    def test_it_is_empty(self, tmp_path, text):
        assert refused(tmp_path, text, LINES) == "orders.csv: it is empty; export it again"

    @pytest.mark.parametrize("text", [HEAD, HEAD.strip()])
    def test_it_has_a_header_only(self, tmp_path, text):
        sentence = refused(tmp_path, text, LINES)
        assert sentence == "orders.csv: it has a header and no rows; export it again, over a time with orders"

    def test_parquet_without_rows(self, tmp_path):
        empty = pa.table({"Customer": pa.array([], pa.string()), "Date": [], "Total": []})
        pq.write_table(empty, tmp_path / "o.parquet")
        assert "it has columns and no rows" in refused(tmp_path, tmp_path / "o.parquet", ORDERS)

    def test_broken_parquet(self, tmp_path):
        (tmp_path / "o.parquet").write_bytes(b"PAR1 and nothing else")
        assert "it cannot be read as Parquet" in refused(tmp_path, tmp_path / "o.parquet", ORDERS)

    def test_broken_gzip(self, tmp_path):
        content = gzip.compress((HEAD + GOOD * 5_000).encode())
        (tmp_path / "o.csv.gz").write_bytes(content[:-200])
        sentence = refused(tmp_path, tmp_path / "o.csv.gz", LINES)
        assert "it cannot be decompressed" in sentence
        assert "download it again" in sentence


class TestColumns:
    def test_a_wrong_delimiter_names_the_right_one(self, tmp_path):
        sentence = refused(tmp_path, (HEAD + GOOD).replace(",", ";"), LINES)
        assert sentence == (
            "orders.csv: there is no column 'Customer'; split at ';' instead of ',' it has: "
            'set delimiter = ";" under [file]'
        )

    def test_a_tab_is_named_as_toml_writes_it(self, tmp_path):
        assert r'set delimiter = "\t"' in refused(tmp_path, (HEAD + GOOD).replace(",", "\t"), LINES)

    def test_a_column_that_is_not_there_names_the_nearest(self, tmp_path):
        sentence = refused(tmp_path, (HEAD + GOOD).replace("Customer", "Custommer"), LINES, MissingColumns)
        assert sentence.startswith("orders.csv has no column 'Customer'; did you mean 'Custommer'? known: ")

    def test_a_column_twice(self, tmp_path):
        text = "Order,Customer,Date,Product,Quantity,Price,Price\n1,ann,2024-01-05,milk,1,2,3\n"
        assert refused(tmp_path, text, LINES) == (
            "orders.csv: it has the column 'Price' 2 times (6, 7); rename one of them, or read another column"
        )

    def test_a_column_twice_that_is_not_read_is_no_harm(self, tmp_path):
        text = "Customer,Date,Total,x,x\nann,2024-01-05,1,2,3\n"
        assert rows(deliver(tmp_path, text, ORDERS), "orders", "customer_id") == ["ann"]

    def test_two_files_with_other_columns(self, tmp_path):
        may = write(tmp_path / "may.csv", HEAD + GOOD)
        june = write(tmp_path / "june.csv", (HEAD + GOOD).replace("Price", "Preis"))
        assert "june.csv has no column 'Price'; did you mean 'Preis'?" in refused(
            tmp_path, [may, june], LINES, MissingColumns
        )

    def test_two_files_in_another_order_of_columns_are_one(self, tmp_path):
        may = write(tmp_path / "may.csv", "Customer,Date,Total\nann,2024-01-05,1\n")
        june = write(tmp_path / "june.csv", "Total,Customer,Date\n2,bob,2024-02-05\n")
        delivery = deliver(tmp_path, [may, june], ORDERS)
        assert sorted(rows(delivery, "orders", "customer_id", "source_line")) == [
            ("ann", "may.csv:2"), ("bob", "june.csv:2"),
        ]  # fmt: skip

    def test_most_rows_are_ragged(self, tmp_path):
        text = HEAD + GOOD + "2,ann,2024-01-05,milk,1,1,50\n" * 3
        sentence = refused(tmp_path, text, LINES)
        assert "3 of 4 rows without the 6 fields of the header (line 3 has 7)" in sentence
        assert "delimiter" in sentence

    def test_a_quote_that_never_ends(self, tmp_path):
        text = HEAD + GOOD + '2,"ann,2024-01-05,milk,1,1\n' + GOOD * 3
        assert "a quoted field opens on line 3 and never ends" in refused(tmp_path, text, LINES)

    def test_a_quote_that_never_ends_in_the_header(self, tmp_path):
        text = HEAD.replace("Customer", '"Customer') + GOOD * 10_000
        assert "its header cannot be split" in refused(tmp_path, text, LINES)

    def test_a_lone_quote_within_a_field_is_content(self, tmp_path):
        text = HEAD + GOOD.replace("milk", '5" pipe')
        assert rows(deliver(tmp_path, text, LINES), "order_lines", "product_id") == ['5" pipe']


class TestEncodings:
    def test_latin_1_bytes_name_the_line(self, tmp_path):
        file = write(tmp_path / "o.csv", HEAD + GOOD + GOOD.replace("milk", "Käse"), "latin-1")
        assert refused(tmp_path, file, LINES) == (
            'o.csv: line 3 is not utf-8 (byte 0xe4); set encoding = "cp1252" (or "latin-1") under [file], '
            "or save the file as UTF-8"
        )

    def test_latin_1_bytes_in_the_header(self, tmp_path):
        file = write(tmp_path / "o.csv", (HEAD + GOOD).replace("Price", "Stück"), "latin-1")
        assert "line 1 is not utf-8" in refused(tmp_path, file, LINES)

    def test_utf_16_is_named(self, tmp_path):
        file = write(tmp_path / "o.csv", HEAD + GOOD, "utf-16")
        assert refused(tmp_path, file, LINES) == ('o.csv: it is UTF-16 text; set encoding = "utf-16" under [file]')

    def test_utf_8_read_as_latin_1_is_refused(self, tmp_path):
        text = HEAD + GOOD.replace("milk", "Käse")
        sentence = refused(tmp_path, text, told(LINES, file={"encoding": "latin-1"}))
        assert sentence == "orders.csv: it is UTF-8 text, and the mapping says latin-1; leave out encoding under [file]"


class TestNumbers:
    def test_decimal_commas_are_named_with_what_reads_them(self, tmp_path):
        assert refused(tmp_path, total(["12,50", "3,00", "1"]), ORDERS) == (
            "orders.csv:2: column 'Total' is '12,50', not a number with the decimal sign '.', and so is 1 more of 3; "
            'set decimal = "," and thousands = "" under [numbers], which reads them'
        )

    def test_thousands_separators_are_named(self, tmp_path):
        sentence = refused(tmp_path, total(["1,234.50", "2,000.00", "3"]), ORDERS)
        assert 'set decimal = "." and thousands = ","' in sentence

    @pytest.mark.parametrize(
        "values", [["1,100", "2,300"], ["1,100", "20"], ["7", "8", "1,100"], ["1,100", "2,300", "-"]]
    )
    def test_what_may_be_thousands_is_said_with_what_each_reading_makes_of_it(self, tmp_path, values):
        sentence = refused(tmp_path, total(values), ORDERS)
        assert "'1,100', not a number with the decimal sign '.'" in sentence
        assert sentence.endswith(
            """; '1,100' may be 1100 (decimal = "." and thousands = ",") or 1.1 (decimal = "," and thousands = ""): """
            "set under [numbers] which of them it is"
        )

    @pytest.mark.parametrize(("decimal", "thousands", "value"), [(".", ",", 1100), (",", "", 1.1)])
    def test_either_reading_that_is_offered_reads_it(self, tmp_path, decimal, thousands, value):
        numbers = {"decimal": decimal, "thousands": thousands}
        delivery = deliver(tmp_path, total(["1,100", "20"]), told(ORDERS, numbers=numbers))
        assert [float(net) for net in rows(delivery, "order_lines", "net_amount")] == [value, 20]

    def test_what_other_numbers_of_the_column_tell_is_not_asked(self, tmp_path):
        sentence = refused(tmp_path, total(["1,100", "20.50", "3.25"]), ORDERS)
        assert sentence.endswith('set decimal = "." and thousands = "," under [numbers], which reads them')

    def test_a_few_in_another_notation_are_set_aside(self, tmp_path):
        _done, stored = store(tmp_path, deliver(tmp_path, total(["1,100", *["20"] * 30]), ORDERS))
        assert {row["source_line"] for row in stored["quarantine"]} == {"orders.csv:2"}

    @pytest.mark.parametrize(("decimal", "values"), [(".", ["1.234", "2.500", "7"]), (",", ["1,234", "12,500"])])
    def test_what_may_be_thousands_is_not_read_silently(self, tmp_path, decimal, values):
        sentence = refused(tmp_path, total(values), told(ORDERS, numbers={"decimal": decimal}))
        assert f"orders.csv:2: column 'Total' is {values[0]!r}" in sentence
        assert "thousands, or three decimals" in sentence
        assert f"{values[0]!r} may be 1.234 (" in sentence
        assert " or 1234 (" in sentence

    @pytest.mark.parametrize(
        ("numbers", "expected"),
        [({"thousands": ""}, 1.234), ({"decimal": ",", "thousands": "."}, 1234)],
    )
    def test_the_mapping_decides_what_it_is(self, tmp_path, numbers, expected):
        delivery = deliver(tmp_path, total(["1.234"]), told(ORDERS, numbers=numbers))
        assert float(rows(delivery, "order_lines", "net_amount")[0]) == expected

    def test_one_number_in_another_notation_is_set_aside(self, tmp_path):
        delivery = deliver(tmp_path, total(["12.50", "3.00", "1,5"]), ORDERS)
        _done, stored = store(tmp_path, delivery)
        assert {(row["source_line"], row["rule"]) for row in stored["quarantine"]} == {
            ("orders.csv:4", "net_amount is a number as the mapping says")
        }


class TestTimes:
    def dated(self, days):
        return "Customer,Date,Total\n" + "".join(f"ann,{day},{i}\n" for i, day in enumerate(days, start=1))

    def test_a_format_that_does_not_fit_names_one_that_does(self, tmp_path):
        sentence = refused(tmp_path, self.dated(["31/12/2023", "30/11/2023", "01/02/2023"]), ORDERS)
        assert sentence == (
            "orders.csv:2: column 'Date' is '31/12/2023', not a date like 2024-01-31 or 2024-01-31 13:05:00, "
            "and so are 2 more of 3; set format = '%d/%m/%Y' under [time], which reads them"
        )

    def test_days_and_months_that_could_be_swapped_are_said(self, tmp_path):
        sentence = refused(tmp_path, self.dated(["01/02/2023"]), ORDERS)
        assert "set format = '%d/%m/%Y' under [time], which reads them (so does '%m/%d/%Y'" in sentence

    def test_mixed_formats_go_to_quarantine(self, tmp_path):
        text = self.dated(["31/12/2023", "30/11/2023", "2023-10-01"])
        _done, stored = store(tmp_path, deliver(tmp_path, text, told(ORDERS, time={"format": "%d/%m/%Y"})))
        assert {(row["source_line"], row["rule"]) for row in stored["quarantine"]} == {
            ("orders.csv:4", "ordered_at is a date as the mapping says")
        }

    def test_several_formats_may_be_told(self, tmp_path):
        text = self.dated(["31/12/2023", "2023-10-01 10:00"])
        delivery = deliver(tmp_path, text, told(ORDERS, time={"format": ["%d/%m/%Y", "iso"]}))
        assert rows(delivery, "orders", "local_on", "local_hour") == [
            (date(2023, 10, 1), 10), (date(2023, 12, 31), None),
        ]  # fmt: skip

    def test_two_digits_of_a_year_are_not_the_year_20(self, tmp_path):
        text = self.dated(["05/01/20", "06/01/20"])
        sentence = refused(tmp_path, text, told(ORDERS, time={"format": "%d/%m/%Y"}))
        assert "not between time.earliest (1990-01-01) and the delivery (2026-01-01)" in sentence
        assert "'%d/%m/%y'" in sentence

    def test_no_time_at_all(self, tmp_path):
        text = "Customer,Date,Total\nann,,1\n"
        assert "orders with a time" in refused(tmp_path, text, ORDERS, GateFailed)


def test_every_refusal_is_an_error_that_a_user_can_mend():
    assert issubclass(BadFile, RegularsError)


def test_too_many_bad_rows_refuse_the_delivery(tmp_path):
    delivery = deliver(tmp_path, total(["1", "2", "3", "x"]), ORDERS)
    with pytest.raises(RegularsError, match="column 'Total' is 'x'"):
        store(tmp_path, delivery, limit=0.05)
