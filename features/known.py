"""Every kind of fact as it is known at every cutoff.

A row is known at a cutoff when it was received before it and, where it was corrected, corrected no earlier. Rows that
were corrected some day are few: whatever is asked of "the first" or "the youngest" fact is answered from those that
stand, and then put right, at the cutoffs concerned, by the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import ibis
from ibis import _

from facts.contracts import INSTANT
from features.catalog import Feature

if TYPE_CHECKING:
    from ibis.expr.types import BooleanValue, Table

ROW = ("customer_id", "cutoff")
EVENING_HOUR = 18
SATURDAY = 5
SMALL_ORDER_LINES = 3
DAYS_PER_YEAR = 365.2425
LONGEST_RECORD_DAYS = 365.0  # no window of the catalog is longer
ORDER = ("order_id", "version")
PRODUCT = ("product_id", "product_version")  # a line's product as it was known when the line was received
_ENDS = ("superseded_at", "outdated_at")  # from when a row is known no longer, or is no longer the youngest


def window_start(days: int) -> str:
    """Return the name of the cutoffs' column that says when a window of so many days begins."""
    return f"start_{days}d"


def cutoff_table(
    cutoffs: Iterable[datetime],
    features: Sequence[Feature],
    *,
    observed_from: datetime | None = None,
    known_at: datetime | None = None,
) -> Table:
    """Return one row per different cutoff, with all that can be said of it without looking at a customer.

    `known_before`, the instant before which facts must have been received; the first instant of every window; whether
    the record reaches back to a window a year ago; where in the year the cutoff lies; and how far
    back the record reaches.
    """
    instants = sorted({cutoff.astimezone(UTC) for cutoff in cutoffs})
    ago = {f.ago_days for f in features if f.ago_days is not None}
    days = {0, *(f.window_days or 0 for f in features), *ago}
    days |= {f.ago_days - (f.window_days or 0) for f in features if f.ago_days is not None}
    times = {"cutoff": instants, "known_before": [min(i, known_at or i) for i in instants]}
    times |= {window_start(d): [instant - timedelta(days=d) for instant in instants] for d in sorted(days)}
    angles = [2 * math.pi * (i.timetuple().tm_yday + i.hour / 24) / DAYS_PER_YEAR for i in instants]
    told: dict[str, list[object]] = {name: [i.isoformat() for i in column] for name, column in times.items()}
    told |= {"season_sine": [math.sin(a) for a in angles], "season_cosine": [math.cos(a) for a in angles]}
    told["record_days"] = [
        observed_from and min((i - observed_from) / timedelta(days=1), LONGEST_RECORD_DAYS) for i in instants
    ]
    for d in sorted(ago):
        told[f"is_observed_{d}d"] = [observed_from is None or i - timedelta(days=d) >= observed_from for i in instants]
    return ibis.memtable(told).cast(dict.fromkeys(times, INSTANT) | {"record_days": "float64"})


