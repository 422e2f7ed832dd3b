"""What buy-till-you-die models look at: of every customer the visit-days that were known at an instant."""

from __future__ import annotations

from datetime import datetime

import ibis
import numpy as np
import pandas as pd
from ibis import _

from facts.lake import Lake

FREQUENCY, RECENCY, AGE, VALUE = "history_frequency", "history_recency_days", "history_age_days", "history_value_mean"
HISTORY = (FREQUENCY, RECENCY, AGE, VALUE)


def read_histories(lake: Lake, cutoff: datetime) -> pd.DataFrame:
    """Return one row per customer with an order received before the cutoff: customer_id, then `HISTORY`.

    Repeat visit-days, days from the first to the last and to the cutoff (all by the shop's calendar), and the mean net
    value of a repeat visit-day, in the shop's currency; 0 where there is none.
    """
    with lake.connect() as connection:
        orders, lines = lake.table(connection, "orders"), lake.table(connection, "order_lines")
        at = ibis.literal(pd.Timestamp(cutoff), orders.ordered_at.type())
        is_current = orders.superseded_at.isnull() | (orders.superseded_at >= at)
        known = orders.filter((orders.received_at < at) & (orders.ordered_at < at) & is_current, _.kind == "sale")
        worth = lines.group_by("order_id", "version").agg(net_amount=_.net_amount.sum())
        placed = known.left_join(worth, ["order_id", "version"])
        days = placed.group_by("customer_id", "local_on").agg(value=_.net_amount.sum().cast("float64"))
        visits = days.order_by("customer_id", "local_on").execute()
    return summarise(visits, on=pd.Timestamp(cutoff).tz_convert(lake.shop().timezone).normalize().tz_localize(None))


def summarise(visits: pd.DataFrame, *, on: pd.Timestamp) -> pd.DataFrame:
    """Return the histories of visit-days: customer_id, local_on and value, in the order of customers and days."""
    visits = visits.assign(local_on=pd.to_datetime(visits["local_on"]))
    repeat = visits[visits["customer_id"].duplicated()]
    by_customer = visits.groupby("customer_id")["local_on"].agg(["first", "last", "size"])
    values = repeat.groupby("customer_id")["value"].mean()
    return pd.DataFrame(
        {
            "customer_id": by_customer.index,
            FREQUENCY: by_customer["size"].to_numpy(np.float64) - 1,
            RECENCY: (by_customer["last"] - by_customer["first"]).dt.days.to_numpy(np.float64),
            AGE: (on - by_customer["first"]).dt.days.to_numpy(np.float64),
            VALUE: values.reindex(by_customer.index).fillna(0.0).to_numpy(np.float64),
        }
    )
