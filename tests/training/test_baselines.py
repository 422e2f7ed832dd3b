"""Baselines: one contract for all of them, then what each claims about its one feature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from training.baselines import BASELINES, MissingColumnError, baselines_for
from training.metrics import METRICS, estimate_all

COLUMNS = (
    "order_recency_live_days",
    "order_count_30d",
    "order_count_365d",
    "spend_amount_90d",
    "spend_amount_365d",
    "visit_gap_mean_365d",
)


def shop(row_count=400, *, seed=0):
    """Features as they arrive, float32 with gaps, and two labels: bought again (0 or 1), and spent."""
    generator = np.random.default_rng(seed)
    habit = generator.gamma(2.0, size=row_count)
    orders = generator.poisson(3 * habit)
    features = pd.DataFrame(
        {
            "order_recency_live_days": np.where(orders > 0, generator.exponential(60 / habit), np.nan),
            "order_count_30d": generator.poisson(habit / 4),
            "order_count_365d": orders,
            "spend_amount_90d": np.where(orders > 0, 10 * generator.gamma(1 + habit), np.nan),
            "spend_amount_365d": np.where(orders > 0, 40 * generator.gamma(1 + habit), np.nan),
            "visit_gap_mean_365d": np.where(orders > 1, 365 / np.maximum(orders, 1), np.nan),
            "customer_id": "not a number",
        }
    ).astype(dict.fromkeys(COLUMNS, np.float32))
    bought = generator.random(row_count) < 1 - np.exp(-habit / 4)
    return features, bought.astype(np.int8), (bought * 20 * generator.gamma(1 + habit)).astype(np.float32)


def label_of(kind, *, seed=0):
    _, bought, spent = shop(seed=seed)
    return {"probability": bought, "amount": spent, "days": 30 / (1 + spent)}[kind]


EVERY_BASELINE = [
    pytest.param(kind, baseline, id=f"{kind}-{baseline.name}")
    for kind in BASELINES
    for baseline in baselines_for(kind, horizon_days=30, columns=COLUMNS)
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "baseline"), EVERY_BASELINE)
class TestEveryBaseline:
    def test_it_answers_one_possible_value_a_row(self, kind, baseline):
        features, *_ = shop()
        later, *_ = shop(150, seed=1)
        predicted = baseline.fit(features, label_of(kind))(later)
        assert predicted.shape == (150,)
        assert predicted.dtype == np.float64
        assert np.isfinite(predicted).all()
        assert predicted.min() >= 0
        assert kind != "probability" or predicted.max() <= 1

    def test_it_is_deterministic(self, kind, baseline):
        features, *_ = shop()
        first, second = (baseline.fit(features, label_of(kind))(features) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_it_reads_its_columns_and_no_others(self, kind, baseline):
        features, *_ = shop()
        alone = features[[*baseline.columns]]
        np.testing.assert_array_equal(
            baseline.fit(features, label_of(kind))(features), baseline.fit(alone, label_of(kind))(alone)
        )

    def test_it_leaves_what_it_is_given_unchanged(self, kind, baseline):
        (features, *_), label = shop(), label_of(kind)
        features_before, label_before = features.copy(), label.copy()
        baseline.fit(features, label)(features)
        pd.testing.assert_frame_equal(features, features_before)
        np.testing.assert_array_equal(label, label_before)

    def test_columns_of_which_nothing_is_known_are_no_reason_to_fail(self, kind, baseline):
        features, *_ = shop()
        unknown = features.assign(**dict.fromkeys(baseline.columns, np.float32("nan")))
        assert np.isfinite(baseline.fit(unknown, label_of(kind))(unknown)).all()
        assert np.isfinite(baseline.fit(features, label_of(kind))(unknown)).all()

    @pytest.mark.parametrize("everyone", [0, 1])
    def test_a_label_of_one_class_is_no_reason_to_fail(self, kind, baseline, everyone):
        features, *_ = shop()
        predicted = baseline.fit(features, np.full(len(features), everyone))(features)
        assert np.isfinite(predicted).all()
        if kind == "probability" or (everyone == 0 and baseline.name != "last_spend_carried_forward"):
            np.testing.assert_allclose(predicted, everyone)

    def test_it_can_be_measured(self, kind, baseline):
        features, *_ = shop()
        predicted = baseline.fit(features, label_of(kind))(features)
        table = estimate_all(kind, label_of(kind), {baseline.name: predicted}, draws=10, seed=0)
        assert list(table[baseline.name]) == list(METRICS[kind])

    def test_a_single_feature_keeps_its_order(self, kind, baseline):
        features, *_ = shop()
        complete = features.dropna()
        predicted = baseline.fit(features, label_of(kind))(complete)
        if baseline.is_single_feature:
            (column,) = baseline.columns
            assert abs(spearmanr(predicted, complete[column]).statistic) == pytest.approx(1.0)


class TestWhatIsLearned:
    @pytest.mark.parametrize(("kind", "baseline"), [one for one in EVERY_BASELINE if "alone" in one.id])
    def test_the_direction_follows_the_label(self, kind, baseline):
        (features, *_), label = shop(), label_of(kind)
        forth, back = (baseline.fit(features, shown)(features) for shown in (label, label.max() - label))
        assert spearmanr(forth, back).statistic == pytest.approx(-1.0)

    def test_who_never_ordered_counts_as_long_gone(self):
        features, bought, _ = shop()
        (recency, *_) = BASELINES["probability"]
        predicted = recency.fit(features, bought)(features)
        never = features["order_recency_live_days"].isna().to_numpy()
        assert never.any()
        np.testing.assert_allclose(predicted[never], predicted.min())

    def test_three_features_beat_chance_and_their_probabilities_hold_on_average(self):
        features, bought, _ = shop(3000)
        later, bought_later, _ = shop(3000, seed=1)
        predicted = BASELINES["probability"][2].fit(features, bought)(later)
        table = estimate_all("probability", bought_later, {"rfm": predicted}, draws=50, seed=0)
        assert table["rfm"]["auc"].low > 0.6
        assert predicted.mean() == pytest.approx(bought_later.mean(), abs=0.03)

    def test_amounts_hold_in_total_in_any_currency(self):
        features, _, spent = shop(3000)
        regression = BASELINES["amount"][2]
        in_euro, in_yen = (regression.fit(features, spent * rate)(features) for rate in (1.0, 160.0))
        assert in_euro.sum() == pytest.approx(spent.sum(), rel=0.1)
        np.testing.assert_allclose(in_yen, 160 * in_euro, rtol=1e-3)

    def test_returned_goods_count_as_nothing_spent(self):
        features, _, spent = shop()
        regression = BASELINES["amount"][2]
        with_returns = np.where(spent == 0, -5.0, spent)
        expected = regression.fit(features, spent)(features)
        np.testing.assert_allclose(regression.fit(features, with_returns)(features), expected, rtol=1e-9)


class TestCarriedForward:
    @pytest.mark.parametrize(
        ("horizon_days", "columns", "column", "scale"),
        [
            (90, COLUMNS, "spend_amount_90d", 1.0),
            (30, COLUMNS, "spend_amount_90d", 1 / 3),
            (365, COLUMNS, "spend_amount_365d", 1.0),
            (60, (*COLUMNS, "spend_amount_30d"), "spend_amount_90d", 2 / 3),
            (60, (*COLUMNS, "spend_amount_60d_mean", "discount_spend_amount_60d"), "spend_amount_90d", 2 / 3),
        ],
    )
    def test_the_nearest_window_is_scaled_to_the_horizon(self, horizon_days, columns, column, scale):
        *_, carried = baselines_for("amount", horizon_days=horizon_days, columns=columns)
        assert carried.columns == (column,)
        spend = pd.DataFrame({column: np.array([30.0, 0.0, np.nan, -8.0], np.float32)})
        np.testing.assert_allclose(carried.fit(spend, np.zeros(4))(spend), [30 * scale, 0, 0, 0])

    def test_probabilities_carry_no_spend_forward(self):
        names = [baseline.name for baseline in baselines_for("probability", horizon_days=30, columns=COLUMNS)]
        assert names == ["recency_alone", "order_count_alone", "rfm_logistic"]


class TestRefusals:
    @pytest.mark.parametrize("kind", BASELINES)
    def test_a_missing_column_is_named(self, kind):
        (column,) = BASELINES[kind][1].columns
        with pytest.raises(MissingColumnError, match=f"'{BASELINES[kind][1].name}' needs {column}"):
            baselines_for(kind, horizon_days=30, columns=set(COLUMNS) - {column})

    def test_amounts_need_some_spend(self):
        with pytest.raises(MissingColumnError, match="needs spend_amount_45d"):
            baselines_for("amount", horizon_days=45, columns=["order_recency_live_days"])
