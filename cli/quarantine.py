"""`regulars quarantine`: the rows that were set aside, with the rule that they broke and the place where they stood."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ibis import _
from rich.markup import escape

from cli import show
from facts.checking import told_of
from facts.contracts import FACTS, QUARANTINE, SOURCE_LINE, UNREADABLE
from facts.errors import UnknownName, counted
from facts.home import Home
from facts.lake import Lake

if TYPE_CHECKING:
    from ibis.expr.types import Table

SHOWN_ROWS = 20
_PLACE = _[SOURCE_LINE]
_CHECKED = _.table_name.cases(*[(name, place) for place, name in enumerate(FACTS)])
_ORDER = (_CHECKED, _PLACE.length(), _PLACE, _["row"])  # "orders.csv:9" stands before "orders.csv:10"


def show_quarantine(
    home: Home,
    *,
    table: str | None = None,
    rule: str | None = None,
    limit: int = SHOWN_ROWS,
    output: Path | None = None,
) -> None:
    """Print how many rows were set aside by table and rule, and some of them; write all of them to a file.

    Parameters
    ----------
    table
        Only rows of this table.
    rule
        Only rows whose rule, or what could not be read, has this text in it, in upper or lower case.
    limit
        How many rows are printed, at most.
    output
        A .csv or .parquet file for all of them.

    Raises
    ------
    NotYet
        Nothing was ever ingested.
    UnknownName
        There is no such table.
    UnwritableOutput
        The output is of another kind, or cannot be written.
    """
    from scoring.batch import require_output, write_table

    if table is not None and table not in FACTS:
        raise UnknownName("table", table, known=list(FACTS))
    if output is not None:
        require_output(output)
    lake = Lake(home.lake)
    shop = lake.shop()
    with lake.connect() as connection:
        rows = _chosen(lake.table(connection, QUARANTINE.name), table, rule)
        _show_counts(rows, shop.name)
        _show_rows(rows, limit)
        if output is not None:
            write_table(rows.order_by(*_ORDER).execute(), output)
            show.console.print(f"all of them are in {output}", highlight=False, markup=False)


def _chosen(rows: Table, table: str | None, rule: str | None) -> Table:
    if table is not None:
        rows = rows.filter(_.table_name == table)
    if rule is not None:
        told = _["row"].cast("json")[UNREADABLE].str.fill_null("")
        rows = rows.filter((_.rule + " " + told).lower().contains(rule.lower()))
    return rows


def _show_counts(rows: Table, shop_name: str) -> None:
    counts = rows.group_by("table_name", "rule").agg(n=_.count()).execute()
    counts["place"] = counts["table_name"].map(list(FACTS).index)
    counts = counts.sort_values(["place", "n", "rule"], ascending=[True, False, True])
    total = int(counts["n"].sum())
    shown = [
        (name, escape(rule), int(n)) for name, rule, n in counts[["table_name", "rule", "n"]].itertuples(index=False)
    ]
    if shown:
        lines = int(rows[SOURCE_LINE].nunique().execute())
        of_lines = f", of {counted(lines, 'line')} of the files" if lines else ""
        title = f"{escape(shop_name)}: {counted(total, 'row')} of the tables set aside{of_lines}"
        show.table(title, ["table", "rule", "rows"], shown, right=["rows"])
    else:
        show.console.print(f"{escape(shop_name)}: no such row was set aside", highlight=False)


def _show_rows(rows: Table, limit: int) -> None:
    first = rows.order_by(*_ORDER).limit(limit).to_pyarrow().to_pylist()
    if first:
        told = [[escape(text) for text in _cells(**row)] for row in first]
        show.table("The first of them", ["table", "where", "why", "content"], told)


def _cells(table_name: str, rule: str, source_line: str | None, row: str) -> tuple[str, str, str, str]:
    said, content = told_of(row)
    return table_name, source_line or "", said or rule, content
