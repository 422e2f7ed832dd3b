"""One customer who outweighs the others is named, and measured without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.evaluation import Opponent, _largest, measure_beside_others
from training.largest import LARGE_SHARE, largest_of
from training.metrics import METRICS
from training.tasks import TASKS
from training.verdict import MODEL


def _amounts(*, giant: float) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(4)
    actual = chance.gamma(2.0, 10.0, size=200)
    actual[17] = giant
    return actual, np.clip(actual + chance.normal(0, 5, size=200), 0, None)


@pytest.mark.parametrize("giant", [10.0, 400.0, 2_500.0])
def test_a_tenth_of_all_spend_is_large(giant):
    actual, _ = _amounts(giant=giant)
    found, share = largest_of(actual), actual.max() / actual.sum()
    assert found == ((17, pytest.approx(share)) if share >= LARGE_SHARE else None)


@pytest.mark.parametrize("actual", [[], [5.0], [0.0, 0.0], [3.0, -4.0]])
def test_without_spend_nobody_is_large(actual):
    assert largest_of(np.array(actual)) is None


def test_what_is_measured_without_is_what_the_others_give():
    actual, predicted = _amounts(giant=3_000.0)
    predictions = {MODEL: predicted, "other": predicted[::-1].copy()}
    opponents = [Opponent(name="other", must_win=True)]
    task = TASKS["clv"]
    estimates, comparisons = measure_beside_others(task, actual, predictions, opponents, seed=1)
    largest = _largest(task, actual, predictions, opponents, comparisons, estimates[MODEL], seed=1)
    others = np.arange(len(actual)) != 17
    for name, metric in METRICS["amount"].items():
        alone = metric.compute(actual[others], predicted[others], np.ones((1, others.sum())))[0]
        assert largest.without[name].value == pytest.approx(alone)
    assert f"one customer is {3_000 / actual.sum():.0%} of what was spent" in str(largest)
    assert "the verdict is the same without" in str(largest)


def test_a_verdict_that_hangs_on_one_row_is_told():
    """By the mean error the giant alone decides, as the other prediction misses it and is better everywhere else."""
    actual, predicted = _amounts(giant=50_000.0)
    other = actual.copy()
    other[17] = 0.0
    task = replace(TASKS["clv"], gate_metric="mae")
    predictions, opponents = {MODEL: predicted, "other": other}, [Opponent(name="other", must_win=False)]
    estimates, comparisons = measure_beside_others(task, actual, predictions, opponents, seed=1)
    largest = _largest(task, actual, predictions, opponents, comparisons, estimates[MODEL], seed=1)
    assert (largest.holds, largest.holds_without) == (True, False)
    assert "the verdict hangs on that one customer" in str(largest)
