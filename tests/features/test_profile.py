"""The list of features: the window of each in words, of a ratio those of its parts."""

from __future__ import annotations

import pytest

from features.catalog import BY_NAME, FEATURES
from features.measures import Ratio
from features.profile import window_of


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


def test_no_ratio_is_without_a_window():
    assert all(window_of(feature) for feature in FEATURES if isinstance(feature.measure, Ratio))
