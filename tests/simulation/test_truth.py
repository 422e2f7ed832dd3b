"""Estimates from what the shop sees meet the truth that lies beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from simulation.settings import SETTINGS
from tests.simulation.written import CUSTOMERS, Shop

END = pd.Timestamp(datetime(2025, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def customers(shop: Shop) -> pd.DataFrame:
    return shop.truth("customers").set_index("customer_id", verify_integrity=True)


@pytest.fixture(scope="module")
def effects(shop: Shop, customers: pd.DataFrame) -> pd.DataFrame:
    told = ["style", "campaign_factor", "purchases_per_week"]
    return shop.truth("effects").merge(customers[told], left_on="customer_id", right_index=True)


def difference(rows: pd.DataFrame, column: str) -> tuple[float, float]:
    """Return sent less not sent, campaign by campaign and weighted by its size, and its standard error."""
    groups = rows.pivot_table(index="campaign_id", columns="is_sent", values=column, aggfunc=["mean", "var", "size"])
    weight = groups["size"].sum(axis=1) / len(rows)
    means = groups["mean"][True] - groups["mean"][False]
    variances = groups["var"][True] / groups["size"][True] + groups["var"][False] / groups["size"][False]
    return float((weight * means).sum()), float(np.sqrt((weight**2 * variances).sum()))


class TestCustomers:
    def test_the_parameters_have_their_distributions(self, customers: pd.DataFrame):
        def near(values: pd.Series, mean: float) -> bool:
            return abs(values.mean() - mean) < 4 * values.std() / np.sqrt(len(values))

        assert near(customers.purchases_per_week, SETTINGS.rate_shape / SETTINGS.rate_weeks)
        assert near(customers.dropout_probability, 0.8 / 7.8)
        assert near(customers.basket_log_mean, np.log(SETTINGS.basket_median_amount))
        assert near(customers.return_probability, 1 / 15)
        for style in SETTINGS.styles:
            mine = customers[customers["style"] == style.name]
            assert near((customers["style"] == style.name).astype(float), style.share)
            assert near(np.log(mine.campaign_factor), style.log_effect_mean)
            assert near(mine.visits_per_week, style.sessions_per_week)

    def test_some_customers_are_deterred_by_campaigns_and_some_are_drawn(self, customers: pd.DataFrame):
        assert 0.2 < (customers.campaign_factor < 1).mean() < 0.5
        assert (customers.campaign_factor[customers["style"] == "quiet"] < 1).mean() > 0.8

    def test_the_shop_sees_each_customers_sales_but_for_those_received_later(self, shop: Shop, customers: pd.DataFrame):
        seen = shop.table("orders").query("kind == 'sale'").groupby("customer_id").size().reindex(customers.index)
        missing = customers.sale_count - seen.fillna(0)
        assert missing.sum() < 0.002 * customers.sale_count.sum()
        assert missing.max() <= 2

    def test_lifetimes_end_with_an_order(self, shop: Shop, customers: pd.DataFrame):
        sales = shop.sales()
        last = sales.groupby("customer_id").ordered_at.max().reindex(customers.index)
        gone = customers[~customers.is_alive_at_end]
        assert len(gone) > 500
        assert (last[gone.index] <= gone.alive_until).all()
        assert (last[gone.index] == gone.alive_until).mean() > 0.99  # a few are received after the record
        first = sales.groupby("customer_id").ordered_at.min().reindex(customers.index)
        assert (first == customers.joined_at).mean() > 0.99

    def test_orders_after_the_record_come_as_expected(self, customers: pd.DataFrame):
        for days in (30, 90, 365):
            surplus = customers[f"order_count_{days}d"] - customers[f"expected_orders_{days}d"]
            assert abs(surplus.mean()) < 4 * surplus.std() / np.sqrt(len(customers)), days
            surplus = customers[f"amount_{days}d"] - customers[f"expected_amount_{days}d"]
            assert abs(surplus.mean()) < 4 * surplus.std() / np.sqrt(len(customers)), days

    def test_expected_orders_rank_those_that_came(self, customers: pd.DataFrame):
        tenth = pd.qcut(customers.expected_orders_90d.rank(method="first"), 5, labels=False)
        came = customers.groupby(tenth).order_count_90d.mean()
        expected = customers.groupby(tenth).expected_orders_90d.mean()
        assert came.is_monotonic_increasing
        assert came.to_numpy() == pytest.approx(expected.to_numpy(), abs=0.25)

    def test_nobody_who_is_gone_is_expected_or_comes(self, customers: pd.DataFrame):
        gone = customers[~customers.is_alive_at_end]
        assert gone[["expected_orders_365d", "order_count_365d", "amount_365d"]].to_numpy().max() == 0

    def test_gross_amounts_are_log_normal_around_each_customers_own(self, shop: Shop, customers: pd.DataFrame):
        sales = shop.sales().join(customers[["basket_log_mean", "basket_log_sd"]], on="customer_id")
        z = (np.log(sales.gross) - sales.basket_log_mean) / sales.basket_log_sd
        assert abs(z.mean()) < 4 / np.sqrt(len(z)) + 0.01  # rounding of unit prices
        assert z.std() == pytest.approx(1, abs=4 / np.sqrt(2 * len(z)) + 0.01)

    def test_returns_come_at_each_customers_rate(self, shop: Shop, customers: pd.DataFrame):
        orders = shop.table("orders")
        ripe = orders[(orders.kind == "sale") & (orders.ordered_at < END - timedelta(days=29))]
        expected = customers.return_probability.reindex(ripe.customer_id)
        returned = (ripe.order_id + "/return").isin(orders.order_id)
        error = np.sqrt((expected * (1 - expected)).sum()) / len(ripe)
        assert returned.mean() == pytest.approx(expected.mean(), abs=4 * error)

    def test_a_favourite_category_is_bought_at_the_first_order_after_its_cycle(
        self, shop: Shop, customers: pd.DataFrame
    ):
        sales = shop.sales()[["order_id", "customer_id", "ordered_at"]]
        sales["order_before"] = sales.groupby("customer_id").ordered_at.shift()
        lines = shop.table("order_lines").merge(sales, on="order_id")
        lines = lines.merge(shop.table("products.parquet")[["product_id", "category"]], on="product_id")
        lines = lines.join(customers[["favourite_1_category", "favourite_1_cycle_days"]], on="customer_id")
        bought = lines[lines.category == lines.favourite_1_category].sort_values(["customer_id", "ordered_at"])
        bought["bought_before"] = bought.groupby("customer_id").ordered_at.shift()
        again = bought.dropna(subset="bought_before")
        due_at = again.bought_before + pd.to_timedelta(again.favourite_1_cycle_days, unit="D")
        day = timedelta(days=1)  # by which even time and the wall clock may differ
        assert len(again) > 1000
        assert (again.ordered_at > due_at - day).all()
        assert (again.order_before < due_at + day).mean() > 0.99  # else it had been due then; a few come too late


class TestEffects:
    def test_campaigns_are_sent_with_their_propensity_to_all_alike(self, effects: pd.DataFrame):
        for campaign, rows in effects.groupby("campaign_id"):
            rate = rows.propensity.iloc[0]
            assert rows.is_sent.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / len(rows))), campaign
        assert set(effects.propensity) == set(SETTINGS.campaign_propensities)
        for column in ("purchases_per_week", "campaign_factor", "expected_orders_if_not", "is_alive"):
            found, error = difference(effects.astype({"is_alive": float}), column)
            assert abs(found) < 4 * error, column

    def test_those_sent_are_the_messages_of_the_shop(self, shop: Shop, effects: pd.DataFrame):
        events = shop.table("events").query("event == 'Campaign Received'").drop_duplicates("message_id")
        told = {
            (customer, json.loads(text)["campaign_id"], at)
            for customer, text, at in zip(events.customer_id, events.properties, events.occurred_at, strict=True)
        }
        sent = effects[effects.is_sent & (effects.contact_at < END - timedelta(days=8))]
        wanted = set(zip(sent.customer_id, sent.campaign_id, sent.contact_at, strict=True))
        assert wanted <= told
        assert len(wanted) > 5000

    @pytest.mark.parametrize("style", [None, *(style.name for style in SETTINGS.styles)])
    def test_a_simple_difference_finds_the_known_effect(self, effects: pd.DataFrame, style: str | None):
        rows = effects if style is None else effects[effects["style"] == style]
        truth = (rows.expected_orders_if_sent - rows.expected_orders_if_not).mean()
        found, error = difference(rows, "order_count")
        assert found == pytest.approx(truth, abs=4 * error)

    def test_the_effects_are_large_enough_to_be_found_and_of_both_signs(self, effects: pd.DataFrame):
        found, error = difference(effects[effects["style"] == "responder"], "order_count")
        assert found > 4 * error
        found, error = difference(effects[effects["style"] == "quiet"], "order_count")
        assert found < -2 * error

    def test_counts_are_the_shops_own(self, shop: Shop, effects: pd.DataFrame):
        sales = shop.table("orders").query("kind == 'sale'")
        whole = effects[effects.until < END - timedelta(days=8)]
        pairs = whole.merge(sales[["customer_id", "ordered_at"]], on="customer_id")
        within = (pairs.ordered_at >= pairs.contact_at) & (pairs.ordered_at < pairs.until)
        counted = pairs[within].groupby(["customer_id", "campaign_id"]).size()
        mine = whole.set_index(["customer_id", "campaign_id"]).order_count
        assert (counted.reindex(mine.index).fillna(0) == mine).mean() > 0.999

    def test_nobody_who_is_gone_is_moved(self, effects: pd.DataFrame):
        gone = effects[~effects.is_alive]
        assert len(gone) > 1000
        assert gone[["expected_orders_if_sent", "expected_orders_if_not", "order_count"]].to_numpy().max() == 0


class TestSessions:
    def test_styles_show_in_how_often_customers_visit_and_answer(self, shop: Shop, customers: pd.DataFrame):
        sessions = shop.truth("sessions").join(customers[["style"]], on="customer_id")
        visits = sessions[sessions.order_id.isna()].groupby("style").size() / customers["style"].value_counts()
        assert visits["explorer"] > visits["deal_seeker"] > visits["quiet"]
        led = sessions.groupby("style").campaign_id.apply(lambda link: link.notna().mean())
        assert led["responder"] > led["explorer"] > 0
        assert led["responder"] > 2 * led["quiet"]

    def test_visits_fade_after_the_last_order(self, shop: Shop, customers: pd.DataFrame):
        told = customers[["alive_until", "joined_at", "is_alive_at_end"]]
        visits = shop.truth("sessions").query("order_id.isna() and campaign_id.isna()").join(told, on="customer_id")
        visits = visits[~visits.is_alive_at_end]
        gone = customers[~customers.is_alive_at_end]
        alive_days = (gone.alive_until - gone.joined_at).sum() / timedelta(days=1)
        lapsed_days = (END - gone.alive_until).sum() / timedelta(days=1)
        is_after = visits["at"] > visits.alive_until
        ratio = (is_after.sum() / lapsed_days) / ((~is_after).sum() / alive_days)
        assert ratio == pytest.approx(SETTINGS.lapsed_visit_factor, abs=0.05)

    def test_every_sale_ends_a_session(self, shop: Shop):
        sold = set(shop.table("orders").query("kind != 'return'").order_id)
        assert sold <= set(shop.truth("sessions").order_id.dropna())
        assert len(shop.truth("customers")) == CUSTOMERS
