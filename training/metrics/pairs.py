"""Actual and predicted values side by side: of what kind they are, and what must hold before they are compared."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.parts import Kind

Floats: TypeAlias = NDArray[np.float64]
Weights: TypeAlias = NDArray[np.floating]


class UnusablePredictionsError(ValueError):
    """The actual and the predicted values cannot be compared: empty, uneven, not finite, or not the label's kind."""


def comparable(actual: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as (rows,) float64; raise UnusablePredictionsError, which says why, where they do not match."""
    truth, score = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    if truth.ndim != 1 or truth.shape != score.shape or not truth.size:
        raise UnusablePredictionsError(
            f"needs one prediction for each of at least one row, got shapes {truth.shape} and {score.shape}"
        )
    for name, values in (("actual", truth), ("predicted", score)):
        if not (finite := np.isfinite(values)).all():
            raise UnusablePredictionsError(
                f"{(~finite).sum()} of {values.size} {name} values are missing or infinite, "
                f"the first at row {finite.argmin()}; leave those rows out or fill them before the comparison"
            )
    return truth, score


def check_label(kind: Kind, actual: Floats) -> None:
    """Raise UnusablePredictionsError where a probability's label is neither 0 nor 1."""
    strange = actual[np.isfinite(actual) & (actual != 0) & (actual != 1)]
    if kind == "probability" and strange.size:
        raise UnusablePredictionsError(f"a probability is compared with labels 0 and 1, got {strange[0]:g}")
