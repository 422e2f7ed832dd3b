"""The contracts: each rule, broken by one row of a small shop, sets that row aside under the rule's name."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import ibis
import pytest

from facts.contracts import FACTS, QUARANTINE, check
from tests.builders import Event, Line, Order, arrow_of, at, rows_of

SOUND = rows_of([Order(at=at(1), lines=(Line(), Line(product="bread"))), Order(at=at(2))], [Event(at=at(1))])
BEFORE = at(1) - timedelta(microseconds=1)

# One row broken by one change: (table, change, rule that it must be set aside under).
BREACHES = [
    ("customers", {"customer_id": None}, "customer_id is given"),
    ("customers", {"customer_id": ""}, "customer_id is given"),
    ("products", {"product_id": None}, "product_id is given"),
    ("orders", {"order_id": ""}, "order_id is given"),
    ("orders", {"customer_id": None}, "customer_id is given"),
    ("orders", {"ordered_at": None}, "ordered_at is given"),
    ("orders", {"received_at": BEFORE}, "received_at is not before ordered_at"),
    ("orders", {"received_at": None}, "received_at is not before ordered_at"),
    ("orders", {"customer_id": "nobody"}, "customer_id is one of the customers"),
    ("order_lines", {"order_id": None}, "order_id is given"),
    ("order_lines", {"product_id": ""}, "product_id is given"),
    ("order_lines", {"unit_count": -1}, "unit_count not negative"),
    ("order_lines", {"unit_count": None}, "unit_count not negative"),
    (
        "order_lines",
        {"gross_amount": Decimal(-1), "net_amount": Decimal(-1)},
        "gross_amount, discount_amount, coupon_amount not negative",
    ),
    (
        "order_lines",
        {"discount_amount": Decimal(-1), "net_amount": Decimal(2)},
        "gross_amount, discount_amount, coupon_amount not negative",
    ),
    ("order_lines", {"coupon_amount": Decimal("-0.01")}, "gross_amount, discount_amount, coupon_amount not negative"),
    ("order_lines", {"net_amount": Decimal("0.9999")}, "net_amount is gross_amount less discount_amount"),
    (
        "order_lines",
        {"unit_count": 0, "gross_amount": Decimal(0), "net_amount": Decimal(0)},
        "the line moves goods or money",
    ),
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
        for name, table in arrow_of(rows).items():
            stored = engine.create_table(f"raw_{name}", ibis.memtable(table), temp=True)
            checked[name] = check(FACTS[name], stored, {n: c.rows for n, c in checked.items()}, engine)
        return checked

    yield run
    for engine in engines:
        engine.disconnect()


def with_one_more(table, change):
    """Return the sound shop and, in one table, a further row with a key of its own and one change."""
    contract = FACTS[table]
    keys = {key: 99 if key == "line_number" else "the-broken-one" for key in contract.key if key != "order_id"}
    keys |= {"order_id": "the-broken-one"} if table == "orders" else {}
    row = SOUND[table][0] | keys | change
    return SOUND | {table: [*SOUND[table], row]}


def test_a_sound_shop_is_kept_whole(check_all):
    for name, checked in check_all(SOUND).items():
        assert checked.rows.count().execute() == checked.received_count == len(SOUND[name])
        assert checked.quarantined.count().execute() == 0
        assert checked.breaches == {}
        assert checked.rows.schema() == FACTS[name].schema


@pytest.mark.parametrize(("table", "change", "rule"), BREACHES, ids=lambda value: str(value)[:48])
def test_a_row_that_breaks_a_rule_is_set_aside_under_it(check_all, table, change, rule):
    checked = check_all(with_one_more(table, change))[table]
    aside = checked.quarantined.execute()
    assert list(aside["rule"]) == [rule]
    assert list(aside["table_name"]) == [table]
    assert tuple(aside.columns) == tuple(QUARANTINE.columns)
    assert checked.breaches == {(rule, "quarantine"): 1}
    assert checked.rows.count().execute() == len(SOUND[table])
    assert checked.received_count == len(SOUND[table]) + 1


def test_every_rule_is_broken_by_a_row_above():
    assert {(table, rule) for table, _change, rule in BREACHES} == HARD_RULES


def test_what_was_set_aside_can_be_read_again(check_all):
    checked = check_all(with_one_more("order_lines", {"unit_count": -1}))["order_lines"]
    (row,) = checked.quarantined.execute()["row"]
    told = json.loads(row)
    assert list(told) == list(FACTS["order_lines"].columns)
    assert told["unit_count"] == "-1"
    assert Decimal(told["net_amount"]) == Decimal(1)


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
    assert set(checked["orders"].rows.execute()["order_id"]) == {"o0", "o1"}


def test_what_hangs_on_a_broken_row_goes_with_it(check_all):
    rows = SOUND | {"orders": [SOUND["orders"][0] | {"received_at": BEFORE}, SOUND["orders"][1]]}
    checked = check_all(rows)
    assert checked["order_lines"].breaches == {("order_id is one of the orders", "quarantine"): 2}
