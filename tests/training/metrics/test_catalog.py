"""Every metric against scikit-learn and scipy, against tables checked by hand, and against the laws all obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    roc_auc_score,
    root_mean_squared_error,
)

from tests.training.metrics.samples import ACTUAL, AMOUNT, PREDICTED, PROBABILITY, simulated, value_of, weighted_samples
from training.metrics import METRICS, bootstrap_weights, paired_difference

EVERY_METRIC = [pytest.param(kind, metric, id=metric.name) for kind in METRICS for metric in METRICS[kind].values()]


@pytest.mark.parametrize(("kind", "metric"), EVERY_METRIC)
class TestEveryMetric:
    @given(data=st.data())
    @settings(max_examples=40, deadline=None)
    def test_a_whole_weight_is_a_repeated_row(self, kind, metric, data):
        actual, predicted, weights = data.draw(weighted_samples(kind))
        repeats = weights.astype(int)
        weighted = value_of(metric, actual, predicted, weights)
        repeated = value_of(metric, np.repeat(actual, repeats), np.repeat(predicted, repeats))
        assert weighted == pytest.approx(repeated, rel=1e-9, abs=1e-9, nan_ok=True)

    @given(data=st.data())
    @settings(max_examples=20, deadline=None)
    def test_the_order_of_the_rows_does_not_matter(self, kind, metric, data):
        actual, predicted, _ = data.draw(weighted_samples(kind))
        order = data.draw(st.permutations(range(len(actual))))
        shuffled = value_of(metric, actual[order], predicted[order])
        assert shuffled == pytest.approx(value_of(metric, actual, predicted), rel=1e-9, abs=1e-9, nan_ok=True)

    @given(data=st.data())
    @settings(max_examples=20, deadline=None)
    def test_many_draws_at_once_are_each_draw_alone(self, kind, metric, data):
        actual, predicted, _ = data.draw(weighted_samples(kind))
        weights = bootstrap_weights(len(actual), draws=5, seed=1)
        together = metric.compute(actual, predicted, weights)
        alone = [value_of(metric, actual, predicted, row) for row in weights]
        np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-12)

    def test_single_precision_weights_lose_nothing(self, kind, metric):
        actual, predicted = simulated(3000, seed=5)
        actual, predicted = (actual, predicted) if kind == "probability" else (actual * 37.3, predicted * 41.7)
        weights = bootstrap_weights(3000, draws=2, seed=1)
        exact = metric.compute(actual, predicted, weights.astype(np.float64))
        np.testing.assert_allclose(metric.compute(actual, predicted, weights), exact, rtol=1e-12, atol=1e-12)

    def test_a_better_prediction_makes_a_positive_difference(self, kind, metric):
        actual, good = simulated(2000, seed=3)
        _, bad = simulated(2000, seed=3, noise=3.0)
        scale = 1.0 if kind == "probability" else 50.0
        bad = bad if metric.direction != "one" else bad * 2
        result = paired_difference(metric, actual * scale, good * scale, bad * scale, draws=100, seed=1)
        assert 0 < result.low < result.value < result.high

    def test_it_says_what_it_is(self, kind, metric):
        assert METRICS[kind][metric.name] is metric
        assert metric.description.endswith(".")


@pytest.mark.parametrize("metric", [*PROBABILITY.values(), *AMOUNT.values()], ids=lambda metric: metric.name)
class TestEveryMetricOfTwoClasses:
    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("label", [0.0, 1.0])
    def test_one_class_is_no_reason_to_fail(self, metric, label):
        value = value_of(metric, np.full(7, label), np.linspace(0.1, 0.9, 7))
        assert np.isnan(value) or np.isfinite(value)

    def test_a_difference_turned_around_changes_its_sign(self, metric):
        actual, first = simulated(300, seed=3)
        _, second = simulated(300, seed=3, noise=1.0)
        forth = paired_difference(metric, actual, first, second, draws=50, seed=1)
        back = paired_difference(metric, actual, second, first, draws=50, seed=1)
        assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))

    def test_a_prediction_does_not_differ_from_itself(self, metric):
        actual, predicted = simulated(300, seed=3)
        result = paired_difference(metric, actual, predicted, predicted, draws=20, seed=1)
        assert (result.value, result.low, result.high) == (0.0, 0.0, 0.0)


class TestAgainstScikitLearnAndScipy:
    @pytest.mark.parametrize(
        ("name", "reference"),
        [
            ("auc", roc_auc_score),
            ("average_precision", average_precision_score),
            ("log_loss", log_loss),
            ("brier", brier_score_loss),
        ],
    )
    @given(sample=weighted_samples("probability"))
    @settings(max_examples=40, deadline=None)
    def test_probability(self, name, reference, sample):
        actual, predicted, weights = sample
        assume(0 < weights @ actual < weights.sum())
        expected = reference(actual, predicted, sample_weight=weights)
        assert value_of(PROBABILITY[name], actual, predicted, weights) == pytest.approx(expected)

    @pytest.mark.parametrize(("name", "reference"), [("mae", mean_absolute_error), ("rmse", root_mean_squared_error)])
    @given(sample=weighted_samples("amount"))
    @settings(max_examples=40, deadline=None)
    def test_amount(self, name, reference, sample):
        actual, predicted, weights = sample
        expected = reference(actual, predicted, sample_weight=weights)
        assert value_of(AMOUNT[name], actual, predicted, weights) == pytest.approx(expected)

    @given(sample=weighted_samples("amount"))
    @settings(max_examples=40, deadline=None)
    def test_spearman(self, sample):
        actual, predicted, weights = sample
        repeats = weights.astype(int)
        actual_rows, predicted_rows = np.repeat(actual, repeats), np.repeat(predicted, repeats)
        assume(len(set(actual_rows)) > 1 and len(set(predicted_rows)) > 1)
        expected = spearmanr(actual_rows, predicted_rows).statistic
        assert value_of(AMOUNT["spearman"], actual, predicted, weights) == pytest.approx(expected, abs=1e-12)

    @given(sample=weighted_samples("probability"))
    def test_of_two_classes_the_gini_is_twice_the_auc_less_one(self, sample):
        actual, predicted, weights = sample
        assume(0 < weights @ actual < weights.sum())
        auc = value_of(PROBABILITY["auc"], actual, predicted, weights)
        gini = value_of(AMOUNT["normalised_gini"], actual, predicted, weights)
        assert gini == pytest.approx(2 * auc - 1, abs=1e-12)

    def test_a_sure_and_wrong_probability_costs_a_finite_loss(self):
        assert value_of(PROBABILITY["log_loss"], [1.0], [0.0]) == pytest.approx(-math.log(1e-15))


class TestByHand:
    def test_lift_and_gain_of_the_top_decile(self):
        # 2 of 5 positives lie in the top two rows, whose rate is 1; the overall rate is 5 / 20.
        assert value_of(PROBABILITY["top_decile_lift"], ACTUAL, PREDICTED) == pytest.approx(4.0)
        assert value_of(PROBABILITY["top_decile_gain"], ACTUAL, PREDICTED) == pytest.approx(0.4)

    def test_expected_calibration_error(self):
        # Bins of width: .95 (1) and .15 (0, 0), whose mean gaps are .05 and .15, weigh as many as they hold.
        value = value_of(PROBABILITY["expected_calibration_error"], [1.0, 0.0, 0.0], [0.95, 0.1, 0.19])
        assert value == pytest.approx((0.05 + 0.1 + 0.19) / 3)
        # Within a bin they make up for each other; the last holds certainty, too.
        value = value_of(PROBABILITY["expected_calibration_error"], [1.0, 0.0, 1.0, 1.0], [0.41, 0.49, 0.92, 1.0])
        assert value == pytest.approx((0.1 + 0.08) / 4)

    def test_adaptive_calibration_error(self):
        # Mean predictions .95 .85 .75 .65 .55 .45 .35 .25 .15 .05, rates 1 .5 .5 0 0 0 .5 0 0 0.
        gaps = [0.05, 0.35, 0.25, 0.65, 0.55, 0.45, 0.15, 0.25, 0.15, 0.05]
        value = value_of(PROBABILITY["adaptive_calibration_error"], ACTUAL, PREDICTED)
        assert value == pytest.approx(np.mean(gaps))

    @pytest.mark.parametrize("name", ["expected_calibration_error", "adaptive_calibration_error"])
    def test_one_probability_for_all_is_off_by_its_distance_to_the_rate(self, name):
        value = value_of(PROBABILITY[name], ACTUAL, np.full(20, 0.6))
        assert value == pytest.approx(0.6 - 5 / 20)

    def test_ties_share_their_positives_out(self):
        # Four rows tie for the two places of the top decile and hold one positive: half of it is expected there.
        predicted = np.array([0.9] * 4 + [0.1] * 16)
        actual = np.array([1.0, 0, 0, 0] + [1.0] + [0.0] * 15)
        assert value_of(PROBABILITY["top_decile_gain"], actual, predicted) == pytest.approx(0.25)

    def test_normalised_gini(self):
        # Ordered by prediction, lowest first: 0 30 10 60. Mid-ranks .5 1.5 2.5 3.5 less their mean 2:
        # 0 - 15 + 5 + 90 = 80; ordered by themselves, 0 10 30 60: 0 - 5 + 15 + 90 = 100.
        assert value_of(AMOUNT["normalised_gini"], [0, 10, 30, 60], [1, 3, 2, 4]) == pytest.approx(0.8)
        assert value_of(AMOUNT["normalised_gini"], [0, 10, 30, 60], [4, 3, 2, 1]) == pytest.approx(-1.0)

    def test_decile_calibration_error(self):
        # Every decile is predicted 2 too high or too low; the mean amount is 10 x (0 + 1 + ... + 9) / 10 = 45.
        actual = 10.0 * np.arange(10)
        predicted = actual + np.array([2.0, -2.0] * 5)
        assert value_of(AMOUNT["decile_calibration_error"], actual, predicted) == pytest.approx(2 / 45)

    def test_total_ratio(self):
        assert value_of(AMOUNT["total_ratio"], [0, 10, 30], [5, 5, 20]) == pytest.approx(0.75)
