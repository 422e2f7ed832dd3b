"""Whether a model, read back from what MLflow stored, still says what was measured of it.

A version may become champion only if what is served is what was judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scoring.model import TaskModel, score_frame
from scoring.parts import Rows
from scoring.registry import read_logged
from scoring.trees import trees_of, xgboost_margins

if TYPE_CHECKING:
    from facts.home import Home

Floats = NDArray[np.float64]

TOLERANCE = 1e-6  # of a figure, or of one where it is smaller
TOLERANCE_OF_MARGINS = 1e-6  # of the largest: XGBoost and ONNX Runtime agree to the bit wherever it was tried


def parity_obstacle(home: Home, uri: str, measured: TaskModel, rows: Rows) -> str | None:
    """Return why a logged model is not the one that was measured, None where it is.

    It is read as the service reads it, and as a pyfunc; each must give the figures of the measured model on all the
    rows. Each booster must say the same by XGBoost and by ONNX.
    """

    def stored() -> TaskModel:
        return read_logged(home, uri.removeprefix("models:/"), label=measured.label)

    answers = {
        "as it is served": lambda: score_frame(stored(), rows),
        "as a pyfunc": lambda: _by_pyfunc(uri, measured, rows),
    }
    obstacle = obstacle_between(score_frame(measured, rows), answers)
    return obstacle or next((said for said in _between_files(stored(), rows) if said), None)


def obstacle_between(expected: pd.DataFrame, answers: Mapping[str, Callable[[], pd.DataFrame]]) -> str | None:
    """Return the first way of reading a stored model that does not give the figures that were measured."""
    try:
        differences = [_difference(how, expected, answer()) for how, answer in answers.items()]
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being read keeps it from being served
        said = (str(error).splitlines() or [type(error).__name__])[0]
        return f"it cannot be read back from what MLflow stored: {said}"
    return next((difference for difference in differences if difference), None)


def _by_pyfunc(uri: str, measured: TaskModel, rows: Rows) -> pd.DataFrame:
    import mlflow

    told: pd.DataFrame = mlflow.pyfunc.load_model(uri).predict(pd.DataFrame(rows, columns=list(measured.features)))
    return told


def _difference(how: str, expected: pd.DataFrame, found: pd.DataFrame) -> str | None:
    if list(found.columns) != list(expected.columns) or len(found) != len(expected):
        return f"read back {how} it gives {list(found.columns)}, {list(expected.columns)} were measured"
    ours, theirs = expected.to_numpy(np.float64), found.to_numpy(np.float64)
    is_off = ~(np.abs(theirs - ours) <= TOLERANCE * np.maximum(1.0, np.abs(ours)))  # a missing figure is off, too
    if not is_off.any():
        return None
    row, column = np.argwhere(is_off)[0]
    return (
        f"read back {how} it says {theirs[row, column]:.6g} of a customer of whom {ours[row, column]:.6g} was measured "
        f"({expected.columns[column]}, {is_off.any(axis=1).sum():,} of {len(ours):,} customers)"
    )


def _between_files(model: TaskModel, rows: Rows) -> Iterator[str | None]:
    whole = model.windows.whole(rows) if model.windows else np.ascontiguousarray(rows)
    for booster in model.boosters:
        by_xgboost = xgboost_margins(booster, whole)
        apart = float(np.abs(trees_of(booster).margins(whole) - by_xgboost).max(initial=0.0))
        allowed = TOLERANCE_OF_MARGINS * max(1.0, float(np.abs(by_xgboost).max(initial=0.0)))
        yield None if apart <= allowed else f"read back, a booster's ONNX and UBJSON files are {apart:.3g} apart"
