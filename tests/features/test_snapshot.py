"""The snapshot against a shop that a person can check, and against pandas on a sample of Complete Journey.

What holds of it whatever the shop stands in tests/contracts/test_snapshot_laws.py.
"""

from __future__ import annotations

import math

import ibis
import numpy as np
import pandas as pd
import pytest

from benchmarks.pandas_features import as_frame, pandas_features
from facts.contracts import FACTS
from facts.ingest import read_source
from features.catalog import NAMES, feature
from features.snapshot import NEEDED_FACTS, snapshot
from tests.builders import REDEMPTION, Event, Line, Order, Product, at, shop

CUTOFF = at(100)  # Wednesday 2024-04-10 00:00 UTC, a hundred days after Monday 2024-01-01
MISSING = math.nan

# Day 0 is a Monday: day 80 is a Thursday, day 90 a Sunday, day 93 a Wednesday, day 96 a Saturday.
ANN = [
    Order(customer="ann", at=at(0, 10), lines=(Line(product="soap", net="20.00", units=2),)),
    Order(
        customer="ann",
        at=at(80, 9),
        lines=(
            Line(product="milk", net="4.00", discount="1.00"),
            Line(product="cheese", net="6.00", units=3),
            Line(product="milk", net="2.00", coupon="0.50"),
            Line(product="bread", net="8.00", discount="4.00"),
        ),
    ),
    Order(customer="ann", at=at(90, 20), lines=(Line(product="bread", net="5.00"),)),
    Order(customer="ann", at=at(90, 8), lines=(Line(product="misc", net="1.00"),)),
    Order(customer="ann", at=at(96, 12), lines=(Line(product="milk", net="10.00", discount="2.50"),)),
    Order(customer="ann", at=at(100), lines=(Line(product="soap", net="999.00"),)),  # at the cutoff: not yet known
    Order(customer="ann", at=at(99), received_at=at(101), lines=(Line(product="soap", net="999.00"),)),  # learned later
]
BOB = [Order(customer="bob", at=at(93), lines=(Line(product="unlisted", net="0.00", coupon="0.10"),))]  # 7 days before
EVENTS = [
    Event(customer="ann", at=at(20)),
    Event(customer="ann", at=at(95, 12)),
    Event(customer="ann", event=REDEMPTION, at=at(97), received_at=at(98)),
    Event(
        customer="ann", event=REDEMPTION, at=at(99), received_at=at(100)
    ),  # its day is over at the cutoff, not before
    Event(customer="ann", event="Product Viewed", at=at(99)),
    Event(customer="bob", at=at(100)),
    Event(customer="cem", at=at(50)),  # has no order: no row
]

#                               ann                  bob
EXPECTED = {
    "order_recency_days": (3.5, 7.0),
    "customer_tenure_days": (100 - 10 / 24, 7.0),
    "visit_gap_mean_90d": ((80 + 10 + 6) / 3, MISSING),  # the gap before a visit counts, however long ago it began
    "visit_gap_median_365d": (10.0, MISSING),
    "visit_gap_max_365d": (80.0, MISSING),
    "visit_gap_std_365d": (math.sqrt((48**2 + 22**2 + 26**2) / 2), MISSING),
    "order_due_ratio_365d": (3.5 / 32, MISSING),
    "tenure_recency_ratio": (3.5 / (100 - 10 / 24), 1.0),
    "order_count_7d": (1, 1),  # seven days to the instant are within the window
    "order_count_14d": (3, 1),
    "order_count_90d": (4, 1),
    "order_count_365d": (5, 1),
    "visit_count_14d": (2, 1),  # two orders on day 90 are one visit
    "visit_count_365d": (4, 1),
    "order_count_trend_7d": (1 * (30 / 7) / 4, 30 / 7),
    "spend_amount_7d": (10.0, 0.0),
    "spend_amount_30d": (36.0, 0.0),
    "spend_amount_365d": (56.0, 0.0),
    "spend_amount_trend_30d": (36 * 3 / 36, MISSING),  # nothing over nothing
    "order_value_mean_30d": (9.0, 0.0),
    "order_value_max_90d": (20.0, 0.0),
    "order_value_median_365d": (10.0, 0.0),  # of 1, 5, 10, 20, 20
    "gross_amount_30d": (43.5, 0.0),
    "discount_amount_30d": (7.5, 0.0),
    "discount_rate_30d": (7.5 / 43.5, MISSING),
    "coupon_amount_90d": (0.5, 0.1),
    "coupon_order_rate_90d": (0.25, 1.0),
    "line_count_30d": (7, 1),
    "unit_count_90d": (9, 1),
    "basket_line_mean_30d": (7 / 4, 1.0),
    "basket_line_max_90d": (4, 1),
    "small_order_count_90d": (3, 1),
    "category_count_30d": (2, 0),  # dairy and bakery; what has no category is none
    "category_count_365d": (3, 0),
    "department_count_90d": (1, 0),
    "brand_count_90d": (2, 0),
    "product_count_90d": (4, 1),  # a product counts, listed or not
    "product_variety_rate_90d": (4 / 7, 1.0),
    "private_label_amount_90d": (16.0, 0.0),
    "private_label_rate_90d": (16 / 36, MISSING),
    "weekend_order_count_90d": (3, 0),  # twice on Sunday, day 90, once on Saturday, day 96
    "evening_order_rate_365d": (0.2, 0.0),
    "order_hour_mean_365d": ((10 + 9 + 20 + 8 + 12) / 5, 0.0),
    "campaign_count_30d": (1, 0),
    "campaign_count_365d": (2, 0),
    "redemption_count_30d": (1, 0),
    "campaign_response_rate_365d": (0.5, MISSING),
    "campaign_recency_days": (4.5, MISSING),
    "redemption_recency_days": (3.0, MISSING),
}


