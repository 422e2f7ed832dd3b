"""The catalog compiled to ONE Ibis expression: one row per customer and cutoff.

Sums run over integers and decimals, and only whole aggregates are divided, so the figures do not depend on the engine
or on the order in which it adds. A fact counts at a cutoff when it was received before it; since nothing is received
before it happens, that alone keeps the future out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

import ibis
from ibis import _

from facts.contracts import INSTANT
from features.catalog import FEATURES, Feature
from features.measures import Aggregate, DaysSince, Distinct, Ratio

if TYPE_CHECKING:
    from ibis.expr.types import Table

MICROSECONDS_PER_DAY = 86_400_000_000
EVENING_HOUR = 18
SATURDAY = 5
SMALL_ORDER_LINES = 3
ROW = ("customer_id", "cutoff")
NEEDED_FACTS = ("orders", "order_lines", "products", "events")


def snapshot(facts: Mapping[str, Table], cutoffs: Iterable[datetime], features: Sequence[Feature] = FEATURES) -> Table:
    """Build the features of every known customer at every cutoff.

    Parameters
    ----------
    facts
        The lake's tables `orders`, `order_lines`, `products` and `events`.
    cutoffs
        Aware instants; facts received at or after a cutoff are not used for it.

    Returns
    -------
    One row per (customer_id, cutoff) of the customers with an order received before the cutoff, ordered by both; the
    features follow as float32, in the given order and in catalog units, null where there is nothing to measure.
    """
    known = _Known(facts, _cutoffs(cutoffs, features))
    groups = [*_aggregates(known, features), *_distinct_counts(known, features)]
    spine, *rest = groups
    wide = reduce(lambda left, right: left.left_join(right, ROW).drop("customer_id_right", "cutoff_right"), rest, spine)
    wide = wide.mutate(**{f.name: wide[f.name].fill_null(0) for f in features if _is_zero_when_absent(f)})
    wide = _with_ratios(wide, features)
    return wide.select(*ROW, **{f.name: _as_float32(wide[f.name]) for f in features}).order_by("cutoff", "customer_id")


def _cutoffs(cutoffs: Iterable[datetime], features: Sequence[Feature]) -> Table:
    """Return one row per different cutoff: the instant, and the first instant of every window before it."""
    instants = sorted({cutoff.astimezone(UTC) for cutoff in cutoffs})
    windows_days = sorted({feature.window_days or 0 for feature in features})
    starts = {_start(days): [instant - timedelta(days=days) for instant in instants] for days in windows_days}
    columns = {"cutoff": instants} | starts
    told = ibis.memtable({name: [instant.isoformat() for instant in column] for name, column in columns.items()})
    return told.cast(dict.fromkeys(columns, INSTANT))


def _start(days: int) -> str:
    return f"start_{days}d"


class _Known:
    """Every kind of fact as it is known at every cutoff."""

    def __init__(self, facts: Mapping[str, Table], cutoffs: Table) -> None:
        self._facts, self._cutoffs = facts, cutoffs

    def at_cutoffs(self, table: Table, *, days: int | None) -> Table:
        """Return a row per fact and cutoff at which it is known, of at most so many days before the cutoff."""
        is_known = table.received_at < self._cutoffs.cutoff
        is_recent = [] if days is None else [table.happened_at >= self._cutoffs[_start(days)]]
        return table.join(self._cutoffs, [is_known, *is_recent]).drop("received_at")

    def orders(self) -> Table:
        """Return one row per order, its lines added up."""
        lines = self._facts["order_lines"].join(
            self._facts["products"].select("product_id", "is_private_label"), "product_id", how="left"
        )
        totals = lines.group_by("order_id").agg(
            net_amount=_.net_amount.sum(),
            gross_amount=_.gross_amount.sum(),
            discount_amount=_.discount_amount.sum(),
            coupon_amount=_.coupon_amount.sum(),
            private_label_amount=_.net_amount.sum(where=_.is_private_label),
            line_count=_.count(),
            unit_count=_.unit_count.sum(),
        )
        orders = self._facts["orders"].left_join(totals, "order_id")
        return orders.select(
            "customer_id",
            "received_at",
            "local_hour",
            happened_at=_.ordered_at,
            **{name: _[name].fill_null(0) for name in totals.columns if name != "order_id"},
            has_coupon=_.coupon_amount.fill_null(0) > 0,
            is_small=_.line_count.fill_null(0) <= SMALL_ORDER_LINES,
            is_weekend=_.local_weekday >= SATURDAY,
            is_evening=_.local_hour >= EVENING_HOUR,
        )

    def visits(self, *, days: int) -> Table:
        """Return one row per visit-day and cutoff, with the days since the visit before it, as known at the cutoff.

        A visit-day is known, and dated, by its first order to be received: those received later do not move it.
        """
        turn = ibis.row_number().over(group_by=("customer_id", "local_on"), order_by=("received_at", "ordered_at"))
        by_day = self._facts["orders"].filter(turn == 0)
        by_day = by_day.select("customer_id", "local_on", "received_at", happened_at=_.ordered_at)
        known = self.at_cutoffs(by_day, days=None)
        before = known.local_on.lag().over(group_by=ROW, order_by="local_on")
        with_gaps = known.mutate(gap_days=known.local_on.delta(before, unit="day"))
        return with_gaps.filter(_.happened_at >= _[_start(days)])

    def events(self, name: str) -> Table:
        """Return one row per event of one name."""
        rows = self._facts["events"].filter(_.event == name)
        return rows.select("customer_id", "received_at", happened_at=_.occurred_at)

    def youngest_purchases(self, column: str, *, days: int) -> Table:
        """Return one row per different value of a product's column and cutoff: the youngest purchase known then.

        A purchase is the youngest known from its receipt until the first receipt of any later one.
        """
        lines = self._facts["order_lines"].select("order_id", "product_id")
        if column == "product_id":  # a product counts whether or not the catalogue has it
            lines = lines.rename(value="product_id")
        else:
            values = self._facts["products"].filter(_[column].notnull())
            values = values.select("product_id", value=ibis.dense_rank().over(order_by=column))
            lines = lines.join(values, "product_id").select("order_id", "value").distinct()
        orders = self._facts["orders"].select("order_id", "customer_id", "received_at", happened_at=_.ordered_at)
        bought = orders.join(lines, "order_id").drop("order_id")
        later = ibis.window(
            group_by=("customer_id", "value"), order_by=("happened_at", "received_at"), following=(1, None)
        )
        bought = bought.mutate(superseded_at=_.received_at.min().over(later))
        return self.at_cutoffs(bought, days=days).filter(_.superseded_at.isnull() | (_.superseded_at >= _.cutoff))


def _aggregates(known: _Known, features: Sequence[Feature]) -> list[Table]:
    longest = max((f.window_days or 0 for f in features), default=0)
    tables: dict[str, Callable[[], Table]] = {
        "orders": lambda: known.at_cutoffs(known.orders(), days=None),
        "visits": lambda: known.visits(days=longest),
        "mailings": lambda: known.at_cutoffs(known.events("Campaign Received"), days=None),
        "redemptions": lambda: known.at_cutoffs(known.events("Coupon Applied"), days=None),
    }
    built = []
    for fact, open_table in tables.items():
        wanted = [f for f in features if isinstance(f.measure, Aggregate | DaysSince) and f.measure.fact == fact]
        if wanted or fact == "orders":
            built.append(open_table().group_by(ROW).agg(**{f.name: _reduce(f) for f in wanted}))
    return built


def _distinct_counts(known: _Known, features: Sequence[Feature]) -> list[Table]:
    built = []
    for column in dict.fromkeys(f.measure.column for f in features if isinstance(f.measure, Distinct)):
        wanted = [f for f in features if f.measure == Distinct(column=column)]
        longest = max(f.window_days or 0 for f in wanted)
        youngest = known.youngest_purchases(column, days=longest)
        built.append(youngest.group_by(ROW).agg(**{f.name: _.count(where=_within(f)) for f in wanted}))
    return built


def _reduce(feature: Feature) -> ibis.Deferred:
    measure = feature.measure
    if isinstance(measure, DaysSince):
        instant = _.happened_at.max() if measure.which == "last" else _.happened_at.min()
        return _.cutoff.max().delta(instant, unit="microsecond") / MICROSECONDS_PER_DAY
    assert isinstance(measure, Aggregate)  # noqa: S101 - narrows the type
    where = _within(feature)
    where = where if measure.where is None else where & _[measure.where]
    return _REDUCTIONS[measure.how](_ if measure.column is None else _[measure.column], where)


def _exact_std(column: ibis.Deferred, where: ibis.Deferred) -> ibis.Deferred:
    """Return the sample standard deviation from exact integer sums; missing below two values."""
    n, total = column.count(where=where), column.sum(where=where)
    squares = (column.cast("int64") * column.cast("int64")).sum(where=where)
    variance = (squares * n - total * total).cast("float64") / (n * (n - 1)).nullif(0)
    return variance.sqrt()


_REDUCTIONS = {
    "count": lambda column, where: column.count(where=where),
    "sum": lambda column, where: column.sum(where=where),
    "mean": lambda column, where: column.sum(where=where).cast("float64") / column.count(where=where).nullif(0),
    "max": lambda column, where: column.max(where=where),
    "median": lambda column, where: column.cast("float64").median(where=where),
    "std": _exact_std,
}


def _within(feature: Feature) -> ibis.Deferred:
    return _.happened_at >= _[_start(feature.window_days or 0)]


def _is_zero_when_absent(feature: Feature) -> bool:
    """Return whether no facts mean zero (a count, a sum) rather than nothing to measure (a mean, a gap)."""
    measure = feature.measure
    return isinstance(measure, Distinct) or (isinstance(measure, Aggregate) and measure.how in {"count", "sum"})


def _with_ratios(wide: Table, features: Sequence[Feature]) -> Table:
    ratios = {feature.name: feature.measure for feature in features if isinstance(feature.measure, Ratio)}
    return wide.mutate(**{name: _over(wide, ratio) for name, ratio in ratios.items()})


def _over(wide: Table, ratio: Ratio) -> ibis.Value:
    part, whole = (wide[name].cast("float64") for name in (ratio.numerator, ratio.denominator))
    return part * ratio.scale / whole.nullif(0)


def _as_float32(value: ibis.Value) -> ibis.Value:
    """Return the one type that the snapshot, Feast, the online vector and XGBoost share, so that all are equal."""
    return value.cast("float64").cast("float32")
