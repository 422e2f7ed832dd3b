"""The catalog compiled to ONE Ibis expression: one row per customer and cutoff.

Sums run over integers and decimals, and only whole aggregates are divided, so the figures do not depend on the engine
or on the order in which it adds. A fact counts at a cutoff when it was received before it and not corrected before it;
since nothing is received before it happens, that alone keeps the future out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING

import ibis
from ibis import _

from features.catalog import FEATURES, Feature
from features.known import ROW, Known, cutoff_table, window_start
from features.measures import Aggregate, BuyTillYouDie, DaysSince, Distinct, OfCutoff, Ratio

if TYPE_CHECKING:
    from ibis.expr.types import Table

MICROSECONDS_PER_DAY = 86_400_000_000
ORDER_KINDS = ("sale", "return", "cancelled")
NEEDED_FACTS = ("orders", "order_lines", "products", "events")

# The kinds of fact that are read from one table, and the column that tells them apart.
KINDS = {"orders": "is_sale", "returns": "is_return", "cancellations": "is_cancelled", "money": "is_paid"}
NO_SALES = ("returns", "cancellations")


def snapshot(
    facts: Mapping[str, Table],
    cutoffs: Iterable[datetime],
    features: Sequence[Feature] = FEATURES,
    *,
    observed_from: datetime | None = None,
    known_at: datetime | None = None,
    customers: Table | None = None,
    kinds: Sequence[str] = ORDER_KINDS,
    has_corrections: bool = True,
) -> Table:
    """Build the features of every known customer at every cutoff.

    Parameters
    ----------
    facts
        The lake's tables `orders`, `order_lines`, `products` and `events`.
    cutoffs
        Aware instants; facts received at or after a cutoff are not used for it.
    features
        What to compute; features of `BuyTillYouDie` are left to `features.lifetime`, which fits a model first.
    observed_from
        Where the shop's record begins: windows a year ago that begin before it are missing, not zero.
    known_at
        Use only what had been received before this instant too, which may lie before the cutoff.
    customers
        Only these (`customer_id`); by default all.
    kinds, has_corrections
        What the orders may be, and whether some were superseded: a shop with sales only is answered faster.

    Returns
    -------
    One row per (customer_id, cutoff) of the customers with an order received before the cutoff, ordered by both; the
    features follow as float32, in the given order and in catalog units, null where there is nothing to measure.
    """
    told = cutoff_table(cutoffs, features, observed_from=observed_from, known_at=known_at)
    compiled = [f for f in features if not isinstance(f.measure, BuyTillYouDie)]
    known = Known(facts, told, customers=customers, has_corrections=has_corrections)
    groups = [*_aggregates(known, compiled, kinds=kinds), *_distinct_counts(known, compiled)]
    spine, *rest = groups
    wide = reduce(
        lambda left, right: left.left_join(right[1], ROW, rname=f"{{name}}_{right[0]}"), enumerate(rest), spine
    )
    wide = wide.mutate(
        **{f.name: wide[f.name].fill_null(0) for f in compiled if f.ago_days is None and _is_zero_when_absent(f)}
    )
    wide = _with_ratios(wide, compiled)
    return wide.select(*ROW, **{f.name: _as_float32(wide[f.name]) for f in compiled}).order_by("cutoff", "customer_id")


def _aggregates(known: Known, features: Sequence[Feature], *, kinds: Sequence[str]) -> list[Table]:
    longest = max((f.window_days or 0 for f in features if _table_of(f) == "first_purchases"), default=0)
    tables: dict[str, Callable[[], Table]] = {
        "orders": lambda: known.at_cutoffs(known.orders(kinds=kinds)),
        "visits": known.visits,
        "first_purchases": lambda: known.first_purchases(days=longest),
        "mailings": lambda: known.at_cutoffs(known.events("Campaign Received")),
        "redemptions": lambda: known.at_cutoffs(known.events("Coupon Applied")),
    }
    built = []
    for name, open_table in tables.items():
        wanted = [f for f in features if _table_of(f) == name]
        has_other_kinds = name == "orders" and len(kinds) > 1
        if wanted or name == "orders":  # its customers are those of the snapshot: who ordered, whatever became of it
            figures = {f.name: _reduce(f, has_other_kinds=has_other_kinds) for f in wanted}
            built.append(open_table().group_by(ROW).agg(**figures))
    return built


def _table_of(feature: Feature) -> str | None:
    measure = feature.measure
    if isinstance(measure, OfCutoff):
        return "orders"  # any of a cutoff's rows can carry it
    if not isinstance(measure, Aggregate | DaysSince):
        return None
    return "orders" if measure.fact in KINDS else measure.fact


def _distinct_counts(known: Known, features: Sequence[Feature]) -> list[Table]:
    built = []
    for column in dict.fromkeys(f.measure.column for f in features if isinstance(f.measure, Distinct)):
        wanted = [f for f in features if f.measure == Distinct(column=column)]
        longest = max(f.window_days or 0 for f in wanted)
        youngest = known.youngest_purchases(column, days=longest)
        built.append(youngest.group_by(ROW).agg(**{f.name: _.count(where=_within(f)[0]) for f in wanted}))
    return built


def _reduce(feature: Feature, *, has_other_kinds: bool = False) -> ibis.Deferred:
    measure = feature.measure
    if isinstance(measure, OfCutoff):
        return _[measure.column].max()
    assert isinstance(measure, Aggregate | DaysSince)  # noqa: S101 - narrows the type
    is_kind = _[KINDS[measure.fact]] if has_other_kinds or measure.fact in NO_SALES else None
    if isinstance(measure, DaysSince):
        instant = _.happened_at.max(where=is_kind) if measure.which == "last" else _.happened_at.min(where=is_kind)
        return _.cutoff.max().delta(instant, unit="microsecond") / MICROSECONDS_PER_DAY
    conditions = [*_within(feature), is_kind, None if measure.where is None else _[measure.where]]
    wanted = [condition for condition in conditions if condition is not None]
    where = reduce(lambda left, right: left & right, wanted) if wanted else None
    value = _REDUCTIONS[measure.how](_ if measure.column is None else _[measure.column], where)
    if feature.ago_days is None:
        return value
    told = value.fill_null(0) if _is_zero_when_absent(feature) else value
    return ibis.ifelse(_[f"is_observed_{feature.ago_days}d"].max(), told, None)


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
    # Spark wants a constant quantile, which a condition on the aggregate would make a variable one.
    "median": lambda column, where: ibis.ifelse(where, column.cast("float64"), None).median(),
    "std": _exact_std,
}


def _within(feature: Feature) -> list[ibis.Deferred]:
    days, ago_days = feature.window_days, feature.ago_days
    if ago_days is not None and days is not None:
        return [_.happened_at >= _[window_start(ago_days)], _.happened_at < _[window_start(ago_days - days)]]
    return [] if days is None else [_.happened_at >= _[window_start(days)]]


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
