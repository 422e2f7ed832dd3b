"""From rows to orders: what a file says of an order once, twice or on its first line only is said of the order."""

from __future__ import annotations

import ibis
from ibis import _
from ibis.expr.types import Table, Value

from facts.contracts import INSTANT, MONEY, ONE_CUSTOMER, ORDERS
from facts.ingest.table.mapping import Mapping
from facts.ingest.table.rows import CUSTOMER_RULE, FILE_STEP, OF_ORDER
from facts.ingest.table.times import wall_at

RETURNED, REFUNDED = "/return", "/refund"
SAID = {"source_line": "string", "unreadable": "string", "unreadable_rule": "string"}
ALWAYS = ("source_line", "customer_id", "ordered_at", "has_hours", "time_said", "time_rule")
OF_TIME = ("ordered_at", "has_hours", "received_at")
LAST = 1 << 60  # after every place
ORDER_FACTS = ("status", "currency", *OF_ORDER)
ONE_FILE = "an order stands in one file"
GIVEN_ONCE = (
    "source_line", "customer_id", "ordered_at", "has_hours", "received_at", "cancelled_at", "refunded_at",
    "store_id", "kind",
    "order_discount_amount", "order_refunded_amount", "order_said", "order_rule", "time_said", "time_rule",
)  # fmt: skip


def build_heads(rows: Table, mapping: Mapping) -> Table:
    """Return one row per order of the file: the first value that is given of each thing, and sums over its rows."""
    if mapping.file.row == "order":
        return rows.mutate(
            kind=_.kind.fill_null("sale"),
            unreadable=ibis.coalesce(_.id_said, _.time_said, _.order_said, _.line_said),
            unreadable_rule=ibis.coalesce(_.id_rule, _.time_rule, _.order_rule, _.line_rule),
            forward_count=(~_.is_negative).cast("int64"),
            backward_count=_.is_negative.cast("int64"),
            gross_total=_.gross_amount,
            net_total=_.net_amount,
            refund_total=_at_most(rows.refunded_amount, rows.net_amount),
            back_at=_.ordered_at,
            back_has_hours=_.has_hours,
            back_received_at=_.received_at,
        )
    known = rows.filter(_.order_id.notnull())
    forward = ~known.is_negative
    sale_first = known.place + ibis.ifelse(known.is_negative, LAST, 0)
    once = {
        name: first_given(known[name], sale_first if name in OF_TIME else known.place)
        for name in GIVEN_ONCE
        if _is_told(name, mapping)
    }
    sums = known.group_by("order_id").agg(
        **once,
        place=known.place.min(),
        last_place=known.place.max(),
        first_customer=known.customer_id.min(),
        last_customer=known.customer_id.max(),
        forward_count=forward.sum(),
        backward_count=known.is_negative.sum(),
        gross_total=known.gross_amount.sum(where=forward).cast(MONEY),
        net_total=known.net_amount.sum(where=forward).cast(MONEY),
        line_refund_total=_at_most(known.refunded_amount, known.net_amount).sum(where=forward).cast(MONEY),
    )
    absent = {name: ibis.null(known[name].type()) for name in GIVEN_ONCE if name not in once}
    sums = _with_times_back(sums.mutate(**absent), known)
    paid = sums.net_total - sums.order_discount_amount.fill_null(0)
    heads = sums.mutate(
        kind=sums.kind.fill_null("sale"),
        refund_total=ibis.coalesce(sums.line_refund_total, _at_most(sums.order_refunded_amount, paid)).cast(MONEY),
    )
    return heads.mutate(**_first_said(heads))


def build_orders(heads: Table, mapping: Mapping, *, has_hours: bool) -> Table:
    """Return the orders: those of the file, the returns among their rows, and the refunds that their columns tell.

    `has_hours` says whether any time of the files has an hour.
    """
    splits = mapping.kinds.negative == "return"
    is_split = (heads.kind == "sale") & (heads.backward_count > 0) if splits else ibis.literal(False)  # noqa: FBT003
    own = heads.filter(~(is_split & (heads.forward_count == 0)))
    returned = _returned(heads.filter(is_split))
    parts = [own, returned]
    if {"refunded_amount", "order_refunded_amount"} & mapping.columns.told.keys():
        parts.append(_refunds(heads, mapping))
    return ibis.union(*[_as_orders(part, mapping, has_hours=has_hours) for part in parts])


