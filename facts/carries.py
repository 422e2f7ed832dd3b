"""What a shop's facts carry: not every shop has products, discounts, returns or page views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ibis import _

if TYPE_CHECKING:
    import ibis
    from ibis.expr.types import Table

BROWSING_EVENTS = (
    "Product Viewed", "Product List Viewed", "Product Clicked", "Products Searched", "Product Added", "Product Removed",
    "Cart Viewed", "Checkout Started", "Order Viewed", "Delivery Options Viewed", "Page", "Screen",
)  # fmt: skip
CAMPAIGN_RECEIVED, COUPON_APPLIED = "Campaign Received", "Coupon Applied"

# What may be there, and how to see it: the table, and what is true of it as a whole where it is.
MARKS: Mapping[str, tuple[str, ibis.Deferred]] = {
    "products": ("order_lines", _.product_id.notnull().any()),
    "categories": ("products", _.category.notnull().any()),
    "departments": ("products", _.department.notnull().any()),
    "brands": ("products", _.brand.notnull().any()),
    "private_label": ("products", _.is_private_label.fill_null(False).any()),  # noqa: FBT003
    "units": ("order_lines", _.unit_count.notnull().any()),
    "lines": ("order_lines", (_.line_number > 1).any()),
    "discounts": ("order_lines", (_.discount_amount != 0).any()),
    "coupons": ("order_lines", (_.coupon_amount != 0).any()),
    "returns": ("orders", (_.kind == "return").any()),
    "cancellations": ("orders", (_.kind == "cancelled").any()),
    "hours": ("orders", _.local_hour.notnull().any()),
    "campaigns": ("events", (_.event == CAMPAIGN_RECEIVED).any()),
    "redemptions": ("events", (_.event == COUPON_APPLIED).any()),
    "browsing": ("events", _.event.isin(BROWSING_EVENTS).any()),
}


SECOND_YEAR, SECOND_YEAR_DAYS = "second_year", 364 + 28


def carries(tables: Mapping[str, Table], *, observed_days: int) -> tuple[str, ...]:
    """Return which of `MARKS` hold of the shop's tables, in their order, and whether the record has a second year."""
    found: set[str] = set()
    for table in dict.fromkeys(table for table, _holds in MARKS.values()):
        asked = {name: holds for name, (where, holds) in MARKS.items() if where == table}
        row = tables[table].agg(**asked).execute().iloc[0]
        found |= {name for name in asked if row[name] is not None and bool(row[name])}
    long = (SECOND_YEAR,) if observed_days >= SECOND_YEAR_DAYS else ()
    return (*(name for name in MARKS if name in found), *long)
