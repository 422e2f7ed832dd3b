"""`regulars quarantine`: what was set aside, found by table and rule, with its place, and all of it in a file."""

from __future__ import annotations

from dataclasses import replace

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from cli.quarantine import show_quarantine
from facts.contracts import FACTS, QUARANTINE, SOURCE_LINE, UNREADABLE, UNREADABLE_RULE
from facts.errors import NotYet, RegularsError, UnknownName
from facts.home import Home
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import Order, at, delivery, rows_of

DATES, SIGNS = "dates are as the mapping says", "unit_count not negative, of a return not positive"
NO_DATE = {UNREADABLE: "column 'Date' is '[/31]', not a date like %d/%m", UNREADABLE_RULE: DATES, "store_id": "[b]"}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    rows = rows_of([Order(at=at(1)) for _number in range(30)])
    bad = {12: NO_DATE, 9: NO_DATE, 3: {"customer_id": "nobody"}}
    schema = FACTS["orders"].schema.to_pyarrow()
    for name in (SOURCE_LINE, UNREADABLE, UNREADABLE_RULE):
        schema = schema.append(pa.field(name, pa.string()))
    placed = [row | {SOURCE_LINE: f"orders.csv:{n}"} | bad.get(n, {}) for n, row in enumerate(rows["orders"], 2)]
    rows["order_lines"][20]["unit_count"] = -2
    made = delivery(rows)
    orders = ibis.memtable(pa.Table.from_pylist(placed, schema=schema))
    ingest(replace(made, tables={**made.tables, "orders": orders}), Lake(home.lake), limit=1.0)
    return home


@pytest.fixture
def shown(home, capsys):
    """Show the quarantine; return what is printed, a list of cells a line."""

    def run(**asked):
        show_quarantine(home, **asked)
        out = capsys.readouterr().out
        return out, [[cell.strip() for cell in line.strip("│┃").split("│")] for line in out.splitlines()]

    return run


def test_counts_by_table_and_rule_then_the_rows(shown):
    out, lines = shown()
    assert "Corner shop: 7 rows of the tables set aside, of 3 lines of the files" in out
    assert ["orders", DATES, "2"] in lines
    assert ["orders", "customer_id is one of the customers", "1"] in lines
    assert ["order_lines", SIGNS, "1"] in lines
    assert ["order_lines", "order_id is one of the orders", "3"] in lines
    places = [line[1] for line in lines if len(line) == 4 and line[0] == "orders"]
    assert places == ["orders.csv:3", "orders.csv:9", "orders.csv:12"]


def test_why_and_what_stand_beside_the_place(shown):
    out, lines = shown(table="orders", rule="DATE LIKE")
    assert "Corner shop: 2 rows of the tables set aside" in out
    (first, *_rest) = [line for line in lines if "orders.csv:9" in line]
    assert first[2].startswith("column 'Date' is '[/31]',")
    assert first[3].startswith("order_id o7, customer_id ann, kind sale, ordered_at 2024-01-02")
    assert "store_id [b]" in out
    assert "nobody" not in out


@pytest.mark.parametrize(
    ("asked", "count"),
    [({"table": "orders"}, 3), ({"rule": "customers"}, 1), ({"table": "order_lines", "rule": "unit_count"}, 1)],
)
def test_only_what_is_asked_for(shown, asked, count):
    assert f"Corner shop: {count} row{'s' * (count > 1)} of the tables set aside" in shown(**asked)[0]


def test_what_is_not_there_is_said(shown):
    out, lines = shown(table="products")
    assert out == "Corner shop: no such row was set aside\n"
    assert len(lines) == 1


def test_no_more_than_the_limit_are_printed(shown):
    _out, lines = shown(limit=2)
    assert len([line for line in lines if line[1:2] and "orders.csv" in line[1]]) == 2
    assert "The first of them" not in shown(limit=0)[0]


@pytest.mark.parametrize(("ending", "read"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
def test_all_of_them_go_to_a_file(shown, tmp_path, ending, read):
    path = tmp_path / f"aside{ending}"
    out, _lines = shown(limit=1, output=path)
    assert f"all of them are in {path}" in out.replace("\n", "")
    found = read(path)
    assert list(found.columns) == list(QUARANTINE.columns)
    assert len(found) == 7
    assert list(found[found["table_name"] == "orders"]["source_line"]) == [
        "orders.csv:3", "orders.csv:9", "orders.csv:12",
    ]  # fmt: skip


class TestRefused:
    def test_an_unknown_table(self, home):
        with pytest.raises(UnknownName, match="no table named 'order'; did you mean 'orders'"):
            show_quarantine(home, table="order")

    def test_another_kind_of_file(self, home, tmp_path):
        with pytest.raises(RegularsError, match=r"cannot write .*: its name ends in '\.txt'; known: \.parquet, \.csv"):
            show_quarantine(home, output=tmp_path / "aside.txt")

    def test_before_the_first_ingest(self, tmp_path):
        with pytest.raises(NotYet, match="there is no lake yet"):
            show_quarantine(Home(tmp_path))
        assert not list(tmp_path.iterdir())
