"""What was known of products when: every version that was told, and which of them a line of an order carries.

A product that is told otherwise than before has its next version. Its lines carry the version that was known when they
were received, and keep it: an order stays in the category in which it was sold.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import ibis
from ibis import _

from facts.contracts import INSTANT, PRODUCTS

if TYPE_CHECKING:
    from ibis.expr.types import Table

PRODUCT_COLUMNS = {**PRODUCTS.columns, "version": "int32", "received_at": INSTANT}
_NEVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def latest_products(products: Table, *, known_before: datetime | None = None) -> Table:
    """Return the products as they were told last: one row per product, in the contract's columns.

    `known_before` asks for what had been received before an instant; who was told of later is not there.
    """
    if known_before is not None:
        products = products.filter(products.received_at < ibis.literal(known_before, INSTANT))
    last = products.group_by("product_id").agg(version=_.version.max())
    return products.semi_join(last, ["product_id", "version"]).select(list(PRODUCTS.columns))


def first_products(told: Table, orders: Table) -> Table:
    """Return the products of a first delivery: they are known from its first order on."""
    return told.mutate(version=ibis.literal(0, "int32"), received_at=orders.received_at.min().as_scalar())


def products_told(known: Table, told: Table, lines: Table, at: datetime) -> Table:
    """Return the versions of products that a delivery adds, and those that it shows to have been known earlier.

    A version is known from the delivery, or from the first of its lines that was received, if that was before it: what
    is told of a product is told with its lines. So is a first version of which an earlier line comes to light.

    Parameters
    ----------
    known, told
        The lake's products in every version, and the delivered ones.
    lines
        The lines that are new to the lake, with their `received_at`.
    at
        When the delivery reaches the lake.
    """
    sold = lines.group_by("product_id").agg(sold_at=_.received_at.min())
    last = known.group_by("product_id").agg(last=_.version.max(), last_received_at=_.received_at.max())
    anew = told.select(list(PRODUCTS.columns)).difference(latest_products(known))
    anew = anew.left_join(last, "product_id").drop("product_id_right")
    anew = anew.left_join(sold, "product_id").drop("product_id_right")
    anew = anew.mutate(
        version=(_["last"] + 1).fill_null(0),
        received_at=ibis.greatest(ibis.least(ibis.literal(at, INSTANT), _.sold_at), _.last_received_at),
    )
    first = known.filter(_.version == 0).join(sold, "product_id").filter(_.sold_at < _.received_at)
    earlier = first.mutate(received_at=_.sold_at)
    return ibis.union(*[part.select(list(PRODUCT_COLUMNS)).cast(PRODUCT_COLUMNS) for part in (anew, earlier)])


def with_product_versions(lines: Table, products: Table) -> Table:
    """Return lines, which say when they were received, with the version of their product that was known then."""
    following = ibis.window(group_by="product_id", order_by="version")
    spans = products.select(
        sold_id=_.product_id,
        product_version=_.version,
        begins_at=_.received_at,
        ends_at=_.received_at.lead().over(following).fill_null(ibis.literal(_NEVER, INSTANT)),
    )
    then = [lines.product_id == spans.sold_id, lines.received_at >= spans.begins_at, lines.received_at < spans.ends_at]
    return lines.left_join(spans, then).drop("sold_id", "begins_at", "ends_at")
