"""Intervals: what a resample is, how often they cover the truth, and what cannot be compared at all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from tests.training.metrics.samples import PROBABILITY, simulated
from training.metrics import (
    METRICS,
    UnusablePredictionsError,
    bootstrap_blocks,
    bootstrap_weights,
    decile_table,
    estimate,
    estimate_all,
    paired_difference,
)


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
    @pytest.mark.parametrize("copies", [1, 4])
    def test_rows_that_repeat_their_cluster_tell_nothing_more(self, kind, copies):
        actual, predicted = simulated(150, seed=3)
        alone = estimate_all(kind, actual, {"it": predicted}, draws=50, seed=7)
        many = {"it": np.repeat(predicted, copies)}
        whose = np.repeat(np.arange(150), copies).tolist()
        together = estimate_all(kind, np.repeat(actual, copies), many, draws=50, seed=7, clusters=whose)
        for name, found in together["it"].items():
            told = alone["it"][name]
            assert (found.value, found.low, found.high) == pytest.approx((told.value, told.low, told.high), abs=1e-6)

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