@pytest.fixture(scope="module")
def small_shop():
    return snapshot(shop([*ANN, *BOB], EVENTS), [CUTOFF]).execute().set_index("customer_id")


def test_only_customers_with_a_known_order_have_a_row(small_shop):
    assert list(small_shop.index) == ["ann", "bob"]


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=list(EXPECTED))
def test_every_value_is_the_one_worked_out_by_hand(small_shop, name, expected):
    found = small_shop.loc[["ann", "bob"], name].to_numpy()
    np.testing.assert_array_equal(found, np.array(expected, dtype="float32"))


def test_every_kind_of_measure_is_worked_out_by_hand():
    kinds = {(type(feature(name).measure), getattr(feature(name).measure, "how", None)) for name in NAMES}
    by_hand = {(type(feature(name).measure), getattr(feature(name).measure, "how", None)) for name in EXPECTED}
    assert kinds == by_hand


def test_columns_are_the_catalog_in_float32(small_shop):
    assert tuple(small_shop.columns) == ("cutoff", *NAMES)
    assert set(small_shop.dtypes[list(NAMES)]) == {np.dtype("float32")}


def test_rows_are_ordered_by_cutoff_and_customer():
    rows = snapshot(shop([*BOB, *ANN]), [CUTOFF, at(95)], [feature("order_count_7d")]).execute()
    assert list(zip(rows["cutoff"], rows["customer_id"], strict=True)) == [
        (at(95), "ann"), (at(95), "bob"), (CUTOFF, "ann"), (CUTOFF, "bob"),
    ]  # fmt: skip


def test_a_part_of_the_catalog_gives_the_same_values(small_shop):
    part = [feature(name) for name in ("category_count_30d", "order_count_7d", "campaign_recency_days")]
    rows = snapshot(shop([*ANN, *BOB], EVENTS), [CUTOFF], part).execute().set_index("customer_id")
    pd.testing.assert_frame_equal(rows, small_shop[["cutoff", *(f.name for f in part)]])


def test_a_shop_without_facts_has_no_rows():
    assert snapshot(shop(), [CUTOFF], [feature("order_count_7d")]).execute().empty


def test_order_without_lines_is_an_order():
    rows = snapshot(
        shop([Order(at=at(99), lines=())]), [CUTOFF], [feature("order_count_7d"), feature("spend_amount_7d")]
    )
    assert rows.execute()[["order_count_7d", "spend_amount_7d"]].to_numpy().tolist() == [[1.0, 0.0]]


def test_a_cutoff_in_another_zone_is_the_same_instant(small_shop):
    from zoneinfo import ZoneInfo

    elsewhere = CUTOFF.astimezone(ZoneInfo("America/New_York"))
    rows = snapshot(shop([*ANN, *BOB]), [elsewhere], [feature("order_count_90d")]).execute().set_index("customer_id")
    pd.testing.assert_series_equal(rows["order_count_90d"], small_shop["order_count_90d"])


def test_products_need_no_category():
    tables = shop([Order(at=at(99))], products=[Product(id="milk")])
    rows = snapshot(tables, [CUTOFF], [feature("category_count_30d"), feature("product_count_90d")]).execute()
    assert rows[["category_count_30d", "product_count_90d"]].to_numpy().tolist() == [[0.0, 1.0]]


class TestCompleteJourney:
    """150 households at three cutoffs, every feature, beside the pandas of benchmarks/."""

    CUTOFFS = tuple(
        pd.Timestamp(day, tz="America/New_York").tz_convert("UTC").to_pydatetime()
        for day in ("2017-02-20", "2017-07-03", "2018-01-01")
    )

    @pytest.fixture(scope="class")
    def sample(self):
        connection = ibis.duckdb.connect()
        read = read_source("complete-journey").tables
        facts = {name: connection.create_table(name, read[name].cast(FACTS[name].schema)) for name in NEEDED_FACTS}
        chosen = facts["orders"].select("customer_id").distinct().order_by("customer_id").limit(150)
        few = {"orders": facts["orders"].semi_join(chosen, "customer_id")}
        few["events"] = facts["events"].semi_join(chosen, "customer_id")
        few["order_lines"] = facts["order_lines"].semi_join(few["orders"], "order_id")
        kept = {name: connection.create_table(f"few_{name}", table) for name, table in few.items()}
        yield connection, facts | kept
        connection.disconnect()

    def test_every_feature_is_what_pandas_says(self, sample):
        connection, facts = sample
        ours = connection.to_pyarrow(snapshot(facts, self.CUTOFFS)).to_pandas()
        frames = {name: as_frame(connection.to_pyarrow(table)) for name, table in facts.items()}
        oracle = pandas_features(frames, self.CUTOFFS)
        assert len(ours) > 400
        for name in ours.columns:
            # On this shop they agree bit for bit; nothing is rounded away.
            assert (ours[name].eq(oracle[name]) | (ours[name].isna() & oracle[name].isna())).all(), name
