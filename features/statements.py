"""What a group of features says of a customer: one record a group, one short sentence of the customer's own values.

Features that move together (ten counts of orders) are one statement. To add a feature, name its stem in a group; to add a
statement, add a record.
"""

# ruff: noqa: E501 - one statement, one line

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from string import Formatter

from features.units import said

_FORMATTER = Formatter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What some features say together.

    Parameters
    ----------
    stems
        The features' names without their window and without `_live`: a stem stands for a feature over every window, and
        for the live one that replaces it.
    clauses
        Parts of a sentence, each with the features and units (`features.units`) that it speaks of. One of whose values
        one is not known is left out.
    otherwise
        What is said where nothing is left.
    """

    name: str
    stems: tuple[str, ...]
    clauses: tuple[str, ...]
    otherwise: str

    def of(self, values: Mapping[str, float], *, currency: str) -> str:
        """Say what is known of a customer; values that are not known are absent."""
        spoken = (_spoken(clause, values, currency=currency) for clause in self.clauses)
        return ", ".join(clause for clause in spoken if clause) or self.otherwise


STATEMENTS: tuple[Statement, ...] = (
    Statement(name="rhythm", stems=("order_recency_days", "visit_gap_mean", "visit_gap_median", "visit_gap_max", "order_due_ratio", "order_overdue_ratio", "tenure_recency_ratio"), clauses=("orders every {visit_gap_mean_365d:days}", "last order {order_recency_live_days:days} ago"), otherwise="no order is known"),
    Statement(name="regularity", stems=("visit_gap_std", "visit_irregularity"), clauses=("days between orders vary by {visit_gap_std_365d:days}",), otherwise="too few orders to tell how regular they are"),
    Statement(name="tenure", stems=("customer_tenure_days",), clauses=("customer for {customer_tenure_live_days:days}",), otherwise="no first order is known"),
    Statement(name="orders", stems=("order_count", "visit_count"), clauses=("{order_count_90d:count order} in 90 days", "{order_count_30d:count} in the last 30"), otherwise="how many orders is not known"),
    Statement(name="order_trend", stems=("order_count_trend",), clauses=("orders at {order_count_trend_30d:percent} of the pace of the last 90 days",), otherwise="no recent orders to see a trend in"),
    Statement(name="new_orders", stems=("order_count_since_snapshot", "spend_amount_since_snapshot"), clauses=("{order_count_since_snapshot:count order} since the last night", "for {spend_amount_since_snapshot:amount}"), otherwise="no order since the last night is known"),
    Statement(name="lifetime", stems=("alive_probability", "expected_order_count"), clauses=("{expected_order_count_30d:decimal} orders to be expected in 30 days by their own rhythm",), otherwise="too few customers to tell who is still one"),
    Statement(name="spend", stems=("spend_amount", "gross_amount", "sale_amount"), clauses=("spends {spend_amount_90d:amount} in 90 days", "{spend_amount_30d:amount} in the last 30"), otherwise="spend is not known"),
    Statement(name="spend_trend", stems=("spend_amount_trend",), clauses=("spends at {spend_amount_trend_30d:percent} of the pace of the last 90 days",), otherwise="no recent spend to see a trend in"),
    Statement(name="order_value", stems=("order_value_mean", "order_value_max", "order_value_median"), clauses=("orders worth {order_value_mean_365d:amount} on average", "the largest {order_value_max_365d:amount}"), otherwise="no order in 365 days to tell its value"),
    Statement(name="discounts", stems=("discount_amount", "discount_rate", "discounted_order_count", "discounted_order_rate"), clauses=("{discounted_order_rate_365d:percent} of orders at a discount", "discounts are {discount_rate_365d:percent} of spend"), otherwise="no order in 365 days that could have had a discount"),
    Statement(name="coupons", stems=("coupon_amount", "coupon_order_count", "coupon_order_rate"), clauses=("{coupon_order_count_365d:count order} with a coupon in 365 days", "worth {coupon_amount_365d:amount}"), otherwise="coupons are not known"),
    Statement(name="basket", stems=("line_count", "unit_count", "basket_line_mean", "basket_line_max", "small_order_count", "small_order_rate"), clauses=("{basket_line_mean_365d:decimal} lines an order", "{unit_count_90d:count piece} in 90 days"), otherwise="no basket is known"),
    Statement(name="breadth", stems=("category_count", "department_count", "brand_count", "product_count", "product_variety_rate"), clauses=("{product_count_90d:count different product} in 90 days", "of {category_count_90d:count category/categories}"), otherwise="what is bought is not known"),
    Statement(name="new_products", stems=("new_product_count", "new_product_rate"), clauses=("{new_product_count_90d:count product} bought for the first time in 90 days",), otherwise="what is bought for the first time is not known"),
    Statement(name="own_brands", stems=("private_label_amount", "private_label_rate"), clauses=("{private_label_rate_365d:percent} of spend on own brands",), otherwise="no spend in 365 days to tell the share of own brands"),
    Statement(name="returns", stems=("return_count", "returned_amount", "return_rate", "return_recency_days"), clauses=("{return_count_365d:count return} in 365 days", "{return_rate_365d:percent} of spend sent back"), otherwise="returns are not known"),
    Statement(name="cancellations", stems=("cancelled_order_count",), clauses=("{cancelled_order_count_365d:count order} cancelled in 365 days",), otherwise="cancellations are not known"),
    Statement(name="weekdays", stems=("weekend_order_count", "weekend_order_rate"), clauses=("{weekend_order_rate_365d:percent} of orders at the weekend",), otherwise="no order in 365 days to tell the weekday"),
    Statement(name="hours", stems=("evening_order_count", "evening_order_rate", "order_hour_mean"), clauses=("orders around {order_hour_mean_365d:clock}", "{evening_order_rate_365d:percent} in the evening"), otherwise="no order in 365 days to tell the hour"),
    Statement(name="year_ago", stems=("order_count_year_ago", "spend_amount_year_ago"), clauses=("{order_count_year_ago_28d:count order} in these 4 weeks a year ago", "for {spend_amount_year_ago_28d:amount}"), otherwise="a year ago is not on record"),
    Statement(name="season", stems=("season_sine", "season_cosine"), clauses=(), otherwise="the time of the year"),
    Statement(name="record", stems=("record_days",), clauses=("the shop is known for {record_days:days}",), otherwise="how long the shop is known"),
    Statement(name="campaigns", stems=("campaign_count", "campaign_recency_days"), clauses=("{campaign_count_90d:count campaign} in 90 days", "the last {campaign_recency_live_days:days} ago"), otherwise="campaigns are not known"),
    Statement(name="redemptions", stems=("redemption_count", "campaign_response_rate", "redemption_recency_days"), clauses=("{redemption_count_365d:count campaign coupon} redeemed in 365 days", "the last {redemption_recency_live_days:days} ago"), otherwise="redeemed coupons are not known"),
    Statement(name="browsing", stems=("visit_recency_days", "session_count", "product_view_count", "search_count"), clauses=("{session_count_7d:count session} in 7 days", "{product_view_count_7d:count product} viewed", "last seen {visit_recency_live_days:days} ago"), otherwise="browsing is not known"),
    Statement(name="cart", stems=("cart_add_count", "cart_open_amount"), clauses=("{cart_open_amount_7d:amount} in the cart", "{cart_add_count_7d:count product} put there in 7 days"), otherwise="the cart is not known"),
    Statement(name="support", stems=("support_contact_count",), clauses=("{support_contact_count_7d:count contact} with support in 7 days",), otherwise="contacts with support are not known"),
    Statement(name="moment", stems=("local_hour", "local_weekday"), clauses=("asked on a {local_weekday_live:weekday}", "at {local_hour_live:clock}"), otherwise="the moment of asking"),
    Statement(name="intent_reorder", stems=("intent_reorder",), clauses=("signs of a reorder in the last 30 minutes: {intent_reorder_30m:flag}",), otherwise="signs of a reorder are not known"),
)  # fmt: skip
_BY_STEM: Mapping[str, Statement] = {stem: statement for statement in STATEMENTS for stem in statement.stems}


def stem_of(feature: str) -> str:
    """Return a feature's name without its window and without what marks it as live."""
    return re.sub(r"_\d+[dm]$", "", feature.replace("_live", ""))


@cache  # asked for by every request
def grouped(features: tuple[str, ...]) -> tuple[tuple[Statement, tuple[int, ...]], ...]:
    """Return the statements of a model's features, each with the places of those that belong to it.

    A feature that no statement knows is one of its own.
    """
    found: dict[Statement, list[int]] = {}
    for place, feature in enumerate(features):
        found.setdefault(_BY_STEM.get(stem_of(feature)) or _alone(feature), []).append(place)
    return tuple((statement, tuple(places)) for statement, places in found.items())


def known_values(features: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Return the values that are known, by feature."""
    return {name: value for name, value in zip(features, values, strict=True) if value == value}  # noqa: PLR0124 - NaN


def _alone(feature: str) -> Statement:
    return Statement(
        name=feature,
        stems=(feature,),
        clauses=(f"{feature} is {{{feature}:number}}",),
        otherwise=f"{feature} is not known",
    )


def _spoken(clause: str, values: Mapping[str, float], *, currency: str) -> str:
    spoken = ""
    for text, feature, unit, _conversion in _FORMATTER.parse(clause):
        if feature is not None and feature not in values:
            return ""
        spoken += text + (said(values[feature], unit or "", currency=currency) if feature is not None else "")
    return spoken
