"""Every snapshot feature: one record each, in the order in which models and the online store hold them.

To add a feature, add a record; the snapshot, Feast's schemas, training and serving follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from facts.errors import UnknownName
from facts.lake import short_hash
from features.measures import Aggregate, DaysSince, Distinct, Fact, How, Measure, Ratio

Unit = Literal["count", "days", "amount", "rate", "ratio", "hour"]

OWNER = "retention"
THEMES: Mapping[str, str] = {
    "rhythm": "Recency, gaps between visits and their regularity",
    "orders": "How often the customer orders, and the trend against the own past",
    "spend": "Money: net spend, order value, and the trend against the own past",
    "discounts": "Discounts and coupons, and how much of the buying depends on them",
    "basket": "What one order looks like",
    "breadth": "How much of the assortment the customer uses",
    "calendar": "When in the week and the day the customer shops",
    "contact": "Marketing contacts and the response to them",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One thing that is known about a customer at a cutoff.

    `window_days` looks back from the cutoff; None means over all that is known, or a ratio of other features.
    """

    name: str
    theme: str
    unit: Unit
    description: str
    measure: Measure
    window_days: int | None = None
    owner: str = OWNER


def _windowed(
    stem: str, theme: str, unit: Unit, description: str, measure: Measure, *, days: tuple[int, ...]
) -> tuple[Feature, ...]:
    return tuple(
        Feature(
            name=f"{stem}_{window}d",
            theme=theme,
            unit=unit,
            description=f"{description} in the last {window} days",
            measure=measure,
            window_days=window,
        )
        for window in days
    )


def _ratio(
    name: str, theme: str, unit: Unit, description: str, numerator: str, denominator: str, *, scale: float = 1.0
) -> Feature:
    measure = Ratio(numerator=numerator, denominator=denominator, scale=scale)
    return Feature(name=name, theme=theme, unit=unit, description=description, measure=measure)


def _share(
    stem: str, theme: str, description: str, parts: str, whole: str, *, days: tuple[int, ...]
) -> tuple[Feature, ...]:
    return tuple(
        _ratio(f"{stem}_{w}d", theme, "rate", f"{description}, last {w} days", f"{parts}_{w}d", f"{whole}_{w}d")
        for w in days
    )


def _trend(stem: str, theme: str, description: str, *, of: str, recent_days: int, past_days: int) -> Feature:
    name, scale = f"{stem}_trend_{recent_days}d", past_days / recent_days
    said = f"{description}: rate of the last {recent_days} days over the rate of the last {past_days} (1 = unchanged)"
    return _ratio(name, theme, "ratio", said, f"{of}_{recent_days}d", f"{of}_{past_days}d", scale=scale)


def _since(name: str, theme: str, description: str, fact: Fact, which: Literal["first", "last"]) -> Feature:
    return Feature(
        name=name, theme=theme, unit="days", description=description, measure=DaysSince(fact=fact, which=which)
    )


def _orders(how: How, column: str | None = None, where: str | None = None) -> Aggregate:
    return Aggregate(fact="orders", how=how, column=column, where=where)


def _gaps(how: How) -> Aggregate:
    return Aggregate(fact="visits", how=how, column="gap_days")


