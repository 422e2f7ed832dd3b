"""The tables that a source delivers: their columns, and the rules that every row keeps.

Facts carry two times: when it happened (`ordered_at`, `occurred_at`) and when we learned of it (`received_at`, never
before the first; missing where the source does not say). What was known at an instant is what had been received before
it. A delivered table may also carry what its contract names under `also`; and `source_line`, the place where the row
stood, and `unreadable`, what could not be read of it (a sentence) with `unreadable_rule`, the rule that breaks: they go
with the row into quarantine.

Money is a decimal with four places, so that sums are exact, in any order and on any engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import ibis
from ibis.expr.types import BooleanValue, Table

INSTANT = "timestamp('UTC', 6)"
MONEY = "decimal(18, 4)"
KINDS = ("sale", "return", "cancelled")
SOURCE_LINE, UNREADABLE, UNREADABLE_RULE = "source_line", "unreadable", "unreadable_rule"
ONE_CUSTOMER = "an order has one customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that holds of every row.

    Parameters
    ----------
    name
        The rule as a sentence; it stands beside the rows that break it.
    holds
        From the table (and the other tables, by name) to a boolean column.
    breach
        `quarantine` sets the row aside, `flag` keeps it and counts it: the row is still worth more than its absence.
    """

    name: str
    holds: Callable[[Table, Mapping[str, Table]], BooleanValue]
    breach: Literal["quarantine", "flag"] = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One table: grain, key, columns with types, rules in the order in which they are tried.

    `also` are columns that a source may deliver beside them: the merge uses them up, and the lake does not have them.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    rules: tuple[Rule, ...]
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> ibis.Schema:
        """Return the columns as an Ibis schema."""
        return ibis.schema(dict(self.columns))


def _present(column: str) -> Rule:
    def holds(table: Table, _others: Mapping[str, Table]) -> BooleanValue:
        value = table[column]
        return (value.notnull() & (value.strip() != "")) if value.type().is_string() else value.notnull()

    return Rule(name=f"{column} is given", holds=holds)


def _clean_id(column: str) -> Rule:
    """Return the rule that an id can be written wherever ids go: a NUL ends a text in some of them."""
    return Rule(
        name=f"{column} has no NUL character",
        holds=lambda t, _o: t[column].isnull() | ~t[column].re_search(r"\x00"),
    )


def _received_after(column: str) -> Rule:
    return Rule(
        name=f"received_at is not before {column}",
        holds=lambda t, _o: t["received_at"].isnull() | (t["received_at"] >= t[column]),
    )


def _signs_fit(*columns: str) -> Rule:
    def holds(rows: Table, others: Mapping[str, Table]) -> BooleanValue:
        orders = others["orders"]
        is_return = rows.order_id.isin(orders.filter(orders.kind == "return").order_id)
        values = [rows[column].fill_null(0) for column in columns]
        not_positive, not_negative = (ibis.and_(*[v <= 0 for v in values]), ibis.and_(*[v >= 0 for v in values]))
        return ibis.ifelse(is_return, not_positive, not_negative)

    return Rule(name=f"{', '.join(columns)} not negative, of a return not positive", holds=holds)


def _given_amount(column: str) -> Rule:
    return Rule(name=f"{column} is given", holds=lambda t, _o: t[column].notnull())


def _known_in(column: str, table: str, *, breach: Literal["quarantine", "flag"] = "quarantine") -> Rule:
    def holds(rows: Table, others: Mapping[str, Table]) -> BooleanValue:
        return rows[column].isin(others[table][column])

    return Rule(name=f"{column} is one of the {table}", holds=holds, breach=breach)


CUSTOMERS = Contract(
    name="customers",
    grain="a customer",
    key=("customer_id",),
    columns={"customer_id": "string", "traits": "string"},  # traits: a JSON object, as in Segment's identify
    rules=(_present("customer_id"), _clean_id("customer_id")),
)

