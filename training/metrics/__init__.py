"""How good a prediction is, and how sure of it we are: weighted metrics, so that a bootstrap is one matrix pass.

Every metric takes weights of shape (draws, rows) and answers one number a draw. A whole-number weight means exactly
what repeating the row would, ties included: equal predictions are never ordered by the accident of their position.
"""

from scoring.parts import Kind
from training.metrics.bootstrap import (
    BLOCK_CELLS,
    INTERVAL_PERCENTILES,
    Estimate,
    Measured,
    bootstrap_blocks,
    bootstrap_weights,
    estimate,
    estimate_all,
    goodness,
    measure_all,
    paired_difference,
)
from training.metrics.catalog import AMOUNT_METRICS, LOG_LOSS_FLOOR, METRICS, PROBABILITY_METRICS, Metric
from training.metrics.chance import (
    CALIBRATION_ERROR,
    calibration_by_chance,
    chance_values,
)
from training.metrics.deciles import DECILE_COUNT, decile_means, decile_table, gain_curve
from training.metrics.intervals import (
    COVERAGE,
    INSIDE,
    INTERVAL_METRICS,
    NOMINAL_COVERAGE,
    WIDTH,
    estimate_interval,
    pinball_loss,
)
from training.metrics.pairs import Floats, UnusablePredictionsError, Weights

__all__ = [
    "AMOUNT_METRICS",
    "BLOCK_CELLS",
    "CALIBRATION_ERROR",
    "COVERAGE",
    "DECILE_COUNT",
    "INSIDE",
    "INTERVAL_METRICS",
    "INTERVAL_PERCENTILES",
    "LOG_LOSS_FLOOR",
    "METRICS",
    "NOMINAL_COVERAGE",
    "PROBABILITY_METRICS",
    "WIDTH",
    "Estimate",
    "Floats",
    "Kind",
    "Measured",
    "Metric",
    "UnusablePredictionsError",
    "Weights",
    "bootstrap_blocks",
    "bootstrap_weights",
    "calibration_by_chance",
    "chance_values",
    "decile_means",
    "decile_table",
    "estimate",
    "estimate_all",
    "estimate_interval",
    "gain_curve",
    "goodness",
    "measure_all",
    "paired_difference",
    "pinball_loss",
]
