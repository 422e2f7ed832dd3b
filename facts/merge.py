"""What the lake knows and what a delivery says, made one: nothing twice, and nothing that was known is forgotten.

An order keeps every version of it that was ever known. A version is known from its `received_at` until its
`superseded_at`; both stand beside the contract's columns, with the number of the version. An order that is first heard
of after it was cancelled has two versions where the source says when that was: the sale until then, and the
cancellation. Products keep their versions too (`facts.products`), and a line says of which version its product was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import ibis
from ibis import _

from facts.contracts import EVENTS, FACTS, INSTANT, ORDER_LINES, ORDERS
from facts.products import PRODUCT_COLUMNS, first_products, products_told, with_product_versions

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

Mode = Literal["append", "replace"]
VERSION = {"version": "int32"}
TOUCHED = "touched"
NOT_SAID = (
    "order_id",
    "received_at",
    "cancelled_at",
    "version",
    "superseded_at",
)  # of an order; all else is its content
TOUCHED_SCHEMA = {"commit": "int32", "customer_id": "string", "known_from": INSTANT}
LAKE_COLUMNS: Mapping[str, Mapping[str, str]] = {name: contract.columns for name, contract in FACTS.items()} | {
    "orders": {**ORDERS.columns, **VERSION, "superseded_at": INSTANT},
    "order_lines": {**ORDER_LINES.columns, **VERSION, "product_version": "int32"},  # missing: nothing was known of it
    "products": PRODUCT_COLUMNS,
}
KEYS: Mapping[str, tuple[str, ...]] = {name: contract.key for name, contract in FACTS.items()} | {
    "orders": ("order_id", "version"),
    "order_lines": ("order_id", "version", "line_number"),
    "products": ("product_id", "version"),
    TOUCHED: ("commit", "customer_id", "known_from"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a delivery reaches the lake, and up to when the lake knew the shop before it."""

    at: datetime
    former_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The tables that change, as they are to be stored; of whom something else is known now; and counts of orders.

    `retold_products` counts the products that were known and are told otherwise.
    """

    tables: Mapping[str, Table]
    touched: Table
    orders: Mapping[str, int]
    retold_products: int = 0


def begin(told: Mapping[str, Table]) -> Merged:
    """Return the tables of a first delivery: first versions, received when they happened where the source is silent."""
    fresh = _with_cancelled_at(told["orders"]).mutate(received_at=_.received_at.fill_null(_.ordered_at), version=0)
    orders = _from_the_sale(fresh)
    lines = _of_first_versions(told["order_lines"], orders)
    is_described = lines.product_id.isin(told["products"].product_id)
    tables = dict(told) | {
        "products": first_products(told["products"], orders),
        "orders": orders,
        "order_lines": lines.mutate(product_version=ibis.ifelse(is_described, ibis.literal(0, "int32"), None)),
        "events": told["events"].mutate(received_at=_.received_at.fill_null(_.occurred_at)),
    }
    nobody = ibis.memtable({"customer_id": [], "known_from": []}).cast({"customer_id": "string", "known_from": INSTANT})
    return Merged(
        tables=_in_order(tables),
        touched=nobody,
        orders={"new": _count(told["orders"]), "corrected": 0, "unchanged": 0, "ended": 0},
    )


def merge(
    known: Mapping[str, Table],
    told: Mapping[str, Table],
    moment: Moment,
    *,
    mode: Mode,
    connection: Backend,
    has_made_ids: bool = False,
) -> Merged:
    """Merge a delivery into what is known.

    An order is taken whole, its lines with it: the same content changes nothing, other content is its next version. An
    order that happened before the end of the former record and was not in it is late: it is received now, where the
    source does not say when. A cancellation that the source dates is received at its date. A product that is told
    otherwise has a next version, which changes nothing of the lines that were known.

    Parameters
    ----------
    known, told
        The lake's tables, and the delivered ones after their contracts.
    mode
        `replace`: the delivery is all there is, an order that is not in it ends now; `append`: the others stay.
    has_made_ids
        Whether order ids were made of the customer and the time: what is told of a customer's time is then all there is
        of it, and other orders whose ids were made of the same end now.
    """

    def hold(name: str, table: Table) -> Table:
        return connection.create_table(name, table, temp=True, overwrite=False)

    versions = hold("told_versions", _versions(known, told, moment))
    standing = known["orders"].filter(_.superseded_at.isnull())
    gone = _gone(standing, told["orders"], mode=mode, has_made_ids=has_made_ids)
    ended = hold("ended_versions", _ended(standing, gone, versions, moment))
    events = hold("told_events", _new_events(known["events"], told["events"], moment))
    lines = told["order_lines"].join(versions.select("order_id", "version", "received_at"), "order_id")
    products = hold("told_products", products_told(known["products"], told["products"], lines, moment.at))
    customers = hold("told_customers", _said_anew(known["customers"], told["customers"]))
    counts = _counts(versions, ended, told["orders"])
    is_other = {
        "customers": _count(customers) > 0,
        "products": _count(products) > 0,
        **dict.fromkeys(("orders", "order_lines"), counts["new"] + counts["corrected"] + counts["ended"] > 0),
        "events": _count(events) > 0,
    }
    every_product = ibis.union(known["products"].anti_join(products, ["product_id", "version"]), products)
    lines = with_product_versions(lines, every_product)
    tables = {
        "customers": ibis.union(known["customers"].anti_join(customers, "customer_id"), customers),
        "products": every_product,
        "orders": _with_versions(known["orders"], versions, ended),
        "order_lines": ibis.union(known["order_lines"], lines.select(list(LAKE_COLUMNS["order_lines"]))),
        "events": ibis.union(known["events"], events),
    }
    return Merged(
        tables=_in_order({name: table for name, table in tables.items() if is_other[name]}),
        touched=_touched(known["orders"], versions, ended, events),
        orders=counts,
        retold_products=_count(products.anti_join(known["products"], ["product_id", "version"]).filter(_.version > 0)),
    )


def _touched(orders: Table, versions: Table, ended: Table, events: Table) -> Table:
    """Return who has other features than before, and from when on."""
    told = ibis.union(
        versions.select("customer_id", known_from=_.received_at),
        ended.join(orders, ["order_id", "version"]).select("customer_id", known_from=_.ends_at),
        events.select("customer_id", known_from=_.received_at),
    )
    return told.group_by("customer_id").agg(known_from=_.known_from.min())


def _in_order(tables: Mapping[str, Table]) -> dict[str, Table]:
    return {name: table.select(list(LAKE_COLUMNS[name])).order_by(KEYS[name]) for name, table in tables.items()}


def _versions(known: Mapping[str, Table], told: Mapping[str, Table], moment: Moment) -> Table:
    """Return the versions of delivered orders that are new or say something else, and from when to when each is known.

    `change` says of the last version of each order what it is to the lake.
    """
    same = _unchanged(known, told)
    last = (
        known["orders"]
        .group_by("order_id")
        .agg(last=_.version.max(), last_known_at=ibis.greatest(_.received_at.max(), _.superseded_at.max()))
    )
    fresh = (
        _with_cancelled_at(told["orders"])
        .anti_join(same, "order_id")
        .left_join(last, "order_id")
        .drop("order_id_right")
    )
    at = ibis.greatest(ibis.literal(moment.at, INSTANT), _.ordered_at)  # nothing is received before it happens
    late = at if moment.former_until is None else ibis.ifelse(_.ordered_at < moment.former_until, at, _.ordered_at)
    first = _.received_at.fill_null(late)
    after = ibis.greatest(at, _.last_known_at + ibis.interval(microseconds=1))
    said = ibis.greatest(_.received_at, _.cancelled_at)
    again = ibis.ifelse(said > _.last_known_at, said, after)
    corrected = fresh.filter(_["last"].notnull()).mutate(
        received_at=again, version=_["last"] + 1, superseded_at=ibis.null(INSTANT), change=ibis.literal("corrected")
    )
    new = _from_the_sale(fresh.filter(_["last"].isnull()).mutate(received_at=first, version=0))
    new = new.mutate(change=ibis.ifelse(_.superseded_at.isnull(), "new", None))
    columns = [*ORDERS.columns, "version", "superseded_at", "change"]
    return ibis.union(*[part.select(columns).cast({"version": "int32"}) for part in (new, corrected)])


def _from_the_sale(fresh: Table) -> Table:
    """Return the versions of orders that were not known: of one that was cancelled later, first the sale until then."""
    is_later = (fresh.cancelled_at > fresh.received_at).fill_null(False)  # noqa: FBT003
    sales = fresh.filter(is_later).mutate(kind=ibis.literal("sale"), superseded_at=_.cancelled_at)
    last = fresh.mutate(
        received_at=ibis.ifelse(is_later, _.cancelled_at, _.received_at),
        version=ibis.ifelse(is_later, _.version + 1, _.version),
        superseded_at=ibis.null(INSTANT),
    )
    columns = [*ORDERS.columns, "version", "superseded_at"]
    return ibis.union(*[part.select(columns).cast(dict(LAKE_COLUMNS["orders"])) for part in (sales, last)])


def _with_cancelled_at(orders: Table) -> Table:
    if "cancelled_at" not in orders.columns:
        return orders.mutate(cancelled_at=ibis.null(INSTANT))
    return orders.mutate(cancelled_at=ibis.ifelse(_.kind == "cancelled", _.cancelled_at, None))


def _of_first_versions(lines: Table, orders: Table) -> Table:
    again = lines.semi_join(orders.filter(_.version == 1), "order_id")
    return ibis.union(*[rows.mutate(version=ibis.literal(n, "int32")) for n, rows in enumerate((lines, again))])


def _unchanged(known: Mapping[str, Table], told: Mapping[str, Table]) -> Table:
    """Return the delivered orders whose current version says the same, whenever it was received."""
    current = known["orders"].filter(_.superseded_at.isnull()).semi_join(told["orders"], "order_id")
    lines = known["order_lines"].drop("product_version").semi_join(current, ["order_id", "version"])
    before = _marks(current, lines)
    return _marks(told["orders"], told["order_lines"]).semi_join(before, ["order_id", "head", "line_count", "body"])


def _marks(orders: Table, lines: Table) -> Table:
    """Return one row per order that stands for all it says: two hashes of 64 bits, and how many lines it has.

    A line is what it says, not its number: the same lines in another order are the same. Equal lines count each.
    """
    heads = orders.select("order_id", head=_hash(orders, but=NOT_SAID))
    marked = lines.select("order_id", mark=_hash(lines, but=("order_id", "version", "line_number")))
    kinds = marked.group_by("order_id", "mark").agg(times=_.count())
    kinds = kinds.mutate(mark=ibis.struct({"mark": kinds.mark, "times": kinds.times}).hash())
    bodies = kinds.group_by("order_id").agg(line_count=_.times.sum(), body=_.mark.bit_xor())
    whole = heads.left_join(bodies, "order_id").drop("order_id_right")
    return whole.mutate(line_count=_.line_count.fill_null(0), body=_.body.fill_null(0))


def _hash(table: Table, *, but: tuple[str, ...]) -> ibis.Value:
    return ibis.struct({name: table[name] for name in table.columns if name not in but}).hash()


def _gone(standing: Table, told: Table, *, mode: Mode, has_made_ids: bool) -> Table:
    """Return the orders that the delivery says are no more, because it tells all that there is and not them."""
    absent = standing.anti_join(told, "order_id")
    if mode == "replace":
        return absent
    if not has_made_ids:
        return absent.limit(0)
    is_made = absent.order_id.startswith(absent.customer_id + "/")
    return absent.filter(is_made).semi_join(told, ["customer_id", "ordered_at"])


def _ended(standing: Table, gone: Table, versions: Table, moment: Moment) -> Table:
    """Return the versions that are known no longer, and from when."""
    corrected = standing.join(versions.select("order_id", ends_at=_.received_at), "order_id")
    at = ibis.greatest(ibis.literal(moment.at, INSTANT), _.received_at)
    return ibis.union(
        corrected.select("order_id", "version", "ends_at"), gone.select("order_id", "version", ends_at=at)
    )


def _with_versions(orders: Table, versions: Table, ended: Table) -> Table:
    known = orders.left_join(ended, ["order_id", "version"]).drop("order_id_right", "version_right")
    known = known.mutate(superseded_at=ibis.coalesce(_.superseded_at, _.ends_at))
    columns = list(LAKE_COLUMNS["orders"])
    return ibis.union(known.select(columns), versions.select(columns))


def _new_events(known: Table, told: Table, moment: Moment) -> Table:
    at = ibis.greatest(ibis.literal(moment.at, INSTANT), _.occurred_at)
    late = at if moment.former_until is None else ibis.ifelse(_.occurred_at < moment.former_until, at, _.occurred_at)
    fresh = told.anti_join(known, "message_id").mutate(received_at=_.received_at.fill_null(late))
    return fresh.select(list(EVENTS.columns))


def _said_anew(known: Table, told: Table) -> Table:
    return told.select(list(known.columns)).difference(known)


def _counts(versions: Table, ended: Table, told: Table) -> dict[str, int]:
    found = versions.filter(_.change.notnull()).group_by("change").agg(n=_.count()).execute()
    counts = {"new": 0, "corrected": 0} | {str(change): int(n) for change, n in found.itertuples(index=False)}
    return counts | {
        "unchanged": _count(told) - sum(counts.values()),
        "ended": _count(ended) - _count(ended.semi_join(versions, "order_id")),
    }


def _count(table: Table) -> int:
    return int(table.count().execute())
