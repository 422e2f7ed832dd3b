"""Metrics against scikit-learn and scipy, against tables checked by hand, and against the laws all of them obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm, spearmanr
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    roc_auc_score,
    root_mean_squared_error,
)

from training.metrics import (
    METRICS,
    UnusablePredictionsError,
    bootstrap_blocks,
    bootstrap_weights,
    decile_means,
    decile_table,
    estimate,
    estimate_all,
    gain_curve,
    paired_difference,
)

PROBABILITY, AMOUNT = METRICS["probability"], METRICS["amount"]
EVERY_METRIC = [pytest.param(kind, metric, id=metric.name) for kind in METRICS for metric in METRICS[kind].values()]
# Few distinct values, so that most samples hold ties; the amounts hold zeros, as those of customers do.
LABELS = {"probability": st.sampled_from([0.0, 1.0]), "amount": st.sampled_from([0.0, 0.0, 5.0, 12.5, 80.0])}
SCORES = {
    "probability": st.sampled_from([0.05, 0.2, 0.2, 0.5, 0.7, 0.95]),
    "amount": st.sampled_from([0.0, 3.0, 7.5, 7.5, 60.0]),
}


@st.composite
def weighted_samples(draw, kind):
    """Actual, predicted and whole-number weights of 2 to 25 rows; at least one row weighs something."""
    row = st.tuples(LABELS[kind], SCORES[kind], st.integers(0, 3))
    rows = draw(st.lists(row, min_size=2, max_size=25).filter(lambda rows: any(weight for *_, weight in rows)))
    return tuple(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))


def value_of(metric, actual, predicted, weights=None):
    actual, predicted = np.asarray(actual, float), np.asarray(predicted, float)
    weights = np.ones(len(actual)) if weights is None else weights
    (value,) = metric.compute(actual, predicted, np.atleast_2d(weights))
    return value


def simulated(row_count, *, seed, noise=0.0):
    """A binary outcome of a logistic model, and its true probabilities, blurred by `noise`."""
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=row_count)
    actual = (generator.random(row_count) < 1 / (1 + np.exp(1 - signal))).astype(float)
    blurred = signal + noise * generator.normal(size=row_count)
    return actual, 1 / (1 + np.exp(1 - blurred))


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
    #          decile:   1    2    3    4    5    6    7    8    9   10, two rows each, highest first
    ACTUAL = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], float)
    PREDICTED = np.linspace(0.975, 0.025, 20)

    def test_lift_and_gain_of_the_top_decile(self):
        # 2 of 5 positives lie in the top two rows, whose rate is 1; the overall rate is 5 / 20.
        assert value_of(PROBABILITY["top_decile_lift"], self.ACTUAL, self.PREDICTED) == pytest.approx(4.0)
        assert value_of(PROBABILITY["top_decile_gain"], self.ACTUAL, self.PREDICTED) == pytest.approx(0.4)

    def test_expected_calibration_error(self):
        # Mean predictions .95 .85 .75 .65 .55 .45 .35 .25 .15 .05, rates 1 .5 .5 0 0 0 .5 0 0 0.
        gaps = [0.05, 0.35, 0.25, 0.65, 0.55, 0.45, 0.15, 0.25, 0.15, 0.05]
        value = value_of(PROBABILITY["expected_calibration_error"], self.ACTUAL, self.PREDICTED)
        assert value == pytest.approx(np.mean(gaps))

    def test_one_probability_for_all_is_off_by_its_distance_to_the_rate(self):
        value = value_of(PROBABILITY["expected_calibration_error"], self.ACTUAL, np.full(20, 0.6))
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

    def test_decile_table(self):
        table = decile_table("probability", self.ACTUAL, self.PREDICTED)
        assert list(table["decile"]) == [*range(1, 11)]
        assert list(table["rows"]) == [2.0] * 10
        np.testing.assert_allclose(table["mean_predicted"], np.linspace(0.95, 0.05, 10))
        np.testing.assert_allclose(table["observed"], [1, 0.5, 0.5, 0, 0, 0, 0.5, 0, 0, 0], atol=1e-12)
        np.testing.assert_allclose(table["lift"], [4, 2, 2, 0, 0, 0, 2, 0, 0, 0], atol=1e-12)
        np.testing.assert_allclose(table["cumulative_gain_rate"], [0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 1, 1, 1, 1])

    def test_gain_curve_takes_tied_rows_together(self):
        taken, held = gain_curve([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1])
        np.testing.assert_allclose(taken, [0, 0.25, 0.75, 1])
        np.testing.assert_allclose(held, [0, 0.5, 1, 1])


class TestDeciles:
    @given(sample=weighted_samples("amount"))
    def test_the_mean_of_the_deciles_is_the_mean(self, sample):
        actual, predicted, weights = sample
        means = decile_means(actual, predicted, np.atleast_2d(weights))
        assert means.mean() == pytest.approx(np.average(actual, weights=weights))

    @given(sample=weighted_samples("amount"))
    def test_the_prediction_falls_from_decile_to_decile(self, sample):
        _, predicted, weights = sample
        means = decile_means(predicted, predicted, np.atleast_2d(weights))
        assert (np.diff(means) <= 1e-9).all()

    def test_the_first_decile_agrees_with_the_metric(self):
        actual, predicted = simulated(1237, seed=2)
        table = decile_table("probability", actual, predicted)
        assert table["lift"][0] == pytest.approx(value_of(PROBABILITY["top_decile_lift"], actual, predicted))
        assert table["cumulative_gain_rate"].iloc[-1] == pytest.approx(1.0)

    def test_where_nothing_was_bought_there_is_no_lift(self):
        assert decile_table("amount", np.zeros(5), np.arange(5.0))["lift"].isna().all()


class TestBootstrap:
    def test_every_draw_is_a_resample(self):
        weights = bootstrap_weights(50, draws=200, seed=4)
        assert weights.shape == (200, 50)
        assert weights.dtype == np.float32
        assert (weights.sum(axis=1) == 50).all()
        # A row is left out of a resample with probability (1 - 1/50)^50 = 0.364.
        assert (weights == 0).mean() == pytest.approx(0.364, abs=0.02)

    def test_a_seed_gives_the_same_draws_and_more_draws_begin_with_them(self):
        few, many = (bootstrap_weights(30, draws=draws, seed=4) for draws in (10, 25))
        np.testing.assert_array_equal(few, many[:10])
        assert (few != bootstrap_weights(30, draws=10, seed=5)).any()

    def test_many_rows_come_in_small_blocks(self):
        blocks = [block.shape for block in bootstrap_blocks(600_000, draws=2, seed=0)]
        assert blocks == [(1, 600_000), (1, 600_000)]

    def test_no_draws_give_no_interval(self):
        actual, predicted = simulated(20, seed=1)
        result = estimate(PROBABILITY["brier"], actual, predicted, draws=0, seed=1)
        assert np.isfinite(result.value)
        assert np.isnan([result.low, result.high]).all()

    def test_draws_of_one_class_are_left_out(self):
        # One positive in twenty: a third of the resamples hold none, and have no AUC.
        actual = np.array([1.0] + [0.0] * 19)
        result = estimate(PROBABILITY["auc"], actual, np.linspace(0.9, 0.1, 20), draws=100, seed=1)
        assert (result.value, result.low, result.high) == (1.0, 1.0, 1.0)

    def test_a_sample_of_one_class_has_no_auc(self):
        result = estimate(PROBABILITY["auc"], np.zeros(9), np.linspace(0, 1, 9), draws=20, seed=1)
        assert np.isnan([result.value, result.low, result.high]).all()

    def test_the_interval_covers_the_truth_as_often_as_it_says(self):
        truth, hits = norm.cdf(1 / np.sqrt(2)), 0
        for seed in range(100):
            generator = np.random.default_rng(seed)
            actual = np.repeat([0.0, 1.0], 100)
            result = estimate(PROBABILITY["auc"], actual, generator.normal(size=200) + actual, draws=200, seed=seed)
            hits += result.low <= truth <= result.high
        assert 87 <= hits <= 100

    def test_a_pair_is_told_apart_where_its_intervals_overlap(self):
        actual, good = simulated(2000, seed=3)
        _, worse = simulated(2000, seed=3, noise=0.7)
        both = estimate_all("probability", actual, {"good": good, "worse": worse}, draws=200, seed=1)
        assert both["worse"]["log_loss"].low < both["good"]["log_loss"].high
        assert paired_difference(PROBABILITY["log_loss"], actual, good, worse, draws=200, seed=1).low > 0

    @pytest.mark.parametrize("kind", METRICS)
    def test_all_at_once_is_each_alone(self, kind):
        actual, first = simulated(200, seed=3)
        _, second = simulated(200, seed=3, noise=1.0)
        table = estimate_all(kind, actual, {"first": first, "second": second}, draws=20, seed=7)
        assert list(table) == ["first", "second"]
        assert list(table["first"]) == list(METRICS[kind])
        for name, metric in METRICS[kind].items():
            assert table["second"][name] == estimate(metric, actual, second, draws=20, seed=7)


class TestRefusals:
    @pytest.mark.parametrize(
        ("actual", "predicted", "words"),
        [
            ([], [], "at least one row"),
            ([0, 1], [0.5], r"\(2,\) and \(1,\)"),
            ([0, 1], [0.5, np.nan], "1 of 2 predicted values .* first at row 1"),
            ([np.inf, 1], [0.5, 0.5], "1 of 2 actual values .* first at row 0"),
            ([0, 2], [0.5, 0.5], "labels 0 and 1, got 2"),
        ],
    )
    def test_what_cannot_be_compared_is_refused(self, actual, predicted, words):
        with pytest.raises(UnusablePredictionsError, match=words):
            estimate_all("probability", actual, {"model": predicted}, draws=3, seed=1)
        with pytest.raises(UnusablePredictionsError, match=words):
            decile_table("probability", actual, predicted)

    def test_a_pair_of_uneven_length_is_refused(self):
        with pytest.raises(UnusablePredictionsError):
            paired_difference(PROBABILITY["auc"], [0, 1], [0.1, 0.2], [0.1], draws=3, seed=1)
