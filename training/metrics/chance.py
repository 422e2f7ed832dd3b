"""What a perfect prediction is measured at: of finite rows, chance alone makes an error."""

from __future__ import annotations

import numpy as np

from training.metrics.catalog import METRICS, Metric
from training.metrics.pairs import Floats

CALIBRATION_ERROR = "adaptive_calibration_error"  # bins of equal count: rare outcomes do not share one bin
LARGEST_CALIBRATION_ERROR = 0.05  # beyond what chance makes of perfect probabilities
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


def accepted_calibration(error: float, by_chance: float) -> str:
    """Say how far probabilities are off that can be taken at their word."""
    most = LARGEST_CALIBRATION_ERROR + by_chance
    return f"its probabilities are {error:.3f} off on average, up to {most:.3f} is accepted"


def miscalibrated(error: float, by_chance: float) -> str | None:
    """Return why probabilities of a calibration error cannot be taken at their word, None where they can."""
    if error <= LARGEST_CALIBRATION_ERROR + by_chance:
        return None
    return (
        f"its probabilities are {error:.3f} off on average; chance makes up to {by_chance:.3f} of perfect ones, and "
        f"{LARGEST_CALIBRATION_ERROR:g} beyond that is accepted"
    )
