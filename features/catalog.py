"""Every snapshot feature: one record each, in the order in which models and the online store hold them.

To add a feature, add a record; the snapshot, Feast's schemas, training and serving follow. A shop has the features
whose needs its facts meet (`facts.carries`); the others do not exist there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from facts.carries import SECOND_YEAR
from facts.errors import UnknownName
from facts.lake import short_hash
from features.measures import Aggregate, BuyTillYouDie, DaysSince, Distinct, Fact, How, Measure, OnRecord, Ratio, Season

Unit = Literal["count", "days", "amount", "rate", "ratio", "hour"]

OWNER = "retention"
THEMES: Mapping[str, str] = {
    "rhythm": "Recency, gaps between visits and their regularity",
    "orders": "How often the customer orders, and the trend against the own past",
    "spend": "Money: net spend, order value, and the trend against the own past",
    "discounts": "Discounts and coupons, and how much of the buying depends on them",
    "basket": "What one order looks like",
    "breadth": "How much of the assortment the customer uses",
    "returns": "What the customer sends back or cancels",
    "calendar": "When in the week and the day the customer shops",
    "contact": "Marketing contacts and the response to them",
    "lifetime": "Buy-till-you-die statistics: is the customer still one, and how many orders are to be expected",
}

# What the shop's facts must carry for a column, a condition, a product's column or a kind of fact.
COLUMN_NEEDS: Mapping[str, tuple[str, ...]] = {
    "gross_amount": ("discounts",),
    "discount_amount": ("discounts",),
    "coupon_amount": ("coupons",),
    "sale_amount": ("returns",),  # elsewhere it is the net spend
    "private_label_amount": ("products", "private_label"),
    "line_count": ("lines",),
    "unit_count": ("units",),
    "local_hour": ("hours",),
    "has_coupon": ("coupons",),
    "has_discount": ("discounts",),
    "is_small": ("lines",),
    "is_evening": ("hours",),
    "product_id": ("products",),
    "category": ("products", "categories"),
    "department": ("products", "departments"),
    "brand": ("products", "brands"),
}
FACT_NEEDS: Mapping[Fact, tuple[str, ...]] = {
    "returns": ("returns",),
    "cancellations": ("cancellations",),
    "first_purchases": ("products",),
    "mailings": ("campaigns",),
    "redemptions": ("redemptions",),
}
WEEKS_A_YEAR_DAYS = 364  # the same weekdays
RECORD = "record_days"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One thing that is known about a customer at a cutoff.

    `window_days` looks back from the cutoff; None means over all that is known, or a ratio of other features. With
    `ago_days` the window begins so long before the cutoff instead, and is missing where the record does not reach.
    """

    name: str
    theme: str
    unit: Unit
    description: str
    measure: Measure
    window_days: int | None = None
    ago_days: int | None = None
    owner: str = OWNER

    @property
    def needs(self) -> tuple[str, ...]:
        """What the shop's facts must carry for this feature to exist (`facts.carries.MARKS`)."""
        measure = self.measure
        found = {SECOND_YEAR} if self.ago_days is not None or isinstance(measure, Season) else set()
        if isinstance(measure, Ratio):
            found.update(BY_NAME[measure.numerator].needs, BY_NAME[measure.denominator].needs)
        if isinstance(measure, Aggregate | DaysSince):
            found.update(FACT_NEEDS.get(measure.fact, ()))
        for name in (getattr(measure, "column", None), getattr(measure, "where", None)):
            found.update(COLUMN_NEEDS.get(name or "", ()))
        return tuple(sorted(found))


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


def _year_ago(stem: str, theme: str, unit: Unit, description: str, measure: Measure, *, days: int) -> Feature:
    return Feature(
        name=f"{stem}_year_ago_{days}d",
        theme=theme,
        unit=unit,
        description=f"{description} in the {days} days that began 52 weeks ago",
        measure=measure,
        window_days=days,
        ago_days=WEEKS_A_YEAR_DAYS,
    )


