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
