"""The contracts: each rule, broken by one row of a small shop, sets that row aside under the rule's name."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from facts.checking import check
from facts.contracts import FACTS, QUARANTINE
from tests.builders import Event, Line, Order, arrow_of, at, rows_of

RETURN = Order(at=at(3), kind="return", lines=(Line(net="-1.00", units=-1), Line(net="0", units=-1)))
CANCELLED = Order(at=at(4), kind="cancelled")
SALES = [Order(at=at(1), lines=(Line(), Line(product="bread"))), Order(at=at(2))]
SOUND = rows_of([*SALES, RETURN, CANCELLED], [Event(at=at(1))])
BEFORE = at(1) - timedelta(microseconds=1)
BACK = {"gross_amount": Decimal(-1), "net_amount": Decimal(-1)}
NOTHING = {"gross_amount": Decimal(0), "net_amount": Decimal(0)}
UNITS = "unit_count not negative, of a return not positive"
AMOUNTS = "gross_amount, discount_amount, coupon_amount not negative, of a return not positive"

# A row is sound where a source does not know: (table, change).
UNKNOWN = [
    ("orders", {"received_at": None}),
    ("orders", {"local_hour": None}),
    ("orders", {"store_id": None}),
    ("order_lines", {"product_id": None}),
    ("order_lines", {"unit_count": None}),
    ("order_lines", {"order_id": "o2", "unit_count": 0} | BACK),
    ("order_lines", {"coupon_amount": None}),
    ("order_lines", {"unit_count": 1} | NOTHING),
    ("order_lines", {"unit_count": 0, "coupon_amount": Decimal(1)} | NOTHING),
    ("events", {"received_at": None}),
    ("events", {"properties": None}),
    ("customers", {"traits": None}),
]

# One row broken by one change: (table, change, rule that it must be set aside under).
BREACHES = [
    ("customers", {"customer_id": None}, "customer_id is given"),
    ("customers", {"customer_id": ""}, "customer_id is given"),
    ("customers", {"customer_id": " \t"}, "customer_id is given"),
    ("customers", {"customer_id": "a\0b"}, "customer_id has no NUL character"),
    ("products", {"product_id": None}, "product_id is given"),
    ("products", {"product_id": " "}, "product_id is given"),
    ("products", {"product_id": "\0"}, "product_id has no NUL character"),
    ("orders", {"order_id": "o\0"}, "order_id has no NUL character"),
    ("orders", {"order_id": " "}, "order_id is given"),
    ("orders", {"order_id": "o\0", "customer_id": "\0"}, "customer_id has no NUL character"),
    ("order_lines", {"order_id": "o\0"}, "order_id has no NUL character"),
    ("order_lines", {"product_id": ""}, "product_id is not blank"),
    ("order_lines", {"product_id": " "}, "product_id is not blank"),
    ("order_lines", {"product_id": "milk\0"}, "product_id has no NUL character"),
    ("events", {"message_id": "m\0"}, "message_id has no NUL character"),
    ("events", {"customer_id": "\0"}, "customer_id has no NUL character"),
    ("events", {"customer_id": " "}, "customer_id is given"),
    ("orders", {"order_id": ""}, "order_id is given"),
    ("orders", {"customer_id": None}, "customer_id is given"),
    ("orders", {"kind": "gift"}, "kind is one of sale, return, cancelled"),
    ("orders", {"kind": None}, "kind is one of sale, return, cancelled"),
    ("orders", {"ordered_at": None}, "ordered_at is given"),
    ("orders", {"local_on": None}, "local_on is given"),
    ("orders", {"local_weekday": None}, "local_weekday is given"),
    ("orders", {"received_at": BEFORE}, "received_at is not before ordered_at"),
    ("orders", {"customer_id": "nobody"}, "customer_id is one of the customers"),
    ("order_lines", {"order_id": None}, "order_id is given"),
    ("order_lines", {"line_number": None}, "line_number is given"),
    ("order_lines", {"net_amount": None}, "net_amount is given"),
    ("order_lines", {"unit_count": -1}, UNITS),
    ("order_lines", {"gross_amount": Decimal(-1), "net_amount": Decimal(-1)}, AMOUNTS),
    ("order_lines", {"discount_amount": Decimal(-1), "net_amount": Decimal(2)}, AMOUNTS),
    ("order_lines", {"coupon_amount": Decimal("-0.01")}, AMOUNTS),
    ("order_lines", {"order_id": "o2", "unit_count": 1} | BACK, UNITS),
    ("order_lines", {"order_id": "o2", "unit_count": -1}, AMOUNTS),
    ("order_lines", {"order_id": "o2", "unit_count": None} | BACK | {"coupon_amount": Decimal("0.01")}, AMOUNTS),
    ("order_lines", {"order_id": "o3", "unit_count": -1} | BACK, UNITS),
    ("order_lines", {"order_id": "o999", "unit_count": -1} | BACK, UNITS),
    ("order_lines", {"net_amount": Decimal("0.9999")}, "net_amount is gross_amount less discount_amount"),
    ("order_lines", {"gross_amount": None}, "net_amount is gross_amount less discount_amount"),
    ("order_lines", {"discount_amount": None}, "net_amount is gross_amount less discount_amount"),
    ("order_lines", {"unit_count": 0} | NOTHING, "the line moves goods or money"),
    ("order_lines", {"unit_count": None} | NOTHING, "the line moves goods or money"),
    ("order_lines", {"order_id": "o999"}, "order_id is one of the orders"),
    ("events", {"message_id": None}, "message_id is given"),
    ("events", {"customer_id": ""}, "customer_id is given"),
    ("events", {"event": ""}, "event is given"),
    ("events", {"occurred_at": None}, "occurred_at is given"),
    ("events", {"received_at": BEFORE}, "received_at is not before occurred_at"),
    ("events", {"customer_id": "nobody"}, "customer_id is one of the customers"),
]
HARD_RULES = {(c.name, rule.name) for c in FACTS.values() for rule in c.rules if rule.breach == "quarantine"}
WITH_ROWS = [name for name in FACTS if SOUND[name]]


@pytest.fixture
def check_all():
    """Check the tables of a shop one after the other, as ingest does, each shop in an engine of its own."""
    engines = []

    def run(rows):
        engine = ibis.duckdb.connect()
        engine.raw_sql("SET TimeZone = 'UTC'")
        engines.append(engine)
        checked = {}
        for name, table in with_places(rows).items():
            stored = engine.create_table(f"raw_{name}", ibis.memtable(table), temp=True)
            checked[name] = check(FACTS[name], stored, {n: c.rows for n, c in checked.items()}, engine)
        return checked

    yield run
    for engine in engines:
        engine.disconnect()


def with_places(rows):
    """Return rows as Arrow tables, with what a source may add to them."""
    tables = arrow_of(rows)
    for name, told in rows.items():
        for column in ("source_line", "unreadable", "unreadable_rule"):
            if any(column in row for row in told):
                values = pa.array([row.get(column) for row in told], type=pa.string())
                tables[name] = tables[name].append_column(column, values)
    return tables


def one_more(table, change, number=0):
    """Return a further row of a table with a key of its own and one change."""
    keys = {key: f"another {number}" for key in FACTS[table].key if key not in {"order_id", "line_number"}}
    keys |= {"order_id": f"another {number}"} if table == "orders" else {}
    keys |= {"line_number": 99 + number} if table == "order_lines" else {}
    return SOUND[table][0] | keys | change


def with_one_more(table, change):
    """Return the sound shop and, in one table, a further row with a key of its own and one change."""
    return SOUND | {table: [*SOUND[table], one_more(table, change)]}


def test_a_sound_shop_is_kept_whole(check_all):
    for name, checked in check_all(SOUND).items():
        assert checked.rows.count().execute() == checked.received_count == len(SOUND[name])
        assert checked.quarantined.count().execute() == 0
        assert checked.breaches == {}
        assert checked.rows.schema() == FACTS[name].schema


@pytest.mark.parametrize("table", FACTS)
def test_a_row_that_breaks_a_rule_is_set_aside_under_it(check_all, table):
    broken = {str(change): (change, rule) for name, change, rule in BREACHES if name == table}
    rows = [one_more(table, change, number) | {"source_line": said} for number, (said, (change, _rule)) in
            enumerate(broken.items())]  # fmt: skip
    checked = check_all(SOUND | {table: [*SOUND[table], *rows]})[table]
    aside = checked.quarantined.execute()
    assert dict(zip(aside["source_line"], aside["rule"], strict=True)) == {s: rule for s, (_c, rule) in broken.items()}
    assert set(aside["table_name"]) == {table}
    assert tuple(aside.columns) == tuple(QUARANTINE.columns)
    assert checked.breaches == {(rule, "quarantine"): n for rule, n in Counter(r for _c, r in broken.values()).items()}
    assert checked.rows.count().execute() == len(SOUND[table])
    assert checked.received_count == len(SOUND[table]) + len(rows)


def test_every_rule_is_broken_by_a_row_above():
    assert {(table, rule) for table, _change, rule in BREACHES} == HARD_RULES


def test_what_was_set_aside_can_be_read_again(check_all):
    checked = check_all(with_one_more("order_lines", {"unit_count": -1}))["order_lines"]
    (row,) = checked.quarantined.execute()["row"]
    told = json.loads(row)
    assert list(told) == list(FACTS["order_lines"].columns)
    assert told["unit_count"] == "-1"
    assert Decimal(told["net_amount"]) == Decimal(1)


@pytest.mark.parametrize("table", ["customers", "orders", "order_lines", "events"])
def test_what_a_source_does_not_know_is_no_breach(check_all, table):
    rows = [one_more(table, change, number) for number, (name, change) in enumerate(UNKNOWN) if name == table]
    checked = check_all(SOUND | {table: [*SOUND[table], *rows]})[table]
    assert checked.breaches == {}
    assert checked.rows.count().execute() == len(SOUND[table]) + len(rows)


class TestWhereItStood:
    """What a source adds to a row: its place, and what could not be read of it."""

    def lines(self, *added):
        told = {"source_line": None, "unreadable": None, "unreadable_rule": None}
        return SOUND | {"order_lines": [row | told for row in SOUND["order_lines"]] + list(added)}

    def broken(self, number, *, place=None, **change):
        row = SOUND["order_lines"][0] | {"line_number": number, "unit_count": -1, "source_line": place}
        return row | {"unreadable": None, "unreadable_rule": None} | change

    def test_the_place_goes_with_the_row_and_not_into_it(self, check_all):
        checked = check_all(self.lines(self.broken(9, place="orders.csv:17")))["order_lines"]
        ((place, row),) = checked.quarantined.execute()[["source_line", "row"]].to_numpy()
        assert place == "orders.csv:17"
        assert "source_line" not in json.loads(row)
        assert "source_line" not in checked.rows.columns

    def test_what_cannot_be_read_breaks_its_own_rule_before_any_other(self, check_all):
        said = {"unreadable": "column 'Qty' is 'two', not a number", "unreadable_rule": "numbers can be read"}
        checked = check_all(self.lines(self.broken(9, **said)))["order_lines"]
        assert checked.breaches == {("numbers can be read", "quarantine"): 1}
        assert (
            json.loads(checked.quarantined.execute()["row"][0])["unreadable"] == "column 'Qty' is 'two', not a number"
        )

    def test_the_first_is_told_by_its_place_and_rule(self, check_all):
        rows = [self.broken(number, place=f"orders.csv:{number}") for number in (100, 10, 9)]
        checked = check_all(self.lines(*rows))["order_lines"]
        assert checked.first_breach().startswith(
            f'orders.csv:9: it breaks the rule "{UNITS}": order_id o0, line_number 9, '
        )
        assert checked.first_breach(but=[UNITS]) == ""

    def test_of_the_unreadable_it_is_told_why(self, check_all):
        said = {"unreadable": "column 'Qty' is 'two', not a number", "unreadable_rule": "numbers can be read"}
        rows = [self.broken(9, place="a.csv:2"), self.broken(8, place="a.csv:3", **said)]
        checked = check_all(self.lines(*rows))["order_lines"]
        assert checked.first_breach(but=[UNITS]) == "a.csv:3: column 'Qty' is 'two', not a number"

    def test_without_a_place_the_row_speaks_for_itself(self, check_all):
        checked = check_all(with_one_more("order_lines", {"unit_count": -1}))["order_lines"]
        assert checked.first_breach().startswith(f'it breaks the rule "{UNITS}": order_id o0, ')
        assert checked.quarantined.execute()["source_line"].isna().all()

    def test_nothing_is_told_where_nothing_broke(self, check_all):
        assert check_all(SOUND)["order_lines"].first_breach() == ""

    def test_of_rows_that_are_the_same_the_first_place_stays(self, check_all):
        rows = [self.broken(9, place=f"a.csv:{n}", unit_count=1) for n in (4, 2, 3)]
        checked = check_all(self.lines(*rows))["order_lines"]
        assert sorted(checked.quarantined.execute()["source_line"]) == ["a.csv:3", "a.csv:4"]


def test_a_flagged_row_is_kept_and_counted(check_all):
    checked = check_all(with_one_more("order_lines", {"product_id": "unlisted"}))["order_lines"]
    assert checked.breaches == {("product_id is one of the products", "flag"): 1}
    assert checked.rows.count().execute() == checked.received_count
    assert checked.quarantined.count().execute() == 0


@pytest.mark.parametrize("table", WITH_ROWS)
class TestRepeatedKeys:
    def test_one_of_them_stays(self, check_all, table):
        rows = SOUND | {table: [*SOUND[table], SOUND[table][0], SOUND[table][0]]}
        checked = check_all(rows)[table]
        rule = f"{' and '.join(FACTS[table].key)} not repeated"
        assert checked.breaches == {(rule, "quarantine"): 2}
        assert list(checked.quarantined.execute()["rule"]) == [rule, rule]
        assert checked.rows.count().execute() == len(SOUND[table])

    def test_the_same_one_stays_in_whatever_order_they_come(self, check_all, table):
        last = FACTS[table].schema.names[-1]
        other = SOUND[table][0] | {last: {"coupon_amount": Decimal(7), "received_at": at(9)}.get(last, "zzz")}
        both = [SOUND[table][0], other]
        kept = [check_all(SOUND | {table: rows})[table].rows.execute() for rows in (both, both[::-1])]
        assert kept[0].equals(kept[1])


def test_a_broken_row_does_not_take_the_key_of_a_sound_one(check_all):
    broken = SOUND["orders"][0] | {"customer_id": ""}
    checked = check_all(SOUND | {"orders": [broken, *SOUND["orders"]]})
    assert checked["orders"].breaches == {("customer_id is given", "quarantine"): 1}
    assert set(checked["orders"].rows.execute()["order_id"]) == {"o0", "o1", "o2", "o3"}


def test_what_hangs_on_a_broken_row_goes_with_it(check_all):
    rows = SOUND | {"orders": [SOUND["orders"][0] | {"received_at": BEFORE}, *SOUND["orders"][1:]]}
    checked = check_all(rows)
    assert checked["order_lines"].breaches == {("order_id is one of the orders", "quarantine"): 2}