def _with_times_back(heads: Table, rows: Table) -> Table:
    """Say when the goods of an order came back, where its negative rows have a time of their own."""
    back = rows.filter(rows.is_negative).group_by("order_id")
    times = back.agg(
        **{f"back_{name.removeprefix('ordered_')}": first_given(rows[name], rows.place) for name in OF_TIME}
    )
    return heads.left_join(times, "order_id").drop("order_id_right")


def _returned(heads: Table) -> Table:
    """Return the negative rows of sales as returns: an order's time of receipt is not that of what came back later."""
    at, received_at = heads.back_at.fill_null(heads.ordered_at), heads.back_received_at.fill_null(heads.received_at)
    return heads.mutate(
        order_id=heads.order_id + RETURNED,
        kind=ibis.literal("return"),
        ordered_at=at,
        has_hours=ibis.ifelse(heads.back_at.isnull(), heads.has_hours, heads.back_has_hours),
        received_at=ibis.ifelse(received_at >= at, received_at, None),
    )


def first_given(value: Value, place: Value) -> Value:
    """Return the first value of a group, by place, that is not null."""
    kind = value.type()
    first = ibis.udf.agg.builtin(_arg_min, name="arg_min", signature=((kind, "int64"), kind))
    return first(value, place)


def has_refund(heads: Table) -> Value:
    """Return whether money of an order was given back, as a column of its own tells."""
    return (heads.kind == "sale") & (heads.refund_total > 0)


def _at_most(refund: Value, paid: Value) -> Value:
    return ibis.ifelse(refund.isnull(), ibis.null(MONEY), ibis.least(refund, paid))


def _arg_min(value, place): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202


def _is_told(name: str, mapping: Mapping) -> bool:
    """Return whether any row can have a value: what no column tells need not be looked for."""
    sources = {"kind": ("status", "cancelled_at", "order_id"), "order_said": ORDER_FACTS, "order_rule": ORDER_FACTS}
    return name in ALWAYS or any(fact in mapping.columns.told for fact in sources.get(name, (name,)))


def _first_said(heads: Table) -> dict[str, Value]:
    name = ibis.literal("order '") + heads.order_id + "'"
    customers = name + " has the customers '" + heads.first_customer + "' and '" + heads.last_customer + "'"
    two_files = heads.place // FILE_STEP != heads.last_place // FILE_STEP
    branches = [
        (heads.order_said.notnull(), heads.order_said, heads.order_rule),
        (heads.ordered_at.isnull() & heads.time_said.notnull(), heads.time_said, heads.time_rule),
        (heads.first_customer != heads.last_customer, customers, ibis.literal(ONE_CUSTOMER)),
        (two_files, name + " stands in two files", ibis.literal(ONE_FILE)),
    ]
    nothing = ibis.null("string")
    return {
        "unreadable": ibis.cases(*[(when, said) for when, said, _rule in branches], else_=nothing),
        "unreadable_rule": ibis.cases(*[(when, rule) for when, _said, rule in branches], else_=nothing),
    }


def _refunds(heads: Table, mapping: Mapping) -> Table:
    """Return the refunds; an assumed date hangs on the order alone, so that a later export says the same of it."""
    when = heads.refunded_at
    if mapping.kinds.refund_after_days is not None:
        when = ibis.coalesce(when, heads.ordered_at + ibis.interval(days=mapping.kinds.refund_after_days))
    refunds = heads.filter(has_refund(heads))
    return refunds.mutate(
        order_id=_.order_id + REFUNDED, kind=ibis.literal("return"), ordered_at=when, received_at=ibis.null(INSTANT)
    )


def _as_orders(heads: Table, mapping: Mapping, *, has_hours: bool) -> Table:
    wall = wall_at(heads.ordered_at, mapping.time.zone)
    hour = ibis.ifelse(heads.has_hours, wall.hour(), None) if has_hours else ibis.null("int8")
    return (
        heads.mutate(
            local_on=wall.date(),
            local_weekday=wall.day_of_week.index().cast("int8"),
            local_hour=hour.cast("int8"),
        )
        .select(*ORDERS.columns, *ORDERS.also, *SAID)
        .cast({**ORDERS.columns, **ORDERS.also, **SAID})
    )


def lacks_customer(order_id: Value, customer_id: Value) -> tuple[Value, Value]:
    """Return what to say of a row whose order has no customer, and the rule that it breaks."""
    said = ibis.literal("order '") + order_id + "' has no customer"
    is_lacking = order_id.notnull() & customer_id.isnull()
    nothing = ibis.null("string")
    return ibis.ifelse(is_lacking, said, nothing), ibis.ifelse(is_lacking, CUSTOMER_RULE, nothing)
