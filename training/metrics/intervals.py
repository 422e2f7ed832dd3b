"""How good quantiles are: how much lies between them, how wide they are, and their pinball loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.parts import QUANTILES
from training.metrics.bootstrap import Estimate, bootstrap_blocks, summary
from training.metrics.pairs import Floats

COVERAGE, INSIDE, WIDTH = "coverage_80", "inside_80", "width_80"
NOMINAL_COVERAGE = QUANTILES[2] - QUANTILES[0]
INTERVAL_METRICS: Mapping[str, str] = {
    COVERAGE: (
        "Share of customers whose outcome lies from p10 to p90, both ends counted; 0.8 is meant, or more where many "
        "outcomes are the same as an end, such as nothing at all"
    ),
    INSIDE: "Share whose outcome lies strictly between p10 and p90; 0.8 is meant, or less for the same reason",
    "below_p10": "Share whose outcome lies below p10; 0.1 is meant",
    "above_p90": "Share whose outcome lies above p90; 0.1 is meant",
    WIDTH: "Mean of p90 - p10, in the label's unit",
    "pinball_loss": "Mean pinball loss of p10, p50 and p90, in the label's unit (Koenker & Bassett 1978)",
}


def pinball_loss(actual: Floats, quantiles: Floats) -> float:
    """Return the mean pinball loss of (rows, 3) quantiles, in the label's unit."""
    return float(_losses(actual, quantiles).mean())


def estimate_interval(
    actual: Floats, quantiles: Floats, *, draws: int, seed: int, clusters: Sequence[object] | None = None
) -> dict[str, Estimate]:
    """Measure (rows, 3) quantiles, each of `INTERVAL_METRICS` with its bootstrap interval over the rows.

    `clusters` is as for `estimate_all`.
    """
    low, _, high = quantiles.T
    below, above = actual < low, actual > high
    inside = (low < actual) & (actual < high)
    losses = _losses(actual, quantiles)
    cells = np.stack([~(below | above), inside, below, above, high - low, losses], axis=1).astype(float)
    drawn = bootstrap_blocks(len(actual), draws=draws, seed=seed, clusters=clusters)
    means = [weights @ cells / weights.sum(axis=1, keepdims=True, dtype=float) for weights in drawn]
    replicates = np.concatenate([cells.mean(axis=0, keepdims=True), *means])
    return {name: summary(column) for name, column in zip(INTERVAL_METRICS, replicates.T, strict=True)}


def _losses(actual: Floats, quantiles: Floats) -> NDArray[np.float64]:
    errors = actual[:, None] - quantiles
    levels = np.array(QUANTILES)
    losses: NDArray[np.float64] = np.maximum(levels * errors, (levels - 1) * errors).mean(axis=1)
    return losses
