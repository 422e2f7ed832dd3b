"""Quantiles measured: by hand, and under resampling."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import COVERAGE, INTERVAL_METRICS, estimate_interval, pinball_loss

ACTUAL = np.array([0.0, 1.0, 5.0, 9.0])
QUANTILES = np.array([[0.0, 0.0, 0.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0], [1.0, 2.0, 8.0]])


def test_by_hand():
    found = {name: estimate.value for name, estimate in estimate_interval(ACTUAL, QUANTILES, draws=20, seed=1).items()}
    assert found[COVERAGE] == 0.5  # both ends count
    assert (found["below_p10"], found["above_p90"]) == (0.25, 0.25)
    assert found["width_80"] == pytest.approx((0 + 2 + 2 + 7) / 4)
    losses = [0, (0.9 * 1 + 0.5 * 2 + 0.1 * 3) / 3, (0.1 * 1 + 0 + 0.1 * 1) / 3, (0.1 * 8 + 0.5 * 7 + 0.9 * 1) / 3]
    assert found["pinball_loss"] == pytest.approx(np.mean(losses)) == pytest.approx(pinball_loss(ACTUAL, QUANTILES))
    assert list(found) == list(INTERVAL_METRICS)


@pytest.mark.parametrize("copies", [1, 4])
def test_rows_that_repeat_their_cluster_tell_nothing_more(copies):
    alone = estimate_interval(ACTUAL, QUANTILES, draws=50, seed=7)
    actual, quantiles = np.repeat(ACTUAL, copies), np.repeat(QUANTILES, copies, axis=0)
    whose = np.repeat(np.arange(len(ACTUAL)), copies).tolist()
    together = estimate_interval(actual, quantiles, draws=50, seed=7, clusters=whose)
    for name, found in together.items():
        told = alone[name]
        assert (found.value, found.low, found.high) == pytest.approx((told.value, told.low, told.high))


def test_a_draw_of_large_clusters_is_no_wider_and_covers_no_more():
    quantiles = np.tile([2.0, 3.0, 4.0], (7, 1))
    whose = [0, 1, 2, 2, 2, 2, 2]
    found = estimate_interval(np.full(7, 3.0), quantiles, draws=50, seed=7, clusters=whose)
    for name, meant in ((COVERAGE, 1), ("below_p10", 0), ("width_80", 2)):
        assert (found[name].value, found[name].low, found[name].high) == pytest.approx((meant, meant, meant))


def test_the_true_quantiles_cover_four_fifths_and_lose_least():
    random = np.random.default_rng(1)
    actual = random.normal(size=20_000)
    z = 1.2815515655446004
    true = np.tile([-z, 0.0, z], (len(actual), 1))
    found = estimate_interval(actual, true, draws=200, seed=2)
    assert found[COVERAGE].low < 0.8 < found[COVERAGE].high
    assert found[COVERAGE].high - found[COVERAGE].low < 0.02
    for other in (true * 1.3, true * 0.7, true + 0.2):
        assert pinball_loss(actual, other) > pinball_loss(actual, true)
