"""What a perfect prediction is measured at: of finite rows, chance alone makes an error."""

from __future__ import annotations

import numpy as np

from training.metrics.catalog import METRICS, Metric
from training.metrics.pairs import Floats

CALIBRATION_ERROR = "adaptive_calibration_error"  # bins of equal count: rare outcomes do not share one bin
CHANCE_DRAWS, CHANCE_PERCENTILE = 200, 97.5


def chance_values(metric: Metric, probability: Floats, *, draws: int, seed: int) -> Floats:
    """Return (draws,) values of a metric for outcomes that happen just as often as was said.

    References
    ----------
    Bröcker & Smith (2007), "Increasing the reliability of reliability diagrams" (consistency resampling).
    """
    generator, once = np.random.default_rng(seed), np.ones((1, len(probability)))
    outcomes = (generator.random((draws, len(probability))) < probability).astype(np.float64)
    return np.array([float(metric.compute(outcome, probability, once)[0]) for outcome in outcomes])


def calibration_by_chance(probability: Floats, *, seed: int) -> float:
    """Return the calibration error that perfect probabilities stay below in 97.5 % of samples."""
    found = chance_values(METRICS["probability"][CALIBRATION_ERROR], probability, draws=CHANCE_DRAWS, seed=seed)
    return float(np.percentile(found, CHANCE_PERCENTILE))
