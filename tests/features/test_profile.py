"""The list of features: the window of each in words, of a ratio those of its parts."""

from __future__ import annotations

import pytest

from facts.ingest import ingest
from facts.lake import Lake
from features.build import build_snapshots
from features.catalog import BY_NAME, FEATURES
from features.inputs import Inputs
from features.live import LIVE
from features.measures import Ratio
from features.profile import ranges, window_of
from features.snapshots import snapshot_names
from tests.builders import Line, Order, at, delivery, rows_of


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("order_count_30d", "30 days"),
        ("order_recency_days", ""),
        ("order_count_year_ago_28d", "28 days, 364 days ago"),
        ("order_count_trend_7d", "7 days / 30 days"),
        ("visit_irregularity_365d", "365 days"),
        ("order_due_ratio_90d", "all / 90 days"),
        ("tenure_recency_ratio", "all"),
    ],
)
def test_the_window_in_words(name, said):
    assert window_of(BY_NAME[name]) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("session_count_30m", "30 minutes"),
        ("session_count_1d", "1 day"),
        ("session_count_7d", "7 days"),
        ("visit_recency_live_days", "30 days"),
    ],
)
def test_the_window_of_a_live_feature_in_words(name, said):
    assert window_of(next(feature for feature in LIVE if feature.name == name)) == said


def test_every_feature_of_the_shop_is_measured(tmp_path):
    lake = Lake(tmp_path / "lake")
    days = range(0, 60, 5)
    ingest(delivery(rows_of([Order(customer=f"c{d % 3}", at=at(d, 9), lines=(Line(),)) for d in days])), lake)
    build_snapshots(lake)
    known = ranges(lake)
    assert {*Inputs.of(snapshot_names(lake), lake.shop().has).names} <= {*known}
    assert known["order_recency_live_days"] == known["order_recency_days"]


def test_no_ratio_is_without_a_window():
    assert all(window_of(feature) for feature in FEATURES if isinstance(feature.measure, Ratio))
