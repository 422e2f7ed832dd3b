"""One file's rows in the words of the contracts: who, when, what, how much, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable

import ibis
from ibis.expr.types import BooleanValue, Table, Value

from facts.contracts import INSTANT, MONEY
from facts.ingest.table.mapping import Column, Mapping
from facts.ingest.table.parsing import Parsed, shown
from facts.ingest.table.staging import LINE, RAGGED
from facts.ingest.table.times import wall_at

FILE_STEP = 1 << 40  # no file has more lines
RAGGED_RULE = "the row has as many fields as the header"
REPEAT_RULE = "order_id not repeated"
STATUS_RULE = "status is one that the mapping names"
CURRENCY_RULE = "currency is the shop's"
CUSTOMER_RULE = "customer_id is given"
TIME_RULE = "ordered_at is given"
TRUE_TEXTS = ("true", "1", "yes", "y", "t")
OF_LINE = (
    "unit_count", "unit_price", "gross_amount", "discount_amount", "net_amount", "coupon_amount",
    "refunded_amount", "refunded_count",
)  # fmt: skip
OF_ORDER = ("received_at", "cancelled_at", "refunded_at", "order_discount_amount", "order_refunded_amount")
PRODUCT = ("product_id", "product_name", "category", "department", "brand", "size")

CONTENT = ("gross_amount", "discount_amount", "coupon_amount", "product_id", "unit_count")

Problem = tuple[str | Value, Value]  # the rule, and the sentence (null where it is kept)


def read_rows(parsed: Parsed, *, file_number: int) -> Table:
    """Return one row per row of the file.

    Amounts and counts have the signs of the file. `is_negative` says whether goods or money went back. `kind` is null
    where nothing but the sign says it. `time_said`, `order_said` and `line_said` say what could not be read, each
    beside the rule that it breaks.
    """
    table, mapping = parsed.table, parsed.mapping
    return table.select(
        place=ibis.literal(file_number * FILE_STEP, "int64") + table[LINE],
        source_line=ibis.literal(f"{parsed.staged.label}:") + table[LINE].cast("string"),
        order_id=parsed.text("order_id"),
        customer_id=parsed.text("customer_id").lower() if mapping.customers.fold_case else parsed.text("customer_id"),
        ordered_at=parsed.value("ordered_at"),
        has_hours=table["has_hours"],
        received_at=parsed.value("received_at"),
        cancelled_at=_cancelled_at(parsed),
        refunded_at=parsed.value("refunded_at"),
        store_id=parsed.text("store_id"),
        kind=_kind(parsed),
        **{name: parsed.text(name) for name in PRODUCT},
        is_private_label=_truth(parsed.text("is_private_label")),
        **_amounts(parsed),
        order_discount_amount=parsed.value("order_discount_amount").abs(),
        order_refunded_amount=parsed.value("order_refunded_amount").abs(),
        **_first("time", [_read("ordered_at", "date", parsed)]),
        **_first("order", [*_order_problems(parsed), *(_read(fact, _noun(fact), parsed) for fact in OF_ORDER)]),
        **_first("line", [(RAGGED_RULE, table[RAGGED]), *(_read(fact, "number", parsed) for fact in OF_LINE)]),
        **{f"trait_{i}": table[f"trait_{i}"] for i in range(len(mapping.traits))},
    )


def with_order_ids(rows: Table, mapping: Mapping) -> Table:
    """Return the rows with an id for every order: the file's, else one made of the customer and the time.

    Where a row is an order and a customer has several at one time, they are numbered by their content: a later file may
    have them in another order. `id_said` says why a row has no id that can be used, beside the rule that it breaks.
    """
    nothing = ibis.null("string")
    if "order_id" in mapping.columns.told:
        return _with_repeats(rows) if mapping.file.row == "order" else rows.mutate(id_said=nothing, id_rule=nothing)
    rows = rows.mutate(**_first("id", _lacking(rows)))
    wall = wall_at(rows["ordered_at"], mapping.time.zone)
    when = ibis.ifelse(rows["has_hours"], wall.strftime("%Y-%m-%dT%H:%M:%S"), wall.strftime("%Y-%m-%d"))
    made = rows["customer_id"] + "/" + when
    if mapping.file.row == "line":
        return rows.mutate(order_id=made)
    rows = rows.mutate(made=made)
    peers = [rows.customer_id, rows.ordered_at]
    again = ibis.row_number().over(ibis.window(group_by=peers, order_by=by_content(rows))) + 1
    numbered = rows.mutate(again=again)
    suffix = ibis.ifelse(numbered.again > 1, ibis.literal("/") + numbered.again.cast("string"), "")
    return numbered.mutate(order_id=numbered.made + suffix).drop("made", "again")


def by_content(rows: Table) -> list[Value]:
    """Return what puts rows into an order that does not hang on where they stand, the largest amount first."""
    return [rows.net_amount.desc(), *(rows[name] for name in CONTENT), rows.place]


def _with_repeats(rows: Table) -> Table:
    """Say of an order that stands on a second row where the first one is."""
    window = ibis.window(group_by=rows.order_id, order_by=rows.place)
    numbered = rows.mutate(repeat=ibis.row_number().over(window), first_line=rows.source_line.first().over(window))
    is_repeat = numbered.order_id.notnull() & (numbered.repeat > 0)
    said = ibis.literal("order '") + numbered.order_id + "' stands on " + numbered.first_line + " too"
    nothing = ibis.null("string")
    return numbered.mutate(
        id_said=ibis.ifelse(is_repeat, said, nothing), id_rule=ibis.ifelse(is_repeat, REPEAT_RULE, nothing)
    ).drop("repeat", "first_line")


def _lacking(rows: Table) -> list[Problem]:
    """Return what an order id cannot be made without, where nothing else is wrong with the row."""
    nothing = ibis.null("string")
    is_open = ibis.coalesce(rows.time_said, rows.order_said, rows.line_said).isnull()
    return [
        (CUSTOMER_RULE, ibis.ifelse(is_open & rows.customer_id.isnull(), "no customer is given", nothing)),
        (TIME_RULE, ibis.ifelse(is_open & rows.ordered_at.isnull(), "no time is given", nothing)),
    ]


def _kind(parsed: Parsed) -> Value:
    otherwise = _kind_otherwise(parsed)
    return ibis.ifelse(parsed.text("cancelled_at").notnull(), "cancelled", otherwise)


def _cancelled_at(parsed: Parsed) -> Value:
    """Return when a sale became a cancelled order; what was a return before it is told as cancelled from the start."""
    is_return = _kind_otherwise(parsed).isin(["return"]).fill_null(False)  # noqa: FBT003
    return ibis.ifelse(is_return, ibis.null(INSTANT), parsed.value("cancelled_at"))


def _kind_otherwise(parsed: Parsed) -> Value:
    """Return the kind of an order that was not cancelled; null where nothing but the sign says it."""
    kinds = parsed.mapping.kinds
    order_id, status = parsed.text("order_id"), parsed.text("status").lower()
    prefixed = [(order_id.startswith(prefix), kind) for prefix, kind in _longest_first(kinds.prefix.items())]
    named = [(status == name.lower(), kind) for name, kind in kinds.status.items()]
    other = [(status.notnull(), kinds.other_status)] if kinds.other_status else []
    branches = [*prefixed, *named, *other]
    return ibis.cases(*branches, else_=ibis.null("string")) if branches else ibis.null("string")


def _longest_first(prefixes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(prefixes, key=lambda item: -len(item[0]))


def _truth(text: Value) -> Value:
    return ibis.ifelse(text.isnull(), ibis.null("boolean"), text.lower().isin(TRUE_TEXTS))


def _amounts(parsed: Parsed) -> dict[str, Value]:
    """Return what was bought, before and after discounts, from the amounts that the file has."""
    count = parsed.value("unit_count")
    discount = parsed.value("discount_amount").abs().fill_null(0).cast(MONEY)
    if parsed.has("gross_amount"):
        gross = parsed.value("gross_amount")
    elif parsed.has("unit_price") and parsed.has("unit_count"):
        gross = (parsed.value("unit_price") * count).cast(MONEY)
    else:
        net = parsed.value("net_amount")
        gross = (net + ibis.ifelse(net < 0, -discount, discount)).cast(MONEY)
    discount = ibis.ifelse(gross < 0, -discount, discount)
    if parsed.has("net_amount") and not parsed.has("discount_amount"):
        discount = (gross - parsed.value("net_amount")).cast(MONEY)
    net = parsed.value("net_amount") if parsed.has("net_amount") else (gross - discount).cast(MONEY)
    return {
        "unit_count": _pieces(count),
        "is_measured": (count != count.round(0)).fill_null(False),  # noqa: FBT003
        "gross_amount": gross,
        "discount_amount": discount,
        "net_amount": net,
        "coupon_amount": parsed.value("coupon_amount").abs().fill_null(0).cast(MONEY),
        "is_negative": _is_negative(count, gross),
        "refunded_amount": parsed.value("refunded_amount").abs(),
        "refunded_count": _pieces(parsed.value("refunded_count").abs()),
    }


def _pieces(count: Value) -> Value:
    """Return a number of pieces; a fraction is a measure, and counts as one piece."""
    whole = count.round(0)
    return ibis.ifelse(count == whole, whole, count.sign()).cast("int64")


def _is_negative(count: Value, gross: Value) -> BooleanValue:
    return ((count < 0) | (gross < 0)).fill_null(False)  # noqa: FBT003


def _order_problems(parsed: Parsed) -> list[Problem]:
    told, currency = parsed.mapping.columns.told, parsed.mapping.shop.currency
    problems: list[Problem] = []
    if "status" in told and not parsed.mapping.kinds.other_status:
        status = parsed.text("status")
        is_unknown = status.notnull() & ~status.lower().isin([name.lower() for name in parsed.mapping.kinds.status])
        problems.append((STATUS_RULE, _saying(told["status"], status, is_unknown, "which kinds.status does not name")))
    if "currency" in told:
        text = parsed.text("currency")
        is_other = text.notnull() & (text.upper() != currency)
        problems.append((CURRENCY_RULE, _saying(told["currency"], text, is_other, f"the shop's is {currency}")))
    return problems


def _saying(column: Column, text: Value, is_bad: BooleanValue, what: str) -> Value:
    said = ibis.literal(f"{shown(column)} is '") + text.left(60) + ibis.literal(f"', {what}")
    return ibis.ifelse(is_bad, said, ibis.null("string"))


def _noun(fact: str) -> str:
    return "date" if fact.endswith("_at") else "number"


def _read(fact: str, noun: str, parsed: Parsed) -> Problem:
    unread = f"{fact} is a {noun} as the mapping says"
    rule = ibis.ifelse(parsed.is_outside(fact), f"{fact} is between time.earliest and the delivery", unread)
    return (rule if noun == "date" else unread), parsed.problem(fact)


def _first(what: str, problems: list[Problem]) -> dict[str, Value]:
    rule = ibis.cases(*[(said.notnull(), rule) for rule, said in problems], else_=ibis.null("string"))
    return {f"{what}_said": ibis.coalesce(*[said for _rule, said in problems]), f"{what}_rule": rule}