PRODUCTS = Contract(
    name="products",
    grain="a product",
    key=("product_id",),
    columns={
        "product_id": "string",
        "name": "string",
        "category": "string",
        "department": "string",
        "brand": "string",
        "is_private_label": "boolean",
        "size": "string",
    },
    rules=(_present("product_id"), _clean_id("product_id")),
)

ORDERS = Contract(
    name="orders",
    grain="an order, received whole, its lines with it",
    key=("order_id",),
    columns={
        "order_id": "string",
        "customer_id": "string",
        "kind": "string",  # a return is an order of its own, with negative amounts, at the time the goods came back
        "ordered_at": INSTANT,
        "received_at": INSTANT,
        "local_on": "date",  # the day, weekday (Monday = 0) and hour on the shop's own clock
        "local_weekday": "int8",
        "local_hour": "int8",  # missing where the source knows days only
        "store_id": "string",
    },
    rules=(
        _present("order_id"),
        _present("customer_id"),
        _clean_id("customer_id"),  # before order_id, which may be made of it
        _clean_id("order_id"),
        Rule(name=f"kind is one of {', '.join(KINDS)}", holds=lambda t, _o: t["kind"].isin(KINDS)),
        _present("ordered_at"),
        _present("local_on"),
        _present("local_weekday"),
        _received_after("ordered_at"),
        _known_in("customer_id", "customers"),
    ),
    also={"cancelled_at": INSTANT},  # of a cancelled order: when that became known; up to then it was a sale
)

ORDER_LINES = Contract(
    name="order_lines",
    grain="a line of an order",
    key=("order_id", "line_number"),
    columns={
        "order_id": "string",
        "line_number": "int32",
        "product_id": "string",  # missing where the shop has no products
        "unit_count": "int64",  # missing where it is not known
        "gross_amount": MONEY,  # before discounts
        "discount_amount": MONEY,  # what the shop gave up
        "net_amount": MONEY,  # what the shop received
        "coupon_amount": MONEY,  # face value of coupons used, whoever paid for them
    },
    rules=(
        _present("order_id"),
        _clean_id("order_id"),
        _present("line_number"),
        Rule(
            name="product_id is not blank",
            holds=lambda t, _o: t["product_id"].isnull() | (t["product_id"].strip() != ""),
        ),
        _clean_id("product_id"),
        _given_amount("net_amount"),
        _signs_fit("unit_count"),
        _signs_fit("gross_amount", "discount_amount", "coupon_amount"),
        Rule(
            name="net_amount is gross_amount less discount_amount",
            holds=lambda t, _o: t["net_amount"] == t["gross_amount"] - t["discount_amount"],
        ),
        Rule(
            name="the line moves goods or money",
            holds=lambda t, _o: (
                (t["unit_count"].fill_null(0) != 0) | (t["gross_amount"] != 0) | (t["coupon_amount"] != 0)
            ),
        ),
        _known_in("order_id", "orders"),
        Rule(
            name="product_id is one of the products",
            holds=lambda t, others: t["product_id"].isnull() | t["product_id"].isin(others["products"]["product_id"]),
            breach="flag",
        ),
    ),
)

EVENTS = Contract(
    name="events",
    grain="an event, as in Segment's track",
    key=("message_id",),
    columns={
        "message_id": "string",
        "customer_id": "string",
        "event": "string",
        "occurred_at": INSTANT,
        "received_at": INSTANT,
        "properties": "string",  # a JSON object
    },
    rules=(
        _present("message_id"),
        _present("customer_id"),
        _clean_id("message_id"),
        _clean_id("customer_id"),
        _present("event"),
        _present("occurred_at"),
        _received_after("occurred_at"),
        _known_in("customer_id", "customers"),
    ),
)

QUARANTINE = Contract(
    name="quarantine",
    grain="a row that was set aside, with the first rule that it broke",
    key=("table_name", "row"),
    columns={"table_name": "string", "rule": "string", "source_line": "string", "row": "string"},
    rules=(),
)

# In the order in which they are checked: a table may name only those before it.
FACTS: Mapping[str, Contract] = {c.name: c for c in (CUSTOMERS, PRODUCTS, ORDERS, ORDER_LINES, EVENTS)}
