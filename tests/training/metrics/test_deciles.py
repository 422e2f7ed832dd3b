"""Tenths of a prediction and gain curves, by hand and by law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tests.training.metrics.samples import ACTUAL, PREDICTED, PROBABILITY, simulated, value_of, weighted_samples
from training.metrics import decile_means, decile_table, gain_curve


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


class TestByHand:
    def test_decile_table(self):
        table = decile_table("probability", ACTUAL, PREDICTED)
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