class Known:
    """The facts of a shop, or of some of its customers, and the cutoffs at which they are looked at.

    Without corrections (no order was ever superseded) nothing has to be put right, which takes half the time.
    """

    def __init__(
        self,
        facts: Mapping[str, Table],
        cutoffs: Table,
        *,
        customers: Table | None = None,
        has_corrections: bool = True,
    ) -> None:
        self._cutoffs, self._has_corrections = cutoffs, has_corrections
        self._orders, self._events = facts["orders"], facts["events"]
        self._lines = facts["order_lines"]
        self._products = facts["products"].rename(product_version="version")
        if customers is not None:
            self._orders = self._orders.semi_join(customers, "customer_id")
            self._events = self._events.semi_join(customers, "customer_id")
            self._lines = self._lines.semi_join(self._orders, ORDER)

    def at_cutoffs(self, table: Table, *, days: int | None = None) -> Table:
        """Return a row per fact and cutoff at which it is known, of at most so many days before the cutoff."""
        known_before = self._cutoffs.known_before
        ends = [column for column in _ENDS if column in table.columns]
        asked = [c for c in ends if c != "superseded_at" or self._has_corrections]
        conditions = [
            table.received_at < known_before,
            *([] if days is None else [table.happened_at >= self._cutoffs[window_start(days)]]),
            *[table[column].isnull() | (table[column] >= known_before) for column in asked],
        ]
        return table.join(self._cutoffs, conditions).drop("received_at", *ends)

    def orders(self, *, kinds: Sequence[str] = ("sale",)) -> Table:
        """Return one row per version of an order, its lines added up; what returns took back counts as positive."""
        products = self._products.select(*PRODUCT, "is_private_label")
        lines = self._lines.join(products, PRODUCT, how="left")
        totals = lines.group_by(ORDER).agg(
            net_amount=_.net_amount.sum(),
            gross_amount=_.gross_amount.sum(),
            discount_amount=_.discount_amount.sum(),
            coupon_amount=_.coupon_amount.sum(),
            private_label_amount=_.net_amount.sum(where=_.is_private_label),
            line_count=_.count(),
            unit_count=_.unit_count.sum(),
        )
        amounts = [name for name in totals.columns if name not in ORDER]
        orders = self._orders.filter(self._orders.kind.isin(kinds)).left_join(totals, ORDER)
        return orders.select(
            "customer_id",
            "received_at",
            "superseded_at",
            "local_hour",
            happened_at=_.ordered_at,
            **{name: _[name].fill_null(0) for name in amounts},
            sale_amount=_.net_amount.fill_null(0),
            returned_amount=-_.net_amount.fill_null(0),
            has_coupon=_.coupon_amount.fill_null(0) > 0,
            has_discount=_.discount_amount.fill_null(0) > 0,
            is_small=_.line_count.fill_null(0) <= SMALL_ORDER_LINES,
            is_weekend=_.local_weekday >= SATURDAY,
            is_evening=_.local_hour >= EVENING_HOUR,
            is_sale=_.kind == "sale",
            is_return=_.kind == "return",
            is_cancelled=_.kind == "cancelled",
            is_paid=_.kind != "cancelled",
        )

    def events(self, name: str) -> Table:
        """Return one row per event of one name."""
        rows = self._events.filter(self._events.event == name)
        return rows.select("customer_id", "received_at", happened_at=_.occurred_at)

    def visits(self) -> Table:
        """Return one row per visit-day and cutoff, with the days since the visit before it, as known at the cutoff.

        A visit-day is known, and dated, by its first order to be received: those received later do not move it.
        """
        sales = self._sales().select("customer_id", "local_on", "received_at", "superseded_at", "happened_at", "rank")
        known = self._first_known(sales, "local_on")
        before = known.local_on.lag().over(group_by=ROW, order_by="local_on")
        return known.mutate(gap_days=known.local_on.delta(before, unit="day"))

    def first_purchases(self, *, days: int) -> Table:
        """Return one row per product that a customer ever bought and cutoff, dated by its first purchase received."""
        bought = self._sales().join(self._bought_products(), ORDER)
        columns = ("customer_id", "value", "received_at", "superseded_at", "happened_at", "rank")
        return self._first_known(bought.select(columns), "value", days=days)

    def youngest_purchases(self, column: str, *, days: int) -> Table:
        """Return one row per different value of a product's column and cutoff: the youngest purchase known then.

        A purchase is the youngest known from its receipt until the first receipt of any later one that stands.
        """
        if column == "product_id":  # a product counts whether or not the catalogue has it
            lines = self._bought_products()
        else:
            values = self._products.filter(self._products[column].notnull())
            values = values.select(*PRODUCT, value=ibis.dense_rank().over(order_by=column))
            lines = self._lines.join(values, PRODUCT).select(*ORDER, "value").distinct()
        bought = self._sales(by="happened_at").join(lines, ORDER)
        bought = bought.select("customer_id", "value", "received_at", "superseded_at", "happened_at", "rank")
        later = ibis.window(group_by=("customer_id", "value"), order_by="rank", following=(1, None))
        standing = bought.received_at
        if self._has_corrections:
            standing = ibis.ifelse(bought.superseded_at.isnull(), bought.received_at, None)
        youngest = self.at_cutoffs(bought.mutate(outdated_at=standing.min().over(later)), days=days)
        corrected = bought.filter(bought.superseded_at.notnull())
        return self._without(youngest, corrected, "value", outranked=lambda rival, row: rival > row)

    def _bought_products(self) -> Table:
        lines = self._lines.filter(self._lines.product_id.notnull()).select(*ORDER, value=_.product_id)
        return lines.distinct() if self._has_corrections else lines  # those that stand are told apart by their rank

    def _sales(self, *, by: str = "received_at") -> Table:
        """Return the sales in every version, numbered in the order in which they were received, or happened."""
        sales = self._orders.filter(self._orders.kind == "sale").rename(happened_at="ordered_at")
        times = dict.fromkeys((by, "received_at", "happened_at"))
        rank = ibis.row_number().over(order_by=[*times, *ORDER])
        return sales.select(*ORDER, "customer_id", "local_on", "received_at", "superseded_at", "happened_at", rank=rank)

    def _first_known(self, rows: Table, key: str, *, days: int | None = None) -> Table:
        """Return at every cutoff the row of each customer and key that was the first to be received of those known."""
        standing = rows.filter(rows.superseded_at.isnull()) if self._has_corrections else rows
        first = standing.group_by("customer_id", key).agg(
            **{name: _[name].argmin(_["rank"]) for name in ("received_at", "happened_at")},
            superseded_at=ibis.null(rows.superseded_at.type()),
            rank=_["rank"].min(),
        )
        corrected = rows.filter(rows.superseded_at.notnull())
        if self._has_corrections:
            first = ibis.union(first, corrected.select(first.columns))
        rivals = first.semi_join(corrected, ["customer_id", key])
        return self._without(self.at_cutoffs(first, days=days), rivals, key, outranked=lambda rival, row: rival < row)

    def _without(
        self, known: Table, rivals: Table, key: str, *, outranked: Callable[[ibis.Value, ibis.Value], BooleanValue]
    ) -> Table:
        """Leave out what is outranked by one of the rivals that are known at the same cutoff."""
        if not self._has_corrections:
            return known
        rivals = self.at_cutoffs(rivals)
        same = [known[name] == rivals[name] for name in (*ROW, key)]
        return known.anti_join(rivals, [*same, outranked(rivals["rank"], known["rank"])])