FEATURES: tuple[Feature, ...] = (
    _since("order_recency_days", "rhythm", "Days since the last order", "orders", "last"),
    _since("customer_tenure_days", "rhythm", "Days since the first order", "orders", "first"),
    *_windowed("visit_gap_mean", "rhythm", "days", "Mean days between visit-days", _gaps("mean"), days=(90, 365)),
    *_windowed("visit_gap_median", "rhythm", "days", "Median days between visit-days", _gaps("median"), days=(365,)),
    *_windowed("visit_gap_max", "rhythm", "days", "Longest gap between visit-days", _gaps("max"), days=(90, 365)),
    *_windowed("visit_gap_std", "rhythm", "days", "Spread of the gaps between visit-days", _gaps("std"), days=(365,)),
    _ratio("visit_irregularity_365d", "rhythm", "ratio", "Spread of the own gaps over their mean (0 = like clockwork)", "visit_gap_std_365d", "visit_gap_mean_365d"),
    _ratio("order_due_ratio_365d", "rhythm", "ratio", "Days since the last order over the own mean gap (1 = due)", "order_recency_days", "visit_gap_mean_365d"),
    _ratio("order_due_ratio_90d", "rhythm", "ratio", "Days since the last order over the own mean gap of 90 days", "order_recency_days", "visit_gap_mean_90d"),
    _ratio("order_overdue_ratio_365d", "rhythm", "ratio", "Days since the last order over the own longest gap", "order_recency_days", "visit_gap_max_365d"),
    _ratio("tenure_recency_ratio", "rhythm", "rate", "Days since the last order over days since the first", "order_recency_days", "customer_tenure_days"),
    *_windowed("order_count", "orders", "count", "Orders", _orders("count"), days=(7, 14, 30, 60, 90, 180, 365)),
    *_windowed("visit_count", "orders", "count", "Days with an order", Aggregate(fact="visits", how="count"), days=(14, 30, 90, 365)),
    _trend("order_count", "orders", "Orders", of="order_count", recent_days=7, past_days=30),
    _trend("order_count", "orders", "Orders", of="order_count", recent_days=30, past_days=90),
    _trend("order_count", "orders", "Orders", of="order_count", recent_days=90, past_days=365),
    *_windowed("spend_amount", "spend", "amount", "Net spend", _orders("sum", "net_amount"), days=(7, 30, 90, 180, 365)),
    *_windowed("order_value_mean", "spend", "amount", "Mean net value of an order", _orders("mean", "net_amount"), days=(30, 90, 365)),
    *_windowed("order_value_max", "spend", "amount", "Largest net value of an order", _orders("max", "net_amount"), days=(90, 365)),
    *_windowed("order_value_median", "spend", "amount", "Median net value of an order", _orders("median", "net_amount"), days=(365,)),
    _trend("spend_amount", "spend", "Net spend", of="spend_amount", recent_days=30, past_days=90),
    _trend("spend_amount", "spend", "Net spend", of="spend_amount", recent_days=90, past_days=365),
    *_windowed("gross_amount", "discounts", "amount", "Spend before discounts", _orders("sum", "gross_amount"), days=(30, 90, 365)),
    *_windowed("discount_amount", "discounts", "amount", "Discounts received", _orders("sum", "discount_amount"), days=(30, 90, 365)),
    *_share("discount_rate", "discounts", "Discounts as a share of spend before them", "discount_amount", "gross_amount", days=(30, 90, 365)),
    *_windowed("coupon_amount", "discounts", "amount", "Value of the coupons used", _orders("sum", "coupon_amount"), days=(90, 365)),
    *_windowed("coupon_order_count", "discounts", "count", "Orders with a coupon", _orders("count", where="has_coupon"), days=(90, 365)),
    *_share("coupon_order_rate", "discounts", "Orders with a coupon as a share of all", "coupon_order_count", "order_count", days=(90, 365)),
    *_windowed("line_count", "basket", "count", "Order lines", _orders("sum", "line_count"), days=(30, 90, 365)),
    *_windowed("unit_count", "basket", "count", "Pieces bought", _orders("sum", "unit_count"), days=(90,)),
    *_windowed("basket_line_mean", "basket", "count", "Mean lines of an order", _orders("mean", "line_count"), days=(30, 90, 365)),
    *_windowed("basket_line_max", "basket", "count", "Most lines of an order", _orders("max", "line_count"), days=(90,)),
    *_windowed("small_order_count", "basket", "count", "Orders of at most three lines", _orders("count", where="is_small"), days=(90,)),
    *_share("small_order_rate", "basket", "Orders of at most three lines as a share of all", "small_order_count", "order_count", days=(90,)),
    *_windowed("category_count", "breadth", "count", "Product categories bought", Distinct(column="category"), days=(30, 90, 365)),
    *_windowed("department_count", "breadth", "count", "Departments bought", Distinct(column="department"), days=(90, 365)),
    *_windowed("brand_count", "breadth", "count", "Brands bought", Distinct(column="brand"), days=(90,)),
    *_windowed("product_count", "breadth", "count", "Different products bought", Distinct(column="product_id"), days=(90,)),
    *_share("product_variety_rate", "breadth", "Different products per order line", "product_count", "line_count", days=(90,)),
    *_windowed("private_label_amount", "breadth", "amount", "Net spend on the shop's own brands", _orders("sum", "private_label_amount"), days=(90, 365)),
    *_share("private_label_rate", "breadth", "Own brands as a share of net spend", "private_label_amount", "spend_amount", days=(90, 365)),
    *_windowed("weekend_order_count", "calendar", "count", "Orders on Saturday or Sunday", _orders("count", where="is_weekend"), days=(90, 365)),
    *_share("weekend_order_rate", "calendar", "Orders on Saturday or Sunday as a share of all", "weekend_order_count", "order_count", days=(90, 365)),
    *_windowed("evening_order_count", "calendar", "count", "Orders from 18:00 on", _orders("count", where="is_evening"), days=(365,)),
    *_share("evening_order_rate", "calendar", "Orders from 18:00 on as a share of all", "evening_order_count", "order_count", days=(365,)),
    *_windowed("order_hour_mean", "calendar", "hour", "Mean hour of the day of an order", _orders("mean", "local_hour"), days=(365,)),
    *_windowed("campaign_count", "contact", "count", "Campaigns received", Aggregate(fact="mailings", how="count"), days=(30, 90, 365)),
    *_windowed("redemption_count", "contact", "count", "Campaign coupons redeemed", Aggregate(fact="redemptions", how="count"), days=(30, 90, 365)),
    *_share("campaign_response_rate", "contact", "Campaign coupons redeemed per campaign received", "redemption_count", "campaign_count", days=(365,)),
    _since("campaign_recency_days", "contact", "Days since the last campaign was received", "mailings", "last"),
    _since("redemption_recency_days", "contact", "Days since a campaign coupon was last redeemed", "redemptions", "last"),
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
BY_NAME: Mapping[str, Feature] = {feature.name: feature for feature in FEATURES}


def feature(name: str) -> Feature:
    """Return a feature by its name; raise UnknownName, with the nearest one, where there is none."""
    if name not in BY_NAME:
        raise UnknownName("feature", name, known=NAMES, hint=f"`regulars features list` shows all {len(NAMES)}")
    return BY_NAME[name]


def of_theme(theme: str) -> tuple[Feature, ...]:
    """Return the features of a theme, in catalog order."""
    return tuple(feature for feature in FEATURES if feature.theme == theme)


@cache  # asked for by every request
def feature_hash(names: tuple[str, ...] = NAMES) -> str:
    """Return one short hash of a feature list: names, order, and what each measures.

    A model and an online vector must agree on it; a description may change without changing it.
    """
    return short_hash([(n, repr(f.measure), f.window_days) if (f := BY_NAME.get(n)) else n for n in names])
