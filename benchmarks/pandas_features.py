"""The catalog's features as a data scientist writes them in pandas: a loop over cutoffs, a groupby per window.

Written from the catalog's descriptions and not from `features.snapshot`, so that it is also the oracle of the tests.
Money is held in whole ten-thousandths (int64), so sums are exact here too. Every feature agrees with the snapshot bit
for bit except where pandas divides or adds in another order (medians, standard deviations and what is divided by them,
days since an instant): those may differ by one unit in the last place of a float32.

What `features.lifetime` says of a customer is not computed here: it is a model, with tests of its own. Nor is how far
the record reaches back, which is the same for all customers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.catalog import FEATURES
from features.measures import BuyTillYouDie, OnRecord

NAMES = tuple(feature.name for feature in FEATURES if not isinstance(feature.measure, BuyTillYouDie | OnRecord))
MONEY_UNITS = 10_000
DAY = pd.Timedelta(days=1)
DAYS_PER_YEAR = 365.2425
EVENING_HOUR = 18
SATURDAY = 5
SMALL_ORDER_LINES = 3
VERSION = ["order_id", "version"]
PRODUCT = ["product_id", "product_version"]


def read_frames(paths: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Read the lake's Parquet files into frames, money in whole ten-thousandths."""
    return {name: as_frame(pq.read_table(path)) for name, path in paths.items()}


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a frame, money in whole ten-thousandths."""
    for i, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type):
            units = pc.cast(pc.multiply(table[column.name], pa.scalar(MONEY_UNITS, pa.decimal128(5, 0))), pa.int64())
            table = table.set_column(i, column.name, units)
    return table.to_pandas()


def pandas_features(
    frames: Mapping[str, pd.DataFrame],
    cutoffs: Iterable[datetime],
    names: Sequence[str] = NAMES,
    *,
    observed_from: datetime | None = None,
    known_at: datetime | None = None,
) -> pd.DataFrame:
    """Compute the features of every customer at every cutoff who had ordered by then, whatever became of it.

    `observed_from` says where the record begins, `known_at` that nothing received at or after it is to be used. Returns
    one row per (customer_id, cutoff), ordered by cutoff and customer; then the features as float32, in the given order.
    """
    orders, lines = _order_totals(frames), _bought_lines(frames)
    rows = []
    for cutoff in sorted(pd.Timestamp(cutoff).tz_convert("UTC") for cutoff in cutoffs):
        known_before = cutoff if known_at is None else min(cutoff, pd.Timestamp(known_at))
        known = [_known(facts, known_before) for facts in (orders, lines, frames["events"])]
        is_observed = observed_from is None or cutoff - 364 * DAY >= pd.Timestamp(observed_from)
        rows.append(_at(*known, cutoff, names, is_year_ago_observed=is_observed))
    return pd.concat(rows, ignore_index=True).astype(dict.fromkeys(names, "float32"))


def _order_totals(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    lines = frames["order_lines"].merge(_products(frames, "is_private_label"), "left", PRODUCT)
    lines["private_label_amount"] = lines["net_amount"].where(lines["is_private_label"].eq(True), 0)  # noqa: FBT003
    totals = lines.groupby(VERSION).agg(
        net_amount=("net_amount", "sum"),
        gross_amount=("gross_amount", "sum"),
        discount_amount=("discount_amount", "sum"),
        coupon_amount=("coupon_amount", "sum"),
        private_label_amount=("private_label_amount", "sum"),
        line_count=("line_number", "size"),
        unit_count=("unit_count", "sum"),
    )
    orders = frames["orders"].merge(totals, "left", left_on=VERSION, right_index=True)
    return orders.fillna(dict.fromkeys(totals.columns, 0))


def _bought_lines(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    orders = frames["orders"]
    sales = orders.loc[
        orders["kind"] == "sale", [*VERSION, "customer_id", "ordered_at", "received_at", "superseded_at"]
    ]
    lines = frames["order_lines"].loc[frames["order_lines"]["product_id"].notna(), [*VERSION, *PRODUCT]]
    products = _products(frames, "category", "department", "brand")
    return lines.merge(sales, on=VERSION).merge(products, "left", PRODUCT)


def _products(frames: Mapping[str, pd.DataFrame], *columns: str) -> pd.DataFrame:
    """Return the products in every version that was told, one of which a line carries."""
    return frames["products"].rename(columns={"version": "product_version"})[[*PRODUCT, *columns]]


def _known(facts: pd.DataFrame, before: pd.Timestamp) -> pd.DataFrame:
    known = facts[facts["received_at"] < before]
    if "superseded_at" in known:
        known = known[known["superseded_at"].isna() | (known["superseded_at"] >= before)]
    return known


def _at(
    orders: pd.DataFrame,
    lines: pd.DataFrame,
    events: pd.DataFrame,
    cutoff: pd.Timestamp,
    names: Sequence[str],
    *,
    is_year_ago_observed: bool,
) -> pd.DataFrame:
    sales, paid = orders[orders["kind"] == "sale"], orders[orders["kind"] != "cancelled"]
    if orders.empty:
        return pd.DataFrame(columns=["customer_id", "cutoff", *names])
    row = pd.DataFrame(index=pd.Index(sorted(orders["customer_id"].unique()), name="customer_id"))
    _add_orders(row, sales, paid, cutoff)
    _add_visits(row, sales, cutoff)
    _add_breadth(row, lines, cutoff)
    if not {"return_count_90d", "cancelled_order_count_365d"}.isdisjoint(names):
        _add_returns(row, orders, cutoff)
    if "season_sine" in names:
        _add_year(row, sales, paid, cutoff, is_observed=is_year_ago_observed)
    _add_contact(row, events, cutoff)
    row = row.copy()  # else pandas complains of so many columns that were added one by one
    _add_ratios(row)
    row = row[list(names)].astype("float32").reset_index()
    row.insert(1, "cutoff", cutoff)
    return row


def _add_orders(row: pd.DataFrame, sales: pd.DataFrame, paid: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    ordered_at = sales.groupby("customer_id")["ordered_at"]
    row["order_recency_days"] = (cutoff - ordered_at.max()) / DAY
    row["customer_tenure_days"] = (cutoff - ordered_at.min()) / DAY
    for days in (7, 14, 30, 60, 90, 180, 365):
        row[f"order_count_{days}d"] = _count(_last(sales, cutoff, days), row)
    for days in (7, 30, 90, 180, 365):
        row[f"spend_amount_{days}d"] = _money(_last(paid, cutoff, days), "net_amount", row)
    for days in (30, 90, 365):
        recent = _last(sales, cutoff, days)
        row[f"order_value_mean_{days}d"] = _over(_money(recent, "net_amount", row), row[f"order_count_{days}d"])
        row[f"gross_amount_{days}d"] = _money(recent, "gross_amount", row)
        row[f"discount_amount_{days}d"] = _money(recent, "discount_amount", row)
        row[f"line_count_{days}d"] = _sum(recent, "line_count", row)
        row[f"basket_line_mean_{days}d"] = _over(row[f"line_count_{days}d"], row[f"order_count_{days}d"])
    for days in (90, 365):
        recent = _last(sales, cutoff, days)
        row[f"order_value_max_{days}d"] = recent.groupby("customer_id")["net_amount"].max() / MONEY_UNITS
        row[f"coupon_amount_{days}d"] = _money(recent, "coupon_amount", row)
        row[f"coupon_order_count_{days}d"] = _count(recent[recent["coupon_amount"] > 0], row)
        row[f"private_label_amount_{days}d"] = _money(recent, "private_label_amount", row)
        row[f"weekend_order_count_{days}d"] = _count(recent[recent["local_weekday"] >= SATURDAY], row)
    quarter, year = _last(sales, cutoff, 90), _last(sales, cutoff, 365)
    row["unit_count_90d"] = _sum(quarter, "unit_count", row)
    row["basket_line_max_90d"] = quarter.groupby("customer_id")["line_count"].max()
    row["small_order_count_90d"] = _count(quarter[quarter["line_count"] <= SMALL_ORDER_LINES], row)
    row["order_value_median_365d"] = (year["net_amount"] / MONEY_UNITS).groupby(year["customer_id"]).median()
    row["discounted_order_count_365d"] = _count(year[year["discount_amount"] > 0], row)
    row["evening_order_count_365d"] = _count(year[year["local_hour"] >= EVENING_HOUR], row)
    row["order_hour_mean_365d"] = year.groupby("customer_id")["local_hour"].mean()


def _add_visits(row: pd.DataFrame, sales: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    """Add the figures of visit-days; a visit-day is dated by the first of its orders that was received."""
    visits = sales.sort_values(["received_at", "ordered_at", *VERSION]).drop_duplicates(["customer_id", "local_on"])
    visits = visits.assign(local_on=pd.to_datetime(visits["local_on"])).sort_values(["customer_id", "local_on"])
    visits["gap_days"] = visits.groupby("customer_id")["local_on"].diff().dt.days
    row["visit_count"] = _count(visits, row)
    for days in (14, 30, 90, 365):
        row[f"visit_count_{days}d"] = _count(_last(visits, cutoff, days), row)
    for days in (90, 365):
        gaps = _last(visits, cutoff, days).groupby("customer_id")["gap_days"]
        row[f"visit_gap_mean_{days}d"] = gaps.mean()
        row[f"visit_gap_max_{days}d"] = gaps.max()
    gaps = _last(visits, cutoff, 365).groupby("customer_id")["gap_days"]
    row["visit_gap_median_365d"] = gaps.median()
    row["visit_gap_std_365d"] = gaps.std()


def _add_breadth(row: pd.DataFrame, lines: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    for days in (30, 90, 365):
        row[f"category_count_{days}d"] = _distinct(_last(lines, cutoff, days), "category", row)
    for days in (90, 365):
        row[f"department_count_{days}d"] = _distinct(_last(lines, cutoff, days), "department", row)
    row["brand_count_90d"] = _distinct(_last(lines, cutoff, 90), "brand", row)
    row["product_count_90d"] = _distinct(_last(lines, cutoff, 90), "product_id", row)
    first = lines.sort_values(["received_at", "ordered_at", *VERSION]).drop_duplicates(["customer_id", "product_id"])
    for days in (30, 90):
        row[f"new_product_count_{days}d"] = _count(_last(first, cutoff, days), row)


def _add_returns(row: pd.DataFrame, orders: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    sales, returns = orders[orders["kind"] == "sale"], orders[orders["kind"] == "return"]
    for days in (90, 365):
        back = _last(returns, cutoff, days)
        row[f"return_count_{days}d"] = _count(back, row)
        row[f"returned_amount_{days}d"] = -_money(back, "net_amount", row)
        row[f"sale_amount_{days}d"] = _money(_last(sales, cutoff, days), "net_amount", row)
        row[f"return_rate_{days}d"] = _over(row[f"returned_amount_{days}d"], row[f"sale_amount_{days}d"])
    row["return_recency_days"] = (cutoff - returns.groupby("customer_id")["ordered_at"].max()) / DAY
    cancelled = orders[orders["kind"] == "cancelled"]
    row["cancelled_order_count_365d"] = _count(_last(cancelled, cutoff, 365), row)


def _add_year(
    row: pd.DataFrame, sales: pd.DataFrame, paid: pd.DataFrame, cutoff: pd.Timestamp, *, is_observed: bool
) -> None:
    until = cutoff - (364 - 28) * DAY
    then = [_last(facts[facts["ordered_at"] < until], cutoff, 364) for facts in (sales, paid)]
    row["order_count_year_ago_28d"] = _count(then[0], row) if is_observed else math.nan
    row["spend_amount_year_ago_28d"] = _money(then[1], "net_amount", row) if is_observed else math.nan
    angle = 2 * math.pi * (cutoff.dayofyear + cutoff.hour / 24) / DAYS_PER_YEAR
    row["season_sine"], row["season_cosine"] = math.sin(angle), math.cos(angle)


def _add_contact(row: pd.DataFrame, events: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    events = events.rename(columns={"occurred_at": "ordered_at"})
    for noun, event in (("campaign", "Campaign Received"), ("redemption", "Coupon Applied")):
        named = events[events["event"] == event]
        for days in (30, 90, 365):
            row[f"{noun}_count_{days}d"] = _count(_last(named, cutoff, days), row)
        row[f"{noun}_recency_days"] = (cutoff - named.groupby("customer_id")["ordered_at"].max()) / DAY


def _add_ratios(row: pd.DataFrame) -> None:
    recency, year_gap = row["order_recency_days"], row["visit_gap_mean_365d"]
    row["visit_irregularity_365d"] = _over(row["visit_gap_std_365d"], year_gap)
    row["order_due_ratio_365d"] = _over(recency, year_gap)
    row["order_due_ratio_90d"] = _over(recency, row["visit_gap_mean_90d"])
    row["order_overdue_ratio_365d"] = _over(recency, row["visit_gap_max_365d"])
    row["tenure_recency_ratio"] = _over(recency, row["customer_tenure_days"])
    row["order_count_trend_7d"] = _over(row["order_count_7d"] * (30 / 7), row["order_count_30d"])
    for of in ("order_count", "spend_amount"):
        row[f"{of}_trend_30d"] = _over(row[f"{of}_30d"] * (90 / 30), row[f"{of}_90d"])
        row[f"{of}_trend_90d"] = _over(row[f"{of}_90d"] * (365 / 90), row[f"{of}_365d"])
    for days in (30, 90, 365):
        row[f"discount_rate_{days}d"] = _over(row[f"discount_amount_{days}d"], row[f"gross_amount_{days}d"])
    for days in (90, 365):
        row[f"private_label_rate_{days}d"] = _over(row[f"private_label_amount_{days}d"], row[f"spend_amount_{days}d"])
    for kind, *windows in (
        ("coupon", 90, 365),
        ("discounted", 365),
        ("small", 90),
        ("weekend", 90, 365),
        ("evening", 365),
    ):
        for days in windows:
            counts = row[f"{kind}_order_count_{days}d"]
            row[f"{kind}_order_rate_{days}d"] = _over(counts, row[f"order_count_{days}d"])
    row["product_variety_rate_90d"] = _over(row["product_count_90d"], row["line_count_90d"])
    row["new_product_rate_90d"] = _over(row["new_product_count_90d"], row["product_count_90d"])
    row["campaign_response_rate_365d"] = _over(row["redemption_count_365d"], row["campaign_count_365d"])


def _last(facts: pd.DataFrame, cutoff: pd.Timestamp, days: int) -> pd.DataFrame:
    return facts[facts["ordered_at"] >= cutoff - days * DAY]


def _count(facts: pd.DataFrame, row: pd.DataFrame) -> pd.Series:
    return facts.groupby("customer_id").size().reindex(row.index, fill_value=0)


def _sum(facts: pd.DataFrame, column: str, row: pd.DataFrame) -> pd.Series:
    return facts.groupby("customer_id")[column].sum().reindex(row.index, fill_value=0)


def _money(facts: pd.DataFrame, column: str, row: pd.DataFrame) -> pd.Series:
    return _sum(facts, column, row) / MONEY_UNITS


def _distinct(facts: pd.DataFrame, column: str, row: pd.DataFrame) -> pd.Series:
    return facts.groupby("customer_id")[column].nunique().reindex(row.index, fill_value=0)


def _over(part: pd.Series, whole: pd.Series) -> pd.Series:
    return part / whole.where(whole != 0)