def _expected(days: int) -> Feature:
    return Feature(
        name=f"expected_order_count_{days}d",
        theme="lifetime",
        unit="count",
        description=f"Visit-days to be expected in the next {days} days (BG/NBD)",
        measure=BuyTillYouDie(which="expected_order_count", horizon_days=days),
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
    Feature(name="visit_count", theme="orders", unit="count", description="Days with an order, ever", measure=Aggregate(fact="visits", how="count")),
    _trend("order_count", "orders", "Orders", of="order_count", recent_days=7, past_days=30),
    _trend("order_count", "orders", "Orders", of="order_count", recent_days=30, past_days=90),
    _trend("order_count", "orders", "Orders", of="order_count", recent_days=90, past_days=365),
    *_windowed("spend_amount", "spend", "amount", "Net spend, returns taken off", Aggregate(fact="money", how="sum", column="net_amount"), days=(7, 30, 90, 180, 365)),
    *_windowed("order_value_mean", "spend", "amount", "Mean net value of an order", _orders("mean", "net_amount"), days=(30, 90, 365)),
    *_windowed("order_value_max", "spend", "amount", "Largest net value of an order", _orders("max", "net_amount"), days=(90, 365)),
    *_windowed("order_value_median", "spend", "amount", "Median net value of an order", _orders("median", "net_amount"), days=(365,)),
    _trend("spend_amount", "spend", "Net spend", of="spend_amount", recent_days=30, past_days=90),
    _trend("spend_amount", "spend", "Net spend", of="spend_amount", recent_days=90, past_days=365),
    *_windowed("gross_amount", "discounts", "amount", "Spend before discounts", _orders("sum", "gross_amount"), days=(30, 90, 365)),
    *_windowed("discount_amount", "discounts", "amount", "Discounts received", _orders("sum", "discount_amount"), days=(30, 90, 365)),
    *_share("discount_rate", "discounts", "Discounts as a share of spend before them", "discount_amount", "gross_amount", days=(30, 90, 365)),
    *_windowed("discounted_order_count", "discounts", "count", "Orders with a discount", _orders("count", where="has_discount"), days=(365,)),
    *_share("discounted_order_rate", "discounts", "Orders with a discount as a share of all", "discounted_order_count", "order_count", days=(365,)),
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
    *_windowed("new_product_count", "breadth", "count", "Products bought for the first time ever", Aggregate(fact="first_purchases", how="count"), days=(30, 90)),
    *_share("new_product_rate", "breadth", "Products bought for the first time ever as a share of the different products bought", "new_product_count", "product_count", days=(90,)),
    *_windowed("private_label_amount", "breadth", "amount", "Net spend on the shop's own brands", _orders("sum", "private_label_amount"), days=(90, 365)),
    *_share("private_label_rate", "breadth", "Own brands as a share of net spend", "private_label_amount", "spend_amount", days=(90, 365)),
    *_windowed("return_count", "returns", "count", "Returns", Aggregate(fact="returns", how="count"), days=(90, 365)),
    *_windowed("returned_amount", "returns", "amount", "Net value sent back", Aggregate(fact="returns", how="sum", column="returned_amount"), days=(90, 365)),
    *_windowed("sale_amount", "returns", "amount", "Net spend before returns", Aggregate(fact="orders", how="sum", column="sale_amount"), days=(90, 365)),
    *_share("return_rate", "returns", "Net value sent back as a share of net spend before returns", "returned_amount", "sale_amount", days=(90, 365)),
    _since("return_recency_days", "returns", "Days since the last return", "returns", "last"),
    *_windowed("cancelled_order_count", "returns", "count", "Orders that were cancelled", Aggregate(fact="cancellations", how="count"), days=(365,)),
    *_windowed("weekend_order_count", "calendar", "count", "Orders on Saturday or Sunday", _orders("count", where="is_weekend"), days=(90, 365)),
    *_share("weekend_order_rate", "calendar", "Orders on Saturday or Sunday as a share of all", "weekend_order_count", "order_count", days=(90, 365)),
    *_windowed("evening_order_count", "calendar", "count", "Orders from 18:00 on", _orders("count", where="is_evening"), days=(365,)),
    *_share("evening_order_rate", "calendar", "Orders from 18:00 on as a share of all", "evening_order_count", "order_count", days=(365,)),
    *_windowed("order_hour_mean", "calendar", "hour", "Mean hour of the day of an order", _orders("mean", "local_hour"), days=(365,)),
    _year_ago("order_count", "calendar", "count", "Orders", _orders("count"), days=28),
    _year_ago("spend_amount", "calendar", "amount", "Net spend", Aggregate(fact="money", how="sum", column="net_amount"), days=28),
    Feature(name=RECORD, theme="calendar", unit="days", description="Days that the shop's record reaches back, at most 365: how much of a window it can fill", measure=OnRecord()),
    Feature(name="season_sine", theme="calendar", unit="ratio", description="Time of the year as a point on a circle, 1 in spring, -1 in autumn", measure=Season(which="sine")),
    Feature(name="season_cosine", theme="calendar", unit="ratio", description="Time of the year as a point on a circle, 1 at New Year, -1 in summer", measure=Season(which="cosine")),
    *_windowed("campaign_count", "contact", "count", "Campaigns received", Aggregate(fact="mailings", how="count"), days=(30, 90, 365)),
    *_windowed("redemption_count", "contact", "count", "Campaign coupons redeemed", Aggregate(fact="redemptions", how="count"), days=(30, 90, 365)),
    *_share("campaign_response_rate", "contact", "Campaign coupons redeemed per campaign received", "redemption_count", "campaign_count", days=(365,)),
    _since("campaign_recency_days", "contact", "Days since the last campaign was received", "mailings", "last"),
    _since("redemption_recency_days", "contact", "Days since a campaign coupon was last redeemed", "redemptions", "last"),
    Feature(name="alive_probability", theme="lifetime", unit="rate", description="Probability that the customer has not left for good (BG/NBD)", measure=BuyTillYouDie(which="alive_probability")),
    *(_expected(days) for days in (7, 30, 90)),
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
BY_NAME: Mapping[str, Feature] = {feature.name: feature for feature in FEATURES}


def feature(name: str) -> Feature:
    """Return a feature by its name; raise UnknownName, with the nearest one, where there is none."""
    if name not in BY_NAME:
        raise UnknownName("feature", name, known=NAMES, hint=f"`regulars features list` shows all {len(NAMES)}")
    return BY_NAME[name]


def growing_window_days(name: str) -> int | None:
    """Return the window with whose length a feature grows (a sum or a count), None for one that does not."""
    known = BY_NAME.get(name)
    grows = known and isinstance(known.measure, Aggregate) and known.measure.how in {"count", "sum"}
    return known.window_days if known and grows and known.ago_days is None else None


def of_shop(has: Collection[str]) -> tuple[Feature, ...]:
    """Return the features of a shop whose facts carry some things (`facts.lake.Shop.has`), in catalog order."""
    return tuple(feature for feature in FEATURES if set(feature.needs) <= set(has))


def of_theme(theme: str, features: Sequence[Feature] = FEATURES) -> tuple[Feature, ...]:
    """Return the features of a theme, in catalog order."""
    return tuple(feature for feature in features if feature.theme == theme)


def names_of(features: Sequence[Feature]) -> tuple[str, ...]:
    """Return the names of features, in their order."""
    return tuple(feature.name for feature in features)


@cache  # asked for by every request
def feature_hash(names: tuple[str, ...] = NAMES) -> str:
    """Return one short hash of a feature list: names, order, and what each measures.

    A model and an online vector must agree on it; a description may change without changing it.
    """
    known = [(name, BY_NAME.get(name)) for name in names]
    return short_hash([(n, repr(f.measure), f.window_days, f.ago_days) if f else n for n, f in known])
