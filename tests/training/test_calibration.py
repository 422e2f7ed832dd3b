"""Calibration on held-out time: monotone, in range, and better where the raw scores are off."""

from __future__ import annotations

import numpy as np
import pytest

from training.calibration import _METHODS, fit_calibration
from training.metrics import METRICS

ECE = METRICS["probability"]["expected_calibration_error"]


def _cutoffs(count: int, *, squeeze: float, seed: int = 0):
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        truth = random.uniform(0.02, 0.98, 1500)
        odds = squeeze * np.log(truth / (1 - truth))
        pairs.append((1 / (1 + np.exp(-odds)), (random.uniform(size=1500) < truth).astype(float)))
    return pairs


def _error(pairs, calibration):
    predicted, actual = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return float(ECE.compute(actual, calibration.apply(predicted), np.ones((1, len(actual))))[0])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("squeeze", [0.4, 2.5])
def test_it_mends_scores_that_are_off(count, squeeze):
    calibration = fit_calibration(_cutoffs(count, squeeze=squeeze))
    later = _cutoffs(2, squeeze=squeeze, seed=9)
    assert calibration.method != "none"
    assert _error(later, calibration) < 0.5 * _error(later, _METHODS["none"](*later[0]))


@pytest.mark.parametrize("method", _METHODS.values(), ids=_METHODS)
def test_every_method_is_monotone_and_in_range(method):
    calibration = method(*_cutoffs(1, squeeze=0.5)[0])
    values = calibration.apply(np.linspace(0, 1, 2001))
    assert (np.diff(values) >= 0).all()
    assert values.min() >= 0
    assert values.max() <= 1
