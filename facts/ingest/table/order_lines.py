"""From rows to order lines: signs by kind of order, an order's discount shared out, refunds as lines of their own."""

from __future__ import annotations

import ibis
from ibis import _
from ibis.expr.types import Table, Value

from facts.contracts import MONEY, ORDER_LINES
from facts.ingest.table.mapping import Mapping
from facts.ingest.table.orders import REFUNDED, RETURNED, SAID, has_refund, lacks_customer
from facts.ingest.table.rows import by_content

AMOUNTS = ("gross_amount", "discount_amount", "net_amount", "coupon_amount")
OF_HEAD = ("kind", "customer_id", "unreadable", "unreadable_rule", "order_discount_amount", "gross_total")


def build_lines(rows: Table, heads: Table, mapping: Mapping) -> Table:
    """Return one line per row, and one per refund; a row that an order has no use for says why."""
    joined = _with_heads(rows, heads, mapping)
    goes_back = joined.is_negative if mapping.kinds.negative == "return" else ibis.literal(False)  # noqa: FBT003
    is_split = (joined.head_kind == "sale") & goes_back
    placed = joined.mutate(
        is_split=is_split,
        kind=ibis.ifelse(is_split, "return", joined.head_kind),
        order_id=ibis.ifelse(is_split, joined.order_id + RETURNED, joined.order_id),
    )
    shared = _share_discounts(placed) if "order_discount_amount" in mapping.columns.told else placed
    lines = _numbered(shared.mutate(**_signed(shared)), mapping)
    told = mapping.columns.told
    if "refunded_amount" in told:
        return ibis.union(_select(lines), _select(_numbered(_refunds_of_lines(joined), mapping)))
    if "order_refunded_amount" in told:
        return ibis.union(_select(lines), _select(_refunds_of_orders(heads)))
    return _select(lines)


def _with_heads(rows: Table, heads: Table, mapping: Mapping) -> Table:
    if mapping.file.row == "order":
        joined = heads.mutate(**{f"head_{name}": heads[name] for name in OF_HEAD})
    else:
        told = heads.select(head_id=_.order_id, **{f"head_{name}": heads[name] for name in OF_HEAD})
        joined = rows.left_join(told, rows.order_id == told.head_id)
    said, rule = lacks_customer(joined.order_id, joined.head_customer_id)
    return joined.mutate(
        head_kind=joined.head_kind.fill_null("sale"),
        unreadable=ibis.coalesce(joined.line_said, joined.time_said, joined.head_unreadable, joined.id_said, said),
        unreadable_rule=ibis.coalesce(
            joined.line_rule, joined.time_rule, joined.head_unreadable_rule, joined.id_rule, rule
        ),
    )


def _signed(lines: Table) -> dict[str, Value]:
    return {name: _with_sign(lines.kind, lines[name]) for name in (*AMOUNTS, "unit_count")}


def _with_sign(kind: Value, value: Value) -> Value:
    return ibis.cases((kind == "return", -value.abs()), (kind == "cancelled", value.abs()), else_=value)


def _share_discounts(lines: Table) -> Table:
    """Take an order's discount off its lines by their gross amounts; what is shared out adds up to the discount.

    Which line gets the odd cent does not hang on where the lines stand.
    """
    window = ibis.window(group_by=lines.order_id, order_by=by_content(lines), preceding=None, following=0)
    forward = ibis.ifelse(lines.is_split, 0, lines.gross_amount.fill_null(0)).cast("float64")
    until = forward.sum().over(window)
    total = lines.head_gross_total.cast("float64").nullif(0)
    discount = lines.head_order_discount_amount.cast("float64")
    shared, before = [(discount * (part / total)).round(4).cast(MONEY) for part in (until, until - forward)]
    share = ibis.ifelse(lines.is_split, 0, shared - before).fill_null(0).cast(MONEY)
    return lines.mutate(
        discount_amount=(lines.discount_amount + share).cast(MONEY), net_amount=(lines.net_amount - share).cast(MONEY)
    )


def _numbered(lines: Table, mapping: Mapping) -> Table:
    if mapping.file.row == "order":
        return lines.mutate(line_number=ibis.literal(1, "int32"))
    number = ibis.row_number().over(group_by="order_id", order_by="place") + 1
    return lines.mutate(line_number=number.cast("int32"))


def _refunds_of_lines(joined: Table) -> Table:
    given = joined.filter((joined.head_kind == "sale") & ~joined.is_negative & (joined.refunded_amount > 0))
    back = -ibis.least(given.refunded_amount, given.net_amount)
    return given.mutate(order_id=_.order_id + REFUNDED, unit_count=-given.refunded_count, **_given_back(back))


def _refunds_of_orders(heads: Table) -> Table:
    refunds = heads.filter(has_refund(heads))
    said, rule = lacks_customer(refunds.order_id, refunds.customer_id)
    return refunds.mutate(
        order_id=_.order_id + REFUNDED,
        line_number=ibis.literal(1, "int32"),
        product_id=ibis.null("string"),
        unit_count=ibis.null("int64"),
        **_given_back(-refunds.refund_total),
        unreadable=ibis.coalesce(refunds.unreadable, said),
        unreadable_rule=ibis.coalesce(refunds.unreadable_rule, rule),
    )


def _given_back(amount: Value) -> dict[str, Value]:
    nothing = ibis.literal(0, MONEY)
    return {
        "gross_amount": amount.cast(MONEY), "discount_amount": nothing, "net_amount": amount.cast(MONEY),
        "coupon_amount": nothing,
    }  # fmt: skip


def _select(lines: Table) -> Table:
    return lines.select(*ORDER_LINES.columns, *SAID).cast({**ORDER_LINES.columns, **SAID})
