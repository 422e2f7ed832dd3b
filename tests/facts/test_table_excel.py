"""Sheets: what a cell holds is what is read, and its row is named."""

from __future__ import annotations

import tomllib
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from xml.sax.saxutils import escape

import pytest

from facts.errors import MissingColumns
from facts.ingest.table import BadFile, suggest
from tests.facts.table_shop import ORDERS, deliver, rows, store, told

HEAD = ["Customer", "Date", "Total"]
DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - the epoch of a sheet, which knows no zone
STYLES = (
    '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><fonts count="1"><font/></fonts>'
    '<fills count="1"><fill/></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>'
)
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def _cell(place, value):
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f'<c r="{place}" s="1"><v>{(value - DAY_ZERO).total_seconds() / 86400}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def _sheet(table):
    body = "".join(
        f'<row r="{i}">' + "".join(_cell(f"{chr(65 + j)}{i}", value) for j, value in enumerate(row)) + "</row>"
        for i, row in enumerate(table, start=1)
    )
    return f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'


def workbook(path, **sheets):
    """Write the smallest workbook that holds these sheets."""
    numbers = range(1, len(sheets) + 1)
    kinds = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
        for i in numbers
    )
    listed = "".join(f'<sheet name="{n}" sheetId="{i}" r:id="r{i}"/>' for i, n in zip(numbers, sheets, strict=True))
    links = "".join(
        f'<Relationship Id="r{i}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i in numbers
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/styles.xml" '
        f'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>{kinds}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{links}'
        f'<Relationship Id="s" Type="{RELATIONS}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": STYLES,
    }
    parts |= {f"xl/worksheets/sheet{i}.xml": _sheet(table) for i, table in zip(numbers, sheets.values(), strict=True)}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def when(day, hour=0):
    return datetime(2024, 1, day, hour)  # noqa: DTZ001 - a cell knows no zone


def test_cells_keep_their_numbers_and_dates(tmp_path):
    file = workbook(tmp_path / "o.xlsx", Orders=[HEAD, ["ann", when(5, 10), 12.5], [17.0, when(6, 12), 3]])
    delivery = deliver(tmp_path, file, ORDERS)
    assert rows(delivery, "orders", "customer_id", "ordered_at", "local_hour", "source_line") == [
        ("17", datetime(2024, 1, 6, 11, tzinfo=UTC), 12, "o.xlsx:3"),
        ("ann", datetime(2024, 1, 5, 9, tzinfo=UTC), 10, "o.xlsx:2"),
    ]
    assert sorted(rows(delivery, "order_lines", "net_amount")) == [3, Decimal("12.5")]


def test_text_beside_numbers_and_dates_is_read_as_the_mapping_says(tmp_path):
    table = [HEAD, ["ann", when(5, 10), 12.5], [], ["bob", "06.01.2024", "1.234,50"], ["bob", "soon", 2]]
    mapping = told(ORDERS, time={"format": "%d.%m.%Y"}, numbers={"decimal": ",", "thousands": "."})
    delivery = deliver(tmp_path, workbook(tmp_path / "o.xlsx", Orders=table), mapping)
    _done, stored = store(tmp_path, delivery)
    assert [(row["customer_id"], row["local_hour"]) for row in stored["orders"]] == [("ann", 10), ("bob", None)]
    assert [row["net_amount"] for row in stored["order_lines"]] == [Decimal("12.5"), Decimal("1234.5")]
    assert {row["source_line"] for row in stored["quarantine"]} == {"o.xlsx:5"}


def test_the_sheet_is_named_where_there_are_several(tmp_path):
    sheets = {"May": [HEAD, ["ann", when(5), 1]], "June": [HEAD, ["bob", when(6), 2]], "Empty": []}
    file = workbook(tmp_path / "o.xlsx", **sheets)
    with pytest.raises(
        BadFile, match=r"""several sheets \('May', 'June'\); say which: sheet = "May" under \[file\], or --sheet"""
    ):
        deliver(tmp_path, file, ORDERS)
    delivery = deliver(tmp_path, file, told(ORDERS, file={"sheet": "June"}))
    assert rows(delivery, "orders", "customer_id") == ["bob"]


def test_a_mapping_is_suggested_for_the_sheet_that_is_named(tmp_path):
    sheets = {"Notes": [["what"], ["nothing"]], "Orders": [HEAD, ["bob", when(6), 2]]}
    file = workbook(tmp_path / "o.xlsx", **sheets)
    with pytest.raises(BadFile, match="--sheet"):
        suggest(file)
    found = tomllib.loads(suggest(file, sheet="Orders").text)
    assert found["file"]["sheet"] == "Orders"
    assert found["columns"] == {"customer_id": "Customer", "ordered_at": "Date", "net_amount": "Total"}


def test_a_sheet_that_is_not_there(tmp_path):
    file = workbook(tmp_path / "o.xlsx", May=[HEAD, ["ann", when(5), 1]])
    with pytest.raises(BadFile, match=r"no sheet 'Mai'; it has 'May'"):
        deliver(tmp_path, file, told(ORDERS, file={"sheet": "Mai"}))


@pytest.mark.parametrize(("table", "said"), [([], "it is empty"), ([HEAD], "a header and no rows")])
def test_a_sheet_without_rows(tmp_path, table, said):
    with pytest.raises(BadFile, match=said):
        deliver(tmp_path, workbook(tmp_path / "o.xlsx", May=table), ORDERS)


def test_a_column_that_is_not_there(tmp_path):
    file = workbook(tmp_path / "o.xlsx", May=[["Customer", "Day", "Total"], ["ann", when(5), 1]])
    with pytest.raises(MissingColumns, match=r"o\.xlsx has no column 'Date'"):
        deliver(tmp_path, file, ORDERS)


def test_what_is_no_workbook(tmp_path):
    (tmp_path / "o.xlsx").write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(BadFile, match="cannot be read as a workbook"):
        deliver(tmp_path, tmp_path / "o.xlsx", ORDERS)
