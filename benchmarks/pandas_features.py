"""The catalog's features as a data scientist writes them in pandas: a loop over cutoffs, a groupby per window.

Written from the catalog's descriptions and not from `features.snapshot`, so that it is also the oracle of the tests.
Money is held in whole ten-thousandths (int64), so sums are exact here too. Every feature agrees with the snapshot bit
for bit except where pandas divides or adds in another order (medians, standard deviations and what is divided by them,
days since an instant): those may differ by one unit in the last place of a float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.catalog import NAMES

MONEY_UNITS = 10_000
DAY = pd.Timedelta(days=1)
EVENING_HOUR = 18
SATURDAY = 5
SMALL_ORDER_LINES = 3


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


def pandas_features(frames: Mapping[str, pd.DataFrame], cutoffs: Iterable[datetime]) -> pd.DataFrame:
    """Compute the features of every known customer at every cutoff.

    Returns one row per (customer_id, cutoff), ordered by cutoff and customer; float32 features in catalog order.
    """
    orders, lines = _order_totals(frames), _bought_lines(frames)
    instants = sorted(pd.Timestamp(cutoff).tz_convert("UTC") for cutoff in cutoffs)
    rows = pd.concat([_at(orders, lines, frames["events"], cutoff) for cutoff in instants], ignore_index=True)
    return rows.astype(dict.fromkeys(NAMES, "float32"))


def _order_totals(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    lines = frames["order_lines"].merge(frames["products"][["product_id", "is_private_label"]], "left", "product_id")
    lines["private_label_amount"] = lines["net_amount"].where(lines["is_private_label"].eq(True), 0)  # noqa: FBT003
    totals = lines.groupby("order_id").agg(
        net_amount=("net_amount", "sum"),
        gross_amount=("gross_amount", "sum"),
        discount_amount=("discount_amount", "sum"),
        coupon_amount=("coupon_amount", "sum"),
        private_label_amount=("private_label_amount", "sum"),
        line_count=("product_id", "size"),
        unit_count=("unit_count", "sum"),
    )
    orders = frames["orders"].merge(totals, "left", left_on="order_id", right_index=True)
    return orders.fillna(dict.fromkeys(totals.columns, 0))


def _bought_lines(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    orders = frames["orders"][["order_id", "customer_id", "ordered_at", "received_at"]]
    products = frames["products"][["product_id", "category", "department", "brand"]]
    lines = frames["order_lines"][["order_id", "product_id"]]
    return lines.merge(orders, on="order_id").merge(products, "left", "product_id")


def _at(orders: pd.DataFrame, lines: pd.DataFrame, events: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    orders, lines, events = (facts[facts["received_at"] < cutoff] for facts in (orders, lines, events))
    if orders.empty:
        return pd.DataFrame(columns=["customer_id", "cutoff", *NAMES])
    row = pd.DataFrame(index=pd.Index(sorted(orders["customer_id"].unique()), name="customer_id"))
    _add_orders(row, orders, cutoff)
    _add_visits(row, orders, cutoff)
    _add_breadth(row, lines, cutoff)
    _add_contact(row, events, cutoff)
    _add_ratios(row)
    row = row[list(NAMES)].astype("float32").reset_index()
    row.insert(1, "cutoff", cutoff)
    return row


def _add_orders(row: pd.DataFrame, orders: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    ordered_at = orders.groupby("customer_id")["ordered_at"]
    row["order_recency_days"] = (cutoff - ordered_at.max()) / DAY
    row["customer_tenure_days"] = (cutoff - ordered_at.min()) / DAY
    for days in (7, 14, 30, 60, 90, 180, 365):
        row[f"order_count_{days}d"] = _count(_last(orders, cutoff, days), row)
    for days in (7, 30, 90, 180, 365):
        row[f"spend_amount_{days}d"] = _money(_last(orders, cutoff, days), "net_amount", row)
    for days in (30, 90, 365):
        recent = _last(orders, cutoff, days)
        row[f"order_value_mean_{days}d"] = _over(row[f"spend_amount_{days}d"], row[f"order_count_{days}d"])
        row[f"gross_amount_{days}d"] = _money(recent, "gross_amount", row)
        row[f"discount_amount_{days}d"] = _money(recent, "discount_amount", row)
        row[f"line_count_{days}d"] = _sum(recent, "line_count", row)
        row[f"basket_line_mean_{days}d"] = _over(row[f"line_count_{days}d"], row[f"order_count_{days}d"])
    for days in (90, 365):
        recent = _last(orders, cutoff, days)
        row[f"order_value_max_{days}d"] = recent.groupby("customer_id")["net_amount"].max() / MONEY_UNITS
        row[f"coupon_amount_{days}d"] = _money(recent, "coupon_amount", row)
        row[f"coupon_order_count_{days}d"] = _count(recent[recent["coupon_amount"] > 0], row)
        row[f"private_label_amount_{days}d"] = _money(recent, "private_label_amount", row)
        row[f"weekend_order_count_{days}d"] = _count(recent[recent["local_weekday"] >= SATURDAY], row)
    quarter, year = _last(orders, cutoff, 90), _last(orders, cutoff, 365)
    row["unit_count_90d"] = _sum(quarter, "unit_count", row)
    row["basket_line_max_90d"] = quarter.groupby("customer_id")["line_count"].max()
    row["small_order_count_90d"] = _count(quarter[quarter["line_count"] <= SMALL_ORDER_LINES], row)
    row["order_value_median_365d"] = (year["net_amount"] / MONEY_UNITS).groupby(year["customer_id"]).median()
    row["evening_order_count_365d"] = _count(year[year["local_hour"] >= EVENING_HOUR], row)
    row["order_hour_mean_365d"] = year.groupby("customer_id")["local_hour"].mean()


def _add_visits(row: pd.DataFrame, orders: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    """Add the figures of visit-days; a visit-day is dated by the first of its orders that was received."""
    visits = orders.sort_values(["received_at", "ordered_at"]).drop_duplicates(["customer_id", "local_on"])
    visits = visits.assign(local_on=pd.to_datetime(visits["local_on"])).sort_values(["customer_id", "local_on"])
    visits["gap_days"] = visits.groupby("customer_id")["local_on"].diff().dt.days
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
    for kind, days in (
        ("coupon", 90),
        ("coupon", 365),
        ("small", 90),
        ("weekend", 90),
        ("weekend", 365),
        ("evening", 365),
    ):
        row[f"{kind}_order_rate_{days}d"] = _over(row[f"{kind}_order_count_{days}d"], row[f"order_count_{days}d"])
    row["product_variety_rate_90d"] = _over(row["product_count_90d"], row["line_count_90d"])
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
