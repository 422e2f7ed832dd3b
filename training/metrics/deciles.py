"""The prediction in tenths, highest first: what each holds, and how fast the whole is gained."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scoring.parts import Kind
from training.metrics.pairs import Floats, Weights, check_label, comparable
from training.metrics.weighted import cumulative, ratio, tie_groups

DECILE_COUNT = 10


def decile_means(values: Floats, predicted: Floats, weights: Weights) -> Floats:
    """Mean of `values` in each tenth of the weight, in order of the prediction, highest first: (draws, 10).

    A row on a border is split between its two tenths, and so are rows of equal prediction, pro rata: that is what
    breaking the ties at random gives on average.
    """
    ties = tie_groups(-predicted)
    mass, total = cumulative(ties.sums(weights)), cumulative(ties.sums(weights * values))
    borders = mass[:, -1:] * np.linspace(0.0, 1.0, DECILE_COUNT + 1)
    at_borders = np.stack([np.interp(*curve) for curve in zip(borders, mass, total, strict=True)])
    means: Floats = np.diff(at_borders, axis=1) * DECILE_COUNT / mass[:, -1:]
    return means


def decile_table(kind: Kind, actual: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """Build one row per decile of the prediction, 1 is the highest.

    Columns: `decile`; `rows`, a tenth of all (a fraction where ten does not divide them); `mean_predicted`;
    `observed`, the rate or the mean amount; `lift`, observed over the overall mean; `cumulative_gain_rate`, the share
    of all positives or of the whole amount that lies in this decile and those above.

    Raises
    ------
    UnusablePredictionsError : as for `estimate_all`.
    """
    truth, score = comparable(actual, predicted)
    check_label(kind, truth)
    once = np.ones((1, len(truth)))
    observed = decile_means(truth, score, once)[0]
    lift = ratio(observed, np.full(DECILE_COUNT, truth.mean()))
    return pd.DataFrame(
        {
            "decile": np.arange(1, DECILE_COUNT + 1),
            "rows": len(truth) / DECILE_COUNT,
            "mean_predicted": decile_means(score, score, once)[0],
            "observed": observed,
            "lift": lift,
            "cumulative_gain_rate": np.cumsum(lift) / DECILE_COUNT,
        }
    )


def gain_curve(actual: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Share of the rows taken from the highest prediction down, and the share of the actual total they hold.

    Both start at 0 and end at 1; rows of equal prediction are one straight segment.

    Raises
    ------
    UnusablePredictionsError : as for `estimate`.
    """
    truth, score = comparable(actual, predicted)
    ties = tie_groups(-score)
    once = np.ones((1, len(truth)))
    taken, held = (cumulative(ties.sums(cells))[0] for cells in (once, once * truth))
    return taken / taken[-1], ratio(held, np.full(len(held), held[-1]))
