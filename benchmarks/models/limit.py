"""The best that could be said of a simulated shop's customers: by the parameters that made them.

It knows each customer's rate, whether the customer is still one, and what a campaign does to them; not the coins that
are yet to be thrown. No model can reach it: nobody is told who has left.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.models.questions import Question
from simulation.purchases import WEEK_DAYS
from simulation.settings import SETTINGS
from training.fitting import Floats

DAY = pd.Timedelta(days=1)


def best_answer(question: Question, truth: Path) -> Floats:
    """Return what the truth says of the customers asked about, in the label's unit.

    Of money it is the expected gross amount times the share that the shop kept of it before the cutoff, on average.
    """
    customers = pd.read_parquet(truth / "truth" / "customers.parquet").set_index("customer_id")
    asked = customers.loc[question.rows["customer_id"]]
    cutoff = pd.Timestamp(question.plan.splits.test)
    is_there = (asked["alive_until"].isna() | (asked["alive_until"] >= cutoff)).to_numpy()
    rate = asked["purchases_per_week"].to_numpy() / WEEK_DAYS
    if question.kind == "probability":
        kept = rate * (1 - SETTINGS.cancel_rate)
        buys = is_there * (1 - _mean_decay(question, truth, kept))
        return 1 - buys if question.is_of_absence else buys
    leaves = asked["dropout_probability"].to_numpy()
    orders = is_there * (1 - _mean_decay(question, truth, rate * leaves)) / leaves
    return orders * asked["basket_mean_amount"].to_numpy() * _kept_share(question, customers)


def _mean_decay(question: Question, truth: Path, rate: Floats) -> Floats:
    """Return the mean of exp(-rate x own days) over the campaigns that are yet to be sent, or not.

    A campaign makes a customer's days longer or shorter by its factor while it acts.
    """
    start = pd.Timestamp(question.plan.splits.test)
    end = start + question.asked_days * DAY
    ids = question.rows["customer_id"]
    effects = pd.read_parquet(truth / "truth" / "effects.parquet")
    effects = effects[(effects["until"] > start) & (effects["contact_at"] < end) & effects["customer_id"].isin(ids)]
    place = pd.Series(np.arange(len(ids)), index=ids)[effects["customer_id"]].to_numpy()
    customers = pd.read_parquet(truth / "truth" / "customers.parquet").set_index("customer_id")
    factor = customers.loc[effects["customer_id"], "campaign_factor"].to_numpy()
    acts = effects["until"].clip(upper=end) - effects["contact_at"].clip(lower=start)
    gained = (factor - 1) * (acts / DAY).to_numpy()
    is_past = (effects["contact_at"] < start).to_numpy()
    sent = np.where(is_past, effects["is_sent"], effects["propensity"]).astype(np.float64)
    decays = np.exp(-rate * question.asked_days)
    np.multiply.at(decays, place, 1 - sent + sent * np.exp(-rate[place] * gained))
    return decays


def _kept_share(question: Question, customers: pd.DataFrame) -> float:
    """Return net over gross before the cutoff: discounts, returns and cancellations in one number."""
    lake, cutoff = question.shop.lake, question.plan.splits.test
    with lake.connect() as connection:
        orders, lines = lake.table(connection, "orders"), lake.table(connection, "order_lines")
        placed = orders.filter(orders.superseded_at.isnull() & (orders.ordered_at < cutoff))
        worth = lines.semi_join(placed.filter(placed.kind != "cancelled"), ["order_id", "version"])
        net = float(worth.net_amount.sum().execute())
        sales = placed.filter(placed.kind != "return").customer_id.execute()
    return net / float(customers.loc[sales, "basket_mean_amount"].sum())
